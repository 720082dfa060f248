"""A real HTTP gateway on loopback, for the length of a test."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from homes import Home

from openclaw_actors import AuthSupervisor
from openclaw_actors.gateway.access import Tokens
from openclaw_actors.gateway.app import create_app

ADMIN, READ = "canary-admin-token-77120", "canary-read-token-88231"


class Gateway:
    """A server in a thread of its own, and a client of it."""

    def __init__(self, url: str, supervisor: AuthSupervisor) -> None:
        self.url = url
        self.supervisor = supervisor
        self.client = httpx.Client(base_url=url, timeout=10.0)

    def get(self, path: str, **options: Any) -> httpx.Response:
        """Ask without a token."""
        return self.client.get(path, **options)

    def send(self, path: str, body: object = None, **headers: str) -> httpx.Response:
        """Send an event with the admin token."""
        options: dict[str, Any] = {} if body is None else {"json": body}
        return self.client.post(path, headers={"authorization": f"Bearer {ADMIN}", **headers}, **options)


@contextmanager
def serving(supervisor: AuthSupervisor, *, port: int = 0, **options: Any) -> Iterator[Gateway]:
    """Serve a supervisor that runs."""
    listening = socket.create_server(("127.0.0.1", port))
    app = create_app(supervisor, tokens=Tokens(ADMIN, READ), **options)
    config = uvicorn.Config(app, lifespan="off", log_level="warning", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listening])), daemon=True)
    thread.start()
    gateway = Gateway(f"http://127.0.0.1:{listening.getsockname()[1]}", supervisor)
    try:
        yield gateway
    finally:
        gateway.client.close()
        server.should_exit = True
        thread.join(10.0)
        listening.close()
        assert not thread.is_alive()


@contextmanager
def running(
    home: Home, state: Path, *arguments: str, runtime: Path | None = None
) -> Iterator[tuple[subprocess.Popen[str], dict[str, object]]]:
    """Start `serve` on a free port and return it with what it said first."""
    command = [sys.executable, "-m", "openclaw_actors", "serve", "--home", str(home.path), "--port", "0", "--json"]
    env = {**os.environ, **home.env, "XDG_STATE_HOME": str(state), "XDG_RUNTIME_DIR": str(runtime or state)}
    state.mkdir(parents=True, exist_ok=True)
    with open(state / "stderr", "w") as complaints:
        whole = [*command, *arguments]
        process = subprocess.Popen(whole, stdout=subprocess.PIPE, stderr=complaints, text=True, env=env)
    try:
        assert process.stdout is not None
        yield process, json.loads(process.stdout.readline())
    finally:
        process.kill()
        process.wait(10.0)
        if process.stdout is not None:
            process.stdout.close()
