"""The lock of a profile store: OpenClaw's own protocol, so that its processes and ours wait for each other.

The lock is a file that exists only while it is held, created exclusively, with the holder's pid and the time in it
(OpenClaw 2026.5.22, constants.ts and its file lock; formats 3.9).

Taking over a stale lock is where such locks break: two processes judge the same file stale, the first removes it and
locks, the second removes the first one's fresh lock. Comparing inodes before removing only narrows that gap, since
inode numbers are used again at once. Here the judge keeps the judged file open, so that its inode number can't be
used again, and whoever removes a lock file, judge or holder, first takes an advisory `flock` on it. OpenClaw takes
none, so against it the gap between comparing and removing remains: microseconds, once per crashed holder.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import random
import stat
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import Self, final

import msgspec

from openclaw_actors.errors import StoreBusyError
from openclaw_actors.home.processes import is_alive
from openclaw_actors.home.stores.atomic import not_writable
from openclaw_actors.log import log

__all__ = ["FIRST_DELAY_S", "LONGEST_DELAY_S", "STALE_S", "StoreLock"]

STALE_S = 30.0
"""A store lock older than this is stale, whoever holds it (OpenClaw 2026.5.22, constants.ts)."""
FIRST_DELAY_S = 0.1
"""Shortest pause before the second attempt; doubles with each one (the same)."""
LONGEST_DELAY_S = 10.0
"""Longest pause between two attempts (the same)."""
_CONTENT_LIMIT = 4096


class _Holder(msgspec.Struct, frozen=True):
    """What a lock file says of its holder."""

    pid: int | None
    created_at: float | None
    """Epoch seconds; None when the file doesn't say."""


_NOBODY_KNOWN = _Holder(None, None)


