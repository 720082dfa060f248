"""The arithmetic of failures: what an outcome does to a profile's resting windows, and what the windows say.

Pure: no I/O, no clock (`now_ms` is passed), no state. The numbers are OpenClaw 2026.5.22's (usage.ts, state.ts;
formats 7.1-7.5).

Two deliberate differences from it. A failure with the *same* reason inside its own window, while that is active, is a
concurrent one (requests already under way when the first came back) and counts nothing. OpenClaw counts it, so that a
burst of ten refusals looks like ten offences. It may still widen a cooldown from one model to the whole profile.
And while a window is active in which the secret was refused, a passing failure (a rate limit that was already under
way) doesn't take the refusal's place: a refused secret is not un-hidden by a weaker reason.
"""

from __future__ import annotations

import enum
import json
import math
from collections.abc import Callable, Mapping
from typing import Literal

import msgspec

from openclaw_actors.errors import UnknownReasonError
from openclaw_actors.home.stores.windows import Windows, windows_from_json, windows_to_json

__all__ = [
    "COOLDOWN_EXEMPT",
    "DEFAULT_BACKOFF",
    "REASONS",
    "ActiveWindow",
    "Backoff",
    "Effect",
    "Windows",
    "active_windows",
    "after_failure",
    "after_success",
    "backoff_from_json",
    "cleared",
    "effect_of",
    "lapsed",
    "normalise_reason",
    "windows_from_json",
    "windows_to_json",
]

REASONS = frozenset(
    {
        "auth",
        "auth_permanent",
        "billing",
        "empty_response",
        "format",
        "model_not_found",
        "no_error_details",
        "overloaded",
        "rate_limit",
        "session_expired",
        "timeout",
        "unclassified",
        "unknown",
    }
)
"""The reasons that a store may hold (OpenClaw 2026.5.22, state.ts); any other text in a file is read as absent."""

COOLDOWN_EXEMPT = frozenset({"openrouter", "kilocode"})
"""Providers whose failures are never recorded: each routes to many others (OpenClaw 2026.5.22, usage.ts)."""


class Effect(enum.StrEnum):
    """What a failure means for the verdict of the profile that it hit."""

    COOLDOWN = "cooldown"
    """The profile rests and comes back by itself."""
    REJECTED = "rejected"
    """The provider refused this very secret."""
    DISABLED = "disabled"
    """The account can't pay."""
    NONE = "none"
    """The request was at fault, or the provider; the credential wasn't."""


_EFFECTS = {
    "rate_limit": Effect.COOLDOWN,
    "overloaded": Effect.COOLDOWN,
    "timeout": Effect.COOLDOWN,
    "unknown": Effect.COOLDOWN,
    "unclassified": Effect.COOLDOWN,
    "no_error_details": Effect.COOLDOWN,
    "empty_response": Effect.COOLDOWN,
    "subscription_limit": Effect.COOLDOWN,
    "auth": Effect.REJECTED,
    "auth_permanent": Effect.REJECTED,
    "session_expired": Effect.REJECTED,
    "billing": Effect.DISABLED,
    "format": Effect.NONE,
    "model_not_found": Effect.NONE,
    "server_error": Effect.NONE,
}
"""The table of states (DESIGN.md, section 2). `subscription_limit` is a block's; `server_error` is never stored."""

_SPELLINGS = {
    spelling: reason for reason in (*REASONS, "server_error") for spelling in (reason, reason.replace("_", ""))
} | {
    # a block needs its end, which a plain report doesn't have: OpenClaw counts the failure behind it as `rate_limit`
    "subscriptionlimit": "rate_limit",
    "ratelimited": "rate_limit",
    "toomanyrequests": "rate_limit",
    "overload": "overloaded",
    "overloadederror": "overloaded",
    "timedout": "timeout",
    "paymentrequired": "billing",
    "authentication": "auth",
    "authenticationerror": "auth",
    "unauthenticated": "auth",
    "unauthorized": "auth",
    "forbidden": "auth",
    "permission": "auth",
    "permissiondenied": "auth",
    "permissionerror": "auth",
    "internalservererror": "server_error",
}


