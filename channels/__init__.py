"""What should happen: YAML, and the files that read it."""
