"""Asking the running `serve` of a home, over its Unix socket. Nothing here starts a supervisor or reads the home."""

from __future__ import annotations

import http.client
import os
import socket
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar, final
from urllib.parse import quote, urlencode

import msgspec

from openclaw_actors.cli.source import RefusedError
from openclaw_actors.control.address import Offer, connect, peer_of
from openclaw_actors.shapes import About, AnsweredBy

if TYPE_CHECKING:
    from openclaw_actors.home.paths import HomeLocation

READ_S = 2.0
"""How long a gateway may take to let us in, and then to answer a question, in seconds."""

WRITE_S = 45.0
"""How long it may take to write into a store: it waits for the store's lock, and until the change is published."""

_MOST_TRIED = 3
"""How many gateways of a home are tried: each that hangs costs its deadline."""

_MAX_ANSWER_BYTES = 256 * 1024 * 1024

T = TypeVar("T")


class GatewayTroubleError(Exception):
    """A gateway gives no answer that can be used; the text says why. Commands read the files then."""


class _Problem(msgspec.Struct, frozen=True):
    """What is needed of a problem+json."""

    detail: str = ""
    error: str = ""


class _Connection(http.client.HTTPConnection):
    """HTTP over a socket that is connected already."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__("localhost")
        self.sock = sock

    def connect(self) -> None:
        """Fail: another connection would be another gateway's, or nobody's."""
        raise ConnectionResetError


@final
class Gateway:
    """A gateway that runs, and one connection to it. For one thread."""

    def __init__(self, offer: Offer) -> None:
        """Connect.

        Raises:
            GatewayTroubleError: It lets nobody in, or is another user's.
            FileNotFoundError: Nobody is there any more; what was left of it has been removed.
        """
        self.pid = offer.pid
        self.path = offer.path
        try:
            sock = connect(offer.path)
            if sock is None:
                raise FileNotFoundError(offer.path)
            if (uid := peer_of(sock).uid) != os.geteuid():
                sock.close()
                raise GatewayTroubleError(f"the user {uid} listens there")
        except FileNotFoundError:
            raise
        except OSError as error:
            raise GatewayTroubleError(error.strerror or type(error).__name__) from None
        self._connection = _Connection(sock)
        self._sock = sock

    def close(self) -> None:
        """End the connection; safe twice."""
        self._connection.close()

    def get(self, path: str, kind: type[T], query: Sequence[tuple[str, str]] = ()) -> T:
        """Return what a route answers, as a type of `shapes.py`.

        Raises:
            GatewayTroubleError: There is no such answer, or not in time.
        """
        status, raw = self._ask("GET", path, query, None, {}, READ_S)
        if status != 200:
            raise GatewayTroubleError(_why(status, raw))
        return _decoded(raw, kind)

    def post(self, path: str, body: object, kind: type[T]) -> T:
        """Have it do something and return what came of it.

        Raises:
            RefusedError: It can't be done.
            GatewayTroubleError: There is no such answer, or not in time: it may have been done.
        """
        headers = {"content-type": "application/json"}
        status, raw = self._ask("POST", path, (), msgspec.json.encode(body), headers, WRITE_S)
        if status != 200:
            problem = _problem(raw)
            if problem.error:
                raise RefusedError(problem.error, problem.detail)
            raise GatewayTroubleError(_why(status, raw))
        return _decoded(raw, kind)

    def stream(self, path: str, headers: Mapping[str, str]) -> tuple[http.client.HTTPResponse, socket.socket]:
        """Begin a stream and return it, and what is ready when more of it is there.

        Raises:
            GatewayTroubleError: There is none.
        """
        try:
            response = self._send("GET", path, None, headers, READ_S)
        except (OSError, http.client.HTTPException) as error:
            raise GatewayTroubleError(_what_happened(error, READ_S)) from None
        if response.status != 200:
            raise GatewayTroubleError(_why(response.status, response.read(_MAX_ANSWER_BYTES)))
        return response, self._sock

    def _ask(
        self,
        method: str,
        path: str,
        query: Sequence[tuple[str, str]],
        body: bytes | None,
        headers: Mapping[str, str],
        timeout_s: float,
    ) -> tuple[int, bytes]:
        target = f"{path}?{urlencode(query)}" if query else path
        try:
            response = self._send(method, target, body, headers, timeout_s)
            return response.status, response.read(_MAX_ANSWER_BYTES)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise GatewayTroubleError(_what_happened(error, timeout_s)) from None

    def _send(
        self, method: str, target: str, body: bytes | None, headers: Mapping[str, str], timeout_s: float
    ) -> http.client.HTTPResponse:
        self._sock.settimeout(timeout_s)
        self._connection.request(method, target, body, dict(headers))
        return self._connection.getresponse()


def gateways(
    location: HomeLocation, found: Iterable[Offer], say: Callable[[str], None]
) -> Generator[tuple[Gateway, About]]:
    """Yield each running gateway of those that a home has, the newest first, with what it says of itself; it is closed
    afterwards. One that can't be used is passed over, and `say` is told why.
    """
    for offer in sorted(found, key=_opened_at, reverse=True)[:_MOST_TRIED]:
        try:
            gateway = Gateway(offer)
        except FileNotFoundError:
            continue
        except GatewayTroubleError as error:
            say(f"gateway {offer.pid} can't be asked: {error}")
            continue
        try:
            about = gateway.get("/gateway", About)
            config = location.config_path
            if os.path.realpath(about.config) != os.path.realpath(config):
                raise GatewayTroubleError(f"it has another config, {about.config or 'none yet'}")
            yield gateway, about
        except GatewayTroubleError as error:
            say(f"gateway {offer.pid} can't be asked: {error}")
        finally:
            gateway.close()


def answered_by(about: About) -> AnsweredBy:
    """Return who a gateway is, for `--json`."""
    return AnsweredBy(about.pid, about.url)


def path_of(*parts: str) -> str:
    """Return a route's path; parts may hold anything."""
    return "".join(f"/{quote(part, safe='')}" for part in parts)


def _opened_at(offer: Offer) -> float:
    try:
        return os.lstat(offer.path).st_ctime
    except OSError:
        return 0.0


def _decoded(raw: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, ValueError, RecursionError):
        raise GatewayTroubleError("its answer can't be read: it may be of another version of openclaw-actors") from None


def _problem(raw: bytes) -> _Problem:
    try:
        return msgspec.json.decode(raw, type=_Problem)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return _Problem()


def _why(status: int, raw: bytes) -> str:
    detail = _problem(raw).detail
    return f"it answered with {status}{f': {detail}' if detail else ''}"


def _what_happened(error: Exception, timeout_s: float) -> str:
    if isinstance(error, TimeoutError):
        return f"it did not answer within {timeout_s:g} s; it may be stopped, or very busy"
    if isinstance(error, ConnectionError | http.client.BadStatusLine):
        return "it closed the connection; it may have ended"
    return f"the request failed ({type(error).__name__})"
