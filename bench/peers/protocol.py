"""What a peer is: another that answers the same question, asked through its public face and timed from outside."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import msgspec
from rich.console import Console


class PeerError(Exception):
    """A peer can't be installed or measured; says what is missing and what to do about it."""


class Interrupted(Exception):
    """Somebody wanted an early end while a peer was being measured."""


class Metric(msgspec.Struct, frozen=True):
    """One quantity that peers are measured by."""

    name: str
    """Its key in `PeerFigures.figures`; ends with its unit."""
    unit: str
    meaning: str


METRICS = {
    metric.name: metric
    for metric in (
        Metric("ready_s", "s", "Process started → its readiness probe says yes."),
        Metric("warm_s", "s", "What its own log says that the pre-warm of its auth state took."),
        Metric(
            "warm_seen_s", "s", "Ready → that line of the log was seen, from outside; has its start-up delay in it."
        ),
        Metric("logged_event_loop_max_s", "s", "The longest stall of its event loop during the warm, by its own log."),
        Metric("real_stall_s", "s", "The slowest liveness answer between ready and the end of the warm, from outside."),
        Metric("models_list_first_s", "s", "The first `models.list` after that, on an open connection."),
        Metric("models_list_later_s", "s", "Each further one."),
        Metric("models_list_rows", "rows", "How many models it listed in the end."),
        Metric("slash_models_first_s", "s", "`/models` as a chat message → its final answer, the first time."),
        Metric("slash_models_later_s", "s", "Each further one."),
        Metric("rss_mib", "MiB", "Resident memory of its processes, added up, after all of that."),
        Metric("rss_peak_mib", "MiB", "The most that was seen, sampled."),
        Metric("cli_models_list_s", "s", "`models list --json`, a process of its own without a gateway."),
        Metric("cli_models_status_s", "s", "`models status --json`, likewise."),
        Metric("profiles_seen", "profiles", "How many of main's profiles `models status` counts: what it answers for."),
        Metric("repair_s", "s", "Its own repair of the home before its start, where it needs one; not in `ready_s`."),
        Metric("import_s", "s", "The import of a library, in a fresh interpreter."),
        Metric("valid_models_first_s", "s", "The first call of `get_valid_models`."),
        Metric("valid_models_later_s", "s", "Each further one."),
        Metric("valid_models_rows", "rows", "How many models it returned."),
    )
}
"""Every metric by its name. A peer has those that it can answer."""


class Availability(msgspec.Struct, frozen=True):
    """Whether a peer can be measured now."""

    installed: bool
    version: str | None = None
    """Which version is installed."""
    remedy: str | None = None
    """What installs it, when it isn't."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How long is waited for what; over a limit, the figure is missing and `PeerFigures.problems` says so."""

    ready_s: float = 600.0
    """For a gateway to get ready, a repair of the home to end, or a library to be imported."""
    warm_s: float = 1000.0
    """For a warm to end, from ready."""
    settle_s: float = 30.0
    """How long a version without a warm is watched for stalls, from ready."""
    call_s: float = 180.0
    """For one answer or one command."""
    later_calls: int = 5
    """How often each question is asked again after the first time."""


class PeerFigures(msgspec.Struct, kw_only=True):
    """What was measured of a peer on homes of one size, over all rounds."""

    peer: str
    version: str
    agents: int
    """How many agents the home configures."""
    figures: dict[str, list[float]] = msgspec.field(default_factory=dict)
    """Samples by the name of their metric; see `METRICS`."""
    problems: list[str] = msgspec.field(default_factory=list)
    """What could not be measured, and what was cut off; empty when everything was measured."""
    notes: list[str] = msgspec.field(default_factory=list)
    """What must be known to read the figures."""

    def add(self, metric: str, value: float) -> None:
        """Note one sample.

        Raises:
            KeyError: There is no such metric.
        """
        self.figures.setdefault(METRICS[metric].name, []).append(round(value, 6))

    def extend(self, other: PeerFigures) -> None:
        """Take over what another round measured."""
        for metric, values in other.figures.items():
            self.figures.setdefault(metric, []).extend(values)
        self.problems += other.problems
        self.notes += [note for note in other.notes if note not in self.notes]


class Watcher(Protocol):
    """Who follows a measurement."""

    def say(self, what: str) -> None:
        """Show what is being measured."""

    def is_over(self) -> bool:
        """Tell whether somebody wants an early end."""


class Peer(Protocol):
    """One version of something else that answers the question."""

    @property
    def name(self) -> str:
        """How commands call it."""

    def availability(self) -> Availability:
        """Look whether it is installed; fast, starts nothing."""

    def install(self, console: Console) -> None:
        """Install it, or make sure that it is; may be interrupted and repeated.

        Raises:
            PeerError: It can't be installed here.
        """

    def measure(self, home: Path, limits: Limits, watcher: Watcher) -> PeerFigures:
        """Measure it once, on a copy of a home; leaves no process and no file behind.

        Args:
            home: A written home: `openclaw.json` and the stores. It is only read.
            limits: How long is waited for what.
            watcher: Who is told what happens and may ask for an early end.

        Raises:
            PeerError: It isn't installed, or can't be measured on this home.
            Interrupted: The watcher asked for an early end.
        """
