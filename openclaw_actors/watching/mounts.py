"""Where inotify is blind: file systems that others change, and single files mounted into a container.

inotify tells only what this kernel did through this directory. A change made on another machine (or on the host of a
virtual one) makes no event, and neither does a write to the host's name of a file that is bind-mounted here by itself.
"""

from __future__ import annotations

import os
import re

from openclaw_actors.watching.tracing import LISTING, Entry, join

REMOTE = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "lustre", "gpfs", "glusterfs", "beegfs", "orangefs"}
    | {"virtiofs", "vboxsf", "vmhgfs", "prl_fs", "prl_vfs", "drvfs", "fakeowner", "fuse"}
)
"""File systems that others can change behind this kernel's back: network ones, and those that virtual machines share
with their host. Every `fuse.*` counts too; `fuseblk` (local disks) doesn't. Names as in `/proc/self/mountinfo`."""

LOCAL_FUSE = frozenset({"fuse.fuse-overlayfs"})
"""The exception: the root of a rootless container, which only this kernel changes."""


class Mounts:
    """The mount table at one moment: which paths need polling besides inotify."""

    def __init__(self, text: str) -> None:
        """Takes the text of `/proc/self/mountinfo` (proc(5)); lines that don't parse are skipped."""
        self._kinds: dict[str, str] = {}
        self._below: dict[str, str] = {}  # what _kind found for directories that are no mounts
        for line in text.splitlines():
            fields = line.split(" ")
            if "-" in fields[6:]:
                dash = fields.index("-", 6)
                if len(fields) > dash + 1:
                    self._kinds[_unescaped(fields[4])] = fields[dash + 1]  # a later mount hides an earlier one

    @classmethod
    def now(cls) -> Mounts:
        """Reads the table of this process; an unreadable one is an empty one."""
        try:
            with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as table:
                return cls(table.read())
        except OSError:
            return cls("")

    def blind(self, entries: tuple[Entry, ...]) -> str | None:
        """Says why inotify misses changes of a path with this trace, or None when it doesn't."""
        if self.single(entries) is not None:
            return "a watched file is mounted by itself: mount its directory instead"
        if (shared := self.shared(entries)) is not None:
            return f"a watched path is on a file system that others can change ({shared[1]})"
        return None

    def single(self, entries: tuple[Entry, ...]) -> str | None:
        """Gives the file of a trace that is mounted by itself, if one is."""
        for directory, name in entries:
            path = join(directory, name)
            if name != LISTING and path in self._kinds and (path, LISTING) not in entries:
                return path
        return None

    def shared(self, entries: tuple[Entry, ...]) -> tuple[str, str] | None:
        """Gives mount point and kind of the first file system of a trace that others can change, if there is one."""
        for directory, _ in entries:
            kind = self._kind(directory)
            if kind in REMOTE or (kind.startswith("fuse.") and kind not in LOCAL_FUSE):
                point = directory
                while point not in self._kinds:
                    point = os.path.dirname(point)
                return point, kind
        return None

    def _kind(self, directory: str) -> str:
        if (known := self._below.get(directory)) is not None:
            return known
        kind = self._kinds.get(directory)
        if kind is None:
            kind = "" if directory == "/" else self._kind(os.path.dirname(directory))
        self._below[directory] = kind
        return kind


def _unescaped(field: str) -> str:
    """Undoes mountinfo's octal escapes (space, tab, newline, backslash)."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), field)
