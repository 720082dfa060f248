"""What OpenAPI says of the routes: what is asked with, what comes back. Plain data, for whoever makes a document of it.

The routes read their query and body themselves, so that what is wrong is a problem in the same words everywhere; this
is the one description of what they read.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from openclaw_actors.gateway.event_routes import LONGEST_WAIT_S, Clear, Failure, Logout, Reload, Success
from openclaw_actors.gateway.problems import MEDIA_TYPE

_TEXT = "text/plain"
_JSON = "application/json"

_PROBLEM = {
    "type": "object",
    "description": "RFC 9457",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What is wrong, and what to do."},
    },
}


def _text(description: str, **more: Any) -> dict[str, Any]:
    return {"description": description, "schema": {"type": "string", **more}}


def _number(description: str, **more: Any) -> dict[str, Any]:
    return {"description": description, "schema": {"type": "integer", **more}}


_QUERY: dict[str, dict[str, Any]] = {
    "agent": _text("The agent; the default one when it is left out."),
    "provider": _text("Just this provider, in any spelling."),
    "view": _text("Which models.", enum=["default", "configured", "all"], default="default"),
    "page": _number("From 1.", minimum=1, default=1),
    "limit": _number("How many at most.", minimum=1),
    "whole": _text("`1` for all of it on one page.", enum=["1", "true"]),
    "include": _text("`hidden` adds what is hidden, and why.", enum=["hidden"]),
    "all": _text("`1` shows providers that nobody has set up, too.", enum=["1", "true"]),
    "model": _text("The model that is asked for: a rate limit may rest just that one."),
    "since": _text("An event's id: what came after it comes first, as with `Last-Event-ID`."),
    "vitals": _text("`1` tells once a second how the gateway is, too.", enum=["1"]),
    "wait": {
        "description": "Seconds to wait at most for the answer; it is not waited for otherwise.",
        "schema": {"type": "number", "minimum": 0, "maximum": LONGEST_WAIT_S},
    },
}
_HEADERS: dict[str, dict[str, Any]] = {
    "x-openclaw-agent-id": _text("The agent, where the query names none."),
    "last-event-id": _text("The id of the last event that was seen."),
}
_PATH: dict[str, dict[str, Any]] = {
    "agent": _text("The agent's id."),
    "provider": _text("The provider, in any spelling."),
    "model": _text("`provider/model`."),
}


class Operation(NamedTuple):
    """One route, as far as its code doesn't say it where OpenAPI could find it."""

    query: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    body: type[msgspec.Struct] | None = None
    media: tuple[str, ...] = (_JSON,)
    answers: tuple[int, ...] = (200,)
    problems: tuple[int, ...] = ()
    """Statuses that are answered with problem+json."""


_AGENT = ("x-openclaw-agent-id",)
_EVENT = ("wait",)
_COLD = (404, 503)
"""No such agent; not warm yet."""
_REFUSED = (400, 404, 413, 415, 422, 503)

_OPERATIONS = {
    "openai_models": Operation(("agent", "provider", "view"), _AGENT, answers=(200, 304), problems=(400, *_COLD)),
    "openai_model": Operation(("agent", "view"), _AGENT, answers=(200, 304, 404), problems=(400, 503)),
    "models": Operation(
        ("agent", "provider", "view", "page", "limit", "whole", "include"),
        _AGENT,
        media=(_JSON, _TEXT),
        answers=(200, 304),
        problems=(400, *_COLD),
    ),
    "gateway": Operation(),
    "agents": Operation(answers=(200, 304)),
    "agent": Operation(("all", "provider"), answers=(200, 304), problems=_COLD),
    "provider": Operation(("model",), answers=(200, 304), problems=_COLD),
    "changes": Operation(("agent", "provider", "limit"), problems=(400, 404)),
    "matrix": Operation(answers=(200, 304)),
    "recheck": Operation(_EVENT, answers=(200, 202), problems=(400, 404, 503)),
    "failure": Operation(_EVENT, body=Failure, answers=(200, 202), problems=_REFUSED),
    "success": Operation(_EVENT, body=Success, answers=(200, 202), problems=_REFUSED),
    "logout": Operation(body=Logout, problems=(404, 409, 413, 415, 422, 423, 503)),
    "reload": Operation(_EVENT, body=Reload, answers=(200, 202), problems=(400, 413, 415, 422, 503)),
    "clear_cooldown": Operation(body=Clear, problems=(409, 413, 415, 422, 423, 503)),
    "events": Operation(
        ("agent", "since", "vitals"), ("last-event-id",), media=("text/event-stream",), problems=(503,)
    ),
    "live": Operation(media=(_TEXT,)),
    "ready": Operation(answers=(200, 503)),
    "metrics": Operation(media=(_TEXT,)),
}
"""By the name of the endpoint."""

_ANSWERS = {
    200: "The answer.",
    202: "Taken; not answered yet.",
    304: "What whoever asks has already (`If-None-Match`).",
    404: "There is no such model, as OpenAI's API says it.",
    503: "Not ready; the conditions say why.",
}
_PROBLEMS = {
    400: "A parameter can't be used.",
    404: "The config has no such agent.",
    409: "It can't be done as things are.",
    413: "The body is too long.",
    415: "The body is no JSON by its content type.",
    422: "The body isn't what is needed.",
    423: "The store is locked by somebody else.",
    503: "Not warm yet, or not now; ask again.",
}


def summary_of(endpoint: Callable[..., Any]) -> tuple[str, str]:
    """Return what an endpoint does: in short, and at length."""
    text = " ".join((inspect.getdoc(endpoint) or endpoint.__name__).split())
    return re.split(r"[.;] ", text, maxsplit=1)[0].rstrip("."), text


def responses_of(name: str) -> dict[int | str, dict[str, Any]]:
    """Return the responses of an endpoint."""
    operation = _OPERATIONS.get(name, Operation())
    found: dict[int | str, dict[str, Any]] = {}
    for status in operation.answers:
        found[status] = {"description": _ANSWERS[status]}
        if status != 304:
            found[status]["content"] = {
                media: {"schema": {"type": "object" if media == _JSON else "string"}} for media in operation.media
            }
    for status in operation.problems:
        found[status] = {"description": _PROBLEMS[status], "content": {MEDIA_TYPE: {"schema": _PROBLEM}}}
    return found


def request_of(name: str, path: str) -> dict[str, Any]:
    """Return the parameters of an endpoint, those of its path (`/auth/{agent}`) included, and its body."""
    operation = _OPERATIONS.get(name, Operation())
    parameters = [
        {"name": one, "in": "path", "required": True, **_PATH.get(one, _text(""))}
        for one in re.findall(r"{(\w+)(?::\w+)?}", path)
    ]
    parameters += [{"name": one, "in": "query", "required": False, **_QUERY[one]} for one in operation.query]
    parameters += [{"name": one, "in": "header", "required": False, **_HEADERS[one]} for one in operation.headers]
    found: dict[str, Any] = {"parameters": parameters} if parameters else {}
    if operation.body is not None:
        _, components = msgspec.json.schema_components([operation.body])
        schema = components[operation.body.__name__]
        found["requestBody"] = {"required": bool(schema["required"]), "content": {_JSON: {"schema": schema}}}
    return found
