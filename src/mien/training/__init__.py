"""Training and measuring the models; nothing outside imports it but commands, when they run."""
