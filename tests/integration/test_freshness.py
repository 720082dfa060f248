"""What happens on disk shows in the answers, and what changes nothing costs nothing: real files and processes."""

from __future__ import annotations

import mmap
import os
import shutil
import sqlite3
import time

import pytest
from faults import holds_for
from homes import (
    DATABASE,
    Home,
    SqliteOwner,
    Supervise,
    api_key,
    eventually,
    now_ms,
    replace_text,
    secret,
    token,
    write_from_another_process,
)

from openclaw_actors import AuthSupervisor, Change, State

ACME = {
    "baseUrl": "https://acme.test/v1",
    "apiKey": secret("acme"),
    "api": "openai-completions",
    "models": [{"id": "anvil-1"}],
}


def bad(supervisor: AuthSupervisor, kind: str) -> str:
    """Return the message of a condition that is not well; empty when it is."""
    found = supervisor.health().condition(kind)
    return found.message if found is not None and not found.status else ""


def changes_of(supervisor: AuthSupervisor) -> list[Change]:
    """Return a list to which the changes from now on are added."""
    changes: list[Change] = []
    supervisor.subscribe(changes.append)
    return changes


@pytest.fixture
def small(home: Home) -> Home:
    """Return a home with one agent and one stored key."""
    home.write_config().write_profiles(openai__work=api_key("openai"))
    return home


@pytest.fixture
def running(small: Home, supervise: Supervise) -> AuthSupervisor:
    """Return a warm supervisor on the small home, its watches in place."""
    supervisor = supervise(small)
    assert eventually(lambda: supervisor.health().condition("Watching"))
    return supervisor


# ------------------------------------------------------------------------------------------------------------ stores


def test_a_login_by_atomic_replace_is_seen(small: Home, running: AuthSupervisor) -> None:
    """Another program's login shows without anybody asking, as one change of one provider, and checks nothing else."""
    changes, before = changes_of(running), running.stats()
    small.write_profiles(openai__work=api_key("openai"), zai__me=api_key("zai"))
    assert eventually(lambda: running.has_auth("zai"))
    assert eventually(lambda: changes)
    assert [(one.provider, one.old.state, one.new.state) for one in changes] == [("zai", "missing", "usable")]
    assert running.stats().provider_checks - before.provider_checks == 1
    assert running.presence("zai")
    assert running.verdict("zai").fresh


def test_truncate_and_write_in_place_is_seen(small: Home, running: AuthSupervisor) -> None:
    """A writer that knows nothing of atomic replacement is seen too."""
    text = small.profiles_path().read_text().replace("openai", "mistral")
    small.profiles_path().write_text(text)
    assert eventually(lambda: running.has_auth("mistral") and not running.has_auth("openai"))


def test_a_removed_store_is_a_logout_after_the_grace(small: Home, supervise: Supervise) -> None:
    """A store that is gone keeps its answer for the grace and loses it afterwards."""
    supervisor = supervise(small, gone_grace_s=0.4)
    reads = supervisor.stats().store_reads
    small.profiles_path().unlink()
    gone_at = time.monotonic()
    assert eventually(lambda: supervisor.stats().store_reads > reads)
    seen = supervisor.has_auth("openai")
    assert seen or time.monotonic() - gone_at > 0.4
    assert eventually(lambda: not supervisor.has_auth("openai"))
    assert time.monotonic() - gone_at >= 0.4
    assert supervisor.verdict("openai").state is State.MISSING
    assert not supervisor.presence("openai")


