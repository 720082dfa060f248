"""Runs a soak as it was asked for: makes the home, starts both processes, and reports."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
from rich.console import Console

import openclaw_actors
from bench.app import INTERRUPTED_STATUS
from bench.homes import Home, make_home
from bench.interruption import Interruption
from bench.machine import Machine
from bench.soak.model import usage_only_stores
from bench.soak.process import WriterProcess
from bench.soak.progress import SoakProgress
from bench.soak.report import ChangeFigures, LatencyFigures, ReadFigures, Report, StillFigures, show
from bench.soak.session import Session, is_ready
from bench.soak.writer import SPARES
from bench.statistics import Summary, summarise
from openclaw_actors import AuthSupervisor, Settings


class SoakOptions(msgspec.Struct, frozen=True):
    """What was asked for."""

    duration_s: float
    agents: int
    seed: int
    home: Path | None
    json_path: Path | None
    resync_s: float


def run_soak(options: SoakOptions) -> int:
    """Run a soak, print its report and return the exit status."""
    console = Console(width=None if Console().is_terminal else 120)
    with _folder(options.home) as folder:
        home = make_home(folder, agents=options.agents, seed=options.seed, spares=SPARES)
        home.write()
        settings = Settings(resync_interval_s=options.resync_s)
        with (
            Interruption() as interruption,
            SoakProgress(console, options.duration_s) as progress,
            AuthSupervisor(home.path, env=home.env, settings=settings) as supervisor,
        ):
            if not is_ready(supervisor):
                console.print(f"the home did not become warm: {supervisor.health()}")
                return 1
            session = Session(home, supervisor, options.seed)
            with WriterProcess(
                home.path, agents=options.agents, seed=options.seed, duration_s=options.duration_s
            ) as writer:
                session.run(writer, options.duration_s, progress, interruption)
            report = _report(options, home, session, supervisor, interrupted=interruption.is_wanted)
    show(report, console)
    if options.json_path is not None:
        options.json_path.write_bytes(report.json())
    return INTERRUPTED_STATUS if report.interrupted else int(not report.is_clean)


@contextlib.contextmanager
def _folder(wanted: Path | None) -> Iterator[Path]:
    """Yield the folder to make the home in: the wanted one, which stays, or a temporary one."""
    if wanted is None:
        with tempfile.TemporaryDirectory(prefix="openclaw-soak-") as temporary:
            yield Path(temporary)
    else:
        wanted.mkdir(parents=True, exist_ok=True)
        yield wanted


def _report(
    options: SoakOptions, home: Home, session: Session, supervisor: AuthSupervisor, *, interrupted: bool
) -> Report:
    matching, reader = session.matching, session.reader
    return Report(
        scenario="soak",
        package_version=openclaw_actors.__version__,
        machine=Machine.here(),
        seconds=round(session.seconds, 3),
        agents=options.agents,
        seed=options.seed,
        resync_interval_s=options.resync_s,
        interrupted=interrupted,
        edits=dict(session.edits),
        changes=ChangeFigures(
            matching.expected, matching.matched, matching.missed, matching.unexpected, matching.of_guests
        ),
        windows=session.windows.costs,
        still=StillFigures(len(home.agents), session.still_cells, session.still_moved, len(usage_only_stores(home))),
        latency_ms=LatencyFigures(
            rename_to_callback=_ms(matching.edit_s),
            due_to_callback=_ms(matching.timed_s),
            seen_to_published=_ms(matching.published_s),
            agents_and_default=_ms(session.roster.seen_s),
        ),
        slowest=matching.slowest,
        reads=ReadFigures(reader.count, round(reader.longest_s * 1000, 3), round(reader.longest_absence_s * 1000, 3)),
        footprint_start=session.footprint_start,
        footprint_end=session.footprint_end,
        compared_with_fresh=session.compared,
        warm_ms=round((supervisor.warm_time_s or 0.0) * 1000, 1),
        stats=msgspec.structs.asdict(supervisor.stats()),
        violations=session.violations.kept,
        violations_total=session.violations.total,
    )


def _ms(seconds: list[float]) -> Summary | None:
    return summarise(round(one * 1000, 3) for one in seconds)
