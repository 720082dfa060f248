"""`python -m bench peers`: which peers there are, installing one, measuring one by itself."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.status import Status
from rich.table import Table

from bench.interruption import Interruption
from bench.machine import Machine
from bench.peers.homes import distinct_home
from bench.peers.protocol import METRICS, Interrupted, Limits, Peer, PeerError, PeerFigures
from bench.peers.registry import find, names
from bench.statistics import summarise

_FAILED_STATUS = 1
_INTERRUPTED_STATUS = 130
_DEFAULTS = Limits()


class Measurements(msgspec.Struct, frozen=True, kw_only=True):
    """What `measure --json` writes."""

    machine: Machine
    seed: int
    rounds: int
    """How many were wanted; the figures say how many there are."""
    peers: list[PeerFigures]


@click.group()
def peers() -> None:
    """Others that answer the same question: list, install, measure."""


@peers.command(name="list")
def list_peers() -> int:
    """Name the peers, and say which are installed."""
    table = Table("peer", "installed", "to install it", box=None, pad_edge=False)
    for name in names():
        for peer in find(name):
            state = peer.availability()
            table.add_row(peer.name, state.version if state.installed else "no", state.remedy or "")
    Console(width=None if sys.stdout.isatty() else 140).print(table, highlight=False)
    return 0


@peers.command(
    short_help="Install peers into the cache folder.", epilog="Exit status: 0, 1 when one can't be installed."
)
@click.argument("wanted", nargs=-1, required=True, metavar="NAME...")
def install(wanted: tuple[str, ...]) -> int:
    """Install peers, by the names that `list` shows; `openclaw` means all its versions.

    OpenClaw goes into $XDG_CACHE_HOME/openclaw-actors-bench ($BENCH_CACHE_DIR when that is set), with a Node of its
    own, 0.5 to 0.9 GB per version. May be interrupted and repeated.
    """
    console = Console(stderr=True)
    for peer in _found(wanted):
        try:
            peer.install(console)
        except PeerError as error:
            click.echo(f"Error: {error}", err=True)
            return _FAILED_STATUS
    return 0


@peers.command(
    short_help="Measure one peer by itself.",
    epilog="Exit status: 0 when everything was measured, 1 with each problem, 130 when interrupted.",
)
@click.argument("name")
@click.option(
    "--agents", type=click.IntRange(1, 5000), multiple=True, default=(1,), help="May be repeated. [default: 1]"
)
@click.option("--rounds", type=click.IntRange(1), default=1, show_default=True, help="How often.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of the homes.")
@click.option("--json", "json_path", type=click.Path(path_type=Path, dir_okay=False), help="Write the figures there.")
@click.option(
    "--warm-limit-s",
    type=click.IntRange(1, 86_400),
    default=int(_DEFAULTS.warm_s),
    show_default=True,
    help="How long a warm may take, in seconds.",
)
@click.option(
    "--ready-limit-s",
    type=click.IntRange(1, 86_400),
    default=int(_DEFAULTS.ready_s),
    show_default=True,
    help="How long a start, a repair or an import may take, in seconds.",
)
def measure(
    name: str,
    agents: tuple[int, ...],
    rounds: int,
    seed: int,
    json_path: Path | None,
    warm_limit_s: int,
    ready_limit_s: int,
) -> int:
    """Measure a peer on homes whose agents all have a store of their own, 40 profiles in 18 kB.

    The figures are written after each round; Ctrl-C ends it with those that are there.
    """
    if json_path is not None and not json_path.absolute().parent.is_dir():
        raise click.UsageError(f"--json {json_path}: its folder does not exist. Make it first.")
    wanted = _found((name,))
    limits = Limits(warm_s=warm_limit_s, ready_s=ready_limit_s)
    console = Console(stderr=True)
    done: list[PeerFigures] = []
    status = 0
    with Interruption() as interruption, console.status("") as line:
        try:
            for peer in wanted:
                for count in agents:
                    for turn in range(1, rounds + 1):
                        label = f"{peer.name}, {count} agents, round {turn}/{rounds}"
                        _merge(done, _round(peer, count, seed, limits, _Follower(line, label, interruption)))
                        _write(json_path, Measurements(machine=Machine.here(), seed=seed, rounds=rounds, peers=done))
        except Interrupted:
            status = _INTERRUPTED_STATUS
        except PeerError as error:
            click.echo(f"Error: {error}", err=True)
            status = _FAILED_STATUS
    _show(done)
    return status or (_FAILED_STATUS if any(one.problems for one in done) else 0)


class _Follower:
    """Shows the step that a measurement is at."""

    def __init__(self, line: Status, label: str, interruption: Interruption) -> None:
        self._line = line
        self._label = label
        self._interruption = interruption

    def say(self, what: str) -> None:
        self._line.update(f"{self._label}: {what}")

    def is_over(self) -> bool:
        return self._interruption.is_wanted


def _found(wanted: tuple[str, ...]) -> list[Peer]:
    try:
        return [peer for name in wanted for peer in find(name)]
    except PeerError as error:
        raise click.UsageError(f"{error}.") from None


def _round(peer: Peer, agents: int, seed: int, limits: Limits, follower: _Follower) -> PeerFigures:
    with tempfile.TemporaryDirectory(prefix="bench-peer-") as folder:
        home = distinct_home(Path(folder, "home"), agents=agents, seed=seed)
        home.write()
        return peer.measure(home.path, limits, follower)


def _merge(done: list[PeerFigures], found: PeerFigures) -> None:
    for one in done:
        if (one.peer, one.version, one.agents) == (found.peer, found.version, found.agents):
            one.extend(found)
            return
    done.append(found)


def _write(path: Path | None, measurements: Measurements) -> None:
    if path is not None:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(measurements)) + b"\n")


def _show(done: list[PeerFigures]) -> None:
    console = Console(width=None if sys.stdout.isatty() else 140)
    for one in done:
        table = Table(
            "metric", "median", "max", "samples", "meaning", title=f"{one.peer} ({one.version}), {one.agents} agents"
        )
        for name, metric in METRICS.items():
            summary = summarise(one.figures.get(name, ()))
            if summary is not None:
                row = (f"{value:,.6g} {metric.unit}" for value in (summary.median, summary.max))
                table.add_row(name, *row, str(summary.count), metric.meaning)
        console.print(table, highlight=False)
        for text in (*one.notes, *(f"problem: {problem}" for problem in one.problems)):
            console.print(f"- {text}", highlight=False, markup=False)
