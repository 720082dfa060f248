"""Writes usage into a profile store as OpenClaw does, and knows nothing of this package.

Arguments: agent dir, how many times, profile id. Prints `ready` first. It speaks the lock protocol of OpenClaw 2026.5.22
(a lock file created exclusively with pid and time in it; one whose process is dead, or that is older than 30 s, is
removed; released only if it is still the same file) and replaces files by a temporary file and a rename.
"""

import datetime
import json
import os
import random
import sys
import time
import uuid

STALE_S = 30.0


def lock(path):
    """Wait for the lock; the pauses are OpenClaw's, but for their length."""
    created = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    text = json.dumps({"pid": os.getpid(), "createdAt": created}, indent=2) + "\n"
    pause = 0.001
    while True:
        try:
            descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        except FileExistsError:
            if is_stale(path):
                try:
                    os.unlink(path)
                except FileNotFoundError:
                    pass
                continue
            time.sleep(pause * (1 + random.random()))
            pause = min(pause * 2, 0.02)
            continue
        os.write(descriptor, text.encode())
        seen = os.fstat(descriptor)
        os.close(descriptor)
        return seen.st_dev, seen.st_ino, text


def is_stale(path):
    """Tell whether the holder is dead, or has held it for too long."""
    try:
        with open(path) as file:
            text = file.read()
        modified = os.stat(path).st_mtime
    except FileNotFoundError:
        return False
    try:
        holder = json.loads(text)
        created = datetime.datetime.fromisoformat(holder["createdAt"].replace("Z", "+00:00")).timestamp()
    except (ValueError, KeyError, TypeError):
        return time.time() - modified > STALE_S
    try:
        os.kill(holder["pid"], 0)
    except ProcessLookupError:
        return True
    except OSError:
        pass
    return time.time() - created > STALE_S


def unlock(path, held):
    """Release the lock if it is still ours."""
    try:
        seen = os.stat(path)
        with open(path) as file:
            same = (seen.st_dev, seen.st_ino, file.read()) == held
        if same:
            os.unlink(path)
    except FileNotFoundError:
        pass


def write(path, document):
    """Replace a file."""
    temporary = f"{path}.{uuid.uuid4()}.tmp"
    descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    os.write(descriptor, (json.dumps(document, indent=2) + "\n").encode())
    os.fsync(descriptor)
    os.close(descriptor)
    os.rename(temporary, path)


def main(agent_dir, times, profile):
    """Count up the profile's errors, and those of `shared`, so many times."""
    print("ready", flush=True)
    state, path = os.path.join(agent_dir, "auth-state.json"), os.path.join(agent_dir, "auth-profiles.json.lock")
    for _ in range(int(times)):
        held = lock(path)
        try:
            try:
                with open(state) as file:
                    document = json.load(file)
            except FileNotFoundError:
                document = {"version": 1}
            stats = document.setdefault("usageStats", {})
            for name in (profile, "shared"):
                entry = stats.setdefault(name, {})
                entry["errorCount"] = entry.get("errorCount", 0) + 1
            write(state, document)
        finally:
            unlock(path, held)


main(*sys.argv[1:])