def test_a_store_that_comes_back_within_the_grace_was_never_gone(small: Home, supervise: Supervise) -> None:
    """Delete and re-create is no change: not one publication, not one check."""
    supervisor = supervise(small, gone_grace_s=0.6)
    changes, before = changes_of(supervisor), supervisor.stats()
    text = small.profiles_path().read_text()
    small.profiles_path().unlink()
    assert eventually(lambda: supervisor.stats().store_reads > before.store_reads)
    replace_text(small.profiles_path(), text)
    until = time.monotonic() + 0.8
    assert eventually(lambda: time.monotonic() > until)
    after = supervisor.stats()
    assert (after.provider_checks, after.publications) == (before.provider_checks, before.publications)
    assert changes == []
    small.write_profiles(openai__work=api_key("openai"), zai__me=api_key("zai"))
    assert eventually(lambda: supervisor.has_auth("zai"))
    assert supervisor.has_auth("openai")


def test_a_login_after_a_logout_is_seen(small: Home, running: AuthSupervisor) -> None:
    """A store that is gone for good stays watched."""
    small.profiles_path().unlink()
    assert eventually(lambda: not running.has_auth("openai"))
    small.write_profiles(openai__work=api_key("openai", "new"))
    assert eventually(lambda: running.has_auth("openai"))


def test_a_malformed_store_keeps_the_last_good_answer(small: Home, running: AuthSupervisor) -> None:
    """A broken file changes no answer, presence included; health says so, and not fresh, until a good one comes."""
    revision = running.snapshot().revision
    replace_text(small.profiles_path(), '{"version": 1, "profiles": {"openai:work": {"key": "' + secret("torn"))
    assert eventually(lambda: bad(running, "StoresReadable"))
    assert str(small.profiles_path()) in bad(running, "StoresReadable")
    verdict = running.verdict("openai")
    assert (verdict.state, verdict.presence, verdict.fresh) == ("usable", True, False)
    assert running.snapshot().revision == revision or not verdict.fresh
    small.write_profiles(mistral__work=api_key("mistral"))
    assert eventually(lambda: running.has_auth("mistral") and not bad(running, "StoresReadable"))
    assert not running.has_auth("openai")
    assert running.verdict("mistral").fresh


def test_an_agent_dir_that_does_not_exist_yet_is_seen_when_it_is_made(home: Home, supervise: Supervise) -> None:
    """The first login of an agent creates its folder, with parents, and shows for that agent alone."""
    home.agents("main", "ops").write_config()
    supervisor = supervise(home)
    assert not home.agent_dir("ops").exists()
    home.write_profiles("ops", groq__x=api_key("groq"))
    assert eventually(lambda: supervisor.has_auth("groq", agent_id="ops"))
    assert not supervisor.has_auth("groq", agent_id="main")


def test_an_inheriting_agent_sees_a_login_of_main(home: Home, supervise: Supervise) -> None:
    """One login in `main`'s store shows for every agent that inherits it."""
    home.agents("main", "ops", "lab").write_config().write_profiles(openai__work=api_key("openai"))
    supervisor = supervise(home)
    home.write_profiles(openai__work=api_key("openai"), zai__me=api_key("zai"))
    assert eventually(lambda: all(supervisor.has_auth("zai", agent_id=one) for one in ("main", "ops", "lab")))


# ------------------------------------------------------------------------------------------------------------ no-ops


def _touch(home: Home) -> None:
    os.utime(home.profiles_path())


def _chmod(home: Home) -> None:
    home.profiles_path().chmod(0o640)


def _rewrite(home: Home) -> None:
    replace_text(home.profiles_path(), home.profiles_path().read_text())


def _write_in_place(home: Home) -> None:
    text = home.profiles_path().read_text()
    home.profiles_path().write_text(text)


def _reformat(home: Home) -> None:
    replace_text(home.profiles_path(), home.profiles_path().read_text().replace("\n", "\n\n") + "\n")


@pytest.mark.parametrize("act", [_touch, _rewrite, _reformat])
def test_a_hint_without_a_change_costs_one_reading_and_no_check(
    act: object, small: Home, running: AuthSupervisor
) -> None:
    """The file is looked at again, its content compared, and nothing else happens."""
    assert callable(act)
    before = running.stats()
    act(small)
    assert eventually(lambda: running.stats().store_reads > before.store_reads)
    _assert_only_a_login_counts(small, running, before.provider_checks, before.publications)


