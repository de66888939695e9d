"""The engine without encryption, hash chain and blind index: what their cost is measured against, and nothing else.

`python -m bench.bare --site FOLDER run` stands for `jingluo --site FOLDER run`. Rows and everything else stay as they
are; bytes are copied where they would be sealed. The product has no switch for this, and is packed without the bench.
"""

from __future__ import annotations

import contextlib
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from config.crypto import KEY_BYTES, NONCE_BYTES, TAG_BYTES, Mac, Sealer, SiteKeys
from router.search import Query
from router.store import StoreError, open_store

PROGRAM = ("-m", "bench.bare")  # for bench.site.engine
_NONCE, _TAG = bytes(NONCE_BYTES), bytes(TAG_BYTES)

Methods = Mapping[tuple[type, str], Callable[..., bytes]]


def _seal(self: Sealer, plain: bytes, context: bytes = b"") -> bytes:
    return b"".join((_NONCE, plain, _TAG))


def _open(self: Sealer, sealed: bytes, context: bytes = b"") -> bytes:
    return sealed[NONCE_BYTES:-TAG_BYTES]


def _mac(self: Mac, data: bytes) -> bytes:
    """32 bytes. A CRC costs 0.4 microseconds a kilobyte, and leaves the index as many different values."""
    return zlib.crc32(data).to_bytes(4, "big") * 8


_BARE: Methods = {(Sealer, "seal"): _seal, (Sealer, "open"): _open, (Mac, "__call__"): _mac}


def _put(methods: Methods) -> dict[tuple[type, str], Any]:
    """What was there before."""
    was = {(owner, name): getattr(owner, name) for owner, name in methods}
    for (owner, name), method in methods.items():
        setattr(owner, name, method)
    return was


@contextlib.contextmanager
def unsealed() -> Iterator[None]:
    """The same within this process."""
    was = _put(_BARE)
    try:
        yield
    finally:
        _put(was)


def in_clear(url: str) -> bool:
    """Whether the newest message of a journal is read by who has no key: so where a bare engine wrote it."""
    with unsealed():
        store = open_store(url, SiteKeys(bytes(KEY_BYTES)))
        try:
            found = store.search(Query(), 1).found
            if not found:
                raise RuntimeError("the journal has no message")
            return store.show(found[0].id).body.startswith(b"MSH|")
        except StoreError as error:
            if error.code != "JL-J012":
                raise
            return False  # a key is asked for
        finally:
            store.close()


# The engine, and what it spawns, which has this module as __mp_main__: the process that writes the journal's rows.
if __name__ in ("__main__", "__mp_main__"):
    _put(_BARE)
if __name__ == "__main__":
    from router.cli import main

    print("bench.bare: nothing is sealed here; for measurements only", file=sys.stderr, flush=True)
    main()
