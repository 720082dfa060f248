"""Logout: profiles leave a store on disk, and nothing of them leaves with an error."""

from __future__ import annotations

import errno
import functools
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from loguru import logger
from stores import ID, KEY, bump, state_of

from openclaw_actors.auth.failures import Windows
from openclaw_actors.errors import StoreReadOnlyError, StoreUnreadableError
from openclaw_actors.home.stores.usage_writer import remove_profiles, write_usage
from openclaw_actors.watching.stamp import stamp


def write(agent: Path, change: Callable[[Windows | None], Windows | None], profile: str = ID, **more: Any) -> Any:
    return write_usage(str(agent), {profile: change}, **({"lock_timeout_s": 5.0} | more))


def test_logout_removes_the_profiles_and_every_mention_of_them(agent: Path) -> None:
    """Other entries and unknown fields stay; ids leave order, last good and stats."""
    state = {
        "version": 1,
        "order": {"openai": [ID], "groq": ["groq:default", ID]},
        "lastGood": {"openai": ID, "zai": "zai:default"},
        "usageStats": {ID: {"errorCount": 1}, "zai:default": {"errorCount": 2}},
    }
    (agent / "auth-state.json").write_text(json.dumps(state))
    assert remove_profiles(str(agent), [ID, "absent:x"], lock_timeout_s=5.0) == (ID,)
    store = json.loads((agent / "auth-profiles.json").read_text())
    entry = {"type": "api_key", "key": KEY, "x": 1}
    assert store == {
        "version": 1,
        "profiles": {f"{p}:default": entry | {"provider": p} for p in ("groq", "zai")},
        "mine": [1],
    }
    assert state_of(agent) == {
        "version": 1,
        "order": {"groq": ["groq:default"]},
        "lastGood": {"zai": "zai:default"},
        "usageStats": {"zai:default": {"errorCount": 2}},
    }
    assert sorted(os.listdir(agent)) == ["auth-profiles.json", "auth-state.json"]


def test_logout_of_the_last_mention_removes_the_state_file(agent: Path) -> None:
    """An empty state is no file, as with OpenClaw."""
    write(agent, bump, last_good={"openai": ID})
    remove_profiles(str(agent), [ID], lock_timeout_s=5.0)
    assert os.listdir(agent) == ["auth-profiles.json"]


def test_logout_forgets_the_profile_in_the_older_layout_too(agent: Path) -> None:
    """State inside auth-profiles.json is still read, so it is pruned as well."""
    path = agent / "auth-profiles.json"
    old = {"usageStats": {ID: {"errorCount": 1}}, "lastGood": {"openai": ID}, "order": {"zai": ["zai:default"]}}
    path.write_text(json.dumps(json.loads(path.read_text()) | old))
    remove_profiles(str(agent), [ID], lock_timeout_s=5.0)
    store = json.loads(path.read_text())
    assert "usageStats" not in store
    assert "lastGood" not in store
    assert store["order"] == {"zai": ["zai:default"]}


def test_logout_of_nobody_writes_nothing(agent: Path) -> None:
    """An id that isn't there, and a store that isn't there, are no work."""
    before = stamp(str(agent / "auth-profiles.json"))
    assert remove_profiles(str(agent), ["absent:x"], lock_timeout_s=5.0) == ()
    assert stamp(str(agent / "auth-profiles.json")) == before
    (agent / "auth-profiles.json").unlink()
    assert remove_profiles(str(agent), [ID], lock_timeout_s=5.0) == ()
    assert os.listdir(agent) == []


def test_a_broken_state_does_not_stop_a_logout(agent: Path) -> None:
    """The credential must go; what can't be read mentions nobody."""
    (agent / "auth-state.json").write_text("{")
    assert remove_profiles(str(agent), [ID], lock_timeout_s=5.0) == (ID,)
    assert (agent / "auth-state.json").read_text() == "{"
    assert ID not in json.loads((agent / "auth-profiles.json").read_text())["profiles"]


def test_a_traceback_with_variables_shows_no_secret(agent: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log sink that prints the values beside each line of a failing logout prints no key."""
    sink = io.StringIO()
    handler = logger.add(sink, diagnose=True, backtrace=True)

    def full(*_args: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    try:
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            run = functools.partial(remove_profiles, str(agent), [ID], lock_timeout_s=1.0)
            try:
                run()
            except StoreReadOnlyError:
                logger.exception("logout failed")
    finally:
        logger.remove(handler)
    assert "disk is full" in sink.getvalue()
    assert KEY not in sink.getvalue()


def test_no_part_of_a_broken_file_is_chained_to_the_error(agent: Path) -> None:
    """A decoder's exception carries the document; ours carries nothing of it."""
    (agent / "auth-profiles.json").write_text('{"profiles": {"a": {"key": "' + KEY)
    with pytest.raises(StoreUnreadableError) as caught:
        remove_profiles(str(agent), ["a"], lock_timeout_s=1.0)
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None
    assert KEY not in str(caught.value)
