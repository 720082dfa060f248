"""The supervisor in somebody else's ASGI application: a real server, its real lifespan."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import httpx
import pytest
import uvicorn
from faults import is_well
from homes import Home, api_key, eventually
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from openclaw_actors import AuthSupervisor
from openclaw_actors.gateway.app import create_app
from openclaw_actors.gateway.embedding import lifespan
from openclaw_actors.home.files import read_regular


async def has_zai(request: Request) -> JSONResponse:
    """Answer from the supervisor that the lifespan started."""
    return JSONResponse({"has": request.state.auth.has_auth("zai"), "own": getattr(request.state, "own", None)})


@contextmanager
def serving(app: Starlette) -> Iterator[httpx.Client]:
    """Serve an application with its lifespan, as uvicorn does."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, lifespan="on", log_level="warning", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listening])), daemon=True)
    thread.start()
    try:
        assert eventually(lambda: server.started or not thread.is_alive())
        with httpx.Client(base_url=f"http://127.0.0.1:{listening.getsockname()[1]}", timeout=10.0) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join(10.0)
        listening.close()
        assert not thread.is_alive()


@pytest.fixture
def keyed(home: Home) -> Home:
    """Return a home with one key."""
    return home.write_config().write_profiles(zai__work=api_key("zai"))


def test_it_runs_as_long_as_the_application_and_each_time_anew(keyed: Home) -> None:
    """Requests find it in their state, beside what the application's own lifespan yields; the end stops it."""
    made: list[AuthSupervisor] = []
    steps: list[str] = []

    def make() -> AuthSupervisor:
        made.append(AuthSupervisor(keyed.path, env=keyed.env))
        steps.append("made")
        return made[-1]

    @asynccontextmanager
    async def own(_app: object) -> AsyncIterator[dict[str, object]]:
        steps.append("own startup")
        yield {"own": "yes"}
        steps.append("own shutdown")

    app = Starlette(routes=[Route("/", has_zai)], lifespan=lifespan(make, inner=own))
    for _ in range(2):
        with serving(app) as client:
            assert eventually(lambda client=client: client.get("/").json() == {"has": True, "own": "yes"})  # type: ignore[misc]
            assert is_well(made[-1], "ActorsAlive")
        assert not is_well(made[-1], "ActorsAlive")
    assert steps == ["own startup", "made", "own shutdown"] * 2
    assert made[0] is not made[1]


def test_neither_the_start_nor_the_end_waits_for_a_disk_that_hangs(
    keyed: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server answers while nothing could be read yet, and ends within the deadline."""
    go_on, hangs = threading.Event(), threading.Event()

    def hang(*arguments: object, **named: object) -> object:
        hangs.set()
        go_on.wait(20)
        return read_regular(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr("openclaw_actors.home.stores.json_files.read_regular", hang)
    supervisor = AuthSupervisor(keyed.path, env=keyed.env)
    app = Starlette(
        routes=[Route("/", has_zai), Mount("/auth", create_app(supervisor))],
        lifespan=lifespan(lambda: supervisor, stop_timeout_s=0.5),
    )
    try:
        with serving(app) as client:
            assert client.get("/").json()["has"] is False
            assert client.get("/auth/readyz").status_code == 503
            assert hangs.wait(5)
            began = time.monotonic()
        assert time.monotonic() - began < 5
    finally:
        go_on.set()
        supervisor.stop()
