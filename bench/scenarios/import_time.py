"""Import: whole processes, from starting them until they have ended, beside `python -c pass`.

Inside the clock: making the process, starting Python with its site packages, the import or command, ending. The four
commands take turns; a round is a number of turns and its sample their median. The interpreter is the one that runs the
bench, the folder the project root, and byte code is there: each command runs once before the clock does.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import msgspec

from bench.context import Context
from bench.limits import Count
from bench.results import Role
from bench.samples import series_of_rounds
from bench.scenario import ROOT

_BARE = "python -c pass"
_SCRIPT = "openclaw-actors --version"


class Parameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a file of this kind may say."""

    turns: Count = 20
    """Of all commands, in a round."""


def run(context: Context, parameters: Parameters) -> None:
    """Measure; the number of agents doesn't matter."""
    measured = context.measured
    commands = _commands()
    for command in commands.values():
        _time(command)
    rounds = context.interleave({"all commands": lambda _number: _turns(context, commands, parameters.turns)})
    times = {name: [one[name] for one in rounds["all commands"]] for name in commands}
    for name, found in times.items():
        role = Role.FLOOR if name == _BARE else Role.OURS
        measured.series.append(series_of_rounds(name, role, "process, start to end", "ms", found))
        if name != _BARE:
            pairs = [
                statistics.median(one / bare for one, bare in zip(ours, below, strict=True))
                for ours, below in zip(found, times[_BARE], strict=True)
            ]
            measured.add_pairs(f"ratio_to_bare, {name}", name, _BARE, pairs)
    if _SCRIPT not in commands:
        measured.notes.append(f"no {_SCRIPT} beside this interpreter: the package isn't installed")


def _turns(context: Context, commands: dict[str, list[str]], turns: int) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(turns):
        context.check_over()
        for name, command in commands.items():
            found[name].append(_time(command))
    return found


def _commands() -> dict[str, list[str]]:
    found = {
        _BARE: [sys.executable, "-c", "pass"],
        "import openclaw_actors": [sys.executable, "-c", "import openclaw_actors"],
        "python -m openclaw_actors --version": [sys.executable, "-m", "openclaw_actors", "--version"],
    }
    script = Path(sysconfig.get_path("scripts"), "openclaw-actors")
    if script.is_file():
        found[_SCRIPT] = [str(script), "--version"]
    return found


def _time(command: list[str]) -> float:
    began_at = time.perf_counter()
    subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
    return (time.perf_counter() - began_at) * 1000