@pytest.mark.parametrize("act", [_chmod, _write_in_place])
def test_permissions_and_identical_writes_in_place_cost_no_check(
    act: object, small: Home, running: AuthSupervisor
) -> None:
    """Whether or not the file is read again, no cell is checked and nothing is published."""
    assert callable(act)
    before = running.stats()
    act(small)
    _assert_only_a_login_counts(small, running, before.provider_checks, before.publications)


def test_a_thousand_readings_by_others_cost_nothing(small: Home, running: AuthSupervisor) -> None:
    """Reading a watched file is no event: not even one reading of ours follows."""
    before = running.stats()
    for _ in range(1000):
        small.profiles_path().read_bytes()
    assert running.stats().store_reads == before.store_reads
    _assert_only_a_login_counts(small, running, before.provider_checks, before.publications)


def _assert_only_a_login_counts(home: Home, supervisor: AuthSupervisor, checks: int, publications: int) -> None:
    """Make one login and assert that it is the only thing that was checked and published since."""
    home.write_profiles(openai__work=api_key("openai"), zai__me=api_key("zai"))
    assert eventually(lambda: supervisor.has_auth("zai"))
    after = supervisor.stats()
    assert (after.provider_checks - checks, after.publications - publications) == (1, 1)


def test_usage_written_by_another_process_shows_without_a_check(small: Home, running: AuthSupervisor) -> None:
    """Usage ticks and cooldowns of other processes patch cells; no cell is checked for them."""
    before = running.stats()
    write_from_another_process(
        """
home = Path(sys.argv[1])
for tick in range(20):
    stats = {"openai:work": {"lastUsed": now_ms(), "errorCount": 0}}
    replace_json(home, {"version": 1, "usageStats": stats})
cooling = {"cooldownUntil": now_ms(600), "cooldownReason": "rate_limit", "errorCount": 1, "lastFailureAt": now_ms()}
replace_json(home, {"version": 1, "usageStats": {"openai:work": cooling}})
""",
        small.state_path(),
    )
    assert eventually(lambda: running.verdict("openai").state is State.COOLDOWN)
    verdict = running.verdict("openai")
    assert verdict.has_auth
    assert verdict.valid_until is not None
    assert 500 < verdict.valid_until - time.time() < 601
    assert running.stats().provider_checks == before.provider_checks


# -------------------------------------------------------------------------------------------------------------- time


def test_a_window_ends_by_itself(small: Home, running: AuthSupervisor) -> None:
    """Time is an event: when a window is over the provider is usable again, with no file touched."""
    small.write_usage({"openai:work": {"disabledUntil": now_ms(1.0), "disabledReason": "billing", "errorCount": 1}})
    assert eventually(lambda: not running.has_auth("openai"))
    assert running.verdict("openai").state is State.DISABLED
    reads = running.stats().store_reads
    assert eventually(lambda: running.has_auth("openai"), 4.0)
    verdict = running.verdict("openai")
    assert verdict.state is State.USABLE
    assert "half-open" in verdict.reason
    assert (running.stats().alarms, running.stats().store_reads) == (1, reads)


def test_an_expiry_is_an_event(home: Home, supervise: Supervise) -> None:
    """A token that expires while nobody looks stops counting at that moment, and subscribers hear of it."""
    home.write_config().write_profiles(anthropic__me=token("anthropic", expires_in_s=1.2))
    supervisor = supervise(home)
    changes = changes_of(supervisor)
    assert supervisor.has_auth("anthropic")
    assert eventually(lambda: not supervisor.has_auth("anthropic"), 4.0)
    assert supervisor.verdict("anthropic").state is State.EXPIRED
    assert eventually(lambda: any(one.reason == "time-passed" for one in changes))


# ------------------------------------------------------------------------------------------------------------ config