def effect_of(reason: str) -> Effect:
    """Return what a failure with this (normalised) reason means.

    Raises:
        UnknownReasonError: when the table doesn't hold the reason.
    """
    effect = _EFFECTS.get(reason)
    if effect is None:
        raise _unknown_reason()
    return effect


def normalise_reason(text: str) -> str:
    """Return the reason that a text means: `Rate-Limit` and `rateLimit` are `rate_limit`, `forbidden` is `auth`.

    Raises:
        UnknownReasonError: when none is meant; it lists the known ones. It never quotes the text, which may be a
            provider's error message with a key in it.
    """
    if not isinstance(text, str):
        raise _unknown_reason()
    reason = _SPELLINGS.get(text) or _SPELLINGS.get("".join(char for char in text.lower() if char.isalnum()))
    if reason is None:
        raise _unknown_reason()
    return reason


def _unknown_reason() -> UnknownReasonError:
    known = ", ".join(sorted({*REASONS, "server_error"}))
    return UnknownReasonError(f"not a known failure reason. Use one of: {known}")


# --- the back-off settings ---

_MINUTE_MS = 60_000
_HOUR_MS = 60 * _MINUTE_MS
_LONGEST_MS = 8_640_000_000_000_000
"""The largest time that a JavaScript Date holds: no setting may push a window past what OpenClaw can read."""
_COOLDOWN_STEPS_MS = (30_000, 60_000, 300_000)
"""Length of a cooldown for error count 1, 2, and 3 or more."""
_DISABLING = frozenset({"billing", "auth_permanent"})
"""The reasons of the disabled lane; all others are in the cooldown lane."""


class Backoff(msgspec.Struct, frozen=True):
    """How long the disabled lane lasts: `auth.cooldowns` of the config, in milliseconds (formats 1.4)."""

    billing_ms: int = 5 * _HOUR_MS
    """First window after `billing`; doubles with each one (`billingBackoffHours`)."""
    billing_by_provider: tuple[tuple[str, int], ...] = ()
    """The same for single providers, ids normalised (`billingBackoffHoursByProvider`)."""
    billing_max_ms: int = 24 * _HOUR_MS
    """Longest window after `billing` (`billingMaxHours`)."""
    auth_permanent_ms: int = 10 * _MINUTE_MS
    """First window after `auth_permanent` (`authPermanentBackoffMinutes`)."""
    auth_permanent_max_ms: int = 60 * _MINUTE_MS
    """Longest window after `auth_permanent` (`authPermanentMaxMinutes`)."""
    failure_window_ms: int = 24 * _HOUR_MS
    """Counters start again when the last failure is older than this (`failureWindowHours`)."""


DEFAULT_BACKOFF = Backoff()


def _fold(provider: str) -> str:
    return provider.strip().lower()


def backoff_from_json(obj: object, *, normalise: Callable[[str], str] = _fold) -> Backoff:
    """Read `auth.cooldowns`, a mapping or JSON text; values that aren't positive numbers leave the defaults.

    `normalise` turns the provider names of `billingBackoffHoursByProvider` into ids. Never raises.
    """
    if isinstance(obj, (bytes, str)):
        try:
            obj = json.loads(obj)
        except (ValueError, RecursionError):
            obj = None
    if not isinstance(obj, Mapping):
        return DEFAULT_BACKOFF
    by_provider: dict[str, int] = {}
    table = obj.get("billingBackoffHoursByProvider")
    for name, value in table.items() if isinstance(table, Mapping) else ():
        hours = _positive(value, _HOUR_MS)
        if isinstance(name, str) and hours is not None:
            by_provider.setdefault(normalise(name), hours)
    default = DEFAULT_BACKOFF
    return Backoff(
        billing_ms=_positive(obj.get("billingBackoffHours"), _HOUR_MS) or default.billing_ms,
        billing_by_provider=tuple(by_provider.items()),
        billing_max_ms=_positive(obj.get("billingMaxHours"), _HOUR_MS) or default.billing_max_ms,
        auth_permanent_ms=_positive(obj.get("authPermanentBackoffMinutes"), _MINUTE_MS) or default.auth_permanent_ms,
        auth_permanent_max_ms=_positive(obj.get("authPermanentMaxMinutes"), _MINUTE_MS)
        or default.auth_permanent_max_ms,
        failure_window_ms=_positive(obj.get("failureWindowHours"), _HOUR_MS) or default.failure_window_ms,
    )


