"""Routes beside the gateway's: the same bytes from memory and from a file, and what the measuring asks for.

They are an application of their own, so that nothing of the gateway is in what it is compared with: neither its routes
nor its check of hosts and tokens.
"""

from __future__ import annotations

import asyncio
import functools
import time
from pathlib import Path

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from bench.cold import WARM_TIMEOUT_S
from bench.loop_gap import LoopTicks
from openclaw_actors import AuthSupervisor

BELOW = "/bench"
"""What the paths of these routes begin with."""

MEMORY = f"{BELOW}/memory/"
STATIC = f"{BELOW}/static/"

_PROVIDER = "openai"


class Seen(msgspec.Struct, frozen=True):
    """What the gateway's process noticed since it was asked last."""

    late_ms: list[float]
    """How late the ticks of its loop came."""
    cpu_s: float
    """Processor time of the process so far, in seconds."""
    warms: int
    """Warms of everything so far."""


class Comparison:
    """These routes.

    Args:
        supervisor: The gateway's.
        folder: Where the bodies lie that are answered with.
        ticks: Of the loop that serves.
    """

    def __init__(self, supervisor: AuthSupervisor, folder: Path, ticks: LoopTicks) -> None:
        self._supervisor = supervisor
        self._ticks = ticks
        self._body = functools.cache(lambda name: Path(folder, name).read_bytes())
        self._load: asyncio.Task[None] | None = None
        self._app = Starlette(
            routes=[
                Route(MEMORY + "{name}", self._memory),
                Mount(STATIC.rstrip("/"), StaticFiles(directory=folder)),
                Route(f"{BELOW}/start", self._start),
                Route(f"{BELOW}/warm", self._warm),
                Route(f"{BELOW}/rewarm/{{on:int}}", self._rewarm),
                Route(f"{BELOW}/seen", self._seen),
            ]
        )

    def beside(self, gateway: ASGIApp) -> ASGIApp:
        """Return an application that has these routes and a gateway's."""

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            chosen = self._app if scope["path"].startswith(BELOW) else gateway
            await chosen(scope, receive, send)

        return app

    async def _memory(self, request: Request) -> Response:
        """Answer with bytes that are there: what this server does at least."""
        return Response(self._body(request.path_params["name"]), media_type="application/json")

    async def _start(self, _request: Request) -> Response:
        """Begin the first warm."""
        self._supervisor.start()
        return Response(status_code=204)

    async def _warm(self, _request: Request) -> Response:
        """Answer when the first warm is over."""
        is_warm = await self._supervisor.aio.wait_warm(WARM_TIMEOUT_S)
        return Response(status_code=204 if is_warm else 500)

    async def _rewarm(self, request: Request) -> Response:
        """Have everything read and answered anew, again and again, or no longer."""
        self.end_load()
        self._load = asyncio.create_task(self._recheck()) if request.path_params["on"] else None
        return Response(status_code=204)

    def end_load(self) -> None:
        """Have nothing more answered anew."""
        if self._load is not None:
            self._load.cancel()

    async def _recheck(self) -> None:
        supervisor = self._supervisor
        last = supervisor.agent_ids()[-1]
        while True:
            asked = supervisor.recheck()
            await supervisor.aio.fresh(_PROVIDER, agent_id=last, generation=asked, timeout_s=WARM_TIMEOUT_S)

    async def _seen(self, _request: Request) -> Response:
        """Answer with what was noticed, and forget it."""
        late, self._ticks.ticks = [late for _, late in self._ticks.ticks], []
        return Response(msgspec.json.encode(Seen(late, time.process_time(), self._supervisor.stats().warms)))
