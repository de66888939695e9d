"""Ports for what is killed and started again: outside the range from which the system takes ports of its own choice.

Else somebody's outgoing connection sits on the port when its owner comes back; or, tried again and again while nobody
listens, a sender's connection meets itself.
"""

from __future__ import annotations

import itertools
import os
import socket

# Linux takes its own from 32768 on, and a node's peers meet it at its port + 20000.
QUIET = range(8_200, 12_400)
_mine = QUIET
_next = itertools.count(os.getpid() * 61)


def share(number: int, of: int) -> range:
    """The quiet ports of one worker of so many, numbered from 0: no two workers have one in common."""
    size = len(QUIET) // of
    return QUIET[number * size : (number + 1) * size]


def keep_to(ports: range) -> None:
    """From now on this process is handed out these alone."""
    global _mine
    _mine = ports


def quiet_port(count: int = 1) -> int:
    """A port of loopback that nobody listens on and that was not handed out before; or the first of `count`."""
    while True:
        ports = [_mine[next(_next) % len(_mine)] for _ in range(count)]
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
