"""Changes of agents that leave the config and come back: allowed just then, and never demanded."""

from __future__ import annotations

import time
from collections import defaultdict, deque

from bench.soak.journal import Roster
from bench.soak.seen import CLOCK_SLACK_S, JUDGED_AFTER_S, LATE_S, Seen
from bench.soak.violations import Violations

REMOVED, RETURNED = "agent-removed", "agent-returned"
"""Reasons of such changes (`Change.reason`): an answer goes with its agent, and comes back with it."""


class Guests:
    """Holds such changes against the rosters of the journal: at most one for each provider and each time that the agent
    left or came back. For one thread.
    """

    def __init__(self, agents: tuple[str, ...], violations: Violations) -> None:
        """Take the agents that the config names in the beginning."""
        self._violations = violations
        self._present = frozenset(agents)
        self._have_left: set[str] = set()
        self._moves: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
        """When agents left or came back, by agent and reason, oldest first; monotonic seconds."""
        self._used: set[tuple[str, str, str, float]] = set()
        """Agent, reason, provider and moment of each change that is explained."""
        self._waiting: deque[Seen] = deque()
        self.seen = self.unexpected = 0

    @property
    def is_settled(self) -> bool:
        """Whether all that was seen is explained."""
        return not self._waiting

    def expect(self, roster: Roster) -> None:
        """Take in what agents the config names now."""
        present = frozenset(roster.agents)
        for agent in self._present - present:
            self._moves[agent, REMOVED].append(roster.at)
            self._have_left.add(agent)
        for agent in (present - self._present) & self._have_left:
            self._moves[agent, RETURNED].append(roster.at)
        self._present = present
        self._explain()

    def see(self, seen: Seen) -> bool:
        """Take in a change if it is one of these; return whether it is."""
        if seen.change.reason not in (REMOVED, RETURNED):
            return False
        self._waiting.append(seen)
        self._explain()
        return True

    def judge(self) -> None:
        """Give up on what has waited too long."""
        now = time.monotonic()
        while self._waiting and now - self._waiting[0].at > JUDGED_AFTER_S:
            change = (seen := self._waiting.popleft()).change
            self.unexpected += 1
            self._violations.add(
                f"unexpected: {change.agent_id}/{change.provider} {change.old.state} -> {change.new.state} at"
                f" {seen.at:.3f}, sequence {change.sequence}, because of {change.reason}"
            )

    # ------------------------------------------------------------------------------------------------------- within

    def _explain(self) -> None:
        self._waiting = deque(seen for seen in self._waiting if not self._is_explained(seen))

    def _is_explained(self, seen: Seen) -> bool:
        change = seen.change
        gone, other = (change.new, change.old) if change.reason == REMOVED else (change.old, change.new)
        if gone.state != "missing" or other.state == "missing":
            return False
        for at in self._moves[change.agent_id, change.reason]:
            use = (change.agent_id, change.reason, change.provider, at)
            if at - CLOCK_SLACK_S <= seen.at <= at + LATE_S and use not in self._used:
                self._used.add(use)
                self.seen += 1
                return True
        return False
