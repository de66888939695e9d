"""Several messages in one: batches (FHS, BHS; HL7 v2.5.1 section 2.10.3), or one after the other."""

from __future__ import annotations

import re

from config.errors import BadMessage
from schemas.hl7.message import decode_text

MAX_MESSAGES = 100_000
# A second byte of GB18030 is never CR or LF, so lines can be found in undecoded bytes.
_START = re.compile(
    rb"(?:\A|(?<=[\r\n]))(?:\xef\xbb\xbf)?[ \t\x0b]{0,100}(MSH|FHS|BHS|BTS|FTS)(?![A-Za-z0-9])"
)


def split_batch(body: bytes) -> list[bytes]:
    """The messages of a batch, each as its bytes stand; headers and trailers of the batch fall away.

    What holds one message comes back as it is, and so does what holds none (`decode` says what is wrong with
    it), except that an empty batch is an empty list.
    """
    if b"\0" in body[:8]:
        text, codec, _ = decode_text(body)
        if codec.startswith("utf-16"):
            return [part.decode().encode(codec) for part in _split(text.encode())]
    return _split(body)


def _split(body: bytes) -> list[bytes]:
    starts = list(_START.finditer(body))
    if len(starts) > MAX_MESSAGES + 4:
        raise BadMessage("JL-M005", f"more than {MAX_MESSAGES} messages in one batch")
    if not starts or (len(starts) == 1 and starts[0][1] == b"MSH"):
        return [body]
    ends = [*(start.start() for start in starts[1:]), len(body)]
    return [body[start.start() : end] for start, end in zip(starts, ends, strict=True) if start[1] == b"MSH"]
