"""Holds the supervisor's changes against the journal: each answer that must change does so once, in order."""

from __future__ import annotations

import time
from collections import deque
from typing import NamedTuple

import msgspec

from bench.soak.guests import Guests
from bench.soak.journal import Edit, Expected, Roster
from bench.soak.seen import CLOCK_SLACK_S, JUDGED_AFTER_S, LATE_S, Seen
from bench.soak.violations import Violations

_SLOWEST = 5
"""How many of the slowest edits are named."""


class Slow(msgspec.Struct, frozen=True):
    """One of the changes that took longest from cause to callback."""

    ms: float
    cause: str
    agent: str
    provider: str
    state: str
    at: float
    """When it was caused, monotonic seconds."""


class _Due(NamedTuple):
    """An answer that has to change."""

    state: str
    at: float
    cause: str
    is_timed: bool


class Matching:
    """Matches each expected change with one that was seen. For one thread."""

    def __init__(self, violations: Violations, agents: tuple[str, ...] = ()) -> None:
        """Take the agents that the config names in the beginning."""
        self._violations = violations
        self._guests = Guests(agents, violations)
        self._due: dict[tuple[str, str], deque[_Due]] = {}
        self._seen: dict[tuple[str, str], deque[Seen]] = {}
        self._sequence = 0
        self._revisions: dict[str, int] = {}
        self._states: dict[tuple[str, str], str] = {}
        self.expected = self.matched = self.missed = 0
        self._unexpected = 0
        self.edit_s: list[float] = []
        """From rename to callback, in seconds."""
        self.timed_s: list[float] = []
        """From the moment that something was due to the callback, in seconds."""
        self.published_s: list[float] = []
        """`Change.latency_s`: from seeing the cause to publishing."""
        self._slowest: dict[tuple[str, float], Slow] = {}

    @property
    def is_settled(self) -> bool:
        """Whether all that is expected was seen, and nothing else."""
        return not self._due and not self._seen and self._guests.is_settled

    @property
    def unexpected(self) -> int:
        """How many changes nothing explains."""
        return self._unexpected + self._guests.unexpected

    @property
    def of_guests(self) -> int:
        """How many changes are explained by an agent that left or came back; none of them is demanded."""
        return self._guests.seen

    @property
    def slowest(self) -> list[Slow]:
        """The slowest change of each of the slowest edits, slowest first."""
        return sorted(self._slowest.values(), key=lambda one: -one.ms)

    def expect(self, edit: Edit) -> None:
        """Take in what an edit has to change."""
        for agent, provider, state in map(_fields, edit.expected):
            self.expected += 1
            self._due.setdefault((agent, provider), deque()).append(_Due(state, edit.at, edit.kind, edit.timed))
            self._match((agent, provider))

    def see(self, seen: Seen) -> None:
        """Take in a change."""
        change = seen.change
        cell = (str(change.agent_id), str(change.provider))
        name = f"change {change.sequence} of {cell[0]}/{cell[1]}"
        if change.sequence <= self._sequence:
            self._violations.add(f"{name}: came after change {self._sequence}")
        if change.revision < self._revisions.get(cell[0], 0):
            self._violations.add(f"{name}: revision {change.revision} after {self._revisions[cell[0]]}")
        known = self._states.get(cell)
        if known not in (None, str(change.old.state)):
            self._violations.add(f"{name}: the old state is {change.old.state}, but the last change said {known}")
        self._sequence = max(self._sequence, change.sequence)
        self._revisions[cell[0]] = max(self._revisions.get(cell[0], 0), change.revision)
        self._states[cell] = str(change.new.state)
        if not self._guests.see(seen):
            self._seen.setdefault(cell, deque()).append(seen)
            self._match(cell)

    def expect_agents(self, roster: Roster) -> None:
        """Take in what agents the config names now. The states of those that left are forgotten: one that comes back
        begins anew.
        """
        self._states = {cell: state for cell, state in self._states.items() if cell[0] in roster.agents}
        self._guests.expect(roster)

    def judge(self) -> None:
        """Give up on what has waited too long."""
        self._guests.judge()
        now = time.monotonic()
        for cell in [*self._seen.keys(), *self._due.keys()]:
            self._judge(cell, now)

    # ------------------------------------------------------------------------------------------------------- within

    def _match(self, cell: tuple[str, str]) -> None:
        due, seen = self._due.get(cell), self._seen.get(cell)
        while due and seen and seen[0].change.new.state == due[0].state and _is_after(seen[0], due[0]):
            first, change = due.popleft(), seen.popleft()
            self.matched += 1
            self._note_slow(cell, first, change)
            (self.timed_s if first.is_timed else self.edit_s).append(max(0.0, change.at - first.at))
            self.published_s.append(change.change.latency_s)
        self._tidy(cell)

    def _note_slow(self, cell: tuple[str, str], due: _Due, seen: Seen) -> None:
        """Keep the slowest change of each of the slowest edits."""
        known = self._slowest.get((due.cause, due.at))
        slow = Slow(round((seen.at - due.at) * 1000, 1), due.cause, *cell, due.state, round(due.at, 3))
        if known is None or known.ms < slow.ms:
            self._slowest[due.cause, due.at] = slow
            if len(self._slowest) > _SLOWEST:
                del self._slowest[min(self._slowest, key=lambda edit: self._slowest[edit].ms)]

    def _judge(self, cell: tuple[str, str], now: float) -> None:
        due, seen = self._due.get(cell), self._seen.get(cell)
        while seen and now - seen[0].at > JUDGED_AFTER_S:
            skipped = next((at for at, one in enumerate(due or ()) if one.state == seen[0].change.new.state), None)
            if due and skipped and _is_after(seen[0], due[skipped]):
                for _ in range(skipped):
                    self._miss(cell, due.popleft(), "a later one was seen")
                self._match(cell)
            else:
                self._not_expected(cell, seen.popleft(), due)
        while due and now - due[0].at > LATE_S:
            self._miss(cell, due.popleft(), f"not seen within {LATE_S:g} s")
        self._tidy(cell)

    def _miss(self, cell: tuple[str, str], due: _Due, why: str) -> None:
        self.missed += 1
        self._violations.add(f"missed: {cell[0]}/{cell[1]} -> {due.state} ({due.cause} at {due.at:.3f}): {why}")

    def _not_expected(self, cell: tuple[str, str], seen: Seen, due: deque[_Due] | None) -> None:
        self._unexpected += 1
        change = seen.change
        waiting = f"; expected next: {due[0].state} ({due[0].cause} at {due[0].at:.3f})" if due else ""
        self._violations.add(
            f"unexpected: {cell[0]}/{cell[1]} {change.old.state} -> {change.new.state} at {seen.at:.3f},"
            f" sequence {change.sequence}, because of {change.reason}{waiting}"
        )

    def _tidy(self, cell: tuple[str, str]) -> None:
        if not self._due.get(cell, True):
            del self._due[cell]
        if not self._seen.get(cell, True):
            del self._seen[cell]


def _fields(one: Expected) -> tuple[str, str, str]:
    return one.agent, one.provider, one.state


def _is_after(seen: Seen, due: _Due) -> bool:
    return seen.at >= due.at - CLOCK_SLACK_S
