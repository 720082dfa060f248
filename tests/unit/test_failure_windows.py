"""The arithmetic of failures: the tables of OpenClaw 2026.5.22 and the laws that hold for any history."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_actors.auth.failures import (
    COOLDOWN_EXEMPT,
    REASONS,
    Backoff,
    Effect,
    Windows,
    active_windows,
    after_failure,
    after_success,
    backoff_from_json,
    cleared,
    effect_of,
    lapsed,
    normalise_reason,
    windows_from_json,
    windows_to_json,
)
from openclaw_actors.errors import UnknownReasonError

NOW = 1_795_173_338_882
SECOND, MINUTE, HOUR = 1_000, 60_000, 3_600_000
CHANGING = sorted(r for r in REASONS if effect_of(r) is not Effect.NONE)


def fail(windows: Windows | None, reason: str, now: int = NOW, **more: object) -> Windows:
    return after_failure(windows, reason, now, **({"provider": "openai"} | more))  # type: ignore[arg-type]


def length(windows: Windows, now: int = NOW) -> int:
    until = windows.disabled_until or windows.cooldown_until
    assert until is not None
    return until - now


# --- reasons ---


@pytest.mark.parametrize(
    ("effect", "reasons"),
    [
        (Effect.COOLDOWN, "rate_limit overloaded timeout unknown unclassified no_error_details empty_response"),
        (Effect.COOLDOWN, "subscription_limit"),
        (Effect.REJECTED, "auth auth_permanent session_expired"),
        (Effect.DISABLED, "billing"),
        (Effect.NONE, "format model_not_found server_error"),
    ],
)
def test_every_reason_has_the_effect_of_the_table_of_states(effect: Effect, reasons: str) -> None:
    """The state that a window gives is that of its reason's row."""
    assert {effect_of(reason) for reason in reasons.split()} == {effect}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("rate_limit", "rate_limit"),
        ("rate-limit", "rate_limit"),
        (" Rate Limit ", "rate_limit"),
        ("rateLimit", "rate_limit"),
        ("subscription_limit", "rate_limit"),
        ("permission_denied", "auth"),
        ("forbidden", "auth"),
        ("AUTH-PERMANENT", "auth_permanent"),
        ("timed_out", "timeout"),
        ("server-error", "server_error"),
    ],
)
def test_a_reason_is_known_by_any_spelling(text: str, reason: str) -> None:
    """Case, separators and a few other names don't matter."""
    assert normalise_reason(text) == reason


@pytest.mark.parametrize("text", ["", "sk-canary-0123", "rate_limitt", "401"])
def test_an_unknown_reason_lists_the_known_ones_and_quotes_nothing(text: str) -> None:
    """The error tells what may be said and never repeats a text that could hold a key."""
    with pytest.raises(UnknownReasonError, match=r"auth_permanent.*rate_limit.*server_error") as caught:
        normalise_reason(text)
    assert "canary" not in str(caught.value)


def test_a_reason_that_is_not_normalised_is_an_error_of_the_caller() -> None:
    """Nothing is stored that OpenClaw would drop on its next read."""
    for reason in ("rate-limit", "subscription_limit", "bogus"):
        with pytest.raises(UnknownReasonError):
            fail(None, reason)


# --- windows: the tables of formats 7.2 ---


@pytest.mark.parametrize(("count", "expected"), [(1, 30), (2, 60), (3, 300), (4, 300), (50, 300)])
def test_cooldowns_last_30_60_and_300_seconds(count: int, expected: int) -> None:
    """Case 8: the steps follow the error count."""
    before = Windows(error_count=count - 1, last_failure_at=NOW - SECOND)
    after = fail(before, "overloaded")
    assert length(after) == expected * SECOND
    assert after.error_count == count


@pytest.mark.parametrize(("count", "hours"), [(1, 5), (2, 10), (3, 20), (4, 24), (5, 24), (40, 24)])
def test_billing_disables_for_5_10_20_and_24_hours(count: int, hours: int) -> None:
    """Cases 1 and the table: doubling from five hours, at most a day."""
    before = Windows(
        error_count=count - 1, failure_counts=(("billing", count - 1),) if count > 1 else (), last_failure_at=NOW - 1
    )
    after = fail(before, "billing")
    assert length(after) == hours * HOUR
    assert after.disabled_reason == "billing"
    assert dict(after.failure_counts)["billing"] == count


