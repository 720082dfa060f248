"""The bench's commands and their options. A scenario's own modules are imported when it runs."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import click

from bench.peers.command import peers

_PROGRAM = "python -m bench"

T = TypeVar("T")

USAGE_STATUS = 64
"""Exit status for wrong usage (EX_USAGE of sysexits.h), as the package's own commands have it."""

INTERRUPTED_STATUS = 130
"""Exit status after Ctrl-C, as shells have it: 128 and SIGINT."""


def _number(context: click.Context, option: click.Parameter, value: float) -> float:
    """Refuse what a range lets through though it isn't in it: NaN, and for ever."""
    if not math.isfinite(value):
        raise click.BadParameter("it is not a finite number.", context, option)
    return value


@click.group(name="bench", context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def cli() -> None:
    """Load the package the way a gateway and its neighbours do, and measure it."""


@cli.command(name="list")
def list_scenarios() -> int:
    """Name the scenarios."""
    from bench.scenario import shipped

    shown = {one.name: one.summary for one in _usable(shipped)}
    shown["soak"] = f"{soak.get_short_help_str(90)} (python -m bench soak)"
    for name, summary in sorted(shown.items()):
        click.echo(f"{name:<16} {summary}")
    return 0


@cli.command(
    name="run",
    short_help="Measure scenarios, and hold the figures against their goals.",
    epilog="Exit status: 0 when all of it ran, goals missed or not, 1 when a scenario failed, 64 for wrong usage, 130 "
    "when interrupted.",
)
@click.argument("names", nargs=-1, metavar="[SCENARIO]...")
@click.option("--agents", type=click.IntRange(1), multiple=True, help="In place of the scenario's; may be repeated.")
@click.option("--peer", "peers", multiple=True, help="Measure this peer too (`peers list`); may be repeated.")
@click.option(
    "--peer-rounds",
    type=click.IntRange(1, 100),
    default=1,
    show_default=True,
    help="How often each peer is measured; a round of OpenClaw with hundreds of agents takes minutes.",
)
@click.option("--rounds", type=click.IntRange(1), help="In place of the scenario's.")
@click.option("--json", "json_path", type=click.Path(path_type=Path, dir_okay=False), help="Write the figures there.")
@click.option(
    "--report", "report_dir", type=click.Path(path_type=Path, file_okay=False), help="Write a page with plots there."
)
def run_command(
    names: tuple[str, ...],
    agents: tuple[int, ...],
    peers: tuple[str, ...],
    peer_rounds: int,
    rounds: int | None,
    json_path: Path | None,
    report_dir: Path | None,
) -> int:
    """Measure scenarios, by name or by the path of a .toml file; all that `list` shows when none is named.

    Ctrl-C ends it early, with what was measured until then.
    """
    from rich.console import Console

    from bench.peering import peer_names
    from bench.running import RunOptions, run_scenarios
    from bench.scenario import find
    from bench.table import show

    unknown = sorted(set(peers) - set(peer_names()))
    if unknown:
        known = ", ".join(peer_names()) or "none in this bench"
        raise click.UsageError(f"--peer {unknown[0]}: there is no such peer; there are: {known}.")
    _check_folder("--json", json_path)
    _check_folder("--report", report_dir)
    scenarios = _usable(lambda: find(names))
    console = Console(width=None if Console().is_terminal else 140)
    options = RunOptions(agents=agents, rounds=rounds, peers=peers, peer_rounds=peer_rounds)
    done = _usable(lambda: run_scenarios(scenarios, options, console))
    show(done, console)
    if json_path is not None:
        json_path.write_bytes(done.json())
    if report_dir is not None:
        from bench.report.page import write_report

        console.print(f"report: {write_report(done, report_dir)}", highlight=False)
    if done.interrupted:
        return INTERRUPTED_STATUS
    return int(any(one.error for one in done.scenarios))


def _usable(call: Callable[[], T]) -> T:
    """Return what a call gives; a scenario that can't be used is wrong usage."""
    from bench.scenario import ScenarioError

    try:
        return call()
    except ScenarioError as error:
        raise click.UsageError(str(error)) from None


def _check_folder(option: str, path: Path | None) -> None:
    """Refuse what can't be written before anything is measured."""
    if path is None:
        return
    folder = path if path.is_dir() else path.absolute().parent
    if not folder.is_dir():
        raise click.UsageError(f"{option} {path}: its folder does not exist. Make it first.")
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise click.UsageError(f"{option} {path}: its folder can't be written ({error.strerror}).") from None


@cli.command(
    short_help="A second process edits a home for a while; every answer that must change does, nothing else.",
    epilog="Exit status: 0 when clean, 1 with each violation, 64 for wrong usage, 130 when interrupted.",
)
@click.option(
    "--minutes",
    type=click.FloatRange(min=0, min_open=True),
    required=True,
    help="How long; fractions are allowed.",
    callback=_number,
)
@click.option(
    "--agents", type=click.IntRange(6, 5000), default=12, show_default=True, help="Agents that stay for the whole run."
)
@click.option("--seed", type=int, default=1, show_default=True, help="Of the home and of the edits.")
@click.option(
    "--home",
    type=click.Path(path_type=Path),
    help="Make the home there and keep it; must not exist, or be empty. Default: a temporary folder.",
)
@click.option("--json", "json_path", type=click.Path(path_type=Path, dir_okay=False), help="Write the figures there.")
@click.option(
    "--resync-s",
    type=click.FloatRange(min=0, min_open=True),
    default=20.0,
    show_default=True,
    help="How often everything is compared with the disk, in seconds; the only setting that isn't the default.",
)
def soak(minutes: float, agents: int, seed: int, home: Path | None, json_path: Path | None, resync_s: float) -> int:
    """Edit a home from a second process for a while, and hold every answer against what was written.

    Ctrl-C ends it early, with the report of what was until then.
    """
    from bench.soak.command import SoakOptions, run_soak

    if home is not None and home.exists() and not (home.is_dir() and not any(home.iterdir())):
        raise click.UsageError(f"--home {home}: it is not an empty folder. The soak writes only where nothing is yet.")
    _check_folder("--json", json_path)
    return run_soak(
        SoakOptions(
            duration_s=minutes * 60, agents=agents, seed=seed, home=home, json_path=json_path, resync_s=resync_s
        )
    )


cli.add_command(peers)


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit status."""
    try:
        status = cli.main(args=list(arguments), prog_name=_PROGRAM, standalone_mode=False)
    except click.UsageError as error:
        error.show()
        return USAGE_STATUS
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED_STATUS
    return status if isinstance(status, int) else 0
