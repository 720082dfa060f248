"""Who may ask for what: bearer tokens with two scopes, hosts and origins, and how much is taken from anybody.

Reading needs no token on a loopback address, where only this machine's users are; nothing that is read is a secret.
What changes something, or is asked from elsewhere, needs one.
"""

from __future__ import annotations

import enum
import functools
import hmac
import ipaddress
import os
import secrets
import time
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from openclaw_actors.errors import OpenclawActorsError
from openclaw_actors.gateway.dashboard import PAGE_FILES
from openclaw_actors.gateway.problems import Problem, bug, respond

_TOKEN_BYTES = 32
_SHORTEST = 16
"""A shorter token can be guessed; it is refused."""

MAX_BODY_BYTES = 64 * 1024
"""The longest body of a request, in bytes: events are a few words."""

_RATE, _BURST = 50.0, 200.0
"""How many requests that change something one address may send per second, and at once."""
_MOST_ADDRESSES = 4096

_LOOPBACK_NAMES = frozenset({"localhost", "localhost.localdomain", "ip6-localhost"})
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_LOOKED_AT = frozenset({b"host", b"origin", b"authorization", b"content-length"})


class TokenFileError(OpenclawActorsError):
    """A token file can't be used."""


class Right(enum.IntEnum):
    """What a request may do; the greater includes the less."""

    NOTHING = 0
    READ = 1
    ADMIN = 2
    """Send events, write into stores."""


RIGHT = "openclaw_actors.right"
"""Where a request's scope says what it may do."""


class Tokens:
    """The two tokens of a gateway. Neither repr nor pickle shows them."""

    __slots__ = ("_admin", "_read", "path")

    def __init__(self, admin: str, read: str, path: str = "") -> None:
        self._admin = admin.encode()
        self._read = read.encode()
        self.path = path

    def __repr__(self) -> str:
        return f"Tokens(path={self.path!r})"

    def __reduce__(self) -> str:
        raise TypeError("tokens are secrets and are not pickled")

    def right_of(self, authorization: str | None) -> Right | None:
        """Return what a header allows; None when its token is none of ours. Takes as long whichever it is."""
        if authorization is None:
            return Right.NOTHING
        scheme, _, token = authorization.partition(" ")
        given = token.strip().encode("utf-8", "surrogateescape")
        is_admin, is_read = hmac.compare_digest(given, self._admin), hmac.compare_digest(given, self._read)
        if scheme.lower() != "bearer" or not (is_admin or is_read):
            return None
        return Right.ADMIN if is_admin else Right.READ


def default_token_file(env: Mapping[str, str]) -> Path:
    """Return where tokens are kept when no file is named: in this user's state directory, never in the home."""
    state = env.get("XDG_STATE_HOME", "")
    base = Path(state) if os.path.isabs(state) else Path(env.get("HOME") or Path.home()) / ".local" / "state"
    return base / "openclaw-actors" / "tokens"


