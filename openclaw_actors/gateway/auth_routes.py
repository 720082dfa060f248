"""The routes of answers: which provider an agent can use, and why."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec
from anyio.lowlevel import checkpoint
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from openclaw_actors.auth.verdict import State
from openclaw_actors.gateway.agents import configured, published
from openclaw_actors.gateway.answers import etag_of, is_known, json_response, tagged, whole_number
from openclaw_actors.gateway.problems import Problem
from openclaw_actors.shapes import watch_change
from openclaw_actors.telling import explain, status_of

if TYPE_CHECKING:
    from openclaw_actors.supervisor import AuthSupervisor

_AT_ONCE = 50
"""How many agents are counted before others have their turn: 1.8 ms (measured)."""

_AGAIN = 3
"""How often an answer is read anew that has changed while it was read."""

_MOST_ASKED = 200
"""How many providers one request may name; there are about a hundred."""


class AuthRoutes:
    """Answers from one pinned snapshot each."""

    def __init__(self, supervisor: AuthSupervisor) -> None:
        self._supervisor = supervisor

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/auth", self.agents, methods=["GET"]),
            Route("/auth/{agent}", self.agent, methods=["GET"]),
            Route("/auth/{agent}/{provider}", self.provider, methods=["GET"]),
            Route("/changes", self.changes, methods=["GET"]),
        ]

    async def agents(self, request: Request) -> Response:
        """Answer with all agents: how many providers of each are in which state."""
        supervisor = self._supervisor
        default = supervisor.snapshot().agent_id
        snapshots = [supervisor.snapshot(agent) for agent in supervisor.agent_ids()]
        tag = etag_of(
            supervisor.instance_id, default, *((one.agent_id, one.revision, one.generation) for one in snapshots)
        )
        agents: dict[str, object] = {}
        counted: dict[int, Counter[str]] = {}  # agents that see the same sources hold the very same table
        if not is_known(request, tag):
            for number, one in enumerate(snapshots, start=1):
                if not number % _AT_ONCE:
                    await checkpoint()  # a home may have thousands: others have their turn on the loop
                states = counted.get(id(one.table))
                if states is None:
                    states = counted[id(one.table)] = Counter(cell.state.value for cell in one.table.cells())
                agents[one.agent_id] = {
                    "revision": one.revision,
                    "generation": one.generation,
                    "default": one.agent_id == default,
                    "states": states,
                }
        return tagged(request, lambda: msgspec.json.encode({"instance": supervisor.instance_id, "agents": agents}), tag)

    async def agent(self, request: Request) -> Response:
        """Answer with all that somebody has set up, with everything (`?all=1`), or with some (`?provider=…`)."""
        supervisor, auth = self._supervisor, published(self._supervisor, request.path_params["agent"])
        asked = tuple(request.query_params.getlist("provider"))
        if len(asked) > _MOST_ASKED:
            raise Problem(400, f"at most {_MOST_ASKED} providers are answered at once")
        everything = asked or request.query_params.get("all", "") in ("1", "true")
        told = status_of(supervisor, auth, asked)
        providers = {
            name: one
            for name, one in told.providers.items()
            if everything or one.state is not State.MISSING or one.configured
        }
        shape = {"revision": told.revision, "generation": told.generation, "providers": providers}
        body = msgspec.json.encode({"agent": auth.agent_id, "instance": supervisor.instance_id, **shape})
        # whether an answer is fresh, and what is configured, changes without a revision: the tag is of what is said
        return tagged(request, lambda: body, etag_of(supervisor.instance_id, auth.revision, body))

    async def provider(self, request: Request) -> Response:
        """Answer with one provider: what won, what it shadows, why, and what to do."""
        auth = published(self._supervisor, request.path_params["agent"])
        spelled, model = request.path_params["provider"], request.query_params.get("model")
        told = explain(self._supervisor, auth.agent_id, spelled, model)
        for _ in range(_AGAIN):
            # what is read is of one revision, unless the agent's answers have just changed
            now = published(self._supervisor, auth.agent_id)
            if now is auth:
                break
            auth, told = now, explain(self._supervisor, auth.agent_id, spelled, model)
        body = msgspec.json.encode({**msgspec.structs.asdict(told), "revision": auth.revision})
        return tagged(request, lambda: body, etag_of(self._supervisor.instance_id, auth.revision, body))

    async def changes(self, request: Request) -> Response:
        """Answer with the latest changes, newest first: of `?agent=`, of `?provider=`, or of all."""
        query = request.query_params
        agent = configured(self._supervisor, query["agent"]) if query.get("agent") else None
        limit = whole_number(request, "limit", 50, most=1000)
        found = self._supervisor.recent_changes(query.get("provider") or None, agent_id=agent, limit=limit)
        return json_response({"changes": [watch_change(change, change.published_at) for change in found]})
