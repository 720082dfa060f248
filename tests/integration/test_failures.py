"""Refused requests: what is reported hides, rests or frees a credential at once, and is written where it belongs."""

from __future__ import annotations

import datetime
import json
import os
import threading
from pathlib import Path

import pytest
from homes import Home, SqliteOwner, Supervise, api_key, eventually, now_ms, secret

from openclaw_actors import (
    AuthSupervisor,
    Change,
    NotRunningError,
    Scope,
    State,
    StoreBusyError,
    StoreError,
    UnknownReasonError,
)
from openclaw_actors.actors.address import Address

ACME = {
    "baseUrl": "https://acme.test/v1",
    "apiKey": secret("acme"),
    "api": "openai-completions",
    "models": [{"id": "anvil-1"}],
}


@pytest.fixture
def shared(home: Home) -> Home:
    """Return a home in which `ops` and `lab` inherit everything from `main`."""
    home.agents("main", "ops", "lab").write_config(models={"providers": {"acme": ACME}})
    home.env["GROQ_API_KEY"] = secret("groq")
    return home.write_profiles(openai__work=api_key("openai"), mistral__work=api_key("mistral"))


def state(supervisor: AuthSupervisor, provider: str = "openai", agent: str = "main", model: str | None = None) -> State:
    """Return the state of one answer."""
    return supervisor.verdict(provider, agent_id=agent, model=model).state


def answered(supervisor: AuthSupervisor, provider: str = "openai", agent: str = "main") -> bool:
    """Wait until nothing newer is wanted for a cell."""
    return eventually(lambda: supervisor.verdict(provider, agent_id=agent).fresh)


def identity(path: Path) -> tuple[int, int, bytes]:
    """Return what changes whenever a file is written: inode, mtime and content."""
    found = path.stat()
    return found.st_ino, found.st_mtime_ns, path.read_bytes()


# ------------------------------------------------------------------------------------------------- hiding and resting


def test_a_refused_credential_is_hidden_and_stays_hidden(shared: Home, supervise: Supervise) -> None:
    """A refusal hides a credential for all who see it, and no re-check, reload or file event brings it back."""
    supervisor = supervise(shared)
    changes: list[Change] = []
    supervisor.subscribe(changes.append)
    supervisor.report_failure("openai:work", "auth", agent_id="ops")
    assert eventually(lambda: not any(supervisor.has_auth("openai", agent_id=one) for one in ("main", "ops", "lab")))
    verdict = supervisor.verdict("openai")
    assert (verdict.state, verdict.presence) == ("rejected", True)
    assert verdict.next_step
    assert not verdict.reason.startswith("API key")
    for _ in range(3):
        supervisor.invalidate(Scope.provider("openai"), "again")
        supervisor.reload_config()
        os.utime(shared.profiles_path())
        assert answered(supervisor)
        assert state(supervisor) is State.REJECTED
    both = {"openai__work": api_key("openai"), "mistral__work": api_key("mistral")}
    shared.write_profiles(**both, zai__me=api_key("zai"))
    assert eventually(lambda: supervisor.has_auth("zai"))
    assert state(supervisor) is State.REJECTED
    seen = [(one.agent_id, one.new.state) for one in changes if one.provider == "openai"]
    assert sorted(seen) == [("lab", "rejected"), ("main", "rejected"), ("ops", "rejected")]
    assert supervisor.has_auth("mistral")


def test_a_refusal_survives_a_new_supervisor(shared: Home, supervise: Supervise) -> None:
    """What was refused is read back from disk by the next process."""
    first = supervise(shared)
    first.report_failure("openai:work", "auth")
    first.stop()
    assert shared.usage()["openai:work"]["cooldownReason"] == "auth"
    assert state(supervise(shared)) is State.REJECTED


