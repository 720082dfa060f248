"""Rounds: everything is measured in turn, A B A B…, so that what changes on the machine meanwhile meets all alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

T = TypeVar("T")


class Interrupted(Exception):
    """Somebody wants an early end; what was being measured is dropped."""


def interleave(
    measures: Mapping[str, Callable[[int], T]], rounds: int, before: Callable[[str], None] = lambda name: None
) -> dict[str, list[T]]:
    """Call each measure once per round, in turn, and return what they gave by name: one per whole round.

    Args:
        measures: Each is called with the number of the round, from 0.
        rounds: How many.
        before: Called with the name of the next measure; may raise `Interrupted`.

    Raises:
        Interrupted: The first round did not come to its end. Later, the rounds that are whole are returned.
    """
    found: dict[str, list[T]] = {name: [] for name in measures}
    for number in range(rounds):
        try:
            one_round = []
            for name, measure in measures.items():
                before(name)
                one_round.append((name, measure(number)))
        except Interrupted:
            if number == 0:
                raise
            break
        for name, value in one_round:
            found[name].append(value)
    return found
