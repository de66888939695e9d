"""The outside world: a protocol a file, its source and its destination together."""
