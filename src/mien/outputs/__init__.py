"""Where readings go: files, annotated pictures and charts."""