def test_billing_disables(shared: Home, supervise: Supervise) -> None:
    """An account that can't pay is no account: disabled, for hours, and other providers stay."""
    supervisor = supervise(shared)
    supervisor.report_failure("openai:work", "billing")
    assert eventually(lambda: state(supervisor) is State.DISABLED)
    assert not supervisor.has_auth("openai")
    assert state(supervisor, "mistral") is State.USABLE
    assert eventually(lambda: shared.usage().get("openai:work", {}).get("disabledReason") == "billing")
    assert shared.usage()["openai:work"]["disabledUntil"] > now_ms(4 * 3600)


def test_a_rate_limit_of_one_model_rests_only_that_model(shared: Home, supervise: Supervise) -> None:
    """One model's quota hides no other model."""
    supervisor = supervise(shared)
    supervisor.report_failure("openai:work", "rate_limit", model="gpt-5")
    assert eventually(lambda: state(supervisor, model="gpt-5") is State.COOLDOWN)
    assert state(supervisor) is State.USABLE
    assert state(supervisor, model="gpt-4.1") is State.USABLE
    assert supervisor.has_auth("openai", model="gpt-5")
    assert eventually(lambda: shared.usage().get("openai:work", {}).get("cooldownModel") == "gpt-5")


@pytest.mark.parametrize("reason", ["format", "model_not_found", "server_error"])
def test_faults_of_the_request_change_no_verdict(reason: str, shared: Home, supervise: Supervise) -> None:
    """A bad request, an unknown model or a broken server says nothing of a credential: no change, no write."""
    supervisor = supervise(shared)
    before = supervisor.stats()
    supervisor.report_failure("openai:work", reason)
    assert eventually(lambda: supervisor.stats().failures_reported == 1)
    assert answered(supervisor)
    after = supervisor.stats()
    assert state(supervisor) is State.USABLE
    assert (after.provider_checks, after.publications) == (before.provider_checks, before.publications)
    supervisor.stop()
    assert not shared.state_path().exists()


def test_an_unknown_reason_is_refused() -> None:
    """A reason outside the table is the caller's mistake, said at once and without quoting it."""
    with pytest.raises(UnknownReasonError) as raised:
        AuthSupervisor("/nonexistent").report_failure("openai:work", secret("not-a-reason"))
    assert "rate_limit" in str(raised.value)


def test_a_report_on_unknown_evidence_changes_nothing(shared: Home, supervise: Supervise) -> None:
    """A profile that nobody sees is answered like any other event and leaves everything as it is."""
    supervisor = supervise(shared)
    before = supervisor.stats()
    supervisor.report_failure("openai:gone", "auth")
    assert eventually(lambda: supervisor.stats().failures_reported == 1)
    assert answered(supervisor)
    assert supervisor.stats().publications == before.publications


@pytest.mark.parametrize(("evidence", "provider"), [("env:GROQ_API_KEY", "groq"), ("config:acme", "acme")])
def test_a_refused_shared_key_is_hidden_for_all_agents(
    evidence: str, provider: str, shared: Home, supervise: Supervise
) -> None:
    """A key from the environment or the config is everybody's, so its refusal is too; nothing is written for it."""
    supervisor = supervise(shared)
    supervisor.report_failure(evidence, "auth", agent_id="lab")
    agents = ("main", "ops", "lab")
    assert eventually(lambda: all(state(supervisor, provider, one) is State.REJECTED for one in agents))
    supervisor.invalidate(Scope.provider(provider), "again")
    assert all(answered(supervisor, provider, one) for one in agents)
    assert not any(supervisor.has_auth(provider, agent_id=one) for one in agents)
    supervisor.report_success(evidence, agent_id="ops")
    assert eventually(lambda: all(supervisor.has_auth(provider, agent_id=one) for one in agents))
    supervisor.stop()
    assert not shared.state_path().exists()