def _positive(value: object, unit_ms: int) -> int | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return None
    # the bound comes first: an int of the file may be too big for a float
    return max(1, round(min(value, _LONGEST_MS // unit_ms) * unit_ms))


def _disabled_ms(reason: str, count: int, provider: str, backoff: Backoff) -> int:
    """Return the length of the window after the `count`-th failure of the disabled lane (formats 7.2, step 2)."""
    if reason == "billing":
        base = dict(backoff.billing_by_provider).get(provider, backoff.billing_ms)
        longest = backoff.billing_max_ms
    else:
        base, longest = backoff.auth_permanent_ms, backoff.auth_permanent_max_ms
    base = max(base, _MINUTE_MS)
    return int(min(max(longest, base), base * 2 ** min(max(count, 1) - 1, 10)))


# --- what an outcome does to the windows ---


def after_failure(
    windows: Windows | None,
    reason: str,
    now_ms: int,
    *,
    provider: str,
    model: str | None = None,
    backoff: Backoff = DEFAULT_BACKOFF,
) -> Windows:
    """Return the stats after a failure (formats 7.2; for the one difference see the module's docstring).

    The very object that was given comes back when nothing changes: a reason without effect, an exempt provider, a
    concurrent failure. No stats (None) count as empty ones. `provider` is a normalised id and `model` the model that
    was asked for; it limits the window only for `rate_limit`.

    Raises:
        UnknownReasonError: when the reason isn't one that a store may hold and has an effect.
    """
    current = windows if windows is not None else Windows()
    if effect_of(reason) is Effect.NONE or _fold(provider) in COOLDOWN_EXEMPT:
        return current
    if reason not in REASONS:
        raise _unknown_reason()
    disabling = reason in _DISABLING
    active_until = _still(current.disabled_until if disabling else current.cooldown_until, now_ms)
    if active_until is not None and reason == (_disabled_reason(current) if disabling else _cooldown_reason(current)):
        return current if disabling else _widened(current, model)

    counts = {} if _starts_again(current, now_ms, backoff) else dict(current.failure_counts)
    errors = 1 if _starts_again(current, now_ms, backoff) else max(current.error_count or 0, 0) + 1
    counts[reason] = counts.get(reason, 0) + 1
    counted = msgspec.structs.replace(
        current, error_count=errors, failure_counts=tuple(counts.items()), last_failure_at=now_ms
    )
    if disabling:
        length = _disabled_ms(reason, counts[reason], _fold(provider), backoff)
        until = active_until or min(now_ms + length, _LONGEST_MS)
        return msgspec.structs.replace(counted, disabled_until=until, disabled_reason=reason)
    length = _COOLDOWN_STEPS_MS[min(errors, len(_COOLDOWN_STEPS_MS)) - 1]
    if active_until is not None and effect_of(_cooldown_reason(current)) is Effect.REJECTED is not effect_of(reason):
        return counted
    # inside an active window of another reason the model is not kept: two different troubles are the profile's
    only_model = (model or None) if reason == "rate_limit" and active_until is None else None
    return msgspec.structs.replace(
        counted, cooldown_until=active_until or now_ms + length, cooldown_reason=reason, cooldown_model=only_model
    )


def after_success(windows: Windows | None, now_ms: int) -> Windows:
    """Return the stats after a served request: windows and counters are gone, the last failure's time stays."""
    return Windows(last_used=now_ms, error_count=0, last_failure_at=windows.last_failure_at if windows else None)


def cleared(windows: Windows | None) -> Windows:
    """Return the stats after a person cleared the windows: as after a success, but not used. No stats stay none."""
    if windows is None or windows == Windows():
        return Windows()
    return Windows(last_used=windows.last_used, error_count=0, last_failure_at=windows.last_failure_at)


def _still(until_ms: int | None, now_ms: int) -> int | None:
    return until_ms if until_ms is not None and until_ms > now_ms and until_ms > 0 else None


def _starts_again(windows: Windows, now_ms: int, backoff: Backoff) -> bool:
    """Tell whether the counters start again: the last failure is long ago, or all windows are over (formats 7.2)."""
    last = windows.last_failure_at
    if last is not None and now_ms - last > backoff.failure_window_ms:
        return True
    latest = max(windows.blocked_until or 0, windows.cooldown_until or 0, windows.disabled_until or 0)
    return 0 < latest <= now_ms


def _widened(windows: Windows, model: str | None) -> Windows:
    if windows.cooldown_model is None or windows.cooldown_model == model:
        return windows
    return msgspec.structs.replace(windows, cooldown_model=None)


# --- what the windows say ---


class ActiveWindow(msgspec.Struct, frozen=True, gc=False):
    """A window that isn't over."""

    kind: Literal["cooldown", "disabled", "blocked"]
    effect: Effect
    """What it means for the verdict; `none` where another program opened it for a reason that changes no verdict."""
    reason: str
    until_ms: int
    """Its end, milliseconds since the Unix epoch."""
    model: str | None = None
    """The only model that rests; None is the whole profile."""


def active_windows(windows: Windows | None, now_ms: int, model: str | None = None) -> tuple[ActiveWindow, ...]:
    """Return the windows that are active, of the whole profile first.

    With a `model`, windows that rest only another model are left out; without, all are returned, each with its model.
    A block is always the whole profile's, as in OpenClaw 2026.5.22. Whether the provider is exempt is the caller's to
    ask.
    """
    if windows is None:
        return ()
    seen = [
        w
        for w in _all_windows(windows)
        if w.until_ms > now_ms and (model is None or w.model is None or w.model == model)
    ]
    if len(seen) > 1:
        seen.sort(key=lambda w: w.model is not None)
    return tuple(seen)


def lapsed(windows: Windows | None, now_ms: int) -> bool:
    """Tell whether the profile is half-open: it has windows that change its verdict, and all of them are over."""
    if windows is None:
        return False
    telling = [w for w in _all_windows(windows) if w.effect is not Effect.NONE]
    return bool(telling) and all(w.until_ms <= now_ms for w in telling)


def _cooldown_reason(windows: Windows) -> str:
    return windows.cooldown_reason if windows.cooldown_reason in REASONS else "unknown"


def _disabled_reason(windows: Windows) -> str:
    return windows.disabled_reason if windows.disabled_reason in REASONS else "billing"


def _all_windows(windows: Windows) -> list[ActiveWindow]:
    found: list[ActiveWindow] = []
    if (until := windows.disabled_until) is not None and until > 0:
        reason = _disabled_reason(windows)
        found.append(ActiveWindow("disabled", effect_of(reason), reason, until))
    if (until := windows.blocked_until) is not None and until > 0:
        found.append(ActiveWindow("blocked", effect_of("subscription_limit"), "subscription_limit", until))
    if (until := windows.cooldown_until) is not None and until > 0:
        reason = _cooldown_reason(windows)
        only_model = windows.cooldown_model if reason == "rate_limit" else None
        found.append(ActiveWindow("cooldown", effect_of(reason), reason, until, only_model or None))
    return found
