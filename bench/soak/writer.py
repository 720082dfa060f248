"""The second process: `python -m bench.soak.writer HOME AGENTS SEED DURATION_S`. Edits the home until its standard
input ends, and writes the journal to its standard output.

It ends by itself when its parent does, however that ends: with the parent goes the other end of the pipe.
"""

from __future__ import annotations

import heapq
import itertools
import os
import random
import select
import sys
import time
from collections.abc import Callable
from pathlib import Path

from bench.homes import make_home
from bench.soak.edits import GAP_S, Edits
from bench.soak.journal import Done, Line, Window, WindowKind, encode
from bench.soak.model import Model
from bench.soak.rhythm import Phase, Rhythm

SPARES = 4
"""Agents that come and go."""

USAGE_PERIOD_S = 0.1
"""How often usage is written, in seconds."""

_WINDOWS: dict[Phase, WindowKind] = {Phase.USAGE_WINDOW: "usage", Phase.CONFIG_WINDOW: "config"}
_STDIN, _STDOUT = 0, 1


class Writer:
    """Does what is due, tells of it, and waits for the next."""

    def __init__(self, model: Model, chance: random.Random, rhythm: Rhythm) -> None:
        self._chance = chance
        self._rhythm = rhythm
        self._edits = Edits(model, chance, _tell, self._after)
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._began_at = time.monotonic()
        self._phase = Phase.EDITING
        self._wants_agents = False
        self._unfinished = 0
        """How many edits have their second half still to come: a mending, an expiry."""

    def run(self) -> None:
        """Edit until told to stop; then finish what was begun."""
        self._again(USAGE_PERIOD_S, self._edits.use)
        for shortest_s, longest_s, act in (
            (1.0, 3.0, lambda: self._edits.replace_credentials(self._left_s())),
            (2.0, 4.0, self._change_config),
            (3.0, 6.0, lambda: self._edits.rest(self._left_s())),
            (4.0, 8.0, self._tear),
        ):
            self._begin_editing(shortest_s * self._rhythm.scale, longest_s * self._rhythm.scale, act)
        while not self._is_told_to_stop(self._until_next_s()):
            self._step()
        while self._unfinished:
            time.sleep(max(0.0, self._until_next_s()))
            self._step(only_finish=True)
        _tell(Done(time.monotonic()))

    # ------------------------------------------------------------------------------------------------------- timing

    def _step(self, *, only_finish: bool = False) -> None:
        if only_finish:
            self._phase = Phase.SETTLING
        else:
            self._follow_rhythm()
        now = time.monotonic()
        while self._due and self._due[0][0] <= now:
            heapq.heappop(self._due)[2]()

    def _follow_rhythm(self) -> None:
        phase = self._rhythm.at(time.monotonic() - self._began_at)
        if phase is self._phase:
            if self._wants_agents and phase is Phase.EDITING and self._is_calm():
                self._wants_agents = False
                self._edits.change_agents()
            return
        if self._phase in _WINDOWS:
            _tell(Window(_WINDOWS[self._phase], begins=False, at=time.monotonic()))
        self._phase = phase
        if phase in _WINDOWS:
            _tell(Window(_WINDOWS[phase], begins=True, at=time.monotonic()))
        if phase is Phase.CONFIG_WINDOW:
            self._at(GAP_S / 3, self._chance.choice((self._edits.change_unrelated, self._edits.flip_default)))

    def _is_calm(self) -> bool:
        """Tell whether nothing is under way, so that an agent that comes or goes misses nothing."""
        return not self._unfinished and time.monotonic() - self._edits.last_edit_at >= GAP_S

    def _left_s(self) -> float:
        return self._rhythm.editing_left_s(time.monotonic() - self._began_at)

    def _until_next_s(self) -> float:
        return min(0.05, self._due[0][0] - time.monotonic()) if self._due else 0.05

    def _at(self, delay_s: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._due, (time.monotonic() + delay_s, next(self._order), act))

    def _after(self, delay_s: float, act: Callable[[], None]) -> None:
        """Do the second half of an edit later, whatever comes."""
        self._unfinished += 1

        def finish() -> None:
            self._unfinished -= 1
            act()

        self._at(delay_s, finish)

    def _again(self, period_s: float, act: Callable[[], None]) -> None:
        def do() -> None:
            self._at(period_s, do)
            act()

        self._at(period_s, do)

    def _begin_editing(self, shortest_s: float, longest_s: float, act: Callable[[], None]) -> None:
        """Do something again and again, at random moments of the editing phases."""

        def do() -> None:
            self._at(self._chance.uniform(shortest_s, longest_s), do)
            keeps_calm = self._wants_agents or time.monotonic() < self._edits.agents_changed_at + GAP_S
            if self._phase is Phase.EDITING and self._left_s() > 0 and not keeps_calm:
                act()

        self._at(self._chance.uniform(0.0, longest_s), do)

    # -------------------------------------------------------------------------------------------------------- edits

    def _change_config(self) -> None:
        act = self._chance.choice(
            (
                self._edits.change_custom_provider,
                self._edits.change_custom_provider,
                self._edits.flip_default,
                self._edits.change_unrelated,
                self._want_agents,
                lambda: self._with_mending(self._edits.tear_config),
            )
        )
        act()

    def _tear(self) -> None:
        self._with_mending(lambda after_s: self._edits.tear_store(after_s, self._left_s()))

    def _with_mending(self, tear: Callable[[float], None]) -> None:
        after_s = self._chance.uniform(0.2, 1.0)
        if after_s < self._left_s():
            tear(after_s)

    def _want_agents(self) -> None:
        # everything else waits until it was done: what is under way comes to its end first
        self._wants_agents = self._left_s() > 3.0 * self._rhythm.scale

    def _is_told_to_stop(self, within_s: float) -> bool:
        return bool(select.select([_STDIN], [], [], max(0.0, within_s))[0])


def _tell(line: Line) -> None:
    text = memoryview(encode(line))
    while text:
        text = text[os.write(_STDOUT, text) :]


def main(arguments: list[str]) -> int:
    """Edit a home that was made of the same seed; return the exit status."""
    path, agents, seed, duration_s = arguments
    home = make_home(Path(path), agents=int(agents), seed=int(seed), spares=SPARES)
    chance = random.Random(f"{seed}/edits")
    try:
        Writer(Model(home, chance), chance, Rhythm(float(duration_s))).run()
    except BrokenPipeError:
        return 1  # nobody is there any more
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