def test_an_unrelated_config_key_costs_no_check(small: Home, running: AuthSupervisor) -> None:
    """The config is read and compared; what no answer depends on starts nothing."""
    before = running.stats()
    small.write_config(gateway={"port": 18999}, channels={"telegram": {"heartbeat": "chat"}})
    assert eventually(lambda: running.stats().shared_reads > before.shared_reads)
    _assert_only_a_login_counts(small, running, before.provider_checks, before.publications)


def test_a_new_provider_in_the_config_checks_just_that_provider(home: Home, supervise: Supervise) -> None:
    """A config edit is diffed: its scope is what it touches."""
    home.agents("main", "ops").write_config()
    supervisor = supervise(home)
    changes, before = changes_of(supervisor), supervisor.stats()
    home.write_config(models={"providers": {"acme": ACME}})
    assert eventually(lambda: all(supervisor.has_auth("acme", agent_id=one) for one in ("main", "ops")))
    assert supervisor.stats().provider_checks - before.provider_checks == 2
    assert eventually(lambda: len(changes) == 2)
    assert {(one.agent_id, one.provider) for one in changes} == {("main", "acme"), ("ops", "acme")}
    home.write_config(models={"providers": {}})
    assert eventually(lambda: not supervisor.has_auth("acme"))


def test_an_agent_that_is_added_gets_answers_and_one_that_is_removed_loses_them(
    home: Home, supervise: Supervise
) -> None:
    """The set of agents follows the config while everybody else keeps their answers."""
    home.agents("main").write_config().write_profiles(openai__work=api_key("openai"))
    supervisor = supervise(home)
    home.agents("main", "ops").write_config()
    assert eventually(lambda: supervisor.has_auth("openai", agent_id="ops"))
    assert supervisor.agent_ids() == ("main", "ops")
    home.agents("main").write_config()
    assert eventually(lambda: supervisor.agent_ids() == ("main",))
    assert eventually(lambda: supervisor.verdict("openai", agent_id="ops").state is State.MISSING)
    assert "unknown agent" in supervisor.verdict("openai", agent_id="ops").reason
    assert supervisor.has_auth("openai", agent_id="main")


def test_a_broken_config_keeps_the_old_answers_and_says_where_it_is_broken(
    small: Home, running: AuthSupervisor
) -> None:
    """Answers stay, health names file and place, and the next good config clears it."""
    replace_text(small.config_path, '{\n  "agents": {},\n  "models": [,,\n')
    assert eventually(lambda: bad(running, "ConfigValid"))
    message = bad(running, "ConfigValid")
    assert str(small.config_path) in message
    assert "line 3" in message
    assert running.has_auth("openai")
    assert not running.verdict("openai").fresh
    small.write_config(models={"providers": {"acme": ACME}})
    assert eventually(lambda: running.has_auth("acme") and not bad(running, "ConfigValid"))
    assert running.verdict("openai").fresh


def test_a_dotenv_edit_is_seen(small: Home, running: AuthSupervisor) -> None:
    """The state dir's dotenv file is a source like any other, also when it did not exist before."""
    replace_text(small.dotenv_path, f"GROQ_API_KEY={secret('groq')}\n")
    assert eventually(lambda: running.has_auth("groq"))
    assert running.verdict("groq").evidence is not None
    replace_text(small.dotenv_path, "# nothing\n")
    assert eventually(lambda: not running.has_auth("groq"))


# ------------------------------------------------------------------------------------------------------------ SQLite


