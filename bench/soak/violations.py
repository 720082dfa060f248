"""What went wrong, in words: a bounded list, and how much there was in all."""

from __future__ import annotations

_KEPT = 50


class Violations:
    """Collects violations; keeps the first ones and counts the rest."""

    def __init__(self) -> None:
        self.kept: list[str] = []
        self.total = 0

    def add(self, text: str) -> None:
        """Note one."""
        self.total += 1
        if len(self.kept) < _KEPT:
            self.kept.append(text)
