"""What the kernel grants this user of inotify, and what of that is taken (inotify(7), proc(5))."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class InotifyLimits:
    """Limits of this user, and what is taken by those of their processes that may be looked at."""

    max_watches: int
    max_instances: int
    used_watches: int = 0
    used_instances: int = 0

    @classmethod
    def now(cls, proc: str = "/proc") -> InotifyLimits | None:
        """Reads them; None where there is no inotify.

        Args:
            proc: Where the proc file system is.
        """
        watches = _least(f"{proc}/sys/fs/inotify/max_user_watches", f"{proc}/sys/user/max_inotify_watches")
        instances = _least(f"{proc}/sys/fs/inotify/max_user_instances", f"{proc}/sys/user/max_inotify_instances")
        if watches is None or instances is None:
            return None
        taken = _taken(proc)
        return cls(watches, instances, sum(taken), len(taken))


def _least(machine: str, namespace: str) -> int | None:
    """Gives the machine's limit, or that of this user namespace when it is lower; None when there is none."""
    limit, own = _number(machine), _number(namespace)
    return limit if limit is None or own is None else min(limit, own)


def _number(path: str) -> int | None:
    try:
        with open(path, encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError):
        return None


def _taken(proc: str) -> list[int]:
    """Gives how many watches each instance of this user's processes has; a process that ends meanwhile has none."""
    taken = []
    for process in _names(proc):
        try:
            if not process.isdigit() or os.stat(f"{proc}/{process}").st_uid != os.getuid():
                continue
        except OSError:
            continue
        instances = _instances(f"{proc}/{process}")
        if not instances:
            continue
        # a fork has its parent's descriptors: the same instances, not others
        inherited = _instances(f"{proc}/{_parent(f'{proc}/{process}')}")
        taken += [watches.count(b"inotify ") for key, watches in instances.items() if inherited.get(key) != watches]
    return taken


def _instances(process: str) -> dict[str, bytes]:
    """Gives what the kernel says of the inotify descriptors of a process."""
    found = {}
    for descriptor in _names(f"{process}/fd"):
        try:
            if os.readlink(f"{process}/fd/{descriptor}") == "anon_inode:inotify":
                with open(f"{process}/fdinfo/{descriptor}", "rb") as file:
                    found[descriptor] = file.read()
        except OSError:
            continue
    return found


def _parent(process: str) -> str:
    try:
        with open(f"{process}/status", encoding="utf-8", errors="replace") as file:
            return next((line.split()[1] for line in file if line.startswith("PPid:")), "0")
    except OSError:
        return "0"


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []
