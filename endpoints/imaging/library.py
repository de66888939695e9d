"""pynetdicom, told to keep quiet: what it logs would quote data sets."""

from __future__ import annotations

import contextlib
import logging
import socket
from typing import Any

from pynetdicom import _config
from pynetdicom.transport import AssociationSocket

from schemas.imaging import library

_config.LOG_HANDLER_LEVEL = "none"
_config.LOG_REQUEST_IDENTIFIERS = _config.LOG_RESPONSE_IDENTIFIERS = False
logging.getLogger("pynetdicom").setLevel(logging.CRITICAL + 1)

UNCOMPRESSED = ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"]
DEFLATED = "1.2.840.10008.1.2.1.99"

__all__ = ["DEFLATED", "UNCOMPRESSED", "library"]


def _shut(link: Any) -> None:
    """Closes a connection also where the other side was first; the library leaves that to the garbage collector."""
    connection = link.socket
    if connection is not None:
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
        connection.close()


AssociationSocket._shutdown_socket = _shut
