"""pynetdicom, told to keep quiet: what it logs would quote data sets."""

from __future__ import annotations

import logging

from pynetdicom import _config

from schemas.imaging import library

_config.LOG_HANDLER_LEVEL = "none"
_config.LOG_REQUEST_IDENTIFIERS = _config.LOG_RESPONSE_IDENTIFIERS = False
logging.getLogger("pynetdicom").setLevel(logging.CRITICAL + 1)

UNCOMPRESSED = ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"]
DEFLATED = "1.2.840.10008.1.2.1.99"

__all__ = ["DEFLATED", "UNCOMPRESSED", "library"]
