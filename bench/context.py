"""What a scenario is given to run with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from bench.child import call_in_child
from bench.crowd import Crowd, write_crowd
from bench.peering import Watcher, peer_series
from bench.results import Measured, Series
from bench.rounds import Interrupted, interleave
from bench.scenario import Scenario

A = TypeVar("A")
R = TypeVar("R")
T = TypeVar("T")


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """The scenario, how much of it is wanted, and the ways to measure."""

    scenario: Scenario
    agents: tuple[int, ...]
    """For how many agents: the scenario's, or what was asked for."""
    rounds: int
    peers: tuple[str, ...]
    """Which peers take part."""
    peer_rounds: int
    """How often each of them is measured: a round takes minutes."""
    workdir: Path
    """An empty folder of this scenario's own, on a real disk; removed in the end."""
    measured: Measured
    """What was found out so far: it counts even when the scenario comes to no good end."""
    say: Callable[[str], None]
    """Shows what is being measured."""
    is_over: Callable[[], bool]
    """Tells whether somebody wants an early end."""

    def in_child(self, function: Callable[[A], R], argument: A) -> R:
        """Call a function in a fresh interpreter; see `call_in_child`."""
        return call_in_child(function, argument, is_over=self.is_over)

    def each_in_child(self, function: Callable[[A], R], argument: A) -> Callable[[int], R]:
        """Return a measure for `interleave` that calls a function in a fresh interpreter, each round alike."""
        return lambda _number: self.in_child(function, argument)

    def interleave(self, measures: Mapping[str, Callable[[int], T]]) -> dict[str, list[T]]:
        """Measure everything once per round, in turn; see `bench.rounds.interleave`."""
        steps, total = iter(range(1, 1 << 30)), len(measures) * self.rounds

        def before(name: str) -> None:
            self.check_over()
            self.say(f"{name} ({next(steps)}/{total})")

        return interleave(measures, self.rounds, before)

    def crowd(
        self,
        name: str,
        *,
        agents: int,
        profiles: int = 40,
        sharing: bool = False,
        extra_models: int = 0,
        varied: bool = False,
    ) -> Crowd:
        """Make a home of many agents in the work folder; see `write_crowd`."""
        self.check_over()
        self.say(f"making a home of {agents:,} agents")
        return write_crowd(
            Crowd(
                path=str(self.workdir / name),
                agents=agents,
                profiles=profiles,
                sharing=sharing,
                extra_models=extra_models,
                varied=varied,
                seed=self.scenario.seed,
            )
        )

    def peer_series(self, crowd: Crowd) -> list[Series]:
        """Return what the wanted peers' figures on a home are, and note what must be said beside them; see
        `bench.peering`.
        """
        found: list[Series] = []
        for name in self.peers:
            series, notes = peer_series(
                name, self.scenario.kind, crowd, self.peer_rounds, Watcher(say=self.say, is_over=self.is_over)
            )
            found += series
            self.measured.notes += [note for note in notes if note not in self.measured.notes]
        return found

    def check_over(self) -> None:
        """Raise `Interrupted` when somebody wants an early end."""
        if self.is_over():
            raise Interrupted