def test_a_burst_of_failures_costs_at_most_two_checks(home: Home, supervise: Supervise) -> None:
    """1,000 concurrent refusals of one credential are one offence: at most two checks, none of other providers."""
    home.write_config().write_profiles(openai__work=api_key("openai"), mistral__work=api_key("mistral"))
    supervisor = supervise(home)
    before, openai = supervisor.stats(), supervisor.verdict("openai").generation
    for _ in range(1000):
        supervisor.report_failure("mistral:work", "auth")
    assert eventually(lambda: supervisor.stats().failures_reported == 1000)
    assert answered(supervisor, "mistral")
    assert state(supervisor, "mistral") is State.REJECTED
    assert supervisor.verdict("openai").generation == openai
    supervisor.stop()
    after = supervisor.stats()
    assert after.provider_checks - before.provider_checks <= 2
    assert after.publications - before.publications <= 3
    assert home.usage()["mistral:work"]["errorCount"] == 1


# ------------------------------------------------------------------------------------------------------- coming back


def test_a_success_frees_a_resting_credential(shared: Home, supervise: Supervise) -> None:
    """A served request clears the windows, in the answers and on disk, and is remembered as the last good one."""
    supervisor = supervise(shared)
    supervisor.report_failure("openai:work", "overloaded")
    assert eventually(lambda: state(supervisor) is State.COOLDOWN)
    supervisor.report_success("openai:work", agent_id="ops")
    assert eventually(lambda: state(supervisor, agent="lab") is State.USABLE)
    supervisor.stop()
    document = json.loads(shared.state_path().read_text())
    assert "cooldownUntil" not in document["usageStats"]["openai:work"]
    assert document["usageStats"]["openai:work"]["errorCount"] == 0
    assert document["lastGood"] == {"openai": "openai:work"}


def test_a_new_secret_is_not_the_refused_one(shared: Home, supervise: Supervise) -> None:
    """A refusal holds for the very secret: a new one counts as soon as it is read, whatever the window says."""
    supervisor = supervise(shared)
    supervisor.report_failure("openai:work", "auth")
    assert eventually(lambda: not supervisor.has_auth("openai"))
    assert eventually(lambda: "openai:work" in shared.usage())
    assert answered(supervisor)
    shared.write_profiles(openai__work=api_key("openai", "rotated"), mistral__work=api_key("mistral"))
    assert eventually(lambda: supervisor.has_auth("openai"), 2.0)
    assert eventually(lambda: supervisor.verdict("openai").fresh)
    assert supervisor.has_auth("openai")


def test_a_recheck_brings_a_refused_credential_back(shared: Home, supervise: Supervise) -> None:
    """When a person says recheck, what was reported is set aside until the next report."""
    supervisor = supervise(shared)
    supervisor.report_failure("openai:work", "auth")
    assert eventually(lambda: not supervisor.has_auth("openai"))
    assert eventually(lambda: "openai:work" in shared.usage())
    supervisor.recheck("OpenAI")
    assert eventually(lambda: supervisor.has_auth("openai"))
    assert answered(supervisor)
    assert supervisor.has_auth("openai")
    supervisor.report_failure("openai:work", "auth")
    assert eventually(lambda: not supervisor.has_auth("openai"))


def test_clear_cooldown_returns_when_it_is_published(shared: Home, supervise: Supervise) -> None:
    """After the call the answer and the owner's file are clear, for everyone who sees the profile."""
    supervisor = supervise(shared)
    supervisor.report_failure("openai:work", "billing", agent_id="ops")
    assert eventually(lambda: "openai:work" in shared.usage())
    assert eventually(lambda: not supervisor.has_auth("openai"))
    supervisor.clear_cooldown("openai:work", agent_id="ops")
    assert [state(supervisor, agent=one) for one in ("main", "ops", "lab")] == [State.USABLE] * 3
    assert "disabledUntil" not in shared.usage()["openai:work"]
    assert not shared.agent_dir("ops").exists()
    with pytest.raises(StoreError, match="openai:work"):
        supervisor.clear_cooldown("openai:nobody")


