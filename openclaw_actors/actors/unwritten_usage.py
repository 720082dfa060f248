"""What the FailureListener has still to write: usage of one store, kept until it is known to be on disk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from openclaw_actors.home.stores.windows import Windows

Step = Callable[[Windows | None], Windows | None]
"""What one report does to the usage stats that are on disk by then."""

_MOST_STEPS = 50
"""How many reports of one profile wait for a write; older ones hardly matter to what its windows are."""


@dataclass(slots=True)
class UnwrittenUsage:
    """Usage of one store that is not written yet."""

    steps: dict[str, list[Step]] = field(default_factory=dict)
    last_good: dict[str, str] = field(default_factory=dict)
    written: dict[str, list[Step]] = field(default_factory=dict)
    """What the write that is under way took, until it is known to be on disk; `written_last_good` likewise."""
    written_last_good: dict[str, str] = field(default_factory=dict)
    due: bool = False
    writing: bool = False
    failures: int = 0
    problem: str = ""
    memory_only: bool = False
    """Whether the store is of a kind that isn't written: what is reported is not gathered until it is another."""

    def add(self, profile: str, step: Step) -> None:
        """Take a step that is to be written."""
        self.steps[profile] = [*self.steps.get(profile, ()), step][-_MOST_STEPS:]

    def begin(self) -> tuple[dict[str, list[Step]], dict[str, str]]:
        """Hand out all that waits, for a write that begins."""
        self.written, self.steps = self.steps, {}
        self.written_last_good, self.last_good = self.last_good, {}
        self.writing = True
        return self.written, self.written_last_good

    def end(self, *, failed: bool) -> None:
        """End a write; what a failed one took goes before whatever came since."""
        if failed:
            for profile, steps in self.written.items():
                self.steps[profile] = [*steps, *self.steps.get(profile, ())][-_MOST_STEPS:]
            self.last_good = self.written_last_good | self.last_good
        self.written, self.written_last_good, self.writing = {}, {}, False

    def drop(self) -> None:
        """Give up what waits."""
        self.steps, self.last_good = {}, {}

    def forget(self, profiles: tuple[str, ...]) -> None:
        """Drop what waits for these profiles, also for the case that the write under way fails."""
        for steps in (self.steps, self.written):
            for profile in profiles:
                steps.pop(profile, None)
        for last_good in (self.last_good, self.written_last_good):
            for provider in [one for one, name in last_good.items() if name in profiles]:
                del last_good[provider]
