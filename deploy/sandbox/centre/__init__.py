"""The insurance centre to test against: keeps books of its own, refuses what a centre refuses, misbehaves on command.

It shares no code with the gateway in `endpoints/insurance`: a mistake is not made twice by one hand.
"""

from deploy.sandbox.centre.mobile import MobileCentre
from deploy.sandbox.centre.party import Centre
from deploy.sandbox.centre.sealing import Application
from deploy.sandbox.centre.settings import Settings

__all__ = ["Application", "Centre", "MobileCentre", "Settings"]
