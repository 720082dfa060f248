"""Ids and reasons as texts for people: on one line, within a limit, never cut inside a character.

Names come from files that anybody may have written. Pure functions.
"""

from __future__ import annotations

import unicodedata

ELLIPSIS = "…"
"""Stands for what was cut off."""

UNNAMED = "(unnamed)"
"""Stands for a text without anything to see, which the platforms refuse as a label."""

_ZERO_WIDTH_JOINER = "\N{ZERO WIDTH JOINER}"
_JOINERS = frozenset({_ZERO_WIDTH_JOINER, "\N{ZERO WIDTH NON-JOINER}"})
_SKIN_TONES = range(0x1F3FB, 0x1F400)
"""Emoji modifiers, which colour the emoji before them (Unicode Technical Standard #51)."""


def units(text: str) -> int:
    """Return the length in UTF-16 code units, as Telegram and JavaScript count: never less than in characters."""
    return len(text) + sum(1 for one in text if ord(one) > 0xFFFF)


def one_line(text: str) -> str:
    """Return a text on one line, without what can't be seen or encoded: line breaks, controls, marks that reverse the
    direction, halves of surrogate pairs.
    """
    if text.isprintable():
        return text
    return "".join(
        one if one.isprintable() or one in _JOINERS or _is_space(one) else "\N{REPLACEMENT CHARACTER}" for one in text
    )


def _is_space(one: str) -> bool:
    return unicodedata.category(one) == "Zs"


def label(text: str) -> str:
    """Return a text on one line that has something to see."""
    line = one_line(text)
    return line if any(unicodedata.category(one)[0] in "LNPS" for one in line) else UNNAMED


def keep_start(text: str, limit: int) -> str:
    """Return at most so many UTF-16 code units: the start, with `…` behind when something is cut off."""
    if units(text) <= limit:
        return text
    end, used = 0, 1
    while used + units(text[end]) <= limit:
        used += units(text[end])
        end += 1
    whole = end
    while whole and not _may_cut(text, whole):
        whole -= 1
    return text[: whole or end] + ELLIPSIS


def keep_end(text: str, limit: int) -> str:
    """Return at most so many UTF-16 code units: the end, with `…` before it when something is cut off."""
    if units(text) <= limit:
        return text
    begin, used = len(text), 1
    while used + units(text[begin - 1]) <= limit:
        begin -= 1
        used += units(text[begin])
    whole = begin
    while whole < len(text) and not _may_cut(text, whole):
        whole += 1
    return ELLIPSIS + text[begin if whole == len(text) else whole :]


def keep_lines(text: str, limit: int) -> str:
    """Return at most so many UTF-16 code units: as many whole lines as fit, and `…` on a line of its own for the rest.

    A first line that is too long by itself is cut.
    """
    if units(text) <= limit:
        return text
    first, *lines = text.split("\n")
    kept = keep_start(first, limit - 2)
    for line in lines:
        longer = f"{kept}\n{line}"
        if units(longer) > limit - 2:
            break
        kept = longer
    return f"{kept}\n{ELLIPSIS}"


def _may_cut(text: str, index: int) -> bool:
    """Tell whether a person sees the character before an index apart from that behind it."""
    after = text[index]
    extends = unicodedata.category(after)[0] == "M" or after == _ZERO_WIDTH_JOINER or ord(after) in _SKIN_TONES
    return not extends and text[index - 1] != _ZERO_WIDTH_JOINER