def load_tokens(path: Path) -> tuple[Tokens, bool]:
    """Return the tokens of a file, which is made when there is none, and whether it was. Blocks on the disk.

    The file has a line `admin TOKEN` and a line `read TOKEN`, and is this user's alone.

    Raises:
        TokenFileError: It can't be read or made, others may read it, or it holds no such tokens.
    """
    if os.path.lexists(path):
        return _read_tokens(path), False
    made = {"admin": secrets.token_urlsafe(_TOKEN_BYTES), "read": secrets.token_urlsafe(_TOKEN_BYTES)}
    # whole or not at all: another gateway may start at this moment, and a disk be full
    whole = path.with_name(f"{path.name}.{secrets.token_hex(4)}.new")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(whole, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with open(descriptor, "w", encoding="ascii") as file:
                file.writelines(f"{name} {token}\n" for name, token in made.items())
            os.link(whole, path)
        finally:
            whole.unlink()
    except FileExistsError:
        return _read_tokens(path), False
    except OSError as error:
        raise TokenFileError(f"{path}: it can't be made ({error.strerror}). Name another with --token-file") from None
    return Tokens(made["admin"], made["read"], str(path)), True


def _read_tokens(path: Path) -> Tokens:
    try:
        with open(path, encoding="ascii") as file:
            mode = os.fstat(file.fileno()).st_mode
            found = dict(line.split(maxsplit=1) for line in file.read(4096).splitlines() if line.strip())
    except IsADirectoryError:
        raise TokenFileError(f"{path}: it is a directory. Name a file in it with --token-file") from None
    except (OSError, ValueError) as error:
        what = error.strerror if isinstance(error, OSError) else "a line is no name and token"
        raise TokenFileError(f"{path}: it can't be read ({what}). Remove it to have it made anew") from None
    if mode & 0o077:
        raise TokenFileError(f"{path}: others may read it. Run `chmod 600` on it, or remove it to have it made anew")
    admin, read = found.get("admin", "").strip(), found.get("read", "").strip()
    if min(len(admin), len(read)) < _SHORTEST or admin == read:
        raise TokenFileError(
            f"{path}: it needs two lines, `admin TOKEN` and `read TOKEN`, of {_SHORTEST} characters at least. "
            "Remove it to have it made anew"
        )
    return Tokens(admin, read, str(path))


@functools.lru_cache(maxsize=64)  # each request asks this of its Host
def is_loopback(host: str) -> bool:
    """Tell whether an address to listen on can be reached from this machine alone."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower().rstrip(".") in _LOOPBACK_NAMES


def host_of(authority: str) -> str:
    """Return the host of a `Host` header, without its port, lower case."""
    if authority.startswith("["):
        host, _, port = authority.removeprefix("[").partition("]")
        return host.lower() if not port or port.startswith(":") else authority.lower()
    return authority.rpartition(":")[0].lower() if authority.count(":") == 1 else authority.lower()


class Guard:
    """Lets requests in, or answers them with a problem. Pure ASGI, so that streams pass through it as they are.

    Args:
        app: What is guarded.
        tokens: The gateway's tokens; None lets nobody send events.
        open_reads: Whether reading needs no token.
        hosts: Names that this gateway is called by beside loopback ones; a web page that has rebound its own name to
            this address is refused by that (DNS rebinding).
        own_socket: The address that the Unix socket of `own_socket.py` is bound to; empty when there is none. Who comes
            by it is this user and needs no token. It is told by what the server itself puts into the scope, out of the
            accepted socket: no header can say so.
    """

    def __init__(
        self,
        app: ASGIApp,
        tokens: Tokens | None,
        *,
        open_reads: bool,
        hosts: frozenset[str],
        own_socket: str = "",
    ) -> None:
        self._app = app
        self._tokens = tokens
        self._open_reads = open_reads
        self._hosts = hosts
        self._own_socket = own_socket
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"] if name in _LOOKED_AT
        }
        try:
            self._check(scope, headers)
            receive = limited(receive, headers)
        except Problem as problem:
            await respond(problem)(scope, receive, send)
            return
        await self._answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Have a request answered. An error that nobody expected ends here: servers log the text of those they get."""
        begun = False

        async def sending(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except (ClientDisconnect, ConnectionError):
            return  # whoever asked has gone
        except Exception as error:
            answer = bug(scope["path"], error)
            if not begun:
                await answer(scope, receive, send)

    def _check(self, scope: Scope, headers: Mapping[str, str]) -> None:
        host = host_of(headers.get("host", ""))
        is_own = self._is_own(scope)
        if not (is_own or is_loopback(host) or host in self._hosts):
            raise Problem(421, "this gateway isn't called that; start it with --allow-host, or ask by its address")
        origin = headers.get("origin")
        if origin is not None and origin != "null" and not _is_same(origin, headers.get("host", "")):
            raise Problem(403, "a page of another origin may not ask")
        authorization = headers.get("authorization")
        if not is_own and scope["method"] in _SAFE and _is_open(scope):
            known = self._tokens.right_of(authorization) if self._tokens is not None else None
            scope[RIGHT] = max(known or Right.NOTHING, Right.READ if self._open_reads else Right.NOTHING)
            return
        needed = Right.READ if scope["method"] in _SAFE else Right.ADMIN
        if self._open_reads and needed is Right.READ:
            scope[RIGHT] = Right.READ  # clients of OpenAI's API always send some key
            return
        right = scope[RIGHT] = Right.ADMIN if is_own else self._right(authorization)
        if right < needed:
            what = "an admin token: what this does is an event" if needed is Right.ADMIN else "a token"
            status = 401 if authorization is None else 403
            challenge = {"www-authenticate": 'Bearer realm="openclaw-actors"'} if status == 401 else {}
            raise Problem(status, f"this needs {what}; the gateway says at its start where it is", headers=challenge)
        if needed is Right.ADMIN:
            if origin == "null":
                raise Problem(403, "a page without an origin may not ask")
            self._take_from_bucket(str((scope.get("client") or ("",))[0]))

    def _is_own(self, scope: Scope) -> bool:
        """Tell whether a request came by the Unix socket: its server has a path and no port (ASGI 3, HTTP scope)."""
        return bool(self._own_socket) and tuple(scope.get("server") or ()) == (self._own_socket, None)

    def _right(self, authorization: str | None) -> Right:
        known = self._tokens.right_of(authorization) if self._tokens is not None else Right.NOTHING
        if known is None:
            raise Problem(401, "this token is none of this gateway's", headers={"www-authenticate": "Bearer"})
        return known

    def _take_from_bucket(self, address: str) -> None:
        now = time.monotonic()
        left, since = self._buckets.pop(address, (_BURST, now))
        left = min(_BURST, left + (now - since) * _RATE)
        self._buckets[address] = (max(0.0, left - 1.0), now)
        if len(self._buckets) > _MOST_ADDRESSES:
            self._buckets.popitem(last=False)
        if left < 1.0:
            raise Problem(429, f"more than {_RATE:g} events a second", headers={"retry-after": "1"})


def _is_same(origin: str, authority: str) -> bool:
    """Tell whether an origin is the one that was asked by; a port that its scheme implies may be left out of either.

    The scheme itself isn't known here: before the gateway may be what ends TLS.
    """
    scheme, _, asking = origin.lower().partition("://")
    implied = {"http": ":80", "https": ":443"}.get(scheme, "")
    return asking.removesuffix(implied) == authority.lower().removesuffix(implied)


def _is_open(scope: Scope) -> bool:
    """Tell whether a path needs no token: probes, and the dashboard's files, which hold no answers."""
    path = scope["path"].removeprefix(scope.get("root_path", ""))
    return path in ("/livez", "/readyz", "/", "") or path.startswith(PAGE_FILES)


def limited(receive: Receive, headers: Mapping[str, str]) -> Receive:
    """Return the body's source, which ends in a problem when there is too much of it."""
    told = headers.get("content-length", "0")
    if not (told.isascii() and told.isdigit()) or int(told[:12]) > MAX_BODY_BYTES:
        raise Problem(413, f"the body is longer than {MAX_BODY_BYTES} bytes")
    left = MAX_BODY_BYTES

    async def take() -> Message:
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
        if left < 0:
            raise Problem(413, f"the body is longer than {MAX_BODY_BYTES} bytes")
        return message

    return take
