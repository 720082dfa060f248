"""The gateway's routes as a FastAPI router, and what routes of one's own depend on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, cast
from weakref import WeakKeyDictionary

try:
    from fastapi import APIRouter, Depends
except ImportError:
    raise ImportError("this needs FastAPI: pip install 'openclaw_actors[fastapi]'") from None
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from openclaw_actors.gateway.about_routes import AboutRoutes
from openclaw_actors.gateway.access import limited
from openclaw_actors.gateway.auth_routes import AuthRoutes
from openclaw_actors.gateway.depends import (
    AgentId,
    ProblemRoute,
    Supervisor,
    UnmetError,
    auth_supervisor,
    credential,
    require_provider,
)
from openclaw_actors.gateway.event_routes import EventRoutes
from openclaw_actors.gateway.listing_routes import ListingRoutes
from openclaw_actors.gateway.matrix_routes import MatrixRoutes
from openclaw_actors.gateway.openapi import request_of, responses_of, summary_of
from openclaw_actors.gateway.probes import Probes
from openclaw_actors.gateway.stream import Stream

if TYPE_CHECKING:
    from openclaw_actors.supervisor import AuthSupervisor

__all__ = [
    "AgentId",
    "ProblemRoute",
    "Supervisor",
    "UnmetError",
    "auth_supervisor",
    "create_router",
    "credential",
    "require_provider",
]


class _Part(Protocol):
    """Some of the gateway's routes."""

    def routes(self) -> list[Route]: ...


_READING: tuple[Callable[[AuthSupervisor], _Part], ...] = (
    AboutRoutes,
    ListingRoutes,
    AuthRoutes,
    MatrixRoutes,
    Stream,
    Probes,
)
_WRITING: tuple[Callable[[AuthSupervisor], _Part], ...] = (EventRoutes,)


def create_router(
    supervisor: AuthSupervisor | None = None,
    *,
    events: bool = False,
    dependencies: Sequence[Any] = (),
    tags: Sequence[str] = ("openclaw",),
) -> APIRouter:
    """Return the routes of `gateway.app.create_app` for `app.include_router(…, prefix=…)`, with the same answers.

    Problems are answered as such; the application needs no handler for them. Who may ask is the application's to say:
    neither the tokens nor the checks of host and origin of `create_app` are here.

    Args:
        supervisor: What answers, if it is known already; None takes that of the application by `auth_supervisor`.
        events: Whether the routes that change something are there, too: they log out, write into stores and hide
            credentials. They are left out unless asked for, since here no token guards them: give `dependencies` that
            say who may, and, where a browser's cookie does, that the page is one of yours.
        dependencies: What each request needs, as in `APIRouter(dependencies=…)`.
        tags: Under which OpenAPI lists them.
    """
    router = APIRouter(route_class=ProblemRoute, dependencies=list(dependencies), tags=list(tags))
    parts = (*_READING, *_WRITING) if events else _READING
    bound = _Bound(parts)
    # paths, methods and texts are the same whoever answers: these parts are asked for nothing else
    for number, made in enumerate(_made(parts, cast("AuthSupervisor", None))):
        for route in made.routes():
            _add(router, route, bound, number, supervisor, is_event=parts[number] in _WRITING)
    return router


def _add(
    router: APIRouter, route: Route, bound: _Bound, number: int, supervisor: AuthSupervisor | None, *, is_event: bool
) -> None:
    """Add a route of a part, whose supervisor is found when it is asked."""
    name = route.endpoint.__name__

    async def given() -> AuthSupervisor | None:
        return supervisor

    asked = Depends(auth_supervisor if supervisor is None else given)

    async def endpoint(request: Request, found: Any = asked) -> Any:
        if is_event:  # `create_app` has a guard around all of it
            request = Request(request.scope, limited(request.receive, request.headers))
        return await getattr(bound.parts_of(request.app, found)[number], name)(request)

    summary, description = summary_of(route.endpoint)
    router.add_api_route(
        route.path,
        endpoint,
        methods=sorted((route.methods or set()) - {"HEAD"}),
        name=f"openclaw_{name}",
        summary=summary,
        description=description,
        response_class=Response,
        response_model=None,
        responses=responses_of(name),
        openapi_extra=request_of(name, route.path),
    )


class _Bound:
    """The parts of the supervisor that an application has now.

    By application: the parts hold the supervisor, so that one which is kept by supervisor would never go, and an
    application that is started several times has another each time.
    """

    def __init__(self, parts: Sequence[Callable[[AuthSupervisor], _Part]]) -> None:
        self._parts = parts
        self._bound: WeakKeyDictionary[Any, tuple[AuthSupervisor, list[_Part]]] = WeakKeyDictionary()

    def parts_of(self, app: Any, supervisor: AuthSupervisor) -> list[_Part]:
        """Return the parts of a supervisor, made when an application first asks with it."""
        known = self._bound.get(app)
        if known is None or known[0] is not supervisor:
            known = self._bound[app] = (supervisor, _made(self._parts, supervisor))
        return known[1]


def _made(parts: Sequence[Callable[[AuthSupervisor], _Part]], supervisor: AuthSupervisor) -> list[_Part]:
    return [part(supervisor) for part in parts]
