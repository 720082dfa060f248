"""What `status --check` makes of the verdicts: an exit status and the lines that say why. Pure."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from openclaw_actors.auth.verdict import State
from openclaw_actors.cli.text import DAY_S, clean, relative
from openclaw_actors.shapes import StatusCell

FINE = 0
BROKEN = 1
EXPIRING = 2

EXPIRES_SOON_S = DAY_S
"""How near an expiry must be to count, in seconds."""

BROKEN_STATES = frozenset(
    {State.MISSING, State.EXPIRED, State.REJECTED, State.DISABLED, State.UNRESOLVED, State.MALFORMED}
)
"""States in which a configured provider can't work until a person does something."""

DOUBTFUL_STATES = frozenset({State.UNKNOWN, State.UNVERIFIED})
"""States in which nobody can say: a warning, not a failure."""

EXIT_STATUS_HELP = """\
\b
With --check the exit status says how the configured providers are (those in models.providers,
in profiles, or named by a model that the config selects; with --provider, exactly those):
  0  fine (a provider whose state is unknown or unverified: 0 with a warning)
  1  one is missing, expired, rejected, disabled, unresolved or malformed
  2  one expires within 24 h and has nothing to refresh it with
When both 1 and 2 hold, it is 1. A config that can't be read is 1, too."""


class CheckResult(msgspec.Struct, frozen=True):
    """The outcome of a check."""

    exit_status: int
    problems: tuple[str, ...]
    """One line per provider that made the exit status what it is."""
    warnings: tuple[str, ...]
    """One line per provider about which nobody can say."""


def check(agent: str, answers: Iterable[tuple[str, StatusCell]], now: float) -> CheckResult:
    """Judge an agent's (provider as spelled, answer) pairs at a moment (epoch seconds)."""
    broken: list[str] = []
    expiring: list[str] = []
    warnings: list[str] = []
    for spelled, cell in answers:
        who = clean(f"{agent}: {spelled}")
        why = f": {clean(cell.reason)}" if cell.reason else ""
        if cell.state in BROKEN_STATES:
            step = f" ({clean(cell.next_step)})" if cell.next_step else ""
            broken.append(f"{who} is {cell.state.value}{why}{step}")
        elif cell.state in DOUBTFUL_STATES:
            warnings.append(f"{who} is {cell.state.value}{why}")
        elif (moment := ends_at(cell)) is not None and moment - now <= EXPIRES_SOON_S:
            expiring.append(f"{who} expires {relative(moment, now)} and has nothing to refresh it with")
    status = BROKEN if broken else EXPIRING if expiring else FINE
    return CheckResult(status, tuple(broken + expiring), tuple(warnings))


def ends_at(cell: StatusCell) -> float | None:
    """Return when a working credential ends for good, in epoch seconds; None when it doesn't, or can be refreshed."""
    if not cell.has_auth or cell.state is State.REFRESHABLE or cell.refreshable:
        return None
    return cell.expires_at
