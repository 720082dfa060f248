"""Peers' figures as series of a scenario: which of them a kind asks for, and under what name they stand beside ours."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path

import msgspec

from bench.crowd import Crowd
from bench.peers.protocol import Limits, PeerError, PeerFigures
from bench.peers.registry import find, names
from bench.results import Role, Series
from bench.statistics import summarise


class Asked(msgspec.Struct, frozen=True):
    """How a peer's metric stands in a scenario."""

    metric: str
    """In `PeerFigures.figures`."""
    shown: str
    unit: str
    factor: float
    """From the metric's own unit to this one."""


_LISTING = "time per listing"

ASKED: dict[str, tuple[Asked, ...]] = {
    "cold-warm": (
        Asked("warm_s", "cold warm", "ms", 1e3),
        Asked("real_stall_s", "slowest liveness answer during the warm", "ms", 1e3),
        Asked("ready_s", "start to ready", "ms", 1e3),
    ),
    "loop-lag": (Asked("real_stall_s", "slowest liveness answer during the warm", "ms", 1e3),),
    "models-listing": (
        Asked("models_list_later_s", _LISTING, "µs", 1e6),
        Asked("valid_models_later_s", _LISTING, "µs", 1e6),
        Asked("models_list_first_s", "first listing", "µs", 1e6),
        Asked("slash_models_later_s", "`/models` as a chat message", "µs", 1e6),
        Asked("models_list_rows", "models listed", "rows", 1),
        Asked("valid_models_rows", "models listed", "rows", 1),
    ),
    "memory": (Asked("rss_mib", "resident memory", "MiB", 1),),
    "import": (Asked("import_s", "import", "ms", 1e3),),
}
"""What each kind asks of peers; other kinds ask nothing."""


class Watcher(msgspec.Struct, frozen=True):
    """Follows a peer's measurement for a scenario."""

    say: Callable[[str], None]
    is_over: Callable[[], bool]


def peer_names() -> tuple[str, ...]:
    """Return the names that `--peer` takes: of each peer, and of all versions of one."""
    return (*names(), *sorted({name.partition("@")[0] for name in names()} - set(names())))


def peer_series(name: str, kind: str, crowd: Crowd, rounds: int, watcher: Watcher) -> tuple[list[Series], list[str]]:
    """Return a peer's series for a kind of scenario on a written home, and what must be said beside them.

    Measured once per peer, home and number of rounds in a run: a round has the figures of all kinds.
    """
    asked = ASKED.get(kind, ())
    series: list[Series] = []
    notes: list[str] = []
    for peer in find(name) if asked else ():
        try:
            done = _measured(peer.name, crowd, rounds, watcher)
        except PeerError as error:
            notes.append(str(error) if peer.name in str(error) else f"{peer.name}: {error}")
            continue
        said = dict.fromkeys(text for one in done for text in (*one.notes, *one.problems))
        notes += [f"{peer.name} ({done[0].version}), {crowd.agents:,} agents: {text}" for text in said]
        series += [one for one in (_series(peer.name, way, done, crowd.agents) for way in asked) if one is not None]
    return series, notes


_KNOWN: dict[tuple[str, Crowd, int], list[PeerFigures]] = {}


def _measured(name: str, crowd: Crowd, rounds: int, watcher: Watcher) -> list[PeerFigures]:
    """Return the figures of each round."""
    key = (name, msgspec.structs.replace(crowd, path=""), rounds)
    if key not in _KNOWN:
        (peer,) = find(name)
        _KNOWN[key] = [peer.measure(Path(crowd.path), Limits(), watcher) for _ in range(rounds)]
    return _KNOWN[key]


def _series(variant: str, asked: Asked, rounds: list[PeerFigures], agents: int) -> Series | None:
    values = [[one * asked.factor for one in found.figures.get(asked.metric, ())] for found in rounds]
    values = [one for one in values if one]
    if not values:
        return None
    return Series(
        variant=variant,
        role=Role.PEER,
        metric=asked.shown,
        unit=asked.unit,
        agents=agents,
        samples=[statistics.median(one) for one in values],
        distribution=summarise(value for one in values for value in one) if len(values[0]) > 1 else None,
    )
