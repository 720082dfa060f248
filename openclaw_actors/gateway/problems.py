"""Errors as HTTP answers: problem+json (RFC 9457), without secrets and without a stack."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from openclaw_actors.errors import (
    ForkedError,
    NotRunningError,
    OpenclawActorsError,
    StoreBusyError,
    StoreReadOnlyError,
    UnknownReasonError,
)
from openclaw_actors.log import log
from openclaw_actors.reading.job import describe_error, places

MEDIA_TYPE = "application/problem+json"
"""RFC 9457, section 3."""

_TITLES = {
    400: "Bad request",
    401: "Not authenticated",
    403: "Forbidden",
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict",
    410: "Gone",
    413: "Content too large",
    415: "Unsupported media type",
    421: "Misdirected request",
    422: "Unprocessable content",
    423: "Locked",
    424: "Failed dependency",
    429: "Too many requests",
    500: "Internal error",
    503: "Service unavailable",
    504: "Timed out",
}

_STATUS = (
    (StoreBusyError, 423),
    (StoreReadOnlyError, 409),
    (UnknownReasonError, 422),
    (NotRunningError, 503),
    (ForkedError, 503),
)
"""What our own errors mean; others of ours are 409: the request was understood, and can't be done as things are."""


class Problem(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, detail: str, *, headers: dict[str, str] | None = None, **more: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers or {}
        self.more = more
        """Extension members (RFC 9457, section 3.2)."""


def respond(problem: Problem) -> Response:
    """Return a problem as a response."""
    status = problem.status
    body = {"type": "about:blank", "title": _TITLES.get(status, "Error"), "status": status, "detail": problem.detail}
    return Response(
        msgspec.json.encode(body | problem.more),
        status,
        {"cache-control": "no-store", **problem.headers},
        MEDIA_TYPE,
    )


async def on_problem(_request: Request, error: Exception) -> Response:
    """Answer with a problem that a route has raised."""
    assert isinstance(error, Problem)
    return respond(error)


async def on_http_exception(_request: Request, error: Exception) -> Response:
    """Answer with what the router has found: no such route, or not this method."""
    assert isinstance(error, HTTPException)
    detail = "there is no such route; `GET /` lists them" if error.status_code == 404 else str(error.detail)
    return respond(Problem(error.status_code, detail, headers=dict(error.headers or {})))


async def on_own_error(_request: Request, error: Exception) -> Response:
    """Answer with an error of ours: its text is secret-free and names the remedy, and `error` is its class."""
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 409)
    headers = {"retry-after": "1"} if status in (423, 503) else {}
    return respond(Problem(status, str(error), headers=headers, error=type(error).__name__))


def bug(path: str, error: Exception) -> Response:
    """Return the answer to an unexpected error, and log it. Its text, which may hold anything, is in neither."""
    log.bind(path=path, at=places(error)).error("a request failed: {}", describe_error(error))
    return respond(Problem(500, "an error that is a bug of the gateway's; its log names the place"))


HANDLERS: dict[Any, Any] = {
    Problem: on_problem,
    HTTPException: on_http_exception,
    OpenclawActorsError: on_own_error,
}
"""For `Starlette(exception_handlers=…)`."""
