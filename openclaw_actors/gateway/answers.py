"""Answers as HTTP responses: bytes that are made once, with an ETag and 304 for whoever has them."""

from __future__ import annotations

import base64
import hashlib
from collections import OrderedDict
from collections.abc import Callable

import msgspec
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from openclaw_actors.gateway.encoding import Body, encoded
from openclaw_actors.gateway.problems import Problem

JSON = "application/json"

_VARY = "accept, accept-encoding, authorization, x-openclaw-agent-id"
"""What an answer with a tag depends on beside its path."""

_MOST_KEPT = 256
_MOST_BYTES = 32 * 1024 * 1024
"""How many encoded lists are kept, and how long all of them are, at most; an agent has one per provider, view and page
that somebody asks for."""


def json_response(value: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return a value as JSON that nobody may keep."""
    return Response(msgspec.json.encode(value), status, {"cache-control": "no-store", **(headers or {})}, JSON)


def etag_of(instance_id: str, *parts: object) -> str:
    """Return the tag of an answer: this process's id, and what tells the answer from the next one.

    Weak, since what it stands for is the same whatever the encoding. Parts that came with a request are hashed: a tag
    is ASCII without quotes.
    """
    digest = hashlib.blake2b(repr(parts).encode("utf-8", "surrogatepass"), digest_size=9).digest()
    return f'W/"{instance_id}.{base64.urlsafe_b64encode(digest).decode("ascii")}"'


def is_known(request: Request, etag: str) -> bool:
    """Tell whether whoever asks has this answer already (RFC 9110, section 13.1.2: the weak comparison)."""
    wanted = request.headers.get("if-none-match")
    if wanted is None:
        return False
    bare = etag.removeprefix("W/")
    known = [tag.strip().removeprefix("W/") for tag in wanted.split(",")]
    return "*" in known or bare in known


def tagged(request: Request, body: Callable[[], Body | bytes], etag: str, media_type: str = JSON) -> Response:
    """Return an answer with its tag, compressed where that is wanted; 304 without a body when it is known. `no-cache`
    has each use asked for again.
    """
    headers = {"etag": etag, "cache-control": "private, no-cache", "vary": _VARY}
    if is_known(request, etag):
        return Response(None, 304, headers)
    content, more = encoded(request, body())
    return Response(content, 200, headers | more, media_type)


class Kept:
    """Bytes that were made of an object, for as long as it is that object. For the event loop alone."""

    def __init__(self) -> None:
        self._kept: OrderedDict[object, tuple[object, Body]] = OrderedDict()
        self._bytes = 0

    def get(self, key: object, source: object, make: Callable[[], bytes]) -> Body:
        """Return the bytes of a source under a key, made anew when it is another."""
        known = self._kept.get(key)
        if known is not None and known[0] is source:
            return known[1]
        made = Body(make())
        if known is not None:
            self._bytes -= len(known[1].plain)
        self._kept[key] = (source, made)
        self._kept.move_to_end(key)
        self._bytes += len(made.plain)
        while len(self._kept) > _MOST_KEPT or (self._bytes > _MOST_BYTES and len(self._kept) > 1):
            self._bytes -= len(self._kept.popitem(last=False)[1][1].plain)
        return made


def agent_of(request: HTTPConnection) -> str | None:
    """Return the agent that is asked for: `?agent=`, or the header `x-openclaw-agent-id`; None for the default one."""
    return request.query_params.get("agent") or request.headers.get("x-openclaw-agent-id") or None


def whole_number(request: Request, name: str, default: int, *, least: int = 1, most: int = 1_000_000) -> int:
    """Return a number of the query.

    Raises:
        Problem: It is none, or out of range.
    """
    text = request.query_params.get(name)
    if text is None:
        return default
    # `int` takes signs, spaces, underlines and other scripts' digits, and minutes for a million of them
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and least <= int(text) <= most):
        raise Problem(400, f"{name} is a whole number from {least} to {most}")
    return int(text)
