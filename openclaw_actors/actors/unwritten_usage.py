"""What the FailureListener has still to write: usage of one store, kept until it is known to be on disk."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass, field

from openclaw_actors.home.stores.windows import Windows
from openclaw_actors.ids import Generation

Step = Callable[[Windows | None], Windows | None]
"""What one report does to the usage stats that are on disk by then."""

Reported = tuple[Generation, Step]
"""A step and the attempt that it was reported as."""

_MOST_STEPS = 50
"""How many reports of one profile wait for a write; older ones hardly matter to what its windows are."""


@dataclass(slots=True)
class UnwrittenUsage:
    """Usage of one store that is not written yet."""

    steps: dict[str, list[Reported]] = field(default_factory=dict)
    last_good: dict[str, str] = field(default_factory=dict)
    written: dict[str, list[Reported]] = field(default_factory=dict)
    """What the write that is under way took, until it is known to be on disk; `written_last_good` likewise."""
    written_last_good: dict[str, str] = field(default_factory=dict)
    skipped: set[str] = field(default_factory=set)
    """Profiles that the write under way has left alone, since they were held when it came to them; the writing thread
    puts them in.
    """
    due: bool = False
    writing: bool = False
    hangs: bool = False
    """Whether the write under way has taken longer than it may: what comes of it is told when it comes back."""
    failures: int = 0
    problem: str = ""
    memory_only: bool = False
    """Whether the store is of a kind that isn't written: what is reported is not gathered until it is another."""

    def add(self, profile: str, step: Step, generation: Generation) -> None:
        """Take a step that is to be written."""
        self.steps[profile] = [*self.steps.get(profile, ()), (generation, step)][-_MOST_STEPS:]

    def begin(self, held: Container[str]) -> tuple[dict[str, list[Step]], dict[str, str]]:
        """Hand out all that waits, but for the profiles that are held, for a write that begins."""
        self.written = {profile: steps for profile, steps in self.steps.items() if profile not in held}
        self.steps = {profile: steps for profile, steps in self.steps.items() if profile in held}
        self.written_last_good, self.last_good = self.last_good, {}
        self.skipped = set()
        self.writing = True
        return {profile: [step for _, step in steps] for profile, steps in self.written.items()}, self.written_last_good

    def end(self, *, failed: bool) -> None:
        """End a write; what it didn't write of what it took goes before whatever came since."""
        for profile, steps in self.written.items():
            if failed or profile in self.skipped:
                self.steps[profile] = [*steps, *self.steps.get(profile, ())][-_MOST_STEPS:]
        if failed:
            self.last_good = self.written_last_good | self.last_good
        self.written, self.written_last_good, self.skipped = {}, {}, set()
        self.writing = self.hangs = False

    def drop(self) -> None:
        """Give up what waits."""
        self.steps, self.last_good = {}, {}

    def forget(self, profiles: tuple[str, ...], until: Generation) -> None:
        """Drop what was reported of these profiles up to an attempt and waits, also for the case that the write under
        way fails.
        """
        for steps in (self.steps, self.written):
            for profile in profiles:
                later = [one for one in steps.pop(profile, ()) if one[0] > until]
                if later:
                    steps[profile] = later
        for last_good in (self.last_good, self.written_last_good):
            for provider in [one for one, name in last_good.items() if name in profiles]:
                del last_good[provider]
