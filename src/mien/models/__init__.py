"""From crops of faces to scores."""
