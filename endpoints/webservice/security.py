"""WS-Security: a user name in the header of a request.

OASIS Web Services Security: UsernameToken Profile 1.1 (2006-02-01), section 3.1; the timestamp is of SOAP Message
Security 1.1, section 10.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from datetime import UTC, datetime, timedelta

from lxml import etree
from pydantic import BaseModel, ConfigDict, Field

from config.units import Seconds
from schemas.xml import Element

WSS = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss"
WSSE = f"{WSS}-wssecurity-secext-1.0.xsd"
WSU = f"{WSS}-wssecurity-utility-1.0.xsd"
_PROFILE = f"{WSS}-username-token-profile-1.0"
_BASE64 = f"{WSS}-soap-message-security-1.0#Base64Binary"
_NONCE = 16  # bytes: no two of any process are alike


class Security(BaseModel):
    """`{user: jingluo, password: secret://his}`: a UsernameToken with each request."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    user: str = Field(min_length=1)
    password: str = Field(repr=False)
    digest: bool = Field(
        False, description="PasswordDigest with nonce and time; else the password as it is: over TLS"
    )
    timestamp: Seconds = Field(0.0, description="a Timestamp too, good for so long: `5m`; `0s` is none")
    must_understand: bool = Field(
        False, description="a receiver that knows no WS-Security answers with a Fault"
    )


def username_token(security: Security, now: float, envelope: str) -> Element:
    """The header's block, new for each request. `now`: Unix seconds; `envelope`: the SOAP version's namespace."""
    made = etree.Element(f"{{{WSSE}}}Security", nsmap={"wsse": WSSE, "wsu": WSU})
    if security.must_understand:
        # "1" in SOAP 1.1, section 4.2.3; one of the forms of true in SOAP 1.2.
        made.set(f"{{{envelope}}}mustUnderstand", "1")
    created = _time(now)
    if security.timestamp:
        stamp = etree.SubElement(made, f"{{{WSU}}}Timestamp")
        etree.SubElement(stamp, f"{{{WSU}}}Created").text = created
        etree.SubElement(stamp, f"{{{WSU}}}Expires").text = _time(now + security.timestamp)
    token = etree.SubElement(made, f"{{{WSSE}}}UsernameToken")
    etree.SubElement(token, f"{{{WSSE}}}Username").text = security.user
    password = etree.SubElement(token, f"{{{WSSE}}}Password")
    if not security.digest:
        password.set("Type", f"{_PROFILE}#PasswordText")
        password.text = security.password
        return made
    nonce = secrets.token_bytes(_NONCE)
    password.set("Type", f"{_PROFILE}#PasswordDigest")
    password.text = digest(nonce, created, security.password)
    shown = etree.SubElement(token, f"{{{WSSE}}}Nonce")
    shown.set("EncodingType", _BASE64)
    shown.text = base64.b64encode(nonce).decode()
    etree.SubElement(token, f"{{{WSU}}}Created").text = created
    return made


def digest(nonce: bytes, created: str, password: str) -> str:
    """Base64 of SHA-1 over nonce, time and password: section 3.1, which knows no other."""
    return base64.b64encode(hashlib.sha1(nonce + created.encode() + password.encode()).digest()).decode()


def _time(at: float) -> str:
    moment = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=round(at * 1000))
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"
