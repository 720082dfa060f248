"""Where the time of a cold warm goes: a profile of every thread of the package, summed up by what the work is for.

cProfile counts the processor time of each function on each thread (`time.thread_time`), which makes small functions
look dearer than they are: the shares are good, the sum is not the time of a warm without a profile.
"""

from __future__ import annotations

import cProfile
import importlib
import pstats
import threading
import time
from collections.abc import Callable
from typing import Any
from unittest import mock

import msgspec

from bench.cold import LOADED_BY_A_WARM, WARM_TIMEOUT_S
from bench.crowd import Crowd
from openclaw_actors import AuthSupervisor

_THREADS = (
    "openclaw_actors.actors.lanes.ThreadLane._run",
    "openclaw_actors.actors.lanes.SharedLane._run",
    "openclaw_actors.reading.pool.ReaderPool._work",
    "openclaw_actors.reading.pool.ReaderPool._observe",
)
"""What the threads of the package run, but for those that mostly wait."""

_PURPOSES = (
    ("keyed digests", ("home/digest.py", "blake2", "hashlib")),
    ("system calls: stat, open, read, inotify", ("posix.", "inotify_c.py", "_io.")),
    (
        "giving way and waiting for a turn",
        ("time.sleep", "reading/pace.py", "acquire", "SimpleQueue", "'_thread.lock'"),
    ),
    ("decoding JSON", ("msgspec",)),
    ("stores into facts", ("home/stores/",)),
    ("config, environment, logins", ("/home/",)),
    ("model rows", ("/catalog/",)),
    ("uniting stores, folding answers", ("/auth/",)),
    ("watching files", ("/watching/", "actors/watcher.py")),
    ("starting agents' actors", ("pykka/_actor", "uuid.py", "actors/roster.py", "actors/dispatch.py")),
    ("messages", ("pykka", "actors/inbox.py", "actors/lanes.py", "actors/base.py", "messages.py")),
    ("reader pool", ("/reading/",)),
    ("publishing", ("publisher.py", "answers.py", "prepared.py", "notifier.py", "runtime.py", "bell.py", "wants.py")),
    ("the warmer's bookkeeping", ("/actors/",)),
    ("built-in methods of dict, list and str", ("~:",)),
)
"""What a function is for, by where it is; the first that fits."""

_OTHER = "other"


class Profile(msgspec.Struct, frozen=True):
    """What a child found."""

    seconds: float
    """Processor time of all threads, with the profile's own cost."""
    shares: dict[str, float]
    """By purpose, the largest first."""


def profile_warm(crowd: Crowd) -> Profile:
    """Warm a home in this process and say where the time went.

    Raises:
        RuntimeError: It didn't become warm.
    """
    for name in LOADED_BY_A_WARM:
        importlib.import_module(name)
    profiles: list[cProfile.Profile] = []
    lock = threading.Lock()

    def profiled(run: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*args: Any) -> Any:
            profile = cProfile.Profile(time.thread_time)
            with lock:
                profiles.append(profile)
            return profile.runcall(run, *args)

        return wrapper

    patches = []
    for path in _THREADS:
        module, cls, name = path.rsplit(".", 2)
        owner = getattr(importlib.import_module(module), cls)
        patches.append(mock.patch.object(owner, name, profiled(getattr(owner, name))))
    for patch in patches:
        patch.start()
    try:
        supervisor = AuthSupervisor(crowd.path, env=crowd.env)
        supervisor.start()
        is_warm = supervisor.wait_warm(WARM_TIMEOUT_S)
        supervisor.stop(30.0)
    finally:
        for patch in patches:
            patch.stop()
    if not is_warm:
        raise RuntimeError("the home did not become warm")
    spent: dict[str, float] = {}
    for profile in profiles:
        stats: dict[tuple[str, int, str], tuple[int, int, float, float, Any]] = pstats.Stats(profile).stats  # type: ignore[attr-defined]
        for (file, _, function), (_, _, own_s, _, _) in stats.items():
            purpose = _purpose(f"{file}:{function}")
            spent[purpose] = spent.get(purpose, 0.0) + own_s
    whole = sum(spent.values())
    largest = sorted(spent.items(), key=lambda item: -item[1])
    return Profile(seconds=whole, shares={name: own_s / whole for name, own_s in largest})


def describe(profile: Profile, agents: int) -> str:
    """Return a profile as one line for people."""
    shown = [f"{name} {share:.0%}" for name, share in profile.shares.items() if share >= 0.005]
    return f"where the processor time of a cold warm of {agents:,} agents goes (cProfile): {', '.join(shown)}"


def _purpose(where: str) -> str:
    return next((name for name, marks in _PURPOSES if any(mark in where for mark in marks)), _OTHER)
