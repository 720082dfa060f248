"""`doctor`: everything that can be checked about a home, and what to do about it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence

from openclaw_actors.cli.diagnosis import answers, on_disk, running, watched
from openclaw_actors.cli.diagnosis.remark import Remark, Severity, exit_status, worst_first
from openclaw_actors.cli.diagnosis.scene import Scene, look_around
from openclaw_actors.cli.output import write_json
from openclaw_actors.cli.session import ConfigUnusableError, one_shot, silence_stdout
from openclaw_actors.cli.text import counted
from openclaw_actors.home.paths import locate
from openclaw_actors.shapes import doctor_report
from openclaw_actors.watching.limits import InotifyLimits
from openclaw_actors.watching.mounts import Mounts

_STYLES = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.NOTE: "dim"}

_SHOWN_AGENTS = 3
"""How many agents a line names."""


def show_diagnosis(*, home: str | None, as_json: bool, offline: bool) -> int:
    """Print what is found and return the exit status."""
    try:
        with one_shot(home, warns=False) as supervisor:
            scene = look_around(supervisor, home)
        where, (checks, remarks) = scene.home_path, diagnose(scene, time.time())
    except ConfigUnusableError as error:
        # without a config there are neither agents nor stores: nothing else can be checked
        where, checks = locate(home, os.environ).state_dir, ("conditions",)
        remedy = "Mend it first; then everything else can be checked."
        remarks = [Remark(check="conditions", severity=Severity.ERROR, problem=error.message, remedy=remedy)]
    if not offline:
        checks, remarks = (*checks, "gateway"), worst_first((*remarks, *running.gateway(home)))
    status = exit_status(remarks)
    try:
        if as_json:
            write_json(doctor_report(where, checks, remarks))
        else:
            write_report(where, checks, remarks)
        sys.stdout.flush()
    except BrokenPipeError:
        silence_stdout()
    return status


def diagnose(scene: Scene, now: float) -> tuple[tuple[str, ...], list[Remark]]:
    """Return the names of the checks that were made, and what they found, worst first.

    Args:
        scene: What was read.
        now: Epoch seconds.
    """
    traced, mounts = watched.traces(scene.paths), Mounts.now()
    needed = len(watched.directories(traced))
    checks: dict[str, Callable[[], Iterable[Remark]]] = {
        "conditions": lambda: on_disk.conditions(scene),
        "files": lambda: on_disk.files(scene),
        "providers": lambda: answers.providers(scene),
        "expiries": lambda: answers.expiries(scene, now),
        "permissions": lambda: on_disk.permissions(scene),
        "mounts": lambda: watched.single_mounts(traced, mounts),
        "watches": lambda: watched.watches(needed, InotifyLimits.now()),
        "file-systems": lambda: watched.file_systems(traced, mounts),
        "shadowed": lambda: answers.shadowed(scene),
    }
    return tuple(checks), worst_first(remark for check in checks.values() for remark in check())


def write_report(where: str, checks: Sequence[str], remarks: Sequence[Remark]) -> None:
    """Print the remarks, which are sorted, under headings of their severity, and what they come to."""
    from openclaw_actors.cli.tables import write_line

    write_line(("home ", "dim"), (where, "bold"))
    counts = {severity: sum(remark.severity is severity for remark in remarks) for severity in Severity}
    before = None
    for remark in remarks:
        severity = remark.severity
        if severity is not before:
            before = severity
            write_line((counted(counts[severity], severity.value), f"bold {_STYLES[severity]}"))
        # a problem names its provider by itself
        whose = f"{agents_named(remark.agents)}: " if remark.agents else ""
        path = f"{remark.path}: " if remark.path else ""
        write_line((f"  {remark.check:<13}", _STYLES[severity]), (whose, "bold"), (path, ""), (remark.problem, ""))
        if remark.remedy:
            write_line((f"  {'':<13}to do: ", "dim"), (remark.remedy, ""))
    made = f"{counted(len(checks), 'check')} made"
    found = ", ".join(counted(number, severity.value) for severity, number in counts.items() if number)
    write_line((f"{made}: {found}" if found else f"{made}: nothing found", "bold" if found else "bold green"))


def agents_named(agents: Sequence[str]) -> str:
    """Return the first few agents by name and the number of the others."""
    more = len(agents) - _SHOWN_AGENTS
    return ", ".join(agents[:_SHOWN_AGENTS]) + (f" and {more} more" if more > 0 else "")
