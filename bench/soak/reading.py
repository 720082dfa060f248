"""The reader: asks all the time, on the main thread, as a gateway does, and looks at what only may grow."""

from __future__ import annotations

import random
import time

from bench.soak.violations import Violations
from openclaw_actors import AuthSupervisor

_BATCH = 100


class Reader:
    """Reads in batches. For one thread."""

    def __init__(self, supervisor: AuthSupervisor, providers: tuple[str, ...], seed: int) -> None:
        self._supervisor = supervisor
        self._providers = providers
        self._chance = random.Random(seed)
        self._revisions: dict[str, int] = {}
        self.count = 0
        self.longest_s = 0.0
        """The longest single read; a thread switch that falls into one counts in full."""
        self.longest_absence_s = 0.0
        """The longest time between two batches."""
        self._left_at: float | None = None

    def read(self, violations: Violations) -> None:
        """Ask a hundred times, and look at one agent's revision."""
        supervisor, clock = self._supervisor, time.perf_counter
        if self._left_at is not None:
            self.longest_absence_s = max(self.longest_absence_s, clock() - self._left_at)
        agents = supervisor.agent_ids()
        agent = self._chance.choice(agents)
        for provider in self._chance.choices(self._providers, k=_BATCH):
            began_at = clock()
            supervisor.has_auth(provider, agent_id=agent)
            took_s = clock() - began_at
            if took_s > self.longest_s:
                self.longest_s = took_s
        self.count += _BATCH
        revision = supervisor.snapshot(agent).revision
        known = self._revisions.get(agent, 0)
        if revision < known and revision:  # 0: it is not published yet, or has just left
            violations.add(f"revision of {agent} went from {known} back to {revision}")
        self._revisions[agent] = max(known, revision)
        self._left_at = clock()
