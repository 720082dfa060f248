"""What watching this home would meet: inotify's limits, file systems that others change, single mounted files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from openclaw_actors.cli.diagnosis.remark import Remark, Severity
from openclaw_actors.watching.limits import InotifyLimits
from openclaw_actors.watching.mounts import Mounts
from openclaw_actors.watching.tracing import Entry, Look, trace


def traces(paths: Iterable[str]) -> dict[str, tuple[Entry, ...]]:
    """Return by path the directory entries that watching it means; looks at the disk."""
    look = Look()
    return {path: trace(path, look) for path in paths if os.path.isabs(path)}


def directories(traced: dict[str, tuple[Entry, ...]]) -> frozenset[str]:
    """Return the directories that need an inotify watch each: those with wanted names and all above, but the root for
    its own sake.
    """
    found: set[str] = set()
    for entries in traced.values():
        for directory, _ in entries:
            found.add(directory)
            above = os.path.dirname(directory)
            while above != "/" and above not in found:
                found.add(above)
                above = os.path.dirname(above)
    return frozenset(found)


def watches(needed: int, limits: InotifyLimits | None) -> Iterator[Remark]:
    """Remark on what the kernel grants, when it is less than twice what is needed."""
    if limits is None:
        yield Remark(
            check="watches",
            severity=Severity.NOTE,
            problem="there is no inotify here: files are polled, changes show a little later",
        )
        return
    free = max(0, limits.max_watches - limits.used_watches)
    path = "/proc/sys/fs/inotify/max_user_watches"
    remedy = f"Raise it: sysctl fs.inotify.max_user_watches={max(524_288, 4 * needed)} (and user.max_inotify_watches)"
    if needed > free:
        yield Remark(
            check="watches",
            severity=Severity.WARNING,
            path=path,
            problem=f"this home needs {needed} inotify watches, and {free} of {limits.max_watches} are free: a gateway "
            "started now polls the rest",
            remedy=remedy,
        )
    elif 2 * needed > limits.max_watches:
        yield Remark(
            check="watches",
            severity=Severity.WARNING,
            path=path,
            problem=f"this home needs {needed} inotify watches, over half of the {limits.max_watches} that there are",
            remedy=remedy,
        )
    if limits.used_instances >= limits.max_instances:
        yield Remark(
            check="watches",
            severity=Severity.WARNING,
            path="/proc/sys/fs/inotify/max_user_instances",
            problem=f"all {limits.max_instances} inotify instances of this user are taken: a gateway started now polls",
            remedy=f"Raise it: sysctl fs.inotify.max_user_instances={max(1024, 4 * limits.max_instances)} "
            "(and user.max_inotify_instances)",
        )


def file_systems(traced: dict[str, tuple[Entry, ...]], mounts: Mounts) -> Iterator[Remark]:
    """Remark on each mount that others can change without an event here."""
    found: dict[tuple[str, str], None] = {}
    for entries in traced.values():
        shared = mounts.shared(entries)
        if shared is not None:
            found[shared] = None
    for point, kind in found:
        yield Remark(
            check="file-systems",
            severity=Severity.NOTE,
            path=point,
            problem=f"files that are read lie on {kind}: what other machines change there makes no event here, so they "
            "are polled too, and such changes show a little later",
            remedy="Keep the home on a local disk, if that matters.",
        )


def single_mounts(traced: dict[str, tuple[Entry, ...]], mounts: Mounts) -> Iterator[Remark]:
    """Remark on files that are mounted by themselves: the mount keeps the file that it was made of."""
    found = dict.fromkeys(path for entries in traced.values() if (path := mounts.single(entries)) is not None)
    for path in found:
        yield Remark(
            check="mounts",
            severity=Severity.WARNING,
            path=path,
            problem="this file is mounted by itself: one that replaces it outside is never seen here, and it can't be "
            "replaced from here",
            remedy="Mount its directory instead.",
        )
