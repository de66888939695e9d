"""Where a broker is, and how it knows us: what MQTT and AMQP say alike."""

from __future__ import annotations

import ssl
from typing import ClassVar

from pydantic import Field, model_validator

from config.errors import Unreachable
from config.secrets import Secret
from config.tls import ClientTls, refusal
from config.units import Seconds
from endpoints.base import Options


class Party(Options):
    """`ports`: without TLS, and with it. `away`: the code of no connection."""

    ports: ClassVar[tuple[int, int]]
    away: ClassVar[str]

    host: str
    port: int = Field(0, ge=0, le=65535, description="without it, the protocol's own")
    user: str = ""
    password: Secret = Field(Secret(""), description="by secret://name")
    tls: ClientTls | None = Field(None, description="without it, what is sent can be read on the way")
    keepalive: Seconds = Field(30.0, ge=1, le=3600, description="a broker that is silent for longer is gone")
    connect_within: Seconds = 10.0

    @model_validator(mode="after")
    def _keeps_its_password(self) -> Party:
        if self.password and not self.user:
            raise ValueError("a password needs its user")
        return self

    @property
    def real_port(self) -> int:
        return self.port or self.ports[self.tls is not None]

    def refused_by(self, error: BaseException) -> Unreachable:
        """Why there is no connection."""
        if isinstance(error, TimeoutError):
            said = f"no connection within {self.connect_within:g} s"
        else:
            said = f"TLS: {refusal(error)}" if isinstance(error, ssl.SSLError) else refusal(error)
        return Unreachable(self.away, f"{self.host}:{self.real_port}: {said}"[:300])
