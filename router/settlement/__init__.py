"""Settlements: pipelines over outside parties whose every effect is written down before it is asked for."""
