"""Kills one write after another at each of its system calls in turn, and checks what is left after each.

Arguments: agent dir (a store to start from), which write (`usage`, `clear` or `logout`), how locks are made (`whole` or
`plain`, as on file systems without nameless files), every how many-th call is taken. Prints how often it killed.

Each writer is a forked child whose calls are counted: at the N-th one it kills itself, with a real SIGKILL; when that
call is a write, after half of its bytes. N grows until the write gets through.
"""

import json
import os
import pathlib
import shutil
import signal
import sys
import time

import msgspec

from openclaw_actors.auth.failures import cleared
from openclaw_actors.errors import StoreBusyError
from openclaw_actors.home.stores import lock
from openclaw_actors.home.stores.usage_writer import remove_profiles, write_usage
from openclaw_actors.home.stores.windows import Windows

CALLS = (
    "open close read pread write fsync fchmod fchown stat lstat fstat link unlink rename listdir mkdir"
).split()
ONE, TWO = "openai:default", "groq:default"


def bump(windows):
    """Count one more error."""
    current = windows or Windows()
    return msgspec.structs.replace(current, error_count=(current.error_count or 0) + 1)


def clear(windows):
    """Clear what rests."""
    return None if windows is None else cleared(windows)


WRITES = {
    "usage": lambda store, wait_s: write_usage(store, {ONE: bump, TWO: bump}, lock_timeout_s=wait_s),
    "clear": lambda store, wait_s: write_usage(store, {ONE: clear}, lock_timeout_s=wait_s),
    "logout": lambda store, wait_s: remove_profiles(store, [ONE], lock_timeout_s=wait_s),
}


def die_at(number):
    """Have this process killed at its N-th system call from now on."""
    import fcntl

    left = [number]

    def deadly(module, name):
        genuine = getattr(module, name)

        def call(*arguments, **options):
            left[0] -= 1
            if left[0] <= 0:
                if name == "write" and len(arguments[1]) > 1:
                    genuine(arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            return genuine(*arguments, **options)

        setattr(module, name, call)

    for name in CALLS:
        deadly(os, name)
    deadly(fcntl, "flock")


def contents(store):
    """Return the bytes of the store's two files."""
    return tuple(
        path.read_bytes() if path.exists() else None
        for path in (store / "auth-profiles.json", store / "auth-state.json")
    )


def restore(pristine, store):
    """Make the store as it was."""
    shutil.rmtree(store)
    shutil.copytree(pristine, store)


def crash(write, store, number):
    """Let a child write and die at its N-th call; return whether it died."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            die_at(number)
            write(str(store), 0.0)
            code = 0
        finally:
            os._exit(code)
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0, "the write failed"
    return False


def main(folder, which, locks, step):
    """Kill at every call."""
    store, pristine, write = pathlib.Path(folder), pathlib.Path(folder + ".pristine"), WRITES[which]
    if locks == "plain":

        def refuse(path, content):
            raise OSError

        lock._create_whole = refuse
    shutil.copytree(store, pristine)
    before = contents(store)
    write(str(store), 0.0)
    after = contents(store)
    allowed = {before, after, (after[0], before[1])}  # credentials go first
    assert before != after
    number, killed = 1, 0
    seen, torn_locks = set(), 0
    while True:
        restore(pristine, store)
        if not crash(write, store, number):
            break
        killed += 1
        found = contents(store)
        assert found in allowed, (number, "neither the old files nor the new ones")
        seen.add(found)
        for content in found:
            assert content is None or isinstance(json.loads(content), dict)
        path = store / "auth-profiles.json.lock"
        torn = path.exists() and not path.read_text().endswith("}\n")
        torn_locks += torn
        if torn:
            assert locks == "plain", "a lock that names nobody"
            try:
                write(str(store), 0.0)
            except StoreBusyError:
                pass
            else:
                raise AssertionError("a lock file without a name in it was taken for stale")
            assert contents(store) == found
            old = time.time() - 31
            os.utime(path, (old, old))
        # without waiting: the holder is dead, or its lock is old
        write_usage(str(store), {TWO: bump}, lock_timeout_s=0.0)
        count = json.loads(contents(store)[1])["usageStats"][TWO]["errorCount"]
        had = json.loads(found[1] or b"{}").get("usageStats", {}).get(TWO, {}).get("errorCount", 0)
        assert count == had + 1, (number, count, had)
        names = {entry.name for entry in store.iterdir()}
        assert names <= {"auth-profiles.json", "auth-state.json"}, (number, names)
        number += int(step)
    assert contents(store) == after, "what got through is the whole write"
    assert {before, after} <= seen, "it was killed before and after the change"
    assert torn_locks > 0 or locks == "whole" or int(step) > 1, "no lock was ever half there"
    print(killed)


main(*sys.argv[1:])
