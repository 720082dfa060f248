"""A closed loop of HTTP/1.1 clients on kept connections: each asks again as soon as it has its answer.

One thread and one selector for all of them, and as little work per answer as can be, since it takes a core from what it
measures: the header is looked at for the status and the length, the body is counted. A latency is from the sending of a
request until its whole answer was received, which includes the wait for this very thread (some 10 µs per answer that
comes at the same time).
"""

from __future__ import annotations

import itertools
import selectors
import socket
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import msgspec

_STUCK_S = 30.0
_AT_ONCE = 1 << 18
"""The most that is received at a time, in bytes."""


class Answers(msgspec.Struct, frozen=True):
    """What a while of asking gave."""

    latencies: list[float]
    """Of each answer, in milliseconds."""
    seconds: float
    """From the first request until the last answer."""
    statuses: dict[int, int]
    """How many answers had which."""


class Clients:
    """Some connections to one server, kept open for as long as the `with` lasts. For one thread."""

    def __init__(self, address: tuple[str, int], count: int) -> None:
        self._address = address
        self._count = count

    def __enter__(self) -> Self:
        self._selector = selectors.DefaultSelector()
        self._clients = [_Client(self._address) for _ in range(self._count)]
        for client in self._clients:
            self._selector.register(client.socket, selectors.EVENT_READ, client)
        return self

    def ask(self, requests: Sequence[bytes], duration_s: float) -> Answers:
        """Ask for a while: each connection without a pause, the requests in turn. Every request is answered in the end.

        Raises:
            RuntimeError: No answer came for half a minute, a connection was closed, or what came is no answer.
        """
        turns, latencies, statuses = itertools.cycle(requests), list[float](), dict[int, int]()
        began_at = now = time.perf_counter()
        end_at, waiting = began_at + duration_s, len(self._clients)
        for client in self._clients:
            client.send(next(turns))
        while waiting:
            ready = self._selector.select(_STUCK_S)
            if not ready:
                raise RuntimeError(f"{waiting} requests had no answer within {_STUCK_S:g} s")
            for key, _ in ready:
                client = key.data
                status = client.receive()
                if not status:
                    continue
                now = time.perf_counter()
                latencies.append((now - client.sent_at) * 1000)
                statuses[status] = statuses.get(status, 0) + 1
                if now < end_at:
                    client.send(next(turns))
                else:
                    waiting -= 1
        return Answers(latencies, now - began_at, statuses)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._selector.close()
        for client in self._clients:
            client.socket.close()


class _Client:
    """One connection."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sent_at = 0.0
        self._head = b""
        self._status = 0
        self._left = 0

    def send(self, request: bytes) -> None:
        """Send a request, which is short: it never waits for room."""
        self.sent_at = time.perf_counter()
        self.socket.sendall(request)

    def receive(self) -> int:
        """Take what is there; return the status when the answer is whole, else 0."""
        received = self.socket.recv(_AT_ONCE)
        if not received:
            raise RuntimeError("the server has closed a connection")
        if self._status:
            self._left -= len(received)
        else:
            head, end, body = (self._head + received).partition(b"\r\n\r\n")
            if not end:
                self._head = head
                return 0
            self._head, self._status = b"", int(head[9:12])
            self._left = _length(head, self._status) - len(body)
        if self._left > 0:
            return 0
        if self._left < 0:
            raise RuntimeError("more came than the answer's length")
        status, self._status = self._status, 0
        return status


def _length(head: bytes, status: int) -> int:
    if status in (204, 304):
        return 0
    _, found, rest = head.lower().partition(b"\r\ncontent-length:")
    if not found:
        raise RuntimeError("an answer does not say how long it is")
    return int(rest.partition(b"\r\n")[0])


def request(host: str, path: str, **headers: str) -> bytes:
    """Return a GET as bytes; underscores in the names of headers are hyphens."""
    lines = {"host": host, "user-agent": "bench", "accept": "*/*", "connection": "keep-alive", **headers}
    shown = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in lines.items())
    return f"GET {path} HTTP/1.1\r\n{shown}\r\n".encode("latin-1")
