"""A home warmed from nothing, and its floor: run in a fresh process each (`Context.in_child`).

Inside the clock: finding the home, config, environment, fact tables and built-in catalogue (data files of the package,
read on first use), logins of other programs, all stores, all answers, publication, and the file watcher as far as it is
set up by then. Outside: starting Python, importing what a warm needs, stopping. Files are in the page cache: they
were just written, or read by the round before.
"""

from __future__ import annotations

import gc
import importlib
import sys
import threading
import time

import msgspec

from bench.crowd import Crowd
from bench.floors import read_and_decode
from bench.machine import peak_rss_kib, rss_kib
from openclaw_actors import AuthSupervisor

WARM_TIMEOUT_S = 300.0
"""After which a warm has failed, in seconds."""

LOADED_BY_A_WARM = (
    "importlib.readers",
    "openclaw_actors.home.stores.sqlite",
    "openclaw_actors.watching.inotify",
    "openclaw_actors.watching.polling",
)
"""Modules that are otherwise imported late."""

_LOOK_S = 0.05
_MOST_LOOKS = 200
_STILL_KIB = 64


class ColdFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What a child measured."""

    seconds: float
    grown_kib: int = 0
    """RSS after it, when it no longer grows, less RSS before it; both after a collection."""
    peak_kib: int = 0
    """The largest RSS of the process, less RSS before it."""
    threads: int = 0
    """The most threads of the package seen at a time, looked at every 50 ms and in the end."""
    late_imports: int = 0
    """Modules that were imported while the clock ran."""
    provider_checks: int = 0


def warm(crowd: Crowd) -> ColdFigures:
    """Warm a home in this process.

    Raises:
        RuntimeError: It didn't become warm, or not with all agents and their credentials.
    """
    for name in LOADED_BY_A_WARM:
        importlib.import_module(name)
    supervisor = AuthSupervisor(crowd.path, env=crowd.env)
    gc.collect()
    modules, rss, threads, most = len(sys.modules), rss_kib(), threading.active_count(), 0
    began_at = time.perf_counter()
    supervisor.start()
    while not (is_warm := supervisor.wait_warm(_LOOK_S)) and time.perf_counter() - began_at < WARM_TIMEOUT_S:
        most = max(most, threading.active_count())
    took_s = time.perf_counter() - began_at
    most = max(most, threading.active_count())
    late = len(sys.modules) - modules
    _settle()
    gc.collect()
    grown, peak = rss_kib() - rss, peak_rss_kib() - rss
    checks, agents = supervisor.stats().provider_checks, supervisor.agent_ids()
    provider = next(iter(crowd.profiles_of("main"))).partition(":")[0]
    have = sum(supervisor.has_auth(provider, agent_id=one) for one in agents)
    supervisor.stop()
    if not is_warm or len(agents) != crowd.agents or have != crowd.agents:
        raise RuntimeError(f"warm: {is_warm}; {len(agents)} of {crowd.agents} agents, {have} have {provider}")
    return ColdFigures(
        seconds=took_s,
        grown_kib=grown,
        peak_kib=peak,
        threads=most - threads,
        late_imports=late,
        provider_checks=checks,
    )


def _settle() -> None:
    """Wait until this process no longer grows: what goes on behind the first answers counts as memory too."""
    before = 0
    for _ in range(_MOST_LOOKS):
        now = rss_kib()
        if abs(now - before) < _STILL_KIB:
            return
        before = now
        time.sleep(_LOOK_S)


def floor(crowd: Crowd) -> ColdFigures:
    """Read and decode a home's stores in this process, on one thread.

    Raises:
        RuntimeError: It made too few digests.
    """
    paths = crowd.store_paths()
    began_at = time.perf_counter()
    digests = read_and_decode(paths)
    took_s = time.perf_counter() - began_at
    if digests < len(paths) * crowd.profiles:
        raise RuntimeError(f"{digests} digests of {len(paths)} stores")
    return ColdFigures(seconds=took_s)
