"""The fold of candidates, windows and reports into a cell."""

from __future__ import annotations

import pytest
from facts_builders import (
    BLANK,
    LITERAL,
    MAIN,
    NOW,
    REMOTE_URL,
    api_key,
    cli,
    entry,
    env_ref,
    index_of,
    oauth,
    provider,
    store,
    token,
    winner,
)

from openclaw_actors.auth.binding import key_of
from openclaw_actors.auth.check import check, gather, shared_candidates
from openclaw_actors.auth.ledger import Ledger, LedgerEntry, LedgerKey, effective_windows, prune
from openclaw_actors.auth.shared import SharedIndex
from openclaw_actors.auth.verdict import Cell, State
from openclaw_actors.home.facts import KeyFacts, KeyForm
from openclaw_actors.home.stores.merge import StoreView
from openclaw_actors.home.stores.windows import Windows
from openclaw_actors.ids import EvidenceId

NOW_MS = int(NOW * 1000)


def cell_of(
    name: str, index: SharedIndex, view: StoreView | None = None, ledger: Ledger | None = None, now: float = NOW
) -> Cell:
    """Check one provider."""
    return check(provider(name), index, view or store(), ledger or {}, now)


def resting(reason: str, *, seconds: int = 60, model: str | None = None) -> Windows:
    """Return a cooldown."""
    return Windows(
        cooldown_until=NOW_MS + seconds * 1000, cooldown_reason=reason, cooldown_model=model, last_failure_at=NOW_MS - 9
    )


def disabled(reason: str, *, seconds: int = 60) -> Windows:
    """Return a window of the disabled lane."""
    return Windows(disabled_until=NOW_MS + seconds * 1000, disabled_reason=reason)


@pytest.mark.parametrize(
    ("cell", "state", "evidence"),
    [
        (cell_of("groq", index_of(), store(api_key("groq:a"))), State.USABLE, "groq:a"),
        (cell_of("groq", index_of(), store(oauth("groq:a", expires_at=1.0))), State.REFRESHABLE, "groq:a"),
        (cell_of("bedrock", index_of()), State.UNVERIFIED, "cloud:aws"),
        (cell_of("groq", index_of(), store(unread="it is torn")), State.UNKNOWN, ""),
        (cell_of("groq", index_of(entry("groq", env_ref("X", is_set=False)))), State.UNRESOLVED, "config:groq"),
        (cell_of("groq", index_of(), store(token("groq:a", 1.0))), State.EXPIRED, "groq:a"),
        (cell_of("groq", index_of(), store(api_key("groq:a", BLANK))), State.MALFORMED, "groq:a"),
        (cell_of("groq", index_of()), State.MISSING, ""),
    ],
)
def test_every_state_without_windows(cell: Cell, state: State, evidence: str) -> None:
    """The best candidate gives the state; whatever isn't usable says what to do."""
    assert (cell.state, winner(cell)) == (state, evidence)
    assert cell.reason
    assert bool(cell.next_step) is not cell.has_auth


@pytest.mark.parametrize(
    ("windows", "state"),
    [
        *((resting(reason), State.COOLDOWN) for reason in ("rate_limit", "overloaded", "timeout", "unknown")),
        *((resting(reason), State.COOLDOWN) for reason in ("unclassified", "no_error_details", "empty_response")),
        (Windows(blocked_until=NOW_MS + 60_000, blocked_reason="subscription_limit"), State.COOLDOWN),
        (resting("auth"), State.REJECTED),
        (resting("session_expired"), State.REJECTED),
        (disabled("auth_permanent"), State.REJECTED),
        (disabled("billing"), State.DISABLED),
        (resting("format"), State.USABLE),
        (resting("model_not_found"), State.USABLE),
    ],
)
@pytest.mark.parametrize("reported", [False, True])
def test_windows_of_disk_and_reports_rest_a_profile(windows: Windows, state: State, reported: bool) -> None:
    """A window picks the state by its reason, whether it stands on disk or was reported here, until it is over."""
    ledger = {LedgerKey(MAIN, EvidenceId("groq:a"), b"secret"): LedgerEntry(windows, NOW_MS)} if reported else {}
    view = store(api_key("groq:a"), usage={} if reported else {"groq:a": windows})
    cell = cell_of("groq", index_of(), view, ledger)
    assert (cell.state, winner(cell), cell.presence) == (state, "groq:a", True)
    if state is State.USABLE:
        assert cell.valid_until is None
        return
    assert cell.valid_until == NOW + 60
    assert "2026" in cell.reason
    after = cell_of("groq", index_of(), view, ledger, now=NOW + 60)
    assert after.state is State.USABLE
    assert "half-open" in after.reason
    assert after.valid_until is None


