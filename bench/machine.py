"""What a run ran on, and what this process takes of it: nothing that names the machine or a path on it."""

from __future__ import annotations

import os
import platform
import resource
import threading
import time
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


class OthersUse:
    """Watches how much of the machine's processors others take, from being made on: their noise is in the figures."""

    def __init__(self) -> None:
        self._began_at, self._busy_s, self._own_s = time.monotonic(), _busy_s(), _own_s()

    def share(self) -> float | None:
        """Return which share of all processor time others (and a host that took it away) had; None without /proc."""
        cores, elapsed_s = os.cpu_count() or 1, time.monotonic() - self._began_at
        if not _PROC.is_dir() or elapsed_s <= 0:
            return None
        others_s = (_busy_s() - self._busy_s) - (_own_s() - self._own_s)
        return round(max(0.0, min(1.0, others_s / (elapsed_s * cores))), 3)


def _busy_s() -> float:
    """Return what all processors have worked since boot, or a host took away, in seconds (proc(5), /proc/stat)."""
    if not _PROC.is_dir():
        return 0.0
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, Path("/proc/stat").read_text().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def _own_s() -> float:
    """Return what this process and its children that have ended have worked, in seconds."""
    uses = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(use.ru_utime + use.ru_stime for use in uses)


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


def rss_kib() -> int:
    """Return what this process holds in memory, in KiB; 0 where there is no /proc."""
    return _status_kib("VmRSS")


def peak_rss_kib() -> int:
    """Return the most that this process ever held in memory, in KiB; 0 where there is no /proc."""
    return _status_kib("VmHWM")


def _status_kib(name: str) -> int:
    if not _PROC.is_dir():
        return 0
    lines = (_PROC / "status").read_text().splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{name}:")), 0)
