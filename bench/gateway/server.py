"""A gateway as `openclaw-actors serve` runs one, in a process of its own, with the routes it is compared with.

`python -m bench.gateway.server` reads what it is to serve as a line of JSON from stdin, says on stdout on which port it
listens, and ends when stdin does: it outlives nobody who started it. `Server` is the other side of that.
"""

from __future__ import annotations

import asyncio
import http.client
import socket
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
import uvicorn

from bench.crowd import Crowd
from bench.gateway.routes import BELOW, Comparison, Seen
from bench.loop_gap import LoopTicks
from bench.scenario import ROOT
from openclaw_actors import AuthSupervisor
from openclaw_actors.gateway.app import create_app

HOST = "127.0.0.1"

_BACKLOG = 128
_END_S = 10.0
_ANSWER_S = 300.0
_KEEP_ALIVE_S = 600
"""Connections are kept while others are asked, or a home warms."""


class ServerOrder(msgspec.Struct, frozen=True):
    """What is to be served."""

    crowd: Crowd
    folder: str
    """Where the bodies lie for the routes that it is compared with."""


class Server:
    """Runs that process for as long as the `with` lasts, and tells it when to warm. For one thread."""

    def __init__(self, order: ServerOrder) -> None:
        self._order = order

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.gateway.server"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(msgspec.json.encode(self._order) + b"\n")
        stdin.flush()
        self.port: int = msgspec.json.decode(stdout.readline() or b"0", type=int)
        if not self.port:
            self._end()
            raise RuntimeError("the gateway did not start; what it says is above")
        self._control = http.client.HTTPConnection(HOST, self.port, timeout=_ANSWER_S)
        return self

    def start(self) -> None:
        """Begin the first warm."""
        self.get(f"{BELOW}/start")

    def wait_warm(self) -> None:
        """Return when the first warm is over."""
        self.get(f"{BELOW}/warm")

    def rewarm(self, *, on: bool) -> None:
        """Have everything answered anew without end, or stop that."""
        self.get(f"{BELOW}/rewarm/{int(on)}")

    def seen(self) -> Seen:
        """Return what the process noticed since this was asked last."""
        return msgspec.json.decode(self.get(f"{BELOW}/seen")[1], type=Seen)

    def get(self, path: str, headers: dict[str, str] | None = None) -> tuple[http.client.HTTPMessage, bytes]:
        """Return headers and body of one answer.

        Raises:
            RuntimeError: It is none of success.
        """
        self._control.request("GET", path, headers=headers or {})
        answer = self._control.getresponse()
        body = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"GET {path}: {answer.status}")
        return answer.headers, body

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._control.close()
        self._end()

    def _end(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def main() -> None:
    """Be that process."""
    asyncio.run(_serve(msgspec.json.decode(sys.stdin.buffer.readline(), type=ServerOrder)))


async def _serve(order: ServerOrder) -> None:
    supervisor = AuthSupervisor(order.crowd.path, env=order.crowd.env)
    # with its protocol named, as `serve` has it: asyncio sends small packets at once on such sockets alone, and an
    # answer in two packets would wait 40 ms for an acknowledgement
    with LoopTicks() as ticks, socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.bind((HOST, 0))
        listening.listen(_BACKLOG)
        comparison = Comparison(supervisor, Path(order.folder), ticks)
        server = uvicorn.Server(
            uvicorn.Config(
                comparison.beside(create_app(supervisor)),
                lifespan="off",
                log_level="warning",
                access_log=False,
                server_header=False,
                timeout_keep_alive=_KEEP_ALIVE_S,
                timeout_graceful_shutdown=1,
            )
        )
        loop = asyncio.get_running_loop()

        def end() -> None:
            loop.remove_reader(sys.stdin)
            server.should_exit = True

        loop.add_reader(sys.stdin, end)
        print(listening.getsockname()[1], flush=True)
        try:
            await server.serve(sockets=[listening])
        finally:
            comparison.end_load()
            await supervisor.aio.stop()


if __name__ == "__main__":
    main()
