"""Alerts: what is not as it should be, told once when it begins and once when it is over."""
