"""What a run ran on, and what this process takes of it: nothing that names the machine or a path on it."""

from __future__ import annotations

import os
import platform
import threading
from pathlib import Path

import msgspec

_PROC = Path("/proc/self")


class Machine(msgspec.Struct, frozen=True):
    """What the figures of a run depend on."""

    python: str
    cores: int
    platform: str

    @classmethod
    def here(cls) -> Machine:
        """Describe this machine."""
        return cls(
            python=f"{platform.python_implementation()} {platform.python_version()}",
            cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 0,
            platform=f"{platform.system()} {platform.release()} {platform.machine()}",
        )


class Footprint(msgspec.Struct, frozen=True):
    """What this process holds at one moment. Memory and descriptors are 0 where there is no /proc."""

    rss_mib: float
    threads: int
    descriptors: int

    @classmethod
    def now(cls) -> Footprint:
        """Measure this process."""
        rss, descriptors = 0.0, 0
        if _PROC.is_dir():
            pages = int((_PROC / "statm").read_text().split()[1])
            rss = pages * os.sysconf("SC_PAGE_SIZE") / 2**20
            descriptors = len(os.listdir(_PROC / "fd")) - 1  # the one that lists them
        return cls(rss_mib=round(rss, 1), threads=threading.active_count(), descriptors=descriptors)