@final
class StoreLock:
    """Holds `<auth-profiles.json>.lock` between enter and exit.

    Blocking, not re-entrant, and used by one thread: each write makes its own. Threads of one process exclude each
    other as processes do. A forked child never releases its parent's lock.

    Args:
        path: the lock file itself.
        timeout_s: how long to wait for a live holder; 0 tries once.
        clock: monotonic seconds.
        wall_clock: epoch seconds, for the time in the file.
        sleep: waits some seconds.
        jitter: a number from 0 to 1, for the length of a pause.
        given_up: ends the wait for a live holder as soon as it is set, as if the time were over.
    """

    __slots__ = (
        "_clock",
        "_content",
        "_fd",
        "_given_up",
        "_holder_pid",
        "_jitter",
        "_path",
        "_pid",
        "_sleep",
        "_timeout_s",
        "_wall",
    )

    def __init__(
        self,
        path: str,
        *,
        timeout_s: float,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
        given_up: threading.Event | None = None,
    ) -> None:
        self._path = path
        self._timeout_s = timeout_s
        self._clock = clock
        self._wall = wall_clock
        self._sleep = sleep if given_up is None else given_up.wait
        self._given_up = given_up
        self._jitter = jitter
        self._fd: int | None = None
        self._pid = 0
        self._content = b""
        self._holder_pid: int | None = None

    def __enter__(self) -> Self:
        """Take the lock.

        Raises:
            StoreBusyError: when a live process still holds it after `timeout_s`.
            StoreReadOnlyError: when no lock file can be created here.
        """
        if self._fd is not None:
            raise RuntimeError("a StoreLock is not re-entrant: make one per write")
        deadline = self._clock() + self._timeout_s
        attempt = 0
        while not self._create():
            if self._reclaim():
                continue
            remaining = deadline - self._clock()
            if remaining <= 0 or (self._given_up is not None and self._given_up.is_set()):
                raise self._busy()
            pause = FIRST_DELAY_S * 2 ** min(attempt, 10) * (1 + self._jitter())
            self._sleep(min(pause, LONGEST_DELAY_S, remaining))
            attempt += 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the lock up, unless somebody took it over meanwhile."""
        fd, self._fd = self._fd, None
        if fd is None:
            return
        try:
            if os.getpid() == self._pid and _alone(fd) and self._is_ours(fd):
                os.unlink(self._path)
        except FileNotFoundError:
            pass
        except OSError as failure:
            # what was to be written is written: the lock goes stale by itself, and that is better than to report a
            # failure
            log.bind(file=self._path, errno=failure.errno).warning("store lock could not be removed")
        finally:
            os.close(fd)

    def is_held(self) -> bool:
        """Tell whether the lock is still ours: after 30 s another process may have taken it over."""
        return self._fd is not None and self._is_ours(self._fd)

    def _create(self) -> bool:
        pid = os.getpid()
        created = datetime.fromtimestamp(self._wall(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        content = (json.dumps({"pid": pid, "createdAt": created}, indent=2) + "\n").encode()
        try:
            fd = _create_whole(self._path, content)
        except FileExistsError:
            return False
        except OSError:
            try:
                fd = _create_plainly(self._path, content)
            except FileExistsError:
                return False
            except OSError as error:
                raise not_writable(self._path, error) from None
        self._fd, self._pid, self._content = fd, pid, content
        return True

    def _reclaim(self) -> bool:
        """Remove the lock file if it is stale; False leaves it to its holder, or to whoever is removing it now."""
        try:
            fd = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            holder = _parse(os.read(fd, _CONTENT_LIMIT))
            self._holder_pid = holder.pid
            if not _is_stale(holder, os.fstat(fd).st_mtime, self._wall()):
                return False
            if not (_alone(fd) and _same_file(self._path, fd)):
                return False
            os.unlink(self._path)
        except OSError:
            return False
        finally:
            os.close(fd)
        log.bind(file=self._path, pid=holder.pid).info("stale store lock removed")
        return True

    def _is_ours(self, fd: int) -> bool:
        try:
            return _same_file(self._path, fd) and os.pread(fd, _CONTENT_LIMIT, 0) == self._content
        except OSError:
            return False

    def _busy(self) -> StoreBusyError:
        with contextlib.suppress(OSError):
            if stat.S_ISDIR(os.lstat(self._path).st_mode):
                # never removed: another program's locks may be directories, and how old those may be it alone knows
                return StoreBusyError(
                    f"{self._path}: there is a directory in place of the store's lock file. Nothing was written. "
                    "Remove it if no program uses it, and try again"
                )
        holder = f"process {self._holder_pid}" if self._holder_pid is not None else "an unknown process"
        return StoreBusyError(
            f"{self._path}: the store is locked by {holder} and was not released within {self._timeout_s:g} s. "
            f"Nothing was written. Try again; a lock older than {STALE_S:g} s is taken over, and one that a crashed "
            "process left behind may be deleted"
        )


def _create_whole(path: str, content: bytes) -> int:
    """Create the lock file with its content in one step and return it open; not every file system can.

    The file gets its name only when it is complete. Were it created empty and then written, a process killed in between
    would leave a lock that names nobody, and everybody would wait until it is 30 s old.
    """
    # readable for all: a holder's pid is no secret, and who can't read it can't tell that the holder is dead
    fd = os.open(os.path.dirname(path) or ".", os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o644)
    try:
        _write_all(fd, content)
        # any dir fd, unused beside an absolute path, makes Python choose the call that follows this link
        os.link(f"/proc/self/fd/{fd}", path, src_dir_fd=fd, follow_symlinks=True)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _create_plainly(path: str, content: bytes) -> int:
    """Create the lock file as OpenClaw does, then write it, and return it open."""
    fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o644)
    try:
        _write_all(fd, content)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(path)
        os.close(fd)
        raise
    return fd


def _write_all(fd: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(fd, view) :]


def _alone(fd: int) -> bool:
    """Keep other removers off this file until it is closed; False when one of them is at it."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        # a file system without flock (some network mounts): as safe as OpenClaw itself is there
        return True
    return True


def _same_file(path: str, fd: int) -> bool:
    there, ours = os.lstat(path), os.fstat(fd)
    return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)


def _parse(content: bytes) -> _Holder:
    try:
        fields = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError):
        return _NOBODY_KNOWN
    if not isinstance(fields, dict):
        return _NOBODY_KNOWN
    pid, created = fields.get("pid"), fields.get("createdAt")
    created_at: float | None = None
    if isinstance(created, str):
        with contextlib.suppress(ValueError, OverflowError):
            moment = datetime.fromisoformat(created)
            created_at = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    is_pid = isinstance(pid, int) and not isinstance(pid, bool) and pid > 0
    return _Holder(pid if is_pid else None, created_at)


def _is_stale(holder: _Holder, modified_at: float, now: float) -> bool:
    if holder.pid is not None and not is_alive(holder.pid):
        return True
    created_at = holder.created_at
    if created_at is None or created_at - now > STALE_S:
        # nothing to go by, or a time to come: a torn file, or one by a clock that was wrong
        created_at = modified_at
    return now - created_at > STALE_S
