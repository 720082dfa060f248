"""The routes of answers: which provider an agent can use, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from openclaw_actors.auth.verdict import State
from openclaw_actors.gateway.answers import Kept, etag_of, tagged
from openclaw_actors.gateway.problems import Problem
from openclaw_actors.prepared import AgentAuth
from openclaw_actors.shapes import explanation, status_agent

if TYPE_CHECKING:
    from openclaw_actors.supervisor import AuthSupervisor


class AuthRoutes:
    """Answers from one pinned snapshot each."""

    def __init__(self, supervisor: AuthSupervisor) -> None:
        self._supervisor = supervisor
        self._kept = Kept()

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/auth", self.agents, methods=["GET"]),
            Route("/auth/{agent}", self.agent, methods=["GET"]),
            Route("/auth/{agent}/{provider}", self.provider, methods=["GET"]),
        ]

    async def agents(self, request: Request) -> Response:
        """Answer with all agents: how many providers of each are in which state."""
        supervisor = self._supervisor
        sequence, known = supervisor.sequence, supervisor.agent_ids()
        snapshots = [supervisor.snapshot(agent) for agent in known]
        tag = etag_of(supervisor.instance_id, sequence, len(known), sum(one.revision for one in snapshots))

        def body() -> bytes:
            agents = {
                one.agent_id: {
                    "revision": one.revision,
                    "generation": one.generation,
                    "default": one.agent_id == supervisor.snapshot().agent_id,
                    "states": _counted(one),
                }
                for one in snapshots
            }
            return msgspec.json.encode({"instance": supervisor.instance_id, "sequence": sequence, "agents": agents})

        return tagged(request, body, tag)

    async def agent(self, request: Request) -> Response:
        """Answer with all that somebody has set up, or with everything (`?all=1`)."""
        auth = self._snapshot(request.path_params["agent"])
        everything = request.query_params.get("all", "") in ("1", "true")
        tag = etag_of(self._supervisor.instance_id, auth.agent_id, auth.revision, auth.generation, everything)

        def make() -> bytes:
            configured = self._supervisor.configured_providers(auth.agent_id)
            shown = [
                (name, one)
                for name, one in auth.verdicts.items()
                if everything or one.state is not State.MISSING or name in configured
            ]
            counts = self._supervisor.model_count
            shape = status_agent(
                auth.revision, auth.generation, shown, lambda name: counts(name, agent_id=auth.agent_id)
            )
            return msgspec.json.encode({"agent": auth.agent_id, "instance": self._supervisor.instance_id, **shape})

        return tagged(request, lambda: self._kept.get((auth.agent_id, everything), auth, make), tag)

    async def provider(self, request: Request) -> Response:
        """Answer with one provider: what won, what it shadows, why, and what to do."""
        auth = self._snapshot(request.path_params["agent"])
        spelled, model = request.path_params["provider"], request.query_params.get("model")
        verdict = self._supervisor.verdict(spelled, agent_id=auth.agent_id, model=model)
        parts = (verdict.provider, model or "", verdict.generation, verdict.fresh, verdict.state.value)
        tag = etag_of(self._supervisor.instance_id, auth.agent_id, auth.revision, *parts)
        shape = explanation(verdict, spelled, model, None, [])
        return tagged(request, lambda: msgspec.json.encode({**shape, "revision": auth.revision}), tag)

    def _snapshot(self, agent: str) -> AgentAuth:
        auth = self._supervisor.snapshot(agent)
        if not auth.revision:
            known = self._supervisor.agent_ids()
            if known and auth.agent_id not in known:
                raise Problem(404, f"there is no agent {auth.agent_id!r}; the config has {', '.join(known[:20])}")
            raise Problem(503, "this agent isn't warm yet", headers={"retry-after": "1"})
        return auth


def _counted(auth: AgentAuth) -> dict[str, int]:
    counts: dict[str, int] = {}
    for verdict in auth.verdicts.values():
        counts[verdict.state.value] = counts.get(verdict.state.value, 0) + 1
    return counts
