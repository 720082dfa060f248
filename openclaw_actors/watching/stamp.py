"""What a file looks like from the outside: enough to see that it is another one than a moment ago."""

from __future__ import annotations

import os

import msgspec


class FileStamp(msgspec.Struct, frozen=True, gc=False):
    """Identity, size, time and mode of a file. Equal stamps around a read mean that it stayed the same."""

    dev: int
    """The device; with `ino` the file's identity."""
    ino: int
    """The inode; a replaced file has another one."""
    size: int
    """Length in bytes."""
    mtime_ns: int
    """Last modification, nanoseconds since the Unix epoch (many file systems tick in steps of 1-4 ms)."""
    mode: int
    """Type and permission bits: a file that may no longer be read is a change."""


def stamp(path: str) -> FileStamp | None:
    """Takes the stamp of a path, following symlinks; thread-safe, one system call.

    Returns:
        None where nothing can be seen: missing, below something that is no directory, not permitted, a dangling or
        circular link, a name that no file can have. No exception is raised for any of these.
    """
    try:
        seen = os.stat(path)
    except (OSError, ValueError):  # ValueError: a NUL or a lone surrogate in the path
        return None
    return stamp_of(seen)


def stamp_of(seen: os.stat_result) -> FileStamp:
    """Gives the stamp that a look at a file, or at a descriptor of it, comes to."""
    return FileStamp(seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_mode)
