"""E-mail out: kind `mail` (SMTP, RFC 5321). For people: an alert, a report of the night. What leaves the hospital so is
read by others: no patient's data belongs in it.

A body that is a JSON object may say `subject` and `text`; any other is the text.
"""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Mapping
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from config import registry
from config.errors import Refused, Unreachable
from config.secrets import Secret
from config.tls import ClientTls, client_context, refusal
from config.units import Seconds, Size
from endpoints.base import Ground, Options, listed
from schemas import charsets
from schemas.message import Message, Receipt

if TYPE_CHECKING:
    from aiosmtplib import SMTP as Client

_ADDRESS = r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,255}$"
_PORTS = {"starttls": 587, "tls": 465, "none": 25}
_SUBJECT = 200  # characters
_LINE_ENDS = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]+")  # all that str.splitlines knows

Address = Annotated[str, Field(pattern=_ADDRESS)]
Addresses = Annotated[
    tuple[Address, ...],
    BeforeValidator(listed, json_schema_input_type=tuple[str, ...] | str),
]


class DestinationOptions(Options):
    """`send: {mail: {host: smtp, from: jingluo@hospital.example, to: [duty@hospital.example]}}`."""

    host: str
    port: int = Field(0, ge=0, le=65535, description="without it, by `security`: 587, 465, 25")
    security: Literal["starttls", "tls", "none"] = Field(
        "starttls", description="none: the text and the password can be read on the way"
    )
    tls: ClientTls = Field(ClientTls(), description="whom we trust, and what we show")
    user: str = ""
    password: Secret = Field(Secret(""), description="by secret://name")
    from_: Address = Field(alias="from", description="the sender's address")
    to: Addresses = Field(
        min_length=1, max_length=50, description="who gets it; a message cannot name others"
    )
    subject: str = Field("Jingluo 经络", max_length=_SUBJECT, description="where the body does not say one")
    timeout: Seconds = Field(60.0, description="for each step of the conversation")
    max_size: Size = Field(10_000_000, description="of the body")

    @model_validator(mode="after")
    def _keeps_its_password(self) -> DestinationOptions:
        if self.password and not self.user:
            raise ValueError("a password needs its user")
        if self.password and self.security == "none":
            raise ValueError("a password needs TLS: security: starttls")
        return self


@registry.destination("mail")
class MailDestination:
    """One connection a message: mails are few. Every try has the same Message-ID, by which a copy is known."""

    Options: ClassVar[type[Options]] = DestinationOptions
    answers_in = ""
    driver = ("aiosmtplib", "mail")
    streams = False
    codes = frozenset(("250", "450", "451", "452", "550", "552", "554"))

    def __init__(self, options: DestinationOptions, ground: Ground) -> None:
        self.options = options
        self.ground = ground

    async def start(self) -> None:
        """What speaks SMTP is here before the first message."""
        import aiosmtplib  # noqa: F401

    async def stop(self) -> None:
        """Nothing stays open."""

    async def send(self, message: Message) -> Receipt:
        import aiosmtplib

        mail = self._mail(message)
        client = self._client()
        maybe = False
        try:
            await client.connect()
            maybe = True
            refused, said = await client.send_message(mail)
        except aiosmtplib.SMTPAuthenticationError as error:
            raise Unreachable("JL-E801", f"the server does not let us in: {error.code}") from None
        except aiosmtplib.SMTPRecipientsRefused as error:
            # One that may come right by itself is worth another try, whatever was said of the others.
            raise self._no(min(one.code for one in error.recipients)) from None
        except aiosmtplib.SMTPResponseException as error:
            raise self._no(error.code) from None
        except (aiosmtplib.SMTPException, OSError) as error:
            raise self._away(error, maybe) from None
        finally:
            client.close()
        if refused:  # some have it: another try would be a second copy for them
            return Receipt("250", format="", headers={"refused": str(len(refused))})
        return Receipt("250", said.encode()[:1000])

    def heard(self, message: Message, code: str, answer: bytes, headers: Mapping[str, str]) -> Receipt:
        self._mail(message)
        if code and code != "250":
            raise self._no(int(code))
        return Receipt("250", answer)

    def _client(self) -> Client:
        import aiosmtplib

        options = self.options
        try:
            context = (
                client_context(options.tls, self.ground.base_dir) if options.security != "none" else None
            )
        except OSError as error:
            raise Unreachable("JL-E800", f"TLS: {error.strerror}") from None
        return aiosmtplib.SMTP(
            hostname=options.host,
            port=options.port or _PORTS[options.security],
            username=options.user or None,
            password=str(options.password) or None,
            timeout=options.timeout,
            use_tls=options.security == "tls",
            start_tls=options.security == "starttls",
            tls_context=context,
        )

    def _mail(self, message: Message) -> EmailMessage:
        """Raises Refused."""
        if len(message.body) > self.options.max_size:
            raise Refused("JL-E803", f"the body is larger than {self.options.max_size} bytes")
        subject, text = self._said(message)
        mail = EmailMessage(policy=SMTP)
        mail["From"] = self.options.from_
        mail["To"] = ", ".join(self.options.to)
        mail["Subject"] = _LINE_ENDS.sub(" ", subject)[:_SUBJECT]
        mail["Date"] = formatdate(message.received_ms / 1000)
        mail["Message-ID"] = (
            f"<{message.id or 'test'}.{self.ground.name}@{self.options.from_.rpartition('@')[2]}>"
        )
        mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's holiday answers it
        mail.set_content(text, cte="base64")
        return mail

    def _said(self, message: Message) -> tuple[str, str]:
        """Subject and text."""
        text = charsets.decode(message.body, hint=message.charset).text
        try:
            tree = json.loads(text) if text[:1] == "{" else None
        except (ValueError, RecursionError):
            tree = None
        if not isinstance(tree, dict) or not isinstance(tree.get("text"), str):
            return self.options.subject, _letters(text)
        subject = tree.get("subject")
        named = subject if isinstance(subject, str) and subject else self.options.subject
        return _letters(named), _letters(tree["text"])

    def _no(self, code: int) -> Refused | Unreachable:
        """4yz comes right by itself, 5yz does not (RFC 5321 section 4.2.1)."""
        text = f"the server said {code}"
        if 400 <= code < 500:
            return Unreachable("JL-E802", text)
        return Refused("JL-E802", text, retry=False)

    def _away(self, error: BaseException, maybe: bool) -> Unreachable:
        if isinstance(error, TimeoutError):
            why = f"no answer within {self.options.timeout:g} s"
        elif isinstance(error, ssl.SSLError):
            why = f"TLS: {refusal(error)}"
        else:
            cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
            why = (isinstance(cause, ssl.SSLError) and f"TLS: {refusal(cause)}") or refusal(cause)
        return Unreachable("JL-E800", f"{self.options.host}: {why}"[:300], maybe_done=maybe)


def _letters(text: str) -> str:
    """Without halves of characters, which JSON can say and no mail can."""
    return text.encode("utf-8", "replace").decode()