def test_a_newer_disk_beats_a_report_and_another_secret_is_not_meant() -> None:
    """The newer of report and disk counts, and a report holds for the very secret that it was made of."""
    report = LedgerEntry(disabled("billing"), NOW_MS - 5)
    view = store(api_key("groq:a"), usage={"groq:a": Windows(last_used=NOW_MS)})
    of_this = {LedgerKey(MAIN, EvidenceId("groq:a"), b"secret"): report}
    of_another = {LedgerKey(MAIN, EvidenceId("groq:a"), b"older"): report}
    assert cell_of("groq", index_of(), view, of_this).state is State.USABLE
    assert cell_of("groq", index_of(), store(api_key("groq:a")), of_another).state is State.USABLE
    assert cell_of("groq", index_of(), store(api_key("groq:a")), of_this).state is State.DISABLED


def test_reports_reach_shared_evidence() -> None:
    """A refused variable or configured key is judged like a profile, with no store."""
    ledger = {LedgerKey(None, EvidenceId("env:GROQ_API_KEY"), b"GROQ_API_KEY"): LedgerEntry(resting("auth"), NOW_MS)}
    assert cell_of("groq", index_of(env=("GROQ_API_KEY",)), ledger=ledger).state is State.REJECTED
    view = store(usage={"inline-api-key:groq": disabled("billing")})
    assert cell_of("groq", index_of(entry("groq", LITERAL, url=REMOTE_URL)), view).state is State.DISABLED


def test_a_refused_secret_is_refused_under_every_name() -> None:
    """A configured key that names a variable yields the very secret that was refused; a rest is not shared."""
    same = KeyFacts(form=KeyForm.ENV_REF, name="GROQ_API_KEY", resolved=True, digest=b"GROQ_API_KEY")
    index = index_of(entry("groq", same, url=REMOTE_URL), env=("GROQ_API_KEY",))
    key = LedgerKey(None, EvidenceId("env:GROQ_API_KEY"), b"GROQ_API_KEY")
    assert cell_of("groq", index, ledger={key: LedgerEntry(resting("auth"), NOW_MS)}).state is State.REJECTED
    assert cell_of("groq", index, ledger={key: LedgerEntry(disabled("billing"), NOW_MS)}).state is State.DISABLED
    assert cell_of("groq", index, ledger={key: LedgerEntry(resting("rate_limit"), NOW_MS)}).state is State.USABLE


@pytest.mark.parametrize(
    ("other", "state"),
    [
        (Windows(last_used=NOW_MS - 10), State.REJECTED),
        (Windows(error_count=0), State.REJECTED),
        (Windows(last_used=NOW_MS + 5000), State.REJECTED),
        (Windows(last_used=NOW_MS - 8), State.USABLE),
    ],
)
def test_a_refused_secret_is_refused_where_nothing_newer_is_known_of_it(other: Windows, state: State) -> None:
    """Older usage of the same secret under another name is no proof that it works; a later success is."""
    same = KeyFacts(form=KeyForm.ENV_REF, name="GROQ_API_KEY", resolved=True, digest=b"GROQ_API_KEY")
    index = index_of(entry("groq", same, url=REMOTE_URL), env=("GROQ_API_KEY",))
    key = LedgerKey(None, EvidenceId("env:GROQ_API_KEY"), b"GROQ_API_KEY")
    view = store(usage={"inline-api-key:groq": other})
    assert cell_of("groq", index, view, {key: LedgerEntry(resting("auth"), NOW_MS)}).state is state


