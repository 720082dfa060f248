"""Which attempts asked for whatever readings change, rather than for a scope (a start, a reload). Pure bookkeeping."""

from __future__ import annotations

from dataclasses import dataclass

from openclaw_actors.actors.source_board import HOME, SourceBoard
from openclaw_actors.ids import Generation


@dataclass(slots=True)
class AskedDiff:
    """One such attempt."""

    requires: dict[str, int]
    """Source → the reading that has to be done before it is answered; `home` is always among them."""
    reason: str
    cause_at: float
    """When the cause was seen, monotonic seconds."""


class Diffs:
    """These attempts.

    What is found changed belongs to them as soon as the config was read; they are answered when all that they wanted
    read was read. While the config can't be read they wait together: nothing can be said to answer them.
    """

    def __init__(self, board: SourceBoard) -> None:
        self._board = board
        self._asked: list[tuple[set[Generation], AskedDiff]] = []

    def ask(self, generation: Generation, diff: AskedDiff) -> None:
        """Note an attempt."""
        for generations, waiting in self._asked:
            if waiting.requires == diff.requires or self._board.record(HOME).problem:
                # one that waits for a config that can be read waits for whichever is asked for last
                generations.add(generation)
                waiting.requires |= diff.requires
                waiting.reason, waiting.cause_at = diff.reason, diff.cause_at
                return
        self._asked.append(({generation}, diff))

    def current(self) -> tuple[set[Generation], str, float]:
        """Return the attempts that what is found changed now belongs to, with the newest's reason and cause."""
        known = [(generations, diff) for generations, diff in self._asked if self._is_read(diff, HOME)]
        if not known:
            return set(), "", 0.0
        _, newest = max(known, key=lambda item: max(item[0]))
        return set().union(*(generations for generations, _ in known)), newest.reason, newest.cause_at

    def also_require(self, tickets: dict[str, int]) -> None:
        """Have the attempts whose config was read wait for more: what was read leads to other readings."""
        for _, diff in self._asked:
            if self._is_read(diff, HOME):
                diff.requires |= tickets

    def take_done(self) -> list[Generation]:
        """Take out the attempts whose readings are all done."""
        done: list[Generation] = []
        waiting = []
        for generations, diff in self._asked:
            if all(self._is_read(diff, source) for source in diff.requires):
                done += generations
            else:
                waiting.append((generations, diff))
        self._asked = waiting
        return done

    def stop_waiting(self, prefix: str) -> None:
        """Wait no longer for sources of one kind."""
        for _, diff in self._asked:
            diff.requires = {
                source: ticket for source, ticket in diff.requires.items() if not source.startswith(prefix)
            }

    def _is_read(self, diff: AskedDiff, source: str) -> bool:
        if not self._board.done(source, diff.requires.get(source, 0)):
            return False
        return source != HOME or not self._board.record(HOME).problem
