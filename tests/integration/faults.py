"""What the fault tests have in common: conditions, comparison with a fresh supervisor, real deaths and real limits."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from homes import Home, eventually

from openclaw_actors import AuthSupervisor, Condition, Settings

_DAC_POWERS = 1 << 1 | 1 << 2
"""CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH: what lets root read a file that nobody may read."""
_CAPABILITY_VERSION_3 = 0x20080522


def condition(supervisor: AuthSupervisor, kind: str) -> Condition:
    """Return a condition, which is there."""
    found = supervisor.health().condition(kind)
    assert found is not None, kind
    return found


def is_well(supervisor: AuthSupervisor, kind: str) -> bool:
    """Tell whether a condition is true."""
    found = supervisor.health().condition(kind)
    return found is not None and found.status


def assert_bad(supervisor: AuthSupervisor, kind: str, *parts: object, reason: str = "") -> None:
    """Wait until a condition is false and its message holds all the parts."""

    def shows() -> bool:
        found = supervisor.health().condition(kind)
        return found is not None and not found.status and all(str(part) in found.message for part in parts)

    assert eventually(shows), supervisor.health()
    assert not reason or condition(supervisor, kind).reason == reason


def answers(supervisor: AuthSupervisor) -> dict[tuple[str, str], object]:
    """Return all verdicts, without what tells two supervisors of one home apart."""
    found: dict[tuple[str, str], object] = {}
    for agent in supervisor.agent_ids():
        for provider, one in supervisor.snapshot(agent).verdicts.items():
            found[agent, provider] = (one.state, one.has_auth, one.presence, one.evidence, one.valid_until, one.fresh)
    return found


def assert_recovered(supervisor: AuthSupervisor, home: Home, **settings: object) -> None:
    """Wait until all is well and every answer is the one of a supervisor that never saw the fault."""
    assert eventually(lambda: supervisor.health().ok), supervisor.health()
    fresh = AuthSupervisor(home.path, env=home.env, settings=Settings(watch=False, **settings))  # type: ignore[arg-type]
    try:
        fresh.start()
        assert fresh.wait_warm(10.0)
        expected = answers(fresh)
        assert expected
        assert eventually(lambda: answers(supervisor) == expected), (answers(supervisor), expected)
    finally:
        fresh.stop()


def holds_for(seconds: float, predicate: Callable[[], bool]) -> bool:
    """Return whether something holds all the time."""
    until = time.monotonic() + seconds
    return not eventually(lambda: not predicate(), seconds) and time.monotonic() >= until


# ------------------------------------------------------------------------------------------------------ real deaths


def thread_named(name: str) -> threading.Thread | None:
    """Return the one thread of a name that is alive; two would be somebody's leak."""
    found = [one for one in threading.enumerate() if one.name == name and one.is_alive()]
    assert len(found) < 2, found
    return found[0] if found else None


def throw_exit_at(thread: threading.Thread) -> None:
    """Have a SystemExit come up in another thread at its next bytecode; it ends without a word then."""
    assert thread.ident is not None
    assert ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(SystemExit)) == 1


def has_inotify_watch(folder: Path) -> bool:
    """Wait until the kernel watches a folder for this process: events come only then. What changed before is found by
    comparison, and wakes no thread.
    """
    mark = f"ino:{folder.stat().st_ino:x} "

    def is_listed() -> bool:
        return any(mark in Path(f"/proc/self/fdinfo/{number}").read_text() for number in inotify_descriptors())

    return eventually(is_listed)


def inotify_descriptors() -> set[int]:
    """Return the numbers under which this process has inotify instances open."""
    found = set()
    for number in map(int, os.listdir("/proc/self/fd")):
        try:
            if "inotify" in os.readlink(f"/proc/self/fd/{number}"):
                found.add(number)
        except OSError:
            continue
    return found


# ------------------------------------------------------------------------------------------- permissions and limits


@contextmanager
def without_roots_powers() -> Iterator[None]:
    """Take from this thread, and for good from those that it starts meanwhile, what lets root read everything.

    Permissions mean nothing to root. The kernel counts capabilities by thread: those that a supervisor starts have them
    as the thread that started it. Without root there is nothing to take.
    """
    if os.geteuid() != 0:
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)()
    assert libc.capget(header, sets) == 0
    effective = sets[0]
    sets[0] = effective & ~_DAC_POWERS
    assert libc.capset(header, sets) == 0
    try:
        yield
    finally:
        sets[0] = effective
        assert libc.capset(header, sets) == 0


def run_in_namespace(function: Callable[..., None], *arguments: object, options: str) -> None:
    """Run a function of a test module in another process, as root of a user namespace of its own.

    There the limits of inotify may be set and file systems mounted, really, and nobody else notices.

    Args:
        function: Takes its arguments as strings.
        arguments: For it.
        options: For `unshare`.
    """
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, options, "true"], capture_output=True, check=False).returncode:
        pytest.skip(f"no namespaces here: `unshare {options}` is refused")
    script = (
        f"import importlib, sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); "
        f"getattr(importlib.import_module({function.__module__!r}), {function.__name__!r})(*sys.argv[1:])"
    )
    command = [unshare, options, sys.executable, "-c", script, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
