"""Remarks: what `doctor` found, for people and for machines."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence

import msgspec


class Severity(enum.StrEnum):
    """How bad a remark is, worst first."""

    ERROR = "error"
    """Something doesn't work now."""
    WARNING = "warning"
    """It works, but it is at risk, or soon won't."""
    NOTE = "note"
    """Nothing needs to be done; it is good to know."""


class Remark(msgspec.Struct, frozen=True, kw_only=True):
    """One finding. Never a secret, nor a value out of a file of credentials."""

    check: str
    """Which check made it."""
    severity: Severity
    path: str | None = None
    """The file or directory that it is about, if it is about one."""
    agent: str | None = None
    """The agent that it is about; None when it is about several or none."""
    agents: tuple[str, ...] = ()
    """All of them, in config order."""
    provider: str | None = None
    problem: str
    """What is wrong."""
    remedy: str = ""
    """What a person can do about it; empty when nothing needs doing."""


def sole(agents: Sequence[str]) -> str | None:
    """Return the agent when there is just one."""
    return agents[0] if len(agents) == 1 else None


def worst_first(remarks: Iterable[Remark]) -> list[Remark]:
    """Return remarks by severity; those of one severity stay as they are, without repetitions."""
    ranks = {severity: rank for rank, severity in enumerate(Severity)}
    return sorted(dict.fromkeys(remarks), key=lambda remark: ranks[remark.severity])


def exit_status(remarks: Iterable[Remark]) -> int:
    """Return 1 for an error, 2 for warnings at the worst, 0 for nothing worse than notes."""
    found = {remark.severity for remark in remarks}
    return 1 if Severity.ERROR in found else 2 if Severity.WARNING in found else 0