def test_usage_from_the_future_does_not_outlive_a_report() -> None:
    """A time on disk that is still to come was written by a wrong clock: the report counts."""
    report, disk = LedgerEntry(Windows(last_used=NOW_MS), NOW_MS), disabled("billing")
    future = Windows(disabled_until=disk.disabled_until, disabled_reason="billing", last_failure_at=NOW_MS + 1)
    assert effective_windows(future, report, NOW_MS) is report.windows
    assert effective_windows(future, report, NOW_MS + 1) is future


def test_what_a_report_was_made_on_top_of_counts_for_no_newer_than_it() -> None:
    """While the disk says what it said then it has nothing newer, whatever its dates; afterwards times decide."""
    used = Windows(last_used=NOW_MS + 1)
    report = LedgerEntry(disabled("billing"), NOW_MS, seen=(NOW_MS + 1, None))
    for now_ms in (NOW_MS, NOW_MS + 1, NOW_MS + 1000):
        assert effective_windows(used, report, now_ms) is report.windows
    written = Windows(last_used=NOW_MS + 1, last_failure_at=NOW_MS)
    assert effective_windows(written, report, NOW_MS) is written, "or cleared since"
    newer = Windows(last_used=NOW_MS + 2)
    assert effective_windows(newer, report, NOW_MS) is report.windows
    assert effective_windows(newer, report, NOW_MS + 2) is newer


def test_a_time_that_is_still_to_come_is_one_at_which_a_report_may_be_outweighed() -> None:
    """What a fast clock has dated since counts when that has come, and somebody has to look then."""
    view = store(api_key("groq:a"), usage={"groq:a": Windows(last_used=NOW_MS + 7000)})
    (mine,) = cell_of("groq", index_of(), view).candidates
    assert cell_of("groq", index_of(), view).valid_until is None, "nothing is reported"
    for seen, until in ((None, NOW_MS + 7000), ((NOW_MS + 7000, None), NOW_MS + 60_000)):
        cell = cell_of("groq", index_of(), view, {key_of(mine): LedgerEntry(resting("auth"), NOW_MS, seen=seen)})
        assert (cell.state, cell.valid_until) == (State.REJECTED, until / 1000)


def test_a_ledger_that_is_too_long_loses_what_is_over_first() -> None:
    """Of too many entries the oldest whose windows are over go, and a refusal that still holds stays."""
    book = {LedgerKey(None, EvidenceId("env:A"), b"a"): LedgerEntry(resting("auth"), 0)}
    for number in range(4096):
        book[LedgerKey(None, EvidenceId(f"env:{number}"), b"b")] = LedgerEntry(Windows(last_used=1), number)
    prune(book, NOW_MS)
    assert len(book) <= 4096
    assert LedgerKey(None, EvidenceId("env:A"), b"a") in book
    assert LedgerKey(None, EvidenceId("env:0"), b"b") not in book
    assert LedgerKey(None, EvidenceId("env:4095"), b"b") in book


def test_the_worst_effect_wins() -> None:
    """Of several windows the worst effect gives the state; the first end changes the answer."""
    both = Windows(
        cooldown_until=NOW_MS + 90_000,
        cooldown_reason="rate_limit",
        disabled_until=NOW_MS + 30_000,
        disabled_reason="billing",
    )
    view = store(api_key("groq:a"), usage={"groq:a": both})
    assert cell_of("groq", index_of(), view).state is State.DISABLED
    assert cell_of("groq", index_of(), view).valid_until == NOW + 30
    assert cell_of("groq", index_of(), view, now=NOW + 30).state is State.COOLDOWN


