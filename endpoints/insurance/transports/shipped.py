"""The transports that come with the engine, registered; and the type by which options name one."""

from __future__ import annotations

from typing import Annotated

from endpoints.insurance.transports import csb, plain, xtif  # noqa: F401  # they register themselves
from endpoints.insurance.transports.base import Chosen, TransportOptions

# In a kind's options: `transport: AnyTransport`, then `base.opened(options.transport, options.url)`.
AnyTransport = Annotated[TransportOptions, Chosen()]
