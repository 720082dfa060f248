"""Names that were meant: pure functions, without I/O."""

from __future__ import annotations

from collections.abc import Iterable


def near_misses(text: str, known: Iterable[str], limit: int = 3) -> list[str]:
    """Return what a person may have meant: the nearest of the known words."""
    import difflib  # only a slip pays for it

    by_fold = {word.casefold(): word for word in known}
    return [by_fold[word] for word in difflib.get_close_matches(text.casefold(), by_fold, limit, 0.6)]
