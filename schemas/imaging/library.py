"""pydicom, told to keep quiet: what it warns of would quote a patient's values.

Each value is read as it stands: devices write what the standard does not have, and a map can deal with it.
"""

from __future__ import annotations

import logging
import warnings

import pydicom
from pydicom import config

config.settings.reading_validation_mode = config.IGNORE
config.settings.writing_validation_mode = config.IGNORE
logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
warnings.filterwarnings("ignore", module=r"pydicom\b")

__all__ = ["pydicom"]
