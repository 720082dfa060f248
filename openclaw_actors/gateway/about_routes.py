"""The route that says who answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from openclaw_actors.gateway.answers import json_response
from openclaw_actors.telling import about

if TYPE_CHECKING:
    from openclaw_actors.supervisor import AuthSupervisor


class AboutRoutes:
    """Answers with the process, its home and its conditions; also before anything is warm."""

    def __init__(self, supervisor: AuthSupervisor, url: str | None = None) -> None:
        self._supervisor = supervisor
        self._url = url

    def routes(self) -> list[Route]:
        """Return the route."""
        return [Route("/gateway", self.gateway, methods=["GET"])]

    async def gateway(self, _request: Request) -> Response:
        """Answer with who this is: what commands ask first."""
        return json_response(about(self._supervisor, self._url))
