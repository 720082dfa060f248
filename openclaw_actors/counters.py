"""Counters: ints that only grow, and the public struct that shows them."""

from __future__ import annotations

from typing import final

import msgspec


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """What the system has done since it was made. Every number only grows."""

    warms: int = 0
    """Warms that were finished: every agent in their scope answered."""
    sweeps: int = 0
    """Sweeps of one agent that were finished."""
    provider_checks: int = 0
    """Evaluations of one (agent, provider) cell."""
    store_reads: int = 0
    """Readings of a profile store."""
    shared_reads: int = 0
    """Readings of what all agents share: config, environment, model rows, logins of other programs."""
    publications: int = 0
    """Atomic swaps of one agent's answers."""
    discarded_results: int = 0
    """Results thrown away because they were late: of a cancelled sweep, or older than what their cell shows."""
    merged_scopes: int = 0
    """Events that joined one that was waiting already."""
    cancelled_sweeps: int = 0
    """Sweeps stopped between two providers."""
    watch_hints: int = 0
    """Paths that the file watcher told of."""
    watch_noops: int = 0
    """Readings after a hint that found nothing changed."""
    window_patches: int = 0
    """Store readings in which only usage had changed: cells were patched without a check."""
    resyncs: int = 0
    """Slow comparisons of all stats."""
    resync_drifts: int = 0
    """Sources that a resync found changed without an event: each is a bug in the events."""
    deadline_overruns: int = 0
    """Readings that were abandoned at their deadline."""
    retries: int = 0
    """Readings repeated after a failure."""
    restarts: int = 0
    """Actors restarted after a death."""
    config_reloads: int = 0
    """Readings of the config that found it changed."""
    failures_reported: int = 0
    successes_reported: int = 0
    alarms: int = 0
    """Expiries and ends of windows that became events."""
    changes_missed: int = 0
    """Changes that were not delivered to a consumer because it was too slow: it was told what to read again."""


@final
class Counters:
    """The running numbers behind `Stats`. Each has one writer, so that adding needs no lock; any thread may
    read.
    """

    __slots__ = (*Stats.__struct_fields__, "agent_restarts")

    def __init__(self) -> None:
        for name in self.__slots__:
            setattr(self, name, 0)

    warms: int
    sweeps: int
    provider_checks: int
    store_reads: int
    shared_reads: int
    publications: int
    discarded_results: int
    merged_scopes: int
    cancelled_sweeps: int
    watch_hints: int
    watch_noops: int
    window_patches: int
    resyncs: int
    resync_drifts: int
    deadline_overruns: int
    retries: int
    restarts: int
    agent_restarts: int
    """Those of the agents' actors, which the WarmerActor starts; the others are the supervisor's."""
    config_reloads: int
    failures_reported: int
    successes_reported: int
    alarms: int
    changes_missed: int

    def stats(self) -> Stats:
        """Return the numbers as they are now."""
        numbers = {name: getattr(self, name) for name in Stats.__struct_fields__}
        numbers["restarts"] += self.agent_restarts
        return Stats(**numbers)
