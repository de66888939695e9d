"""An e-invoice platform: numbers, write-offs and day totals of its own; it refuses what a platform refuses."""

from deploy.sandbox.einvoice.party import Bill, Platform

__all__ = ["Bill", "Platform"]
