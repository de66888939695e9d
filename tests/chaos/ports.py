"""Ports for what is killed and started again: outside the range from which the system takes ports of its own choice.

Else somebody's outgoing connection sits on the port when its owner comes back; or, tried again and again while nobody
listens, a sender's connection meets itself.
"""

from __future__ import annotations

import itertools
import os
import socket

_FIRST, _COUNT = (
    8_200,
    4_200,
)  # Linux takes its own from 32768 on, and a node's peers meet it at its port + 20000
_next = itertools.count(os.getpid() * 61)


def quiet_port(count: int = 1) -> int:
    """A port of loopback that nobody listens on and that was not handed out before; or the first of `count`."""
    while True:
        ports = [_FIRST + next(_next) % _COUNT for _ in range(count)]
        if ports[-1] == ports[0] + count - 1 and all(map(_free, ports)):
            return ports[0]


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # one that just ended has not left it
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
