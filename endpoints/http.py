"""HTTP: kind `http`. A source that is a route of the engine's web server, a destination that is a client.

The two sides stand in `endpoints/rest/`.
"""

from __future__ import annotations

from config import registry
from endpoints.rest.destination import HttpDestination
from endpoints.rest.source import HttpSource

registry.source("http")(HttpSource)
registry.destination("http")(HttpDestination)
