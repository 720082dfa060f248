"""Stores that others than their owner may reach: a condition says so while it lasts, and nothing else changes."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest
from homes import Home, SqliteOwner, Supervise, api_key, eventually, oauth, replace_text

from openclaw_actors import AuthSupervisor, Condition
from openclaw_actors.home import permissions
from openclaw_actors.home.permissions import open_to_others


def permissions_of(supervisor: AuthSupervisor) -> Condition:
    """Return the condition."""
    found = supervisor.health().condition("StorePermissions")
    assert found is not None
    return found


@pytest.mark.parametrize("name", ["auth-profiles.json", "auth-state.json"])
@pytest.mark.parametrize("mode", [0o604, 0o640, 0o622, 0o666], ids=oct)
def test_a_store_that_others_may_reach_is_a_condition(name: str, mode: int, home: Home, supervise: Supervise) -> None:
    """It is false with file, mode and remedy, and the answers are what they were."""
    home.write_config().write_profiles(openai__work=api_key("openai")).write_usage({"openai:work": {"errorCount": 1}})
    path = home.agent_dir() / name
    path.chmod(mode)
    supervisor = supervise(home)
    condition = permissions_of(supervisor)
    assert (condition.status, condition.reason) == (False, "Open")
    assert f"{path}: others may reach it (mode {mode:04o}): chmod 600 {path}" in condition.message
    assert not supervisor.health().ok
    assert supervisor.has_auth("openai")


def test_the_condition_comes_and_goes_with_the_mode(home: Home, supervise: Supervise) -> None:
    """A chmod is an event of its own: the condition follows by itself, and no provider is checked for it."""
    home.write_config().write_profiles(openai__work=api_key("openai"))
    supervisor = supervise(home, resync_interval_s=1000.0)
    assert permissions_of(supervisor).status
    checks, revision = supervisor.stats().provider_checks, supervisor.snapshot().revision
    for _ in range(2):
        home.profiles_path().chmod(0o644)
        assert eventually(lambda: not permissions_of(supervisor).status)
        # the remedy that it names is what mends it
        remedy = permissions_of(supervisor).message.rpartition(": ")[2]
        subprocess.run(shlex.split(remedy), check=True, timeout=10)
        assert eventually(lambda: permissions_of(supervisor).status)
        assert permissions_of(supervisor).message == ""
    stats = supervisor.stats()
    assert (stats.provider_checks, stats.resync_drifts) == (checks, 0)
    assert supervisor.snapshot().revision == revision


def test_each_store_has_its_own_say(home: Home, supervise: Supervise) -> None:
    """The condition is good again only when every store is closed, or gone; a kind of store has no other rule."""
    home.agents("main", "ops", "lab", "old").write_config()
    home.write_profiles(openai__work=api_key("openai"))
    home.write_profiles("ops", xai__work=api_key("xai"))
    owner = SqliteOwner(home.agent_dir("lab"))
    owner.write({"together:x": api_key("together")})
    legacy = home.agent_dir("old") / "auth.json"
    replace_text(legacy, '{"cerebras": {"type": "api_key", "provider": "cerebras", "key": "canary-old"}}')
    database = home.agent_dir("lab") / "openclaw-agent.sqlite"
    paths = [home.profiles_path(), home.profiles_path("ops"), database, legacy]
    for path in paths:
        path.chmod(0o640)
    supervisor = supervise(home)
    assert all(f"{path}: others" in permissions_of(supervisor).message for path in paths)
    for path in paths[1:]:
        path.chmod(0o600)
    assert eventually(lambda: permissions_of(supervisor).message.count("others may reach") == 1)
    assert str(paths[0]) in permissions_of(supervisor).message
    # an agent that leaves takes its store along
    paths[1].chmod(0o640)
    assert eventually(lambda: permissions_of(supervisor).message.count("others may reach") == 2)
    home.agents("main", "lab").write_config()
    assert eventually(lambda: permissions_of(supervisor).message.count("others may reach") == 1)
    home.profiles_path().chmod(0o600)
    assert eventually(lambda: permissions_of(supervisor).status)
    owner.close()


def test_a_file_is_asked_as_it_was_opened(home: Home, supervise: Supervise) -> None:
    """What counts is the file behind a link, and a replacement is another file."""
    home.write_config()
    away = home.user / "profiles.json"
    home.write_profiles(openai__work=oauth("openai"))
    os.replace(home.profiles_path(), away)
    home.profiles_path().symlink_to(away)
    supervisor = supervise(home)
    assert permissions_of(supervisor).status  # the link itself is open to all, as links are
    away.chmod(0o644)
    assert eventually(lambda: not permissions_of(supervisor).status)
    home.write_profiles(openai__work=oauth("openai"))
    assert eventually(lambda: permissions_of(supervisor).status)


def test_there_is_nothing_to_say_where_files_have_no_modes(monkeypatch: pytest.MonkeyPatch) -> None:
    """On Windows every file looks open to all, and isn't. The name of the system is all that is made up here."""
    assert open_to_others("/x", 0o100644)
    monkeypatch.setattr(permissions, "os", type("System", (), {"name": "nt"}))
    assert open_to_others("/x", 0o100644) == ()


def test_the_remedy_can_be_pasted(tmp_path: Path) -> None:
    """A path with what a shell takes for its own is quoted."""
    path = tmp_path / "a b; touch c"
    path.write_text("{}")
    (finding,) = open_to_others(str(path), 0o100644)
    subprocess.run(["/bin/sh", "-c", finding.remedy], check=True, cwd=tmp_path, timeout=10)
    assert [one.name for one in tmp_path.iterdir()] == [path.name]
