"""`watch` by a running gateway: its stream of events, gone on with when it breaks."""

from __future__ import annotations

import contextlib
import http.client
import os
import queue
import socket
import threading
import time
from typing import final

import msgspec

from openclaw_actors.cli.running import READ_S, Gateway, GatewayTroubleError, answered_by, gateways
from openclaw_actors.cli.session import note, warn
from openclaw_actors.cli.watching import Screen
from openclaw_actors.control.address import HTTP_SUFFIX, Offer, offers
from openclaw_actors.home.paths import locate
from openclaw_actors.shapes import About, WatchChange

_LOOK_INTERVAL_S = 1.0
"""How often a gateway is asked for its conditions, in seconds; one that doesn't answer that is taken for gone."""

_SILENCE_S = 60.0
"""How long a stream may be silent, in seconds: it has a beat of 15."""

_STEADY_S = 10.0
_MOST_BREAKS = 3
"""How often a stream may break before it has held for `_STEADY_S`: one that always does is not gone on with."""


class _Hello(msgspec.Struct, frozen=True):
    """The first event of a stream."""

    instance: str
    sequence: int


def follow(home: str | None, screen: Screen) -> None:
    """Print what a running gateway tells, for as long as one runs; returns at once when none does.

    Why one that runs can't be followed, or is no longer, is said on stderr.
    """
    location = locate(home, os.environ)
    last, pid, breaks = "", 0, 0
    while breaks < _MOST_BREAKS and (found := offers(location.state_dir, suffix=HTTP_SUFFIX)[0]):
        with contextlib.closing(gateways(location, found, warn)) as running:
            for gateway, about in running:
                try:
                    began_at, last = time.monotonic(), _follow_one(gateway, about, screen, last)
                except (GatewayTroubleError, FileNotFoundError) as error:
                    warn(f"gateway {gateway.pid} can't be followed: {error}")
                    continue
                pid = gateway.pid
                breaks = 1 if time.monotonic() - began_at > _STEADY_S else breaks + 1
                break
            else:
                break
    if pid:
        note(f"gateway {pid} has ended; watching without it from here on. What changed in between is not shown")


def _follow_one(gateway: Gateway, about: About, screen: Screen, last: str) -> str:
    """Print what one gateway tells until its stream breaks, or it answers no more; return the id of the last event.

    Raises:
        GatewayTroubleError: It tells nothing.
        FileNotFoundError: It has just ended.
    """
    if not about.ready:
        raise GatewayTroubleError("it is not warm")
    with _Stream(Offer(gateway.pid, gateway.path), last) as stream:
        hello = stream.first(READ_S)
        instance, _, sequence = last.rpartition(":")
        if not last:
            screen.begin(about, answered_by(about))
        else:
            screen.go_on(about, answered_by(about))
            note(
                f"the stream of gateway {about.pid} goes on"
                if instance == hello.instance
                else f"gateway {about.pid} is followed now; what changed in between is not shown"
            )
        reached = int(sequence) if instance == hello.instance else hello.sequence
        looked_at = time.monotonic()
        while True:
            with contextlib.suppress(queue.Empty):
                event = stream.events.get(timeout=_LOOK_INTERVAL_S)
                if event is None:
                    break
                if isinstance(event, WatchChange):
                    screen.change(event)
                    reached = event.sequence
            if time.monotonic() - looked_at >= _LOOK_INTERVAL_S:
                try:
                    now = gateway.get("/gateway", About)
                except GatewayTroubleError as error:
                    warn(f"gateway {about.pid} answers no more: {error}")
                    break
                screen.look(now.conditions, now.agents)
                looked_at = time.monotonic()
    return f"{hello.instance}:{reached}"


@final
class _Stream:
    """A stream that a thread of its own reads: a read that times out half way through a chunk can't be gone on with."""

    def __init__(self, offer: Offer, last: str) -> None:
        """Ask for the stream, from an event on."""
        self.events: queue.SimpleQueue[_Hello | WatchChange | None] = queue.SimpleQueue()
        """What comes; None is the end."""
        self._gateway = Gateway(offer)
        try:
            headers = {"last-event-id": last} if last else {}
            self._response, self._sock = self._gateway.stream("/events", headers)
            self._sock.settimeout(_SILENCE_S)
        except BaseException:
            self._gateway.close()
            raise
        self._thread = threading.Thread(target=self._read, name="openclaw-watch", daemon=True)

    def __enter__(self) -> _Stream:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)  # a close would not wake the thread that reads
        self._thread.join(READ_S)
        self._gateway.close()

    def first(self, timeout_s: float) -> _Hello:
        """Return its first event.

        Raises:
            GatewayTroubleError: It does not come.
        """
        with contextlib.suppress(queue.Empty):
            event = self.events.get(timeout=timeout_s)
            if isinstance(event, _Hello):
                return event
        raise GatewayTroubleError("its stream does not begin")

    def _read(self) -> None:
        try:
            kind, data = "", ""
            # a line without an end is the end of the stream
            while (line := self._response.readline()).endswith(b"\n"):
                name, _, value = line.decode().rstrip("\n").partition(": ")
                if name == "event":
                    kind = value
                elif name == "data":
                    data = value
                elif not line.strip() and kind:
                    self._put(kind, data)
                    kind = data = ""
        except (OSError, http.client.HTTPException, msgspec.DecodeError, ValueError):
            pass  # it broke, or can't be understood: what is seen of that is the end
        finally:
            self.events.put(None)

    def _put(self, kind: str, data: str) -> None:
        if kind == "hello":
            self.events.put(msgspec.json.decode(data, type=_Hello))
        elif kind == "change":
            self.events.put(msgspec.json.decode(data, type=WatchChange))
