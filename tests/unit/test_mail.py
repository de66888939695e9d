"""E-mail out, to a server of aiosmtpd: what arrives, and what each answer of a server means."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from email import message_from_bytes
from email.message import Message as Mail
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP as Served
from aiosmtpd.smtp import AuthResult, Envelope, Session
from authority import Authority
from pydantic import ValidationError

from config import registry
from config.errors import Refused, Unreachable
from endpoints.base import Ground
from endpoints.mail import MailDestination
from schemas.message import Message

Open = Callable[..., Awaitable[MailDestination]]
ADDRESSES = {"from": "jingluo@hospital.example", "to": ["duty@hospital.example", "second@hospital.example"]}


class Post:
    """A mail server's behaviour, and what it got."""

    def __init__(self) -> None:
        self.got: list[Mail] = []
        self.answer, self.unknown, self.later, self.users = "250 OK", "", "", {"u": "p"}

    async def handle_RCPT(
        self, server: Any, session: Session, envelope: Envelope, to: str, _: list[str]
    ) -> str:
        if to == self.unknown or self.unknown == "*":
            return "550 no such user"
        if to == self.later:
            return "450 greylisted"
        envelope.rcpt_tos.append(to)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Session, envelope: Envelope) -> str:
        if self.answer == "hang":
            await asyncio.sleep(5)
        self.got.append(message_from_bytes(envelope.content or b"", policy=default))  # type: ignore[arg-type]
        return self.answer

    def authenticated(
        self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any
    ) -> AuthResult:
        return AuthResult(
            success=self.users.get(data.login.decode()) == data.password.decode(), handled=False
        )


@pytest.fixture
def post() -> Post:
    return Post()


@pytest.fixture
async def open_mail(post: Post, tmp_path: Path) -> AsyncIterator[Open]:
    servers: list[asyncio.Server] = []
    authority = Authority(tmp_path)
    pair = authority.issue("localhost")

    async def open(security: str = "none", **options: Any) -> MailDestination:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(pair.certificate, pair.key)

        def served() -> Served:
            secure = (
                {"tls_context": context, "authenticator": post.authenticated}
                if security == "starttls"
                else {}
            )
            return Served(post, hostname="mail.example", **secure)  # type: ignore[arg-type]

        loop = asyncio.get_running_loop()
        servers.append(
            await loop.create_server(served, "127.0.0.1", 0, ssl=context if security == "tls" else None)
        )
        port = servers[-1].sockets[0].getsockname()[1]
        tls = {"ca": str(authority.file)} if security != "none" else {}
        made = registry.destinations.get("mail")
        text = {"host": "localhost", "port": port, "security": security, "tls": tls, **ADDRESSES, **options}
        one: MailDestination = made(made.Options(**text), Ground("ops.mail"))
        await one.start()
        return one

    yield open
    for server in servers:
        server.close()


def mail_of(body: str, **more: Any) -> Message:
    return Message(body.encode(), id="0197a3c2", received_ms=1_767_571_200_000, **more)


async def test_a_mail_says_what_the_message_says(open_mail: Open, post: Post) -> None:
    one = await open_mail(subject="每日报告")
    assert (await one.send(mail_of("今天 3 条失败\n"))).code == "250"
    await one.send(mail_of('{"subject": "告警\\r\\nBcc: x@y.example", "text": "HIS 静默 15 分钟"}'))
    first, second = post.got
    assert first["subject"] == "每日报告"
    assert first.get_content().strip() == "今天 3 条失败"  # type: ignore[attr-defined]
    assert second["subject"] == "告警 Bcc: x@y.example"
    assert second["bcc"] is None
    assert second["to"] == "duty@hospital.example, second@hospital.example"
    assert second["message-id"] == "<0197a3c2.ops.mail@hospital.example>"


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_tls_is_verified(open_mail: Open, post: Post, security: str) -> None:
    await (await open_mail(security)).send(mail_of("a"))
    assert len(post.got) == 1
    with pytest.raises(Unreachable, match=r"TLS|certificate"):
        await (await open_mail(security, tls={})).send(mail_of("a"))
    assert len(post.got) == 1


async def test_a_password_is_shown_over_tls_and_a_wrong_one_is_tried_again(
    open_mail: Open, post: Post
) -> None:
    await (await open_mail("starttls", user="u", password="p")).send(mail_of("a"))
    with pytest.raises(Unreachable) as wrong:
        await (await open_mail("starttls", user="u", password="secret-of-ours")).send(mail_of("a"))
    assert wrong.value.code == "JL-E801"
    assert "secret-of-ours" not in wrong.value.text


@pytest.mark.parametrize(
    ("answer", "again"), [("451 later", True), ("554 spam", False), ("552 too large", False)]
)
async def test_a_servers_no_is_its_own(open_mail: Open, post: Post, answer: str, again: bool) -> None:
    post.answer = answer
    with pytest.raises((Refused, Unreachable)) as said:
        await (await open_mail()).send(mail_of("a"))
    assert said.value.code == "JL-E802"
    assert isinstance(said.value, Unreachable) == again


async def test_who_is_unknown_keeps_nobody_else_from_it(open_mail: Open, post: Post) -> None:
    post.unknown = "second@hospital.example"
    assert (await (await open_mail()).send(mail_of("a"))).headers == {"refused": "1"}
    post.unknown = "*"
    with pytest.raises(Refused) as nobody:
        await (await open_mail()).send(mail_of("a"))
    assert not nobody.value.retry


async def test_who_may_be_let_in_later_is_worth_another_try(open_mail: Open, post: Post) -> None:
    post.unknown, post.later = "second@hospital.example", "duty@hospital.example"
    with pytest.raises(Unreachable, match="450"):
        await (await open_mail()).send(mail_of("a"))


@pytest.mark.parametrize(
    ("body", "subject", "text"),
    [
        ('{"subject": "a\u2028b\x85c", "text": "t"}', "a b c", "t"),
        ('{"subject": "half \\ud83d", "text": "half \\ud83d"}', "half ?", "half ?"),
        ('{"a":' * 20_000, "Jingluo 经络", '{"a":' * 20_000),
    ],
)
async def test_no_text_is_one_that_cannot_be_sent(
    open_mail: Open, post: Post, body: str, subject: str, text: str
) -> None:
    await (await open_mail()).send(mail_of(body, charset="no-such-charset"))
    assert post.got[0]["subject"] == subject
    assert post.got[0].get_content().strip() == text  # type: ignore[attr-defined]


async def test_silence_may_have_been_a_yes_and_no_server_is_none(open_mail: Open, post: Post) -> None:
    post.answer = "hang"
    with pytest.raises(Unreachable) as silent:
        await (await open_mail(timeout="300ms")).send(mail_of("a"))
    assert silent.value.maybe_done
    with pytest.raises(Unreachable) as away:
        await (await open_mail(port=1)).send(mail_of("a"))
    assert not away.value.maybe_done
    with pytest.raises(Refused, match="larger"):
        await (await open_mail(max_size="1B")).send(mail_of("ab"))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"to": []}, "at least 1"),
        ({"to": "duty"}, "match"),
        ({"to": "a@b.example\r\nBcc: x@y.example"}, "match"),
        ({"password": "p"}, "needs its user"),
        ({"user": "u", "password": "p", "security": "none"}, "needs TLS"),
    ],
)
def test_options_that_cannot_be_are_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        registry.destinations.get("mail").Options(**{"host": "smtp", **ADDRESSES, **options})
