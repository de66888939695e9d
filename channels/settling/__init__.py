"""Settlements: what a pipeline's YAML says, compiled."""
