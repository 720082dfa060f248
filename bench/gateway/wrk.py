"""The same load by `wrk`, where it is installed: a second opinion on our own clients."""

from __future__ import annotations

import re
import shutil
import subprocess

import msgspec

_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}
_LATENCY = r"^\s+{share}%\s+([\d.]+)(us|ms|s|m)$"


class WrkFigures(msgspec.Struct, frozen=True):
    """What `wrk` says."""

    p50_ms: float
    p99_ms: float
    per_second: float
    errors: bool
    """Whether it saw an answer that is none of success, or a broken connection."""


def is_there() -> bool:
    """Tell whether it is installed."""
    return shutil.which("wrk") is not None


def ask(url: str, connections: int, duration_s: int) -> WrkFigures:
    """Ask for a while. Blocks.

    Raises:
        RuntimeError: It failed, or says something else than expected.
    """
    command = ["wrk", "-t1", f"-c{connections}", f"-d{duration_s}s", "--latency", url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=duration_s + 30, check=False)
    if done.returncode:
        raise RuntimeError(f"wrk: exit status {done.returncode}: {done.stderr.strip()[-200:]}")
    return read(done.stdout)


def read(text: str) -> WrkFigures:
    """Return the figures of its report.

    Raises:
        RuntimeError: They aren't there.
    """
    p50, p99 = (re.search(_LATENCY.format(share=share), text, re.MULTILINE) for share in (50, 99))
    rate = re.search(r"^Requests/sec:\s+([\d.]+)$", text, re.MULTILINE)
    if p50 is None or p99 is None or rate is None:
        raise RuntimeError("wrk reports something else than expected")
    p50_ms, p99_ms = (float(one[1]) * _MS[one[2]] for one in (p50, p99))
    return WrkFigures(p50_ms, p99_ms, float(rate[1]), "Non-2xx" in text or "Socket errors" in text)