@pytest.mark.parametrize(("count", "minutes"), [(1, 10), (2, 20), (3, 40), (4, 60), (5, 60), (40, 60)])
def test_auth_permanent_disables_for_10_20_40_and_60_minutes(count: int, minutes: int) -> None:
    """Case 4 and the table: doubling from ten minutes, at most an hour."""
    before = Windows(failure_counts=(("auth_permanent", count - 1),) if count > 1 else (), last_failure_at=NOW - 1)
    after = fail(before, "auth_permanent")
    assert length(after) == minutes * MINUTE
    assert after.disabled_reason == "auth_permanent"


@pytest.mark.parametrize("reason", sorted(set(CHANGING) - {"billing", "auth_permanent"}))
def test_other_reasons_open_a_cooldown_and_disable_nothing(reason: str) -> None:
    """Case 5: only billing and auth_permanent are in the disabled lane."""
    after = fail(None, reason)
    assert (after.cooldown_until, after.cooldown_reason, after.disabled_until) == (NOW + 30 * SECOND, reason, None)
    assert after.failure_counts == ((reason, 1),)
    assert after.last_failure_at == NOW


def test_billing_hours_by_provider_are_compared_by_id() -> None:
    """Case 2: `Anthropic: 1` is one hour for anthropic, and five for all others."""
    backoff = backoff_from_json({"billingBackoffHoursByProvider": {"Anthropic": 1}, "billingMaxHours": 2})
    assert length(fail(None, "billing", provider="anthropic", backoff=backoff)) == HOUR
    assert length(fail(None, "billing", provider=" ANTHROPIC ", backoff=backoff)) == HOUR
    assert length(fail(None, "billing", backoff=backoff)) == 5 * HOUR  # a base above the maximum raises the maximum


def test_an_old_failure_counts_no_more() -> None:
    """Case 3: with the last failure 48 hours ago the counters start again."""
    before = Windows(error_count=9, failure_counts=(("billing", 3),), last_failure_at=NOW - 48 * HOUR)
    after = fail(before, "billing")
    assert (after.error_count, after.failure_counts) == (1, (("billing", 1),))
    assert length(after) == 5 * HOUR


def test_a_failure_inside_the_failure_window_goes_on_counting() -> None:
    """Exactly at the window's length the counters still stand."""
    before = Windows(error_count=1, last_failure_at=NOW - 24 * HOUR)
    assert fail(before, "timeout").error_count == 2
    assert fail(before, "timeout", NOW + 1).error_count == 1


@pytest.mark.parametrize("reason", CHANGING)
def test_a_failure_with_the_same_reason_in_its_active_window_is_concurrent(reason: str) -> None:
    """Case 6, and the difference from OpenClaw: the same object comes back."""
    first = fail(None, reason)
    assert fail(first, reason, NOW + 10 * SECOND) is first


@pytest.mark.parametrize(("first", "second"), [("rate_limit", "timeout"), ("billing", "auth_permanent")])
def test_another_reason_in_an_active_window_counts_and_does_not_move_its_end(first: str, second: str) -> None:
    """Case 6: the until value stays, the reason is always the latest."""
    before = fail(None, first, model="m")
    after = fail(before, second, NOW + SECOND)
    assert (after.cooldown_until, after.disabled_until) == (before.cooldown_until, before.disabled_until)
    assert second in (after.cooldown_reason, after.disabled_reason)
    assert after.error_count == 2
    assert after.failure_counts == ((first, 1), (second, 1))
    assert after.cooldown_model is None


@pytest.mark.parametrize(
    ("reason", "expected"), [("rate_limit", 30 * SECOND), ("billing", 5 * HOUR), ("auth_permanent", 10 * MINUTE)]
)
def test_after_a_window_the_next_failure_is_the_first(reason: str, expected: int) -> None:
    """Cases 7 and 11: a window that is over, also one found on disk, resets the counters."""
    until = NOW
    before = Windows(
        error_count=7,
        failure_counts=((reason, 7),),
        last_failure_at=NOW - HOUR,
        **{"disabled_until" if reason != "rate_limit" else "cooldown_until": until},  # type: ignore[arg-type]
    )
    after = fail(before, reason)
    assert (after.error_count, after.failure_counts) == (1, ((reason, 1),))
    assert length(after) == expected


def test_counters_go_on_while_one_window_of_several_is_active() -> None:
    """Only the latest of the windows decides whether the counters start again."""
    before = Windows(
        error_count=2, cooldown_until=NOW - 1, blocked_until=NOW - 2, disabled_until=NOW + HOUR, last_failure_at=NOW - 9
    )
    after = fail(before, "timeout")
    assert after.error_count == 3
    assert after.cooldown_until == NOW + 300 * SECOND


@pytest.mark.parametrize("provider", [*sorted(COOLDOWN_EXEMPT), "OpenRouter"])
def test_exempt_providers_record_nothing(provider: str) -> None:
    """A router's failure says nothing of its key."""
    before = Windows(last_used=1)
    assert fail(before, "billing", provider=provider) is before
    assert fail(None, "billing", provider=provider) == Windows()


