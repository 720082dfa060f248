"""`serve`: the HTTP gateway, until Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click
import uvicorn

from openclaw_actors import AuthSupervisor, Settings
from openclaw_actors.cli.output import write_json
from openclaw_actors.cli.session import warn
from openclaw_actors.control.listening import Listening, NotOpened
from openclaw_actors.gateway.access import TokenFileError, Tokens, default_token_file, is_loopback, load_tokens
from openclaw_actors.gateway.app import create_app
from openclaw_actors.gateway.own_socket import bound_address, open_own_socket
from openclaw_actors.home.paths import locate

if TYPE_CHECKING:
    from starlette.applications import Starlette

_BACKLOG = 128
_GRACE_S = 3
"""How long open requests may take to end at a stop, in seconds; streams are ended then."""


class CannotServeError(click.ClickException):
    """The gateway can't listen there (exit status 69, EX_UNAVAILABLE)."""

    exit_code = 69


class TokensUnusableError(click.ClickException):
    """The token file can't be used (exit status 78, EX_CONFIG)."""

    exit_code = 78


def serve(
    *,
    home: str | None,
    host: str,
    port: int,
    token_file: str | None,
    allow_remote: bool,
    allow_hosts: tuple[str, ...],
    as_json: bool,
) -> int:
    """Listen, then warm, and serve until SIGINT or SIGTERM. Ends with exit status 0 on either."""
    is_local = is_loopback(host)
    if not is_local and not allow_remote:
        raise click.UsageError(f"{host} isn't this machine's alone: say --allow-remote if that is meant.")
    try:
        tokens, is_made = load_tokens(Path(token_file) if token_file else default_token_file(os.environ))
    except TokenFileError as error:
        raise TokensUnusableError(str(error)) from None
    listening = _listen(host, port)
    address = _url(listening)
    own = open_own_socket(locate(home, os.environ).state_dir)
    if isinstance(own, NotOpened):
        # its commands read the files then, as without it
        warn(f"no command can ask this gateway: {own.message}")
    # until the loop has handlers of its own: whoever has read where it listens may end it
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        _say(address, tokens, is_made=is_made, open_reads=is_local, as_json=as_json)
        make_app = partial(create_app, tokens=tokens, open_reads=is_local, hosts=_names(host, allow_hosts), url=address)
        asyncio.run(_run(home, listening, own if isinstance(own, Listening) else None, make_app))
    except KeyboardInterrupt:
        return 0
    finally:
        if isinstance(own, Listening):
            own.close()
    return 0


async def _run(
    home: str | None, listening: socket.socket, own: Listening | None, make_app: Callable[..., Starlette]
) -> None:
    signals: list[int] = []
    server: Server | None = None

    def end(number: int) -> None:
        signals.append(number)
        if server is not None:
            server.handle_exit(number, None)

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, end, number)

    class Server(uvicorn.Server):
        """One that ends well: uvicorn's own raises the signal anew after it, which ends the process by it, and waits
        for streams that nobody ends.
        """

        end_streams: Callable[[], Awaitable[None]]

        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield  # they are ours, from before there is a server

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            await self.end_streams()
            await super().shutdown(sockets)

    supervisor = AuthSupervisor(home, settings=Settings(control_socket=True, tune_interpreter=True))
    if "opentelemetry.sdk" in sys.modules:
        # whoever started this process configured it (`opentelemetry-instrument` does); otherwise nothing is imported
        from openclaw_actors.telemetry import instrument

        instrument(supervisor)
    async with supervisor:
        app = make_app(supervisor, own_socket=bound_address(own) if own is not None else "")
        config = uvicorn.Config(
            app,
            lifespan="off",
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,  # who asks is what the socket says, never a header
            timeout_graceful_shutdown=_GRACE_S,
        )
        server = Server(config)
        server.end_streams = app.state.end_streams
        server.should_exit = bool(signals)
        await server.serve(sockets=[listening, own.sock] if own is not None else [listening])


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, number, _, address = socket.getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, number)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(_BACKLOG)  # whoever comes before it serves waits, rather than being turned away
        except OSError:
            listening.close()
            raise
    except OSError as error:
        why = error.strerror or str(error)
        raise CannotServeError(
            f"{host}:{port} can't be listened on ({why}). Choose another with --host or --port"
        ) from None
    return listening


def _url(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"


def _names(host: str, allowed: tuple[str, ...]) -> frozenset[str]:
    """Return what the gateway may be called: where it listens, and what its operator names."""
    return frozenset(name.lower().rstrip(".") for name in (host.strip("[]"), *allowed))


def _say(address: str, tokens: Tokens, *, is_made: bool, open_reads: bool, as_json: bool) -> None:
    if as_json:
        write_json({"event": "serving", "url": address, "tokens": tokens.path, "open_reads": open_reads}, line=True)
        return
    print(f"serving {address} (Ctrl-C ends)")
    where = f"tokens for events{'' if open_reads else ' and for reading'}: {tokens.path}"
    print(f"{where} (made just now; the line `admin` is for events)" if is_made else where)
    sys.stdout.flush()