def test_clear_cooldown_is_not_undone_by_a_write_that_waits(shared: Home, supervise: Supervise) -> None:
    """A failure that was reported a moment before and isn't written yet does not come back."""
    supervisor = supervise(shared, usage_flush_s=0.2)
    supervisor.report_failure("openai:work", "billing")
    assert eventually(lambda: not supervisor.has_auth("openai"))
    supervisor.clear_cooldown("openai:work")
    assert supervisor.has_auth("openai")
    supervisor.stop()
    assert "disabledUntil" not in shared.usage().get("openai:work", {})


def test_logout_returns_when_it_is_published(shared: Home, supervise: Supervise) -> None:
    """After the call no agent has the profile, on disk or in the answers, and other profiles are as they were."""
    supervisor = supervise(shared)
    supervisor.logout("openai", agent_id="ops")
    assert not any(supervisor.has_auth("openai", agent_id=one) for one in ("main", "ops", "lab"))
    assert list(json.loads(shared.profiles_path().read_text())["profiles"]) == ["mistral:work"]
    assert supervisor.has_auth("mistral")
    with pytest.raises(StoreError, match="openai"):
        supervisor.logout("openai")


def test_logout_of_the_only_profile_waits_for_no_grace(home: Home, supervise: Supervise) -> None:
    """Our own logout needs no time to be believed: the answer is gone when the call returns."""
    home.write_config().write_profiles(openai__work=api_key("openai"))
    supervisor = supervise(home)
    supervisor.logout("openai")
    assert state(supervisor) is State.MISSING


def test_a_store_that_somebody_else_locks_is_busy(shared: Home, supervise: Supervise) -> None:
    """A lock of a live process is respected, and said."""
    supervisor = supervise(shared, lock_timeout_s=0.2)
    lock = shared.profiles_path().with_name("auth-profiles.json.lock")
    created = datetime.datetime.now(datetime.UTC).isoformat()
    lock.write_text(json.dumps({"pid": os.getpid(), "createdAt": created}, indent=2) + "\n")
    before = identity(shared.profiles_path())
    with pytest.raises(StoreBusyError):
        supervisor.logout("openai")
    assert identity(shared.profiles_path()) == before
    assert supervisor.has_auth("openai")
    lock.unlink()
    supervisor.logout("openai")
    assert not supervisor.has_auth("openai")


# ---------------------------------------------------------------------------------------------------------- on disk


def test_a_failure_of_an_inherited_profile_is_written_to_its_owner(shared: Home, supervise: Supervise) -> None:
    """The usage lands in `main`'s file; the agent that ran gets no folder, and the credentials are never rewritten."""
    before = identity(shared.profiles_path())
    supervisor = supervise(shared)
    supervisor.report_failure("openai:work", "rate_limit", agent_id="ops")
    assert eventually(lambda: "openai:work" in shared.usage())
    supervisor.stop()
    stats = shared.usage()["openai:work"]
    assert (stats["cooldownReason"], stats["errorCount"], stats["failureCounts"]) == (
        "rate_limit",
        1,
        {"rate_limit": 1},
    )
    assert not shared.agent_dir("ops").exists()
    assert identity(shared.profiles_path()) == before
    assert sorted(path.name for path in shared.agent_dir().iterdir()) == ["auth-profiles.json", "auth-state.json"]


def test_the_same_failure_again_rewrites_nothing(shared: Home, supervise: Supervise) -> None:
    """Reports that change nothing touch no file: not its bytes, not its inode, not its mtime."""
    supervisor = supervise(shared, usage_flush_s=0.01)
    supervisor.report_failure("openai:work", "auth")
    assert eventually(lambda: "openai:work" in shared.usage())
    before = identity(shared.state_path())
    for _ in range(50):
        supervisor.report_failure("openai:work", "auth", agent_id="lab")
    assert eventually(lambda: supervisor.stats().failures_reported == 51)
    supervisor.stop()
    assert identity(shared.state_path()) == before


