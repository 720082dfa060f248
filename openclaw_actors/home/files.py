"""One careful way to open a file of a home: it never blocks, never follows a pipe or device, and never reads without
bound.
"""

from __future__ import annotations

import errno
import os
import stat as stat_bits

from openclaw_actors.errors import HomeError
from openclaw_actors.home.paths import real_path

CONFIG_LIMIT_BYTES = 2 * 1024 * 1024
"""Largest config file or included file (OpenClaw 2026.5.22, includes.ts)."""

STORE_LIMIT_BYTES = 64 * 1024 * 1024
"""Largest JSON store or CLI login that is read; ours, far above anything seen."""

KEPT_CHANGING = "it kept changing while it was read"
"""The problem of a file whose writer isn't done."""

_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR})
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOCTTY", 0)
_ATTEMPTS = 3


def read_regular(
    path: str,
    error: type[HomeError],
    *,
    limit: int,
    allow_hard_links: bool = True,
    follow_link: bool = True,
    within: tuple[str, ...] | None = None,
) -> tuple[bytes, os.stat_result] | None:
    """Read a whole regular file that did not change meanwhile; None when there is no such file.

    Opening with `O_NONBLOCK` keeps a FIFO from hanging the reader, and looking at the open descriptor (rather than
    the path) leaves no gap between the check and the read. A file that is written in place during the read is read
    again, thrice at most.

    Args:
        path: Absolute path.
        error: What to raise.
        limit: Largest size in bytes.
        allow_hard_links: False refuses a file with more than one name.
        follow_link: False refuses a path that is a symbolic link; folders on the way may be links all the same.
        within: The real paths of the folders that the file must lie in, below them or anywhere; None asks for none. It
            is the opened file that is asked where it lies: a path may lead elsewhere by the time it is opened.

    Raises:
        HomeError: As the given type; a directory, FIFO, device, unreadable, too large or endlessly changing file.
    """
    flags = _FLAGS if follow_link else _FLAGS | os.O_NOFOLLOW
    try:
        for _ in range(_ATTEMPTS):
            read = _read_once(path, flags, error, limit, allow_hard_links, within)
            if read is not None:
                return read
    except OSError as trouble:
        if trouble.errno in _ABSENT:
            return None
        if trouble.errno == errno.ELOOP and not follow_link and os.path.islink(path):
            raise error(path, "it is a symbolic link", "Name the file that it leads to.") from None
        raise _os_error(path, error, trouble) from None
    except ValueError:
        raise error(_printable(path), "the path holds a NUL character", "Mend the path.") from None
    raise error(path, KEPT_CHANGING, "It is read again when the writer is done.")


def _read_once(
    path: str,
    flags: int,
    error: type[HomeError],
    limit: int,
    allow_hard_links: bool,
    within: tuple[str, ...] | None,
) -> tuple[bytes, os.stat_result] | None:
    descriptor = os.open(path, flags)
    try:
        before = os.fstat(descriptor)
        if not stat_bits.S_ISREG(before.st_mode):
            kind = "a directory" if stat_bits.S_ISDIR(before.st_mode) else "not a regular file"
            raise error(path, f"it is {kind}", "Put a regular file there, or remove it.")
        if within is not None and not _lies_within(descriptor, path, within):
            raise error(path, "it lies outside the folders that it may be in", "Move it there.")
        if not allow_hard_links and before.st_nlink > 1:
            raise error(path, "it has several hard links", "Include a file that has one name only; copy it instead.")
        if before.st_size > limit:
            raise error(path, f"it is larger than {limit} bytes", "Make it smaller, or split it.")
        data = _drain(descriptor, before.st_size, limit)
        if len(data) > limit:
            raise error(path, f"it is larger than {limit} bytes", "Make it smaller, or split it.")
        after = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    same = before.st_mtime_ns == after.st_mtime_ns and before.st_size == after.st_size
    return (data, after) if same and (len(data) == after.st_size or after.st_size == 0) else None


def is_below(path: str, folders: tuple[str, ...]) -> bool:
    """Tell whether a real path is one of some folders or below one."""
    return any(path == folder or path.startswith(folder.rstrip(os.sep) + os.sep) for folder in folders)


def _lies_within(descriptor: int, path: str, folders: tuple[str, ...]) -> bool:
    """Tell whether an opened file lies below one of some folders: by what the kernel calls it, or where it doesn't say,
    by what the path leads to now, if that is the same file.
    """
    try:
        return is_below(os.readlink(f"/proc/self/fd/{descriptor}"), folders)
    except OSError:
        real = real_path(path)
        return is_below(real, folders) and os.path.samestat(os.stat(real), os.fstat(descriptor))


def _drain(descriptor: int, expected: int, limit: int) -> bytes:
    data = os.read(descriptor, expected + 1)
    if len(data) == expected:
        return data
    parts = [data]
    total = len(data)
    while data and total <= limit:
        data = os.read(descriptor, 1 << 16)
        parts.append(data)
        total += len(data)
    return b"".join(parts)


def _os_error(path: str, error: type[HomeError], trouble: OSError) -> HomeError:
    if trouble.errno in (errno.EACCES, errno.EPERM):
        return error(path, "it may not be read (permission denied)", "Let the user of this process read it.")
    if trouble.errno == errno.ELOOP:
        return error(path, "its symbolic links form a loop", "Mend the links.")
    if trouble.errno == errno.ENXIO:
        return error(path, "it is not a regular file", "Put a regular file there, or remove it.")
    name = errno.errorcode.get(trouble.errno or 0, "error")
    return error(path, f"it can't be read ({name})", "Look at the file system.")


def _printable(path: str) -> str:
    return path.replace("\0", "\\0")


def line_and_column(text: str, index: int) -> str:
    """Return `line L, column C` (both from 1) of a character index."""
    index = max(0, min(index, len(text)))
    start = text.rfind("\n", 0, index) + 1
    return f"line {text.count(chr(10), 0, index) + 1}, column {index - start + 1}"