def test_a_commit_to_a_sqlite_store_by_another_process_is_seen(home: Home, supervise: Supervise) -> None:
    """The write-ahead log is watched and read: a commit that never reached the database file shows too."""
    home.write_config()
    owner = SqliteOwner(home.agent_dir())
    try:
        owner.write({"openai:work": api_key("openai")})
        supervisor = supervise(home)
        assert supervisor.has_auth("openai")
        assert not home.profiles_path().exists()
        write_from_another_process(
            """
owner = SqliteOwner(Path(sys.argv[1]))
owner.write({"openai:work": api_key("openai"), "zai:me": api_key("zai")})
os._exit(0)  # no checkpoint: the commit stays in the log
""",
            home.agent_dir(),
        )
        assert eventually(lambda: supervisor.has_auth("zai"))
        checks = supervisor.stats().provider_checks
        owner.write_usage({"zai:me": {"cooldownUntil": now_ms(600), "cooldownReason": "overloaded", "errorCount": 1}})
        assert eventually(lambda: supervisor.verdict("zai").state is State.COOLDOWN)
        assert supervisor.stats().provider_checks == checks
    finally:
        owner.close()


def test_a_commit_by_an_owner_who_keeps_the_database_open_is_seen(home: Home, supervise: Supervise) -> None:
    """A live gateway never closes its log: each of its commits is an event all the same."""
    home.write_config()
    owner = SqliteOwner(home.agent_dir())
    owner.write({"openai:work": api_key("openai")})
    supervisor = supervise(home)

    def is_quiet() -> bool:
        reads, until = supervisor.stats().store_reads, time.monotonic() + 0.2
        return eventually(lambda: time.monotonic() > until) and supervisor.stats().store_reads == reads

    try:
        for provider in ("zai", "groq"):
            assert eventually(is_quiet), "what comes now is told by an event, or not at all"
            owner.write({f"{provider}:me": api_key(provider)})
            assert eventually(lambda: supervisor.has_auth(provider)), provider  # noqa: B023
    finally:
        owner.close()


def test_a_commit_that_shows_only_after_its_event_is_seen(home: Home, supervise: Supervise) -> None:
    """SQLite writes a commit into its log, which is the event, and lets readers see it when that is on the disk: until
    then a reading finds what was before, and nothing tells of the end.

    The log of another database stands in for the one that is being synced: with the commit, and an index without it.
    """
    home.write_config()
    folder, elsewhere = home.agent_dir(), home.path.parent / "elsewhere"
    twin = SqliteOwner(elsewhere)
    twin.write({"openai:work": api_key("openai")})
    folder.mkdir(parents=True)
    for ending in ("", "-wal"):
        shutil.copy(elsewhere / (DATABASE + ending), folder / (DATABASE + ending))
    begun = (folder / f"{DATABASE}-wal").stat().st_size
    reader = sqlite3.connect(folder / DATABASE)  # keeps the index as it is now
    try:
        reader.execute("SELECT * FROM auth_profile_store").fetchall()
        supervisor = supervise(home)
        assert supervisor.has_auth("openai")
        twin.write({"zai:me": api_key("zai")})
        frames = (elsewhere / f"{DATABASE}-wal").read_bytes()[begun:]
        index = (elsewhere / f"{DATABASE}-shm").read_bytes()
        reads = supervisor.stats().store_reads
        with (folder / f"{DATABASE}-wal").open("ab") as log:
            log.write(frames)
        assert eventually(lambda: supervisor.stats().store_reads > reads)
        assert holds_for(0.3, lambda: supervisor.has_auth("openai")), "what isn't committed doesn't show"
        with (folder / f"{DATABASE}-shm").open("r+b") as shared, mmap.mmap(shared.fileno(), 0) as memory:
            memory[: len(index)] = index
        assert eventually(lambda: supervisor.has_auth("zai") and not supervisor.has_auth("openai"))
    finally:
        reader.close()
        twin.close()


def test_a_home_that_moves_from_json_to_sqlite_is_followed(small: Home, running: AuthSupervisor) -> None:
    """An upgrade of OpenClaw brings a database; from then on the JSON files are not what counts."""
    owner = SqliteOwner(small.agent_dir())
    try:
        owner.write({"mistral:x": api_key("mistral")})
        assert (small.agent_dir() / DATABASE).exists()
        assert eventually(lambda: running.has_auth("mistral") and not running.has_auth("openai"))
    finally:
        owner.close()
