"""Where installed peers are, and how one gets there whole or not at all."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.peers.protocol import PeerError

CACHE_VARIABLE = "BENCH_CACHE_DIR"
"""The environment variable that names another folder for installed peers."""


def cache_dir() -> Path:
    """Return the folder of installed peers, which may not exist yet: `BENCH_CACHE_DIR`, or `openclaw-actors-bench` in
    the user's cache folder as the XDG base directory specification has it.
    """
    own = os.environ.get(CACHE_VARIABLE)
    if own:
        return Path(own).absolute()
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if os.path.isabs(base) else Path.home() / ".cache") / "openclaw-actors-bench"


@contextmanager
def replaced_folder(target: Path) -> Iterator[Path]:
    """Give an empty folder beside a target to build in; it becomes the target when the block ends without an error.

    One process at a time; what an interrupted one left is removed by the next. A target that is there stays until the
    new one is complete.

    Raises:
        PeerError: Another process is at it, or the folder can't be written.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        lock = open(target.with_name(f"{target.name}.lock"), "w", encoding="utf-8")  # noqa: SIM115 closed below
    except OSError as error:
        raise PeerError(
            f"{target.parent}: {error.strerror}. Name a folder that can be written in {CACHE_VARIABLE}."
        ) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise PeerError(f"{target}: another process is installing it. Wait until it is done.") from None
        building, former = (target.with_name(f"{target.name}.{mark}") for mark in ("part", "old"))
        for left in (building, former):
            shutil.rmtree(left, ignore_errors=True)
        building.mkdir()
        try:
            yield building
            if target.exists():
                target.rename(former)
            building.rename(target)
        finally:
            for left in (building, former):
                shutil.rmtree(left, ignore_errors=True)
