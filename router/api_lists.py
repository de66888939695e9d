"""Lists of the operator's interface: a part at a time, and where the next begins.

`limit` says how many (1,000 at the most), `after` goes on behind the last one's name. Where there are more, the header
`Link` has the address of the next part (RFC 8288).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, TypeVar

from fastapi import Query, Request, Response

T = TypeVar("T")

MOST = 1000
Limit = Annotated[int, Query(ge=1, le=MOST, description="how many")]
After = Annotated[str, Query(max_length=200, description="the name of the last one before")]


def part(items: Sequence[T], name: Callable[[T], str], limit: int, after: str) -> tuple[list[T], str]:
    """Those behind `after`, in their order, and the name by which the rest goes on. After an unknown name: none."""
    begin = 0
    if after:
        begin = next((n for n, item in enumerate(items, 1) if name(item) == after), len(items))
    some = list(items[begin : begin + limit])
    return some, name(some[-1]) if some and begin + limit < len(items) else ""


def linked(response: Response, request: Request, after: str) -> None:
    """Says in `Link` where the list goes on, where it does."""
    if after:
        following = request.url.include_query_params(after=after)
        response.headers["link"] = f'<{following.path}?{following.query}>; rel="next"'
