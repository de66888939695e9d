"""An association that we ask for, and one image over it. Blocks."""

from __future__ import annotations

from typing import Any

from pynetdicom import AE

from config.errors import Refused, Unreachable
from config.tls import client_context
from endpoints.imaging.library import UNCOMPRESSED
from endpoints.imaging.options import DestinationOptions


def store(options: DestinationOptions, base_dir: str, dataset: Any) -> int:
    """The receiver's status. Raises Refused and Unreachable."""
    entity = AE(ae_title=options.calling)
    entity.connection_timeout = entity.acse_timeout = options.connect_within
    entity.dimse_timeout = entity.network_timeout = options.timeout
    _propose(entity, dataset)
    secured = _tls(options, base_dir)
    link = entity.associate(options.host, options.port, ae_title=options.title, tls_args=secured)
    if not link.is_established:
        raise _no_association(link, f"{options.host}:{options.port}")
    try:
        said = link.send_c_store(dataset)
    except (ValueError, AttributeError):
        raise Refused("JL-E835", "the receiver takes the image in no transfer syntax that it has") from None
    except RuntimeError:  # the association ended between
        raise Unreachable("JL-E838", "the association ended", maybe_done=True) from None
    finally:
        if link.is_established:
            link.release()
    if "Status" not in said:
        raise Unreachable("JL-E838", f"no answer within {options.timeout:g} s", maybe_done=True)
    return int(said.Status)


def _tls(options: DestinationOptions, base_dir: str) -> tuple[Any, str] | None:
    """Raises Unreachable."""
    if options.tls is None:
        return None
    try:
        return client_context(options.tls, base_dir), options.tls.name or options.host
    except OSError as error:
        raise Unreachable("JL-E833", f"TLS: {error.strerror}") from None


def _no_association(link: Any, address: str) -> Refused | Unreachable:
    if link.is_rejected:
        return Unreachable("JL-E834", f"{address} turns our association away")
    if link.rejected_contexts:  # it takes us, and nothing of what we have
        return Refused("JL-E835", "the receiver takes no images of this kind in this transfer syntax")
    return Unreachable("JL-E833", f"{address}: no association")


def _propose(entity: Any, dataset: Any) -> None:
    """The syntax of the file; one that is not compressed may become another such."""
    syntax = str(dataset.file_meta.TransferSyntaxUID)
    entity.add_requested_context(dataset.SOPClassUID, syntax)
    if syntax in UNCOMPRESSED:
        entity.add_requested_context(dataset.SOPClassUID, [one for one in UNCOMPRESSED if one != syntax])
