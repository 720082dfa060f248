"""Usage statistics of one profile as they stand on disk: `usageStats` of `auth-state.json` (formats 3.4; OpenClaw
2026.5.22, state.ts).
"""

from __future__ import annotations

import math

import msgspec


class Windows(msgspec.Struct, frozen=True, gc=False):
    """One profile's usage stats and resting windows. Times are milliseconds since the Unix epoch."""

    last_used: int | None = None
    error_count: int | None = None
    last_failure_at: int | None = None
    blocked_until: int | None = None
    blocked_reason: str | None = None
    blocked_source: str | None = None
    blocked_model: str | None = None
    cooldown_until: int | None = None
    cooldown_reason: str | None = None
    cooldown_model: str | None = None
    disabled_until: int | None = None
    disabled_reason: str | None = None
    failure_counts: tuple[tuple[str, int], ...] = ()


_NUMBERS = {
    "lastUsed": "last_used",
    "errorCount": "error_count",
    "lastFailureAt": "last_failure_at",
    "blockedUntil": "blocked_until",
    "cooldownUntil": "cooldown_until",
    "disabledUntil": "disabled_until",
}
_TEXTS = {
    "blockedReason": "blocked_reason",
    "blockedSource": "blocked_source",
    "blockedModel": "blocked_model",
    "cooldownReason": "cooldown_reason",
    "cooldownModel": "cooldown_model",
    "disabledReason": "disabled_reason",
}
FIELD_ORDER = (
    "lastUsed",
    "blockedUntil",
    "blockedReason",
    "blockedSource",
    "blockedModel",
    "cooldownUntil",
    "cooldownReason",
    "cooldownModel",
    "disabledUntil",
    "disabledReason",
    "errorCount",
    "failureCounts",
    "lastFailureAt",
)
"""The order of the byte-exact example in formats 3.4."""


_LARGEST = 2**62
"""Beyond what a 64-bit encoder takes; a number that large means "for ever" anyway."""


def _whole(value: object) -> int | None:
    """Return a JSON number as a whole one, cut to what can be encoded; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return max(-_LARGEST, min(_LARGEST, int(value)))


def windows_from_json(entry: object) -> Windows | None:
    """Read one `usageStats` entry: fields of the wrong type are dropped, and an entry with none left is None."""
    if not isinstance(entry, dict):
        return None
    fields: dict[str, object] = {}
    for name, value in entry.items():
        if (field := _NUMBERS.get(name)) is not None:
            number = _whole(value)
            if number is not None:
                fields[field] = number
        elif isinstance(value, str) and (field := _TEXTS.get(name)) is not None:
            fields[field] = value
    counts = entry.get("failureCounts")
    if isinstance(counts, dict):
        kept = tuple(
            (reason, number)
            for reason, count in counts.items()
            if (number := _whole(count)) is not None and number >= 1
        )
        if kept:
            fields["failure_counts"] = kept
    return Windows(**fields) if fields else None  # type: ignore[arg-type]


def windows_to_json(windows: Windows) -> dict[str, object]:
    """Return the entry as OpenClaw writes it: absent fields left out, keys in its order."""
    out: dict[str, object] = {}
    for name in FIELD_ORDER:
        if name == "failureCounts":
            if windows.failure_counts:
                out[name] = dict(windows.failure_counts)
            continue
        value = getattr(windows, _NUMBERS.get(name) or _TEXTS[name])
        if value is not None:
            out[name] = value
    return out