def test_our_own_usage_writes_start_no_check(shared: Home, supervise: Supervise) -> None:
    """The file event of our own write finds nothing new: no loop."""
    supervisor = supervise(shared, usage_flush_s=0.05)
    supervisor.report_failure("openai:work", "auth")
    assert eventually(lambda: not supervisor.has_auth("openai"))
    assert answered(supervisor)
    before = supervisor.stats()
    assert eventually(lambda: "openai:work" in shared.usage())
    assert eventually(lambda: supervisor.stats().store_reads > before.store_reads)
    assert answered(supervisor)
    assert supervisor.stats().provider_checks == before.provider_checks


def test_unwritten_usage_is_flushed_by_stop(shared: Home, supervise: Supervise) -> None:
    """Usage is gathered before it is written, and a stop writes what waits."""
    supervisor = supervise(shared, usage_flush_s=30.0)
    supervisor.report_failure("openai:work", "billing")
    assert eventually(lambda: not supervisor.has_auth("openai"))
    assert not shared.state_path().exists()
    supervisor.stop()
    assert shared.usage()["openai:work"]["disabledReason"] == "billing"


def test_usage_of_a_sqlite_store_is_kept_in_memory_and_said(home: Home, supervise: Supervise) -> None:
    """A store that isn't written yet still hides what was refused; health says that it is not on disk."""
    home.write_config()
    owner = SqliteOwner(home.agent_dir())
    try:
        owner.write({"openai:work": api_key("openai")})
        supervisor = supervise(home)
        supervisor.report_failure("openai:work", "auth")
        assert eventually(lambda: state(supervisor) is State.REJECTED)

        def said() -> bool:
            condition = supervisor.health().condition("UsagePersisted")
            return condition is not None and not condition.status and "SQLite" in condition.message

        assert eventually(said)
        assert answered(supervisor)
        assert state(supervisor) is State.REJECTED
        assert not home.state_path().exists()
    finally:
        owner.close()


def test_logout_takes_what_was_stored_a_moment_ago_too(home: Home, supervise: Supervise) -> None:
    """What is on disk counts, not what was read: a login of another process right before a logout is logged out."""
    home.agents("main", "ops").write_config().write_profiles(zai__default=api_key("zai"))
    supervisor = supervise(home)
    for number in range(5):
        home.write_profiles(zai__default=api_key("zai"), **{f"zai__new{number}": api_key("zai", f"{number}")})
        supervisor.logout("zai", agent_id="ops")
        assert not supervisor.has_auth("zai")
        assert not supervisor.has_auth("zai", agent_id="ops")
        assert "zai" not in (home.path / "agents" / "main" / "agent" / "auth-profiles.json").read_text()
        home.write_profiles(zai__default=api_key("zai"))
        eventually(lambda: supervisor.has_auth("zai", agent_id="ops"))
    home.write_profiles("ops", groq__only=api_key("groq"))
    supervisor.logout("groq", agent_id="ops")
    assert not supervisor.has_auth("groq", agent_id="ops")
    assert eventually(lambda: supervisor.verdict("groq", agent_id="ops").fresh)
    assert not supervisor.has_auth("groq", agent_id="ops")


def test_a_stop_ends_the_wait_of_a_logout(home: Home, supervise: Supervise, monkeypatch: pytest.MonkeyPatch) -> None:
    """A logout whose publication never comes, since everything is stopped, doesn't wait for it."""
    home.write_config().write_profiles(**{f"zai__{number}": api_key("zai", f"{number}") for number in range(50)})
    supervisor = supervise(home)
    tell = Address.tell
    # the wish to have it published is lost
    monkeypatch.setattr(Address, "tell", lambda self, one: getattr(one, "reason", "") == "logout" or tell(self, one))
    failed = threading.Event()

    def log_out() -> None:
        try:
            supervisor.logout("zai")
        except NotRunningError:
            failed.set()

    thread = threading.Thread(target=log_out, daemon=True)
    thread.start()
    eventually(lambda: "zai:1" not in (home.path / "agents/main/agent/auth-profiles.json").read_text())
    supervisor.stop()
    assert failed.wait(5)
    thread.join(5)