def test_windows_say_nothing_of_what_is_not_usable() -> None:
    """A window doesn't make an expired token rest."""
    view = store(token("groq:a", 1.0), usage={"groq:a": resting("rate_limit")})
    assert cell_of("groq", index_of(), view).state is State.EXPIRED
    refreshable = store(oauth("groq:a", expires_at=1.0), usage={"groq:a": resting("rate_limit")})
    assert cell_of("groq", index_of(), refreshable).state is State.COOLDOWN


def test_exempt_providers_never_rest() -> None:
    """A provider without cooldowns keeps its state."""
    view = store(api_key("openrouter:a"), usage={"openrouter:a": disabled("billing")})
    assert cell_of("openrouter", index_of(), view).state is State.USABLE


def test_a_model_window_rests_that_model_alone() -> None:
    """A model-scoped window leaves the provider usable and rests one model; it still sets the next moment."""
    view = store(api_key("groq:a"), usage={"groq:a": resting("rate_limit", model="big")})
    cell = cell_of("groq", index_of(), view)
    assert cell.state is State.USABLE
    assert [name for name, _ in cell.models] == ["big"]
    assert cell.for_model("big").state is State.COOLDOWN
    assert "big" in cell.for_model("big").reason
    assert cell.for_model("small") is cell
    assert cell.valid_until == NOW + 60
    over = cell_of("groq", index_of(), view, now=NOW + 60)
    assert over.models == ()


def test_a_model_goes_to_the_next_profile() -> None:
    """When one profile rests for a model, the model's winner is the next profile."""
    view = store(api_key("groq:a"), api_key("groq:b"), usage={"groq:a": resting("rate_limit", model="big")})
    cell = cell_of("groq", index_of(), view)
    assert (winner(cell), winner(cell.for_model("big"))) == ("groq:a", "groq:b")
    assert cell.for_model("big").state is State.USABLE


def test_resting_credentials_come_last() -> None:
    """The winner is what a run would use: what doesn't rest in run order, then what rests, soonest end first."""
    view = store(api_key("groq:a"), api_key("groq:b"), usage={"groq:a": resting("rate_limit")})
    cell = cell_of("groq", index_of(env=("GROQ_API_KEY",)), view)
    assert winner(cell) == "groq:b"
    assert [evidence.id for evidence in cell.shadowed] == ["env:GROQ_API_KEY", "groq:a"]
    usage = {"groq:a": resting("rate_limit", seconds=90), "groq:b": resting("timeout", seconds=30)}
    both = cell_of("groq", index_of(), store(api_key("groq:a"), api_key("groq:b"), usage=usage))
    assert (both.state, winner(both), both.valid_until) == (State.COOLDOWN, "groq:b", NOW + 30)


def test_the_state_may_come_from_another_credential() -> None:
    """The best credential gives the state, the first in run order wins, and the reason says so."""
    cell = cell_of("groq", index_of(env=("GROQ_API_KEY",)), store(oauth("groq:a", expires_at=1.0)))
    assert (cell.state, winner(cell)) == (State.USABLE, "groq:a")
    assert "env:GROQ_API_KEY" in cell.reason


def test_without_auth_the_best_state_wins() -> None:
    """When nothing has auth, the best of what speaks against is shown."""
    view = store(api_key("groq:a", BLANK), token("groq:b", 1.0))
    cell = cell_of("groq", index_of(entry("groq", env_ref("X", is_set=False))), view)
    assert (cell.state, winner(cell)) == (State.UNRESOLVED, "config:groq")
    assert [evidence.id for evidence in cell.shadowed] == ["groq:b", "groq:a"]


