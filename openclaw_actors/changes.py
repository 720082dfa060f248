"""Changes of answers: what subscribers get."""

from __future__ import annotations

import msgspec

from openclaw_actors.auth.verdict import Verdict
from openclaw_actors.ids import AgentId, Generation, ProviderId, Revision


class Change(msgspec.Struct, frozen=True, gc=False):
    """One answer that is not what it was.

    The first publication of an agent is no change. When an agent leaves the config each of its answers becomes
    `missing` (reason `agent-removed`), and should it come back each changes from that (`agent-returned`).
    """

    sequence: int
    """Orders the changes of all agents in this process."""
    agent_id: AgentId
    revision: Revision
    """The agent's revision from which on the new answer holds."""
    provider: ProviderId
    old: Verdict
    new: Verdict
    reason: str
    """What caused it: `config-reload`, `credentials-changed`, `failure-reported`, `time-passed`…"""
    generation: Generation
    latency_s: float
    """From seeing the cause to publishing the answer, in seconds."""
    published_at: float
    """When the answer was published, in epoch seconds by the wall clock of that moment."""
    reread_from: Revision | None = None
    """Set when changes of this agent before this one were not delivered, because this consumer was too slow or asked
    for more than is kept: what it holds of the agent is whole again once it has read `snapshot(agent_id)`, at this
    revision or a later one. None when nothing is missing.
    """
