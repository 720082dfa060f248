"""Whether the supervisor has the agents that the config names, and its default one."""

from __future__ import annotations

import time

from bench.soak.journal import Roster
from bench.soak.violations import Violations
from openclaw_actors import AuthSupervisor

_LATE_S = 10.0


class RosterWatch:
    """Looks for the newest roster until the supervisor has it. For one thread."""

    def __init__(self, supervisor: AuthSupervisor, violations: Violations) -> None:
        self._supervisor = supervisor
        self._violations = violations
        self._wanted: Roster | None = None
        self._has: tuple[tuple[str, ...], str] = ((), "")
        self.seen_s: list[float] = []
        """From rename until a look found the new agents or default published, in seconds; looks are some milliseconds
        apart.
        """

    @property
    def is_settled(self) -> bool:
        """Whether the supervisor has what the config names."""
        return self._wanted is None

    def expect(self, roster: Roster) -> None:
        """Take in what the config names now."""
        self._wanted = roster if (roster.agents, roster.default) != self._has else None
        self.look()

    def look(self) -> None:
        """Look whether the supervisor has it; give up when it takes too long."""
        wanted = self._wanted
        if wanted is None:
            return
        supervisor = self._supervisor
        now = time.monotonic()
        if (
            supervisor.agent_ids() == wanted.agents
            and supervisor.snapshot().agent_id == wanted.default
            and all(supervisor.snapshot(agent).revision for agent in wanted.agents)
        ):
            self.seen_s.append(max(0.0, now - wanted.at))
            self._has, self._wanted = (wanted.agents, wanted.default), None
        elif now - wanted.at > _LATE_S:
            self._violations.add(
                f"agents of the config ({', '.join(wanted.agents)}; default {wanted.default}) were not there within"
                f" {_LATE_S:g} s"
            )
            self._wanted = None
