"""When what died, or could not be started, is started again: pauses that double, and what dies too often."""

from __future__ import annotations

from collections import deque
from typing import final

from openclaw_actors.settings import Settings

_MOST_DOUBLINGS = 30


@final
class Restarts:
    """Pure bookkeeping by name; times are monotonic seconds. For one thread at a time.

    It remembers nobody for longer than `Settings.restart_period_s` after the last death.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._due: dict[str, float] = {}
        self._deaths: dict[str, deque[float]] = {}
        self._failed: dict[str, int] = {}

    def died(self, name: str, now: float) -> None:
        """Take note of a death; its pause begins, longer with each death of the period."""
        recent = self._deaths.setdefault(name, deque())
        self._trim(recent, now)
        recent.append(now)
        self._due[name] = now + self._pause_s(len(recent))

    def failed(self, name: str, now: float) -> None:
        """Take note of a start that failed; its next try has a longer pause, until one succeeds."""
        tries = self._failed[name] = self._failed.get(name, 0) + 1
        # who died in the end of all these starts has its own, longer pause
        self._due[name] = now + max(self._pause_s(tries), self._pause_s(len(self._deaths.get(name, ()))))

    def started(self, name: str) -> None:
        """Take note of a start that succeeded."""
        self._failed.pop(name, None)
        self._due.pop(name, None)

    def take_due(self, now: float) -> list[str]:
        """Take out those whose pause is over."""
        due = [name for name, at in self._due.items() if at <= now]
        for name in due:
            del self._due[name]
        return due

    def due_at(self, name: str) -> float | None:
        """Return when something is started again; None when it isn't waiting for that."""
        return self._due.get(name)

    def often(self, now: float) -> dict[str, int]:
        """Return who died more often than `Settings.restart_intensity` in the period that ends now, and how often."""
        for name in [name for name, recent in self._deaths.items() if not self._trim(recent, now)]:
            del self._deaths[name]
        most = self._settings.restart_intensity
        return {name: len(recent) for name, recent in self._deaths.items() if len(recent) > most}

    def deaths(self, name: str, now: float) -> int:
        """Return how often something died in the period that ends now."""
        recent = self._deaths.get(name)
        return self._trim(recent, now) if recent is not None else 0

    def next_at(self, now: float) -> float | None:
        """Return when something is due, or somebody has lived long enough not to have died too often any more."""
        settings = self._settings
        calm = [
            self._deaths[name][-settings.restart_intensity - 1] + settings.restart_period_s + 0.001
            for name in self.often(now)
        ]
        return min((*self._due.values(), *calm), default=None)

    def remembered(self) -> int:
        """Return of how many names anything is remembered."""
        return len(self._due.keys() | self._deaths.keys() | self._failed.keys())

    def _trim(self, recent: deque[float], now: float) -> int:
        while recent and recent[0] < now - self._settings.restart_period_s:
            recent.popleft()
        return len(recent)

    def _pause_s(self, times: int) -> float:
        settings = self._settings
        doublings = min(max(0, times - 1), _MOST_DOUBLINGS)
        return min(settings.restart_max_s, settings.restart_first_s * float(2**doublings))
