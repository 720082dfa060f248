"""Which directory entries decide what a path leads to.

The kernel reports names inside directories; a path is a walk through directories and links. The trace of a path is the
entries on which that walk depends, so that watching these is watching the path:

    /etc/creds/auth.json               (/etc/creds, auth.json)
    … with auth.json -> ..data/a.json  (/etc/creds, auth.json) (/etc/creds, ..data) (/etc/creds/..2026_01, a.json)
    … with /etc/creds missing          (/etc, creds)

Plain directories on the way are no entries: each is watched for its own removal instead (see `directories`).
"""

from __future__ import annotations

import os
import stat

MAX_LINKS = 40
"""Links in one walk before it counts as circular (Linux: MAXSYMLINKS, include/linux/namei.h)."""

LISTING = ""
"""The name in an entry that means the list of the directory's entries itself: the path is a directory."""

Entry = tuple[str, str]
"""A real directory (no link in its path) and a name in it."""

Seen = tuple[int, int] | str | None
"""What is at a path: a directory's (st_dev, st_ino), a link's target, or None for a file, nothing, or the invisible."""


class Look:
    """Looks at paths without following links, each at most once: one consistent, cheap picture for many traces."""

    def __init__(self) -> None:
        self._seen: dict[str, Seen] = {}
        self.plain: set[str] = set()
        """Directories that were reached without a link: their other entries' traces start here."""

    def at(self, path: str) -> Seen:
        """Says what is at a path; never raises."""
        if path not in self._seen:
            self._seen[path] = identify(path)
        return self._seen[path]


def identify(path: str) -> Seen:
    """Says what is at a path now, not following a link in its last part; never raises."""
    try:
        seen = os.lstat(path)
        if stat.S_ISDIR(seen.st_mode):
            return (seen.st_dev, seen.st_ino)
        if stat.S_ISLNK(seen.st_mode):
            return os.readlink(path)
    except (OSError, ValueError):  # ValueError: a NUL or a lone surrogate in the path
        return None
    return None


def join(directory: str, name: str) -> str:
    """Joins a real directory and a name."""
    return f"/{name}" if directory == "/" else f"{directory}/{name}"


def trace(path: str, look: Look) -> tuple[Entry, ...]:
    """Gives the entries that decide what an absolute path leads to: at least one, the last may be missing."""
    entries: list[Entry] = []
    head, _, tail = path.rpartition("/")
    here, todo = (head, [tail]) if head in look.plain and tail not in ("", ".", "..") else ("/", _parts(path))
    links = 0
    while todo:
        part = todo.pop()
        if here == head and links == 0:
            look.plain.add(head)
        if part == "..":
            here = os.path.dirname(here)
            continue
        there = join(here, part)
        seen = look.at(there)
        if isinstance(seen, tuple):
            if not todo:
                entries.append((here, part))
            here = there
            continue
        entries.append((here, part))
        if seen is None:
            return tuple(entries)
        links += 1
        if links > MAX_LINKS:
            return tuple(dict.fromkeys(entries))
        if seen.startswith("/"):
            here = "/"
        todo.extend(_parts(seen))
    entries.append((here, LISTING))
    return tuple(entries)


def _parts(path: str) -> list[str]:
    """Splits a path into its parts, last one first: they are taken from the end."""
    return [part for part in reversed(path.split("/")) if part not in ("", ".")]
