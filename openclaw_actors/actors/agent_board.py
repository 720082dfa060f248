"""What the WarmerActor knows of its agents: which cells are dirty, and the sweep that runs. Pure bookkeeping."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import pykka

from openclaw_actors.auth.evaluation import Evaluation
from openclaw_actors.home.facts import AgentConfig
from openclaw_actors.home.stores.merge import StoreView
from openclaw_actors.ids import Generation, ProviderId


@dataclass(slots=True)
class DirtyScope:
    """Cells of one agent that wait for a sweep."""

    generations: set[Generation]
    """The attempts that it answers."""
    providers: frozenset[ProviderId] | None
    """None for all."""
    requires: dict[str, int]
    """Source → the reading that has to be done first."""
    reason: str
    cause_at: float

    def absorb(self, other: DirtyScope) -> None:
        """Take in another scope that waits for the same readings."""
        self.generations |= other.generations
        self.reason = other.reason
        if self.providers is None or other.providers is None:
            self.providers = None
        else:
            self.providers |= other.providers


@dataclass(slots=True)
class RunningSweep:
    """The one sweep of an agent that runs."""

    generation: Generation
    scopes: list[DirtyScope]
    """What it answers; they become dirty again when it is cancelled."""
    evaluation: Evaluation
    """What it folds."""
    serial: int = 0
    """Tells its result from that of an earlier sweep."""
    overtaken: set[ProviderId] = field(default_factory=set)
    """Cells that were patched since it began: they show something newer than it can know."""
    newer_view: StoreView | None = None
    """What the agent's stores have said since it began, if its cells were patched from that."""


@dataclass(slots=True)
class AgentRecord:
    """One agent."""

    config: AgentConfig
    own: str
    """The source that is its own store."""
    ref: pykka.ActorRef[Any] | None
    dirty: list[DirtyScope] = field(default_factory=list)
    running: RunningSweep | None = None
    swept: bool = False
    """Whether a sweep of it was finished, by this warmer and of the store that it has now."""

    def add(self, scope: DirtyScope) -> bool:
        """Add cells that need a sweep; return whether they joined a scope that waited already."""
        for waiting in self.dirty:
            if waiting.requires == scope.requires:
                waiting.absorb(scope)
                return True
        self.dirty.append(scope)
        return False

    def take_ready(self, is_done: Callable[[str, int], bool]) -> list[DirtyScope]:
        """Take the waiting scopes whose readings are all done.

        The first of all waits for the first readings: whatever else could start before would be folded without them.
        """
        ready: list[DirtyScope] = []
        waiting: list[DirtyScope] = []
        for scope in self.dirty:
            done = all(is_done(source, ticket) for source, ticket in scope.requires.items())
            (ready if done and (self.swept or not waiting) else waiting).append(scope)
        self.dirty = waiting
        return ready

    def overtake(self, providers: Iterable[ProviderId], view: StoreView | None = None) -> None:
        """Note that some cells were published with something that a running sweep doesn't know."""
        if self.running is not None:
            self.running.overtaken.update(providers)
            self.running.newer_view = view or self.running.newer_view

    def wanted_generations(self) -> set[Generation]:
        """Return every attempt that this agent still owes an answer."""
        owed = {generation for scope in self.dirty for generation in scope.generations}
        if self.running is not None:
            owed |= {generation for scope in self.running.scopes for generation in scope.generations}
        return owed


def union(scopes: list[DirtyScope]) -> frozenset[ProviderId] | None:
    """Return the providers of several scopes; None for all."""
    merged: frozenset[ProviderId] = frozenset()
    for scope in scopes:
        if scope.providers is None:
            return None
        merged |= scope.providers
    return merged
