"""How a command asks the running engine: its address from the settings, its token from the engine's own folder."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2

from config.errors import JingluoError
from config.settings import Settings
from config.tls import pinned_context

TOKEN_FILE = "operator-token"
_TIMEOUT_S = 120.0


class NoEngine(JingluoError):
    """JL-J008: no engine answers, or it does not know us."""


class Operator:
    """The operator's API. All raise NoEngine where the engine does not do it, with its reason."""

    def __init__(self, client: httpx2.Client) -> None:
        self._client = client

    def get(self, path: str) -> bytes:
        return self._ask("GET", path, None)

    def post(self, path: str, ask: dict[str, Any]) -> bytes:
        return self._ask("POST", path, ask)

    def _ask(self, method: str, path: str, ask: dict[str, Any] | None) -> bytes:
        at = self._client.base_url
        try:
            answer = self._client.request(method, path, json=ask)
        except httpx2.ConnectError:
            raise NoEngine(
                "JL-J008", f"no engine answers at {at}: this needs a running engine 引擎未运行"
            ) from None
        except httpx2.HTTPError as error:
            raise NoEngine("JL-J008", f"the engine at {at} fails: {type(error).__name__}") from None
        if answer.status_code != 200:
            raise NoEngine("JL-J008", f"the engine says {answer.status_code}: {_reason(answer)}")
        return answer.content


@contextlib.contextmanager
def operator(settings: Settings) -> Iterator[Operator]:
    host = settings.http.host if settings.http.host not in ("0.0.0.0", "::") else "127.0.0.1"
    tls = settings.http.tls
    scheme = "https" if tls else "http"
    address = f"{scheme}://[{host}]" if ":" in host else f"{scheme}://{host}"
    with httpx2.Client(
        base_url=f"{address}:{settings.http.port}",
        headers={"Authorization": f"Bearer {_token(settings)}"},
        timeout=_TIMEOUT_S,
        verify=pinned_context(Path(tls.certificate)) if tls else False,
        trust_env=False,
    ) as client:
        yield Operator(client)


def _reason(answer: httpx2.Response) -> str:
    try:
        said = answer.json()
        return str(said.get("detail") or said.get("title") or said)[:500]
    except ValueError:
        return answer.text[:200]


def _token(settings: Settings) -> str:
    path = settings.var / TOKEN_FILE
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        raise NoEngine("JL-J008", f"no engine has run here: there is no {path} 引擎未运行") from None
    except PermissionError:
        raise NoEngine("JL-J008", f"{path} may only be read by the engine's user 无权限") from None
