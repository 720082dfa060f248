"""A read and what became of it."""

from __future__ import annotations

import enum
import errno
import os
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from openclaw_actors import errors
from openclaw_actors.errors import OpenclawActorsError
from openclaw_actors.log import log

_OUR_ERRORS = frozenset(name for name in vars(errors) if name.endswith("Error"))


class Failure(enum.StrEnum):
    """What became of a read."""

    OK = "ok"
    """It returned a value."""
    FAILED = "failed"
    """It raised an Exception."""
    OVERRAN = "overran"
    """Its deadline passed; its thread is abandoned and its late result will be dropped."""
    QUARANTINED = "quarantined"
    """It wasn't begun: too many reads of its source hang."""
    RAISED_EXIT = "raised_exit"
    """It raised something that isn't an Exception (SystemExit, KeyboardInterrupt…)."""


_REMEDIES = {
    Failure.OK: "",
    Failure.FAILED: "It is tried again; the log says where it failed",
    Failure.OVERRAN: "Look at the disk, mount or program that it waits for; it is tried again",
    Failure.QUARANTINED: "Look at the disk, mount or program that they wait for",
    Failure.RAISED_EXIT: "It is tried again; the log says where it failed",
}


class ReadOutcome(msgspec.Struct, frozen=True):
    """What one read came to; carries a value or an error, never both."""

    source: str
    """Which source was read."""
    value: object | None
    """What the read returned: facts, without secrets."""
    error: str | None
    """What went wrong, for people: names, files and remedies, never a value."""
    failure: Failure
    """What became of it."""
    started_at: float
    """When it was begun (`Clock.monotonic`); when it was refused, for one that never was."""
    finished_at: float
    """When it was over, or given up (`Clock.monotonic`)."""

    @property
    def ok(self) -> bool:
        """Whether there is a value."""
        return self.failure is Failure.OK

    @property
    def problem(self) -> str:
        """What went wrong, where, and what to do, for people; empty when nothing did.

        Errors of ours say all that themselves. Any other is told with the name of its source.
        """
        text = self.error or ""
        name, colon, rest = text.partition(": ")
        if not text or (colon and name in _OUR_ERRORS):
            return rest if text else ""
        return f"{self.source}: {text}. {_REMEDIES[self.failure]}"

    @property
    def took_s(self) -> float:
        """How long it took, in seconds."""
        return self.finished_at - self.started_at

    def __repr__(self) -> str:
        return f"ReadOutcome({self.source!r}, {self.failure.value}, error={self.error!r}, took_s={self.took_s:.4f})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """Show what `repr` shows: the value isn't printed."""
        return [("source", self.source), ("failure", self.failure.value), ("error", self.error)]


class ReadJob(msgspec.Struct, frozen=True):
    """A read that may block: a plain function, and where its outcome goes."""

    source: str
    """Which source is read: jobs of one source share its quarantine, and only a few of them may hang at a time."""
    read: Callable[[], object]
    """Does the reading, on a pool thread; must not use anything that only its maker's thread may touch."""
    deliver: Callable[[ReadOutcome], None]
    """Called once, on a thread of the pool, and not after the pool's stop; must return at once (it tells an actor)."""
    deadline_s: float
    """Seconds that the read may take, counted from its beginning."""
    late: Callable[[ReadOutcome], None] | None = None
    """Called like `deliver` when what was answered `overran` comes back after all, for a job that must know what it
    did in the end; None drops the late outcome. The two calls may come in either order.
    """

    def __repr__(self) -> str:
        return f"ReadJob({self.source!r}, deadline_s={self.deadline_s})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """Show what `repr` shows: functions may hold anything."""
        return [("source", self.source), ("deadline_s", self.deadline_s)]


def describe_error(error: BaseException) -> str:
    """Say what went wrong without repeating anything that might be secret.

    Only this package's own errors are trusted with their text. An OSError gives its errno, the system's words for it
    and the file; its own text may come from anywhere. Anything else gives its type: decoders like to quote what they
    choked on.
    """
    name = type(error).__name__
    if isinstance(error, OpenclawActorsError):
        return f"{name}: {error}"
    if isinstance(error, OSError) and isinstance(error.errno, int):
        code = errno.errorcode.get(error.errno, str(error.errno))
        where = f": {os.fsdecode(error.filename)}" if isinstance(error.filename, str | bytes | os.PathLike) else ""
        return f"{name} {code} ({os.strerror(error.errno)}){where}"
    return name


def places(error: BaseException, limit: int = 6) -> str:
    """Return where an error came from, innermost first: files, lines and functions, no values and no message."""
    frames = traceback.extract_tb(error.__traceback__)[-limit:]
    return " < ".join(f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in reversed(frames))


def attempt(job: ReadJob) -> tuple[object | None, str | None, Failure]:
    """Run a job's read on this thread and return value, error and fate; nothing that it raises comes out.

    An error that readers are meant to raise is only an outcome; any other is logged with the places it came through.
    """
    try:
        return job.read(), None, Failure.OK
    except BaseException as error:  # a plugin's reader that calls sys.exit() must not take the thread along
        if not isinstance(error, OpenclawActorsError | OSError):
            log.bind(source=job.source, error=describe_error(error), at=places(error)).error("a reader failed")
        return None, describe_error(error), Failure.FAILED if isinstance(error, Exception) else Failure.RAISED_EXIT
