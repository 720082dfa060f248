"""Scopes: which (agents × providers) an event touches."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

import msgspec

from openclaw_actors.ids import AgentId, ProviderId

_NOTHING: frozenset[ProviderId] = frozenset()


class Scope(msgspec.Struct, frozen=True, gc=False):
    """A set of cells. Immutable and hashable; `everything` is only one of the scopes."""

    agents: frozenset[AgentId] | None = None
    """The agents that are touched; None means all, those that come later included."""
    providers: frozenset[ProviderId] | None = None
    """The providers that are touched; None means all."""
    pairs: frozenset[tuple[AgentId, ProviderId]] | None = None
    """The exact cells, when the scope is not a full product of agents and providers."""

    @classmethod
    def everything(cls) -> Self:
        """Return the scope of all cells."""
        return cls()

    @classmethod
    def agent(cls, *agent_ids: str) -> Self:
        """Return the scope of all cells of some agents."""
        return cls(agents=frozenset(AgentId(one) for one in agent_ids))

    @classmethod
    def provider(cls, *providers: str) -> Self:
        """Return the scope of some providers (normalised ids), for all agents."""
        return cls(providers=frozenset(ProviderId(one) for one in providers))

    @classmethod
    def cells(cls, cells: Iterable[tuple[str, str]]) -> Self:
        """Return the scope of exactly these (agent id, normalised provider id) cells."""
        pairs = frozenset((AgentId(agent), ProviderId(provider)) for agent, provider in cells)
        agents = frozenset(agent for agent, _ in pairs)
        providers = frozenset(provider for _, provider in pairs)
        full = len(agents) * len(providers) == len(pairs)
        return cls(agents=agents, providers=providers, pairs=None if full else pairs)

    @classmethod
    def product(cls, agents: Iterable[AgentId] | None, providers: Iterable[ProviderId] | None) -> Self:
        """Return the scope of agents × providers; None means all."""
        return cls(
            agents=None if agents is None else frozenset(agents),
            providers=None if providers is None else frozenset(providers),
        )

    def providers_of(self, agent_id: AgentId) -> frozenset[ProviderId] | None:
        """Return the providers that are touched for one agent: None for all of them, empty for none."""
        if self.agents is not None and agent_id not in self.agents:
            return _NOTHING
        if self.pairs is None:
            return self.providers
        return frozenset(provider for agent, provider in self.pairs if agent == agent_id)

    def covers(self, agent_id: AgentId, provider: ProviderId) -> bool:
        """Tell whether one cell is touched."""
        if self.pairs is not None:
            return (agent_id, provider) in self.pairs
        return (self.agents is None or agent_id in self.agents) and (
            self.providers is None or provider in self.providers
        )
