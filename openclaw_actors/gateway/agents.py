"""Which agent a request means, and its answers as they are now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openclaw_actors.gateway.problems import Problem
from openclaw_actors.ids import AgentId
from openclaw_actors.prepared import AgentAuth

if TYPE_CHECKING:
    from openclaw_actors.supervisor import AuthSupervisor

_MOST_NAMED = 20
"""How many agents an error names."""


def configured(supervisor: AuthSupervisor, agent: str | None) -> AgentId:
    """Return the id of an agent; None is the default one.

    Raises:
        Problem: The config has no such agent (404).
    """
    wanted = supervisor.snapshot(agent).agent_id
    known = supervisor.agent_ids()
    if known and wanted not in known:
        raise Problem(404, f"there is no agent {wanted!r}; the config has {', '.join(known[:_MOST_NAMED])}")
    return wanted


def published(supervisor: AuthSupervisor, agent: str | None) -> AgentAuth:
    """Return the answers of an agent; None is the default one.

    Raises:
        Problem: The config has no such agent (404), or it isn't warm yet (503).
    """
    auth = supervisor.snapshot(agent)
    if not auth.revision:
        configured(supervisor, agent)
        raise Problem(503, "this agent isn't warm yet", headers={"retry-after": "1"})
    return auth