@pytest.mark.parametrize("reason", ["format", "model_not_found", "server_error"])
def test_reasons_without_effect_change_nothing(reason: str) -> None:
    """What isn't the credential's fault leaves no trace."""
    before = Windows(last_used=1)
    assert fail(before, reason) is before
    assert fail(None, reason) == Windows()


def test_a_rate_limit_rests_only_its_model_until_another_is_limited_too() -> None:
    """The same model keeps the window, another one widens it to the profile, and nothing narrows it."""
    first = fail(None, "rate_limit", model="m1")
    assert first.cooldown_model == "m1"
    assert fail(first, "rate_limit", NOW + 1, model="m1") is first
    for other in ("m2", None):
        wide = fail(first, "rate_limit", NOW + 1, model=other)
        assert (wide.cooldown_model, wide.cooldown_until, wide.error_count) == (None, first.cooldown_until, 1)
        assert fail(wide, "rate_limit", NOW + 2, model="m1") is wide
    assert fail(None, "timeout", model="m1").cooldown_model is None


def test_a_new_rate_limit_in_another_reasons_window_is_the_profiles() -> None:
    """Two different troubles at once are not one model's."""
    assert fail(fail(None, "timeout"), "rate_limit", NOW + 1, model="m").cooldown_model is None


# --- settings ---


def test_settings_override_the_defaults() -> None:
    """Case 4: configured lengths are honoured, as mapping and as JSON text."""
    raw = {
        "billingBackoffHours": 0.5,
        "billingMaxHours": 1,
        "authPermanentBackoffMinutes": 2,
        "authPermanentMaxMinutes": 3,
        "failureWindowHours": 1,
    }
    expected = Backoff(
        billing_ms=HOUR // 2,
        billing_max_ms=HOUR,
        auth_permanent_ms=2 * MINUTE,
        auth_permanent_max_ms=3 * MINUTE,
        failure_window_ms=HOUR,
    )
    assert backoff_from_json(raw) == expected
    assert backoff_from_json(json.dumps(raw).encode()) == expected
    twice = Windows(failure_counts=(("auth_permanent", 1),), last_failure_at=NOW - 1)
    assert length(fail(twice, "auth_permanent", backoff=expected)) == 3 * MINUTE


@pytest.mark.parametrize("bad", [0, -1, "5", None, True, [], {}, float("inf"), float("nan")])
def test_settings_that_are_no_positive_numbers_leave_the_defaults(bad: object) -> None:
    """Step 4: a broken value is as good as none."""
    names = ("billingBackoffHours", "billingMaxHours", "authPermanentBackoffMinutes", "authPermanentMaxMinutes")
    raw = dict.fromkeys((*names, "failureWindowHours"), bad) | {"billingBackoffHoursByProvider": {"openai": bad}}
    assert backoff_from_json(raw) == Backoff()


@pytest.mark.parametrize("bad", [None, 3, "", b"", b"{", b"\xff", "[" * 100_000, [], "null"])
def test_settings_that_are_no_object_are_the_defaults(bad: object) -> None:
    """Reading the settings never raises."""
    assert backoff_from_json(bad) == Backoff()


def test_windows_are_never_shorter_than_a_minute_nor_past_the_last_date() -> None:
    """Absurd settings give windows that OpenClaw can read."""
    tiny = backoff_from_json({"billingBackoffHours": 1e-9, "billingMaxHours": 1e-9})
    assert length(fail(None, "billing", backoff=tiny)) == MINUTE
    huge = backoff_from_json({"billingBackoffHours": 10**400, "billingMaxHours": 1e300})
    assert fail(None, "billing", backoff=huge).disabled_until == 8_640_000_000_000_000


# --- success and clearing ---


def test_success_keeps_only_the_time_of_the_last_failure() -> None:
    """Formats 7.5: counters and windows are gone, the profile was used now."""
    before = fail(fail(None, "rate_limit", model="m"), "billing", NOW + 24)
    assert after_success(before, NOW + 99) == Windows(last_used=NOW + 99, error_count=0, last_failure_at=NOW + 24)
    assert after_success(None, NOW) == Windows(last_used=NOW, error_count=0)


def test_clearing_does_not_count_as_use() -> None:
    """Formats 7.5: the same as a success without lastUsed; no stats stay no stats."""
    before = fail(Windows(last_used=5), "billing")
    assert cleared(before) == Windows(last_used=5, error_count=0, last_failure_at=NOW)
    assert cleared(None) == Windows()


# --- what the windows say ---