def test_an_unread_source_makes_unknown_what_it_could_hold() -> None:
    """What an unread source could hold is unknown, unless another source has auth; other providers are not touched."""
    index = index_of(unread=(("cli:codex", "it took too long"),))
    for name in ("openai-codex", "codex-cli"):
        cell = cell_of(name, index)
        assert (cell.state, cell.reason) == (State.UNKNOWN, "it took too long")
    assert cell_of("groq", index).state is State.MISSING
    assert cell_of("openai-codex", index, store(oauth("openai-codex:a"))).state is State.USABLE
    worse = cell_of("openai-codex", index, store(token("openai-codex:a", 1.0)))
    assert (worse.state, winner(worse), worse.presence) == (State.UNKNOWN, "openai-codex:a", True)
    assert cell_of("groq", index_of(unread=(("environment", "no"),))).state is State.UNKNOWN
    assert cell_of("groq", index_of(unread=(("catalog", "no"),))).state is State.MISSING


def test_missing_says_where_was_looked() -> None:
    """A missing answer names the variables that would count and the command; an unknown id is called so."""
    cell = cell_of("groq", index_of())
    assert "GROQ_API_KEY" in cell.reason
    assert cell.next_step == "set GROQ_API_KEY or add a profile: openclaw models auth login --provider groq"
    nowhere = cell_of("no-such-thing", index_of())
    assert (nowhere.state, nowhere.presence) == (State.MISSING, False)
    assert "unknown provider" in nowhere.reason
    assert "unknown provider" not in cell_of("from-catalogue", index_of(catalog=("from-catalogue",))).reason


def test_the_next_moment_is_the_earliest_of_all() -> None:
    """Expiries of all candidates count, the margin of logins included, and nothing that is over."""
    view = store(token("claude-cli:a", (NOW + 900) * 1000), oauth("claude-cli:b", expires_at=NOW + 2000))
    index = index_of(clis=(cli("claude", expires_at=NOW + 1000),))
    assert cell_of("claude-cli", index, view).valid_until == NOW + 700
    assert cell_of("claude-cli", index, view, now=NOW + 700).valid_until == NOW + 900
    assert cell_of("claude-cli", index, view, now=NOW + 900).valid_until == NOW + 1000
    assert cell_of("claude-cli", index, view, now=NOW + 1000).valid_until == NOW + 1700
    assert cell_of("claude-cli", index, view, now=NOW + 1700).valid_until is None


@pytest.mark.parametrize("at_ms", [1_795_173_368_882, 1_795_173_368_001, 1_795_173_368_999])
def test_the_moment_itself_changes_the_answer(at_ms: int) -> None:
    """Checked exactly at `valid_until`, a cell has changed, whatever the rounding of milliseconds."""
    usage = {"groq:a": Windows(cooldown_until=at_ms, cooldown_reason="timeout")}
    for view in (
        store(api_key("groq:a"), usage=usage),
        store(token("groq:a", at_ms)),
        store(oauth("groq:a", expires_at=at_ms / 1000)),
    ):
        before = cell_of("groq", index_of(), view)
        assert before.valid_until is not None
        after = cell_of("groq", index_of(), view, now=before.valid_until)
        assert after.state is not before.state
        assert after.valid_until is None


def test_shared_candidates_are_computed_once() -> None:
    """The shared part of a check is the same object until time changes it."""
    index = index_of(clis=(cli("claude", expires_at=NOW + 10),))
    first = shared_candidates(provider("claude-cli"), index, NOW)
    assert shared_candidates(provider("claude-cli"), index, NOW + 9) is first
    assert shared_candidates(provider("claude-cli"), index, NOW + 10) is not first
    assert gather(provider("groq"), index, store(), NOW) == ()


def test_no_secret_digest_shows() -> None:
    """Texts of a cell hold no digest and no secret."""
    cell = cell_of("groq", index_of(entry("groq", LITERAL), env=("GROQ_API_KEY",)), store(api_key("groq:a")))
    texts = [cell.reason, cell.next_step, *(e.detail for e in (cell.evidence, *cell.shadowed) if e is not None)]
    assert not any("secret" in text for text in texts)
