"""The gateway as an ASGI application."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from openclaw_actors.gateway.about_routes import AboutRoutes
from openclaw_actors.gateway.access import Guard, Tokens
from openclaw_actors.gateway.answers import json_response
from openclaw_actors.gateway.auth_routes import AuthRoutes
from openclaw_actors.gateway.dashboard import Dashboard, wants_page
from openclaw_actors.gateway.event_routes import EventRoutes
from openclaw_actors.gateway.listing_routes import ListingRoutes
from openclaw_actors.gateway.matrix_routes import MatrixRoutes
from openclaw_actors.gateway.probes import Probes
from openclaw_actors.gateway.problems import HANDLERS
from openclaw_actors.gateway.stream import Stream

if TYPE_CHECKING:
    from openclaw_actors.supervisor import AuthSupervisor


def create_app(
    supervisor: AuthSupervisor,
    *,
    tokens: Tokens | None = None,
    open_reads: bool = True,
    hosts: frozenset[str] = frozenset(),
    own_socket: str = "",
    url: str | None = None,
) -> Starlette:
    """Return the application for a supervisor that its caller starts and stops.

    The dashboard's files are read here. No route does I/O on the event loop, and none waits for a warm unless it is
    asked to (`?wait=`).

    `app.state.end_streams` is to be awaited by a server that stops, which would wait for open streams otherwise.

    Args:
        supervisor: What answers.
        tokens: What events need; without them no event is taken.
        open_reads: Whether reading needs no token: only for what listens on a loopback address.
        hosts: Names beside the loopback ones that it may be asked by.
        own_socket: The address of the Unix socket by which this user's own commands come, if the server listens on one
            (`own_socket.py`): who comes by it needs no token.
        url: Where it listens, for `/gateway`.
    """
    stream = Stream(supervisor)
    parts = (
        AboutRoutes(supervisor, url),
        ListingRoutes(supervisor),
        EventRoutes(supervisor),
        AuthRoutes(supervisor),
        MatrixRoutes(supervisor),
        stream,
        Probes(supervisor),
    )
    routes = [route for part in parts for route in part.routes()]
    dashboard = Dashboard()

    async def index(request: Request) -> Response:
        if wants_page(request):
            return await dashboard.page(request)
        listed = [{"path": route.path, "methods": sorted((route.methods or set()) - {"HEAD"})} for route in routes]
        return json_response({"instance": supervisor.instance_id, "routes": listed}, headers={"vary": "accept"})

    guard = Middleware(Guard, tokens=tokens, open_reads=open_reads, hosts=hosts, own_socket=own_socket)
    app = Starlette(
        routes=[Route("/", index, methods=["GET"]), *routes, *dashboard.routes()],
        middleware=[guard],
        exception_handlers=HANDLERS,
    )
    app.state.end_streams = stream.end
    return app