def test_each_kind_of_window_says_effect_reason_and_end() -> None:
    """All active windows are told, the profile's before a model's."""
    windows = Windows(
        disabled_until=NOW + 3,
        disabled_reason="auth_permanent",
        blocked_until=NOW + 2,
        blocked_reason="subscription_limit",
        cooldown_until=NOW + 1,
        cooldown_reason="rate_limit",
        cooldown_model="m",
    )
    told = [(w.kind, w.effect, w.reason, w.until_ms - NOW, w.model) for w in active_windows(windows, NOW)]
    assert told == [
        ("disabled", Effect.REJECTED, "auth_permanent", 3, None),
        ("blocked", Effect.COOLDOWN, "subscription_limit", 2, None),
        ("cooldown", Effect.COOLDOWN, "rate_limit", 1, "m"),
    ]
    assert [w.kind for w in active_windows(windows, NOW, "other")] == ["disabled", "blocked"]
    assert [w.kind for w in active_windows(windows, NOW, "m")] == ["disabled", "blocked", "cooldown"]
    assert [w.kind for w in active_windows(windows, NOW + 1)] == ["disabled", "blocked"]
    assert active_windows(windows, NOW + 3) == ()
    assert active_windows(None, NOW) == ()
    other = Windows(cooldown_until=NOW + 1, cooldown_reason="timeout", cooldown_model="m")
    assert [w.model for w in active_windows(other, NOW, "other")] == [None]  # only a rate limit is a model's


@pytest.mark.parametrize("reason", [None, "bogus"])
def test_a_window_without_a_known_reason_is_taken_for_the_usual_one(reason: str | None) -> None:
    """A disabled window means billing and a cooldown unknown, when the file doesn't say."""
    windows = Windows(disabled_until=NOW + 1, disabled_reason=reason, cooldown_until=NOW + 1, cooldown_reason=reason)
    told = [(w.reason, w.effect) for w in active_windows(windows, NOW)]
    assert told == [("billing", Effect.DISABLED), ("unknown", Effect.COOLDOWN)]
    assert fail(windows, "billing") is windows
    assert fail(windows, "unknown") is windows


def test_half_open_is_when_all_windows_are_over() -> None:
    """One window that still rests the profile, or none at all, is not half-open."""
    windows = Windows(cooldown_until=NOW, disabled_until=NOW + 5)
    assert not lapsed(windows, NOW)
    assert lapsed(windows, NOW + 5)
    assert not lapsed(None, NOW)
    assert not lapsed(Windows(last_used=1, error_count=3, cooldown_until=0), NOW)
    assert not lapsed(Windows(cooldown_until=NOW - 1, cooldown_reason="format"), NOW)


# --- any history ---

STEPS = st.lists(
    st.tuples(
        st.sampled_from(sorted(REASONS)),
        st.integers(min_value=0, max_value=30 * HOUR),
        st.sampled_from([None, "m1", "m2"]),
    ),
    max_size=12,
)


def walk(steps: list[tuple[str, int, str | None]]) -> Iterator[tuple[Windows, Windows, int]]:
    """Yield the stats before and after each step, and its time."""
    windows, now = Windows(last_used=1), NOW
    for reason, pause, model in steps:
        now += pause
        before, windows = windows, fail(windows, reason, now, model=model)
        yield before, windows, now


@given(STEPS)
def test_no_window_ever_shrinks_while_it_is_active(steps: list[tuple[str, int, str | None]]) -> None:
    """Whatever is reported, an end that lies ahead never comes nearer, nor moves away."""
    for before, after, now in walk(steps):
        for field in ("cooldown_until", "disabled_until", "blocked_until"):
            old, new = getattr(before, field), getattr(after, field)
            if old is not None and old > now:
                assert new == old
            assert new is None or new <= now + 24 * HOUR


@given(STEPS)
def test_success_and_clearing_end_every_window(steps: list[tuple[str, int, str | None]]) -> None:
    """After either, no history leaves a window, a counter or a half-open state."""
    for _, windows, now in walk(steps):
        for healed in (after_success(windows, now), cleared(windows)):
            assert active_windows(healed, 0) == ()
            assert not lapsed(healed, now)
            assert (healed.error_count or 0, healed.failure_counts) == (0, ())


@given(STEPS)
def test_stats_survive_the_way_to_disk_and_back(steps: list[tuple[str, int, str | None]]) -> None:
    """Writing and reading gives the same stats, with only reasons that OpenClaw keeps."""
    for _, windows, _now in walk(steps):
        assert windows_from_json(json.loads(json.dumps(windows_to_json(windows)))) == windows
        assert {name for name, _ in windows.failure_counts} <= REASONS
