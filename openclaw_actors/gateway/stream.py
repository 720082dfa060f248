"""`GET /events`: each change of an answer, as Server-Sent Events."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from openclaw_actors.gateway.agents import configured
from openclaw_actors.gateway.problems import Problem
from openclaw_actors.gateway.vitals import EVERY_S, Vitals
from openclaw_actors.shapes import watch_change

if TYPE_CHECKING:
    from openclaw_actors.aio import ChangeStream
    from openclaw_actors.changes import Change
    from openclaw_actors.supervisor import AuthSupervisor

_MEDIA_TYPE = "text/event-stream"

_MOST_STREAMS = 64
"""How many streams are open at a time; browsers keep one per tab."""

_BEAT_S = 15.0
"""After how many seconds without a change a comment is sent, for proxies that end what is silent
(html.spec.whatwg.org, section 9.2.7)."""


class Stream:
    """Streams changes; a client that comes back with `Last-Event-ID` misses none that is still remembered."""

    def __init__(self, supervisor: AuthSupervisor) -> None:
        self._supervisor = supervisor
        self._open = 0
        self._vitals = Vitals(supervisor)
        self._feeds: set[ChangeStream] = set()

    def routes(self) -> list[Route]:
        """Return the route."""
        return [Route("/events", self.events, methods=["GET"])]

    async def events(self, request: Request) -> Response:
        """Answer with the stream. The id of an event is the instance id and the change's sequence.

        With `?vitals=1` an event `vitals` comes once a second, too.
        """
        agent = request.query_params.get("agent")
        if agent is not None:
            agent = configured(self._supervisor, agent)
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        if request.method == "HEAD":
            return Response(None, 200, headers, _MEDIA_TYPE)
        if self._open >= _MOST_STREAMS:
            raise Problem(503, f"{_MOST_STREAMS} streams are open already", headers={"retry-after": "5"})
        since = self._since(request.headers.get("last-event-id") or request.query_params.get("since"))
        beat = self._vitals_event if request.query_params.get("vitals") == "1" else _comment
        self._open += 1
        return _Events(self._lines(since, agent, beat), headers, self._ended)

    def _ended(self) -> None:
        self._open -= 1

    async def end(self) -> None:
        """End all streams: a server that stops would wait for them."""
        for feed in tuple(self._feeds):
            await feed.aclose()

    def _since(self, last: str | None) -> int | None:
        """Return the sequence to go on from: None is from now on, also where the id is another process's."""
        instance, _, sequence = (last or "").rpartition(":")
        is_ours = instance == self._supervisor.instance_id and sequence.isascii() and sequence.isdigit()
        return int(sequence[:18]) if is_ours else None

    def _vitals_event(self) -> tuple[float, bytes]:
        return EVERY_S, b"event: vitals\ndata: " + self._vitals.encoded() + b"\n\n"

    async def _lines(
        self, since: int | None, agent: str | None, beat: Callable[[], tuple[float, bytes]]
    ) -> AsyncIterator[bytes]:
        supervisor = self._supervisor
        instance = supervisor.instance_id
        since = supervisor.sequence if since is None else since
        changes = supervisor.aio.changes(since)
        self._feeds.add(changes)
        try:
            hello = msgspec.json.encode({"instance": instance, "sequence": supervisor.sequence}).decode()
            # the id is where this stream begins: who loses it before the first change goes on from there
            yield f"retry: 1000\nid: {instance}:{since}\nevent: hello\ndata: {hello}\n\n".encode()
            arriving = asyncio.ensure_future(anext(changes))
            due = 0.0
            try:
                while True:
                    if time.monotonic() >= due:
                        # by the clock, so that it comes in a storm of changes, too
                        every_s, text = beat()
                        due = time.monotonic() + every_s
                        yield text
                    done, _ = await asyncio.wait({arriving}, timeout=max(0.0, due - time.monotonic()))
                    if not done:
                        continue
                    change = arriving.result()
                    arriving = asyncio.ensure_future(anext(changes))
                    if agent is None or change.agent_id == agent:
                        yield _event(instance, change)
            except StopAsyncIteration:
                return
            finally:
                arriving.cancel()
                with contextlib.suppress(asyncio.CancelledError, StopAsyncIteration):
                    await arriving
        finally:
            self._feeds.discard(changes)
            await changes.aclose()


class _Events(StreamingResponse):
    """A stream that has a place from when it is answered until it is over, also if nobody has listened to it."""

    def __init__(self, lines: AsyncIterator[bytes], headers: dict[str, str], on_end: Callable[[], None]) -> None:
        super().__init__(lines, 200, headers, _MEDIA_TYPE)
        self._on_end = on_end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._on_end()


def _comment() -> tuple[float, bytes]:
    return _BEAT_S, b": still here\n\n"


def _event(instance: str, change: Change) -> bytes:
    data = msgspec.json.encode(watch_change(change, time.time()))
    return f"id: {instance}:{change.sequence}\nevent: change\ndata: ".encode() + data + b"\n\n"
