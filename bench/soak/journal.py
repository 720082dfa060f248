"""The journal: what the writer tells of its edits, one JSON line each. Times are `CLOCK_MONOTONIC` seconds, which all
processes of a machine share (Linux, clock_gettime(2)).
"""

from __future__ import annotations

from typing import Literal

import msgspec

WindowKind = Literal["usage", "config"]


class Expected(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """An answer that has to change."""

    agent: str
    provider: str
    state: str
    """What it has to be afterwards."""


class Edit(msgspec.Struct, frozen=True, tag="edit"):
    """Something was written, or the time came for something that was written earlier."""

    kind: str
    """What it was: the table of the report counts by this."""
    where: str
    """The store, or `config`."""
    at: float
    """Right after the rename (or the last write); for what time alone changes, when it was due."""
    expected: tuple[Expected, ...] = ()
    timed: bool = False
    """Whether time alone did it: nothing was written."""


class Roster(msgspec.Struct, frozen=True, tag="roster"):
    """The config names other agents now, or another default."""

    agents: tuple[str, ...]
    default: str
    at: float


class Window(msgspec.Struct, frozen=True, tag="window"):
    """A stretch of time begins or ends in which nothing is written but usage (`config`: and, once, a part of the config
    that no answer depends on).
    """

    kind: WindowKind
    begins: bool
    at: float


class Done(msgspec.Struct, frozen=True, tag="done"):
    """Everything that was torn is mended, nothing is due any more, and nothing more will be written."""

    at: float


Line = Edit | Roster | Window | Done

_ENCODER = msgspec.json.Encoder()
_DECODER: msgspec.json.Decoder[Line] = msgspec.json.Decoder(Line)


def encode(line: Line) -> bytes:
    """Return a line with its newline."""
    return _ENCODER.encode(line) + b"\n"


def decode(line: bytes) -> Line:
    """Return what a line says.

    Raises:
        msgspec.DecodeError: It is no line of a journal.
    """
    return _DECODER.decode(line)
