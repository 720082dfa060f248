"""The original design's names: what they answer by reading agrees with the map, and their errors show no secret."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from typing import Any

import pytest
from homes import CANARY, Home, Supervise, api_key, eventually, replace_text, secret

from openclaw_actors import State, provider_auth
from openclaw_actors.actors import failure_listener
from openclaw_actors.auth.reports import windows_after_failure
from openclaw_actors.errors import ConfigError

TORN = '{"env": {"vars": {"MY_STORED": "' + secret("torn")


def by_reference(provider: str, name: str) -> dict[str, object]:
    """Return a stored key that is a variable's."""
    return {"type": "api_key", "provider": provider, "keyRef": {"source": "env", "provider": "default", "id": name}}


def has(provider: str, **given: object) -> bool:
    """Ask the one supervisor."""
    return provider_auth.has_auth_for_model_provider(provider, **given)  # type: ignore[arg-type]


def test_a_refusal_holds_at_once_where_files_are_read(
    home: Home, supervise: Supervise, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever reports a refusal and asks again sees it, however long the actor that notes it takes for its turn."""
    home.write_config().write_profiles(openai__work=api_key("openai"))
    supervisor = supervise(home, usage_flush_s=3600.0)
    turn = threading.Event()

    def later(*arguments: Any, **named: Any) -> Any:
        assert turn.wait(10.0)
        return windows_after_failure(*arguments, **named)

    monkeypatch.setattr(failure_listener, "windows_after_failure", later)
    try:
        supervisor.report_failure("openai:work", "auth")
        assert not supervisor.has_auth("openai")
        assert not has("openai", workspace_dir="/elsewhere")
    finally:
        turn.set()
    assert eventually(lambda: supervisor.verdict("openai").fresh)
    assert not has("openai", workspace_dir="/elsewhere")


def test_what_was_refused_stays_refused_where_files_are_read(home: Home, supervise: Supervise) -> None:
    """Own variables, an own store and another workspace see what was reported of the same secret, not yet on disk."""
    home.write_config().write_profiles(openai__work=api_key("openai"), mistral__work=api_key("mistral"))
    supervisor = supervise(home, usage_flush_s=3600.0)
    document = {"version": 1, "profiles": {"openai:work": api_key("openai")}}
    ways: tuple[dict[str, object], ...] = ({"workspace_dir": "/elsewhere"}, {"env": {}}, {"store": document})
    assert [has("openai", **way) for way in ways] == [True] * 3
    supervisor.report_failure("openai:work", "auth")
    assert eventually(lambda: supervisor.verdict("openai").state is State.REJECTED)
    assert home.usage() == {}
    assert [has("openai", **way) for way in ways] == [False] * 3
    assert has("mistral", env={})
    other = {"version": 1, "profiles": {"openai:work": api_key("openai", "another")}}
    assert has("openai", store=other)


def test_own_variables_are_those_of_the_same_home(home: Home, supervise: Supervise) -> None:
    """They replace the supervisor's variables for one answer, and need not say where the home is."""
    home.env["XAI_API_KEY"] = secret("xai")
    home.write_config().write_profiles(openai__work=api_key("openai"))
    supervise(home)
    assert has("xai")
    assert not has("xai", env={})
    assert has("groq", env={"GROQ_API_KEY": secret("groq")})
    assert has("openai", env={"OPENCLAW_STATE_DIR": "/nowhere"})
    assert not has("groq", workspace_dir="/elsewhere")
    assert has("xai", workspace_dir="/elsewhere")


def test_a_cleared_map_answers_by_reading_from_any_thread(home: Home, supervise: Supervise) -> None:
    """Many readers at the moment in which a clearing ends all get an answer."""
    home.write_config().write_profiles(openai__work=api_key("openai"))
    supervisor = supervise(home)
    answers: list[bool] = []

    def ask() -> None:
        answers.extend(has("openai") for _ in range(20))

    provider_auth.clear_current_provider_auth_state()
    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert answers == [True] * 120
    assert eventually(lambda: supervisor.verdict("openai").fresh)


WAYS: dict[str, Callable[[dict[str, str], dict[str, object]], object]] = {
    "own variables": lambda env, store: has("openai", env=env),
    "own store": lambda env, store: has("openai", store=store),
    "another workspace": lambda env, store: has("openai", workspace_dir="/elsewhere"),
    "checker": lambda env, store: provider_auth.create_provider_auth_checker(env=env, store=store)("openai"),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_broken_config_shows_no_value_in_any_frame(way: str, home: Home, supervise: Supervise) -> None:
    """Sinks that print the variables of a trace print no secret of ours, whichever way the question came."""
    home.env["XAI_API_KEY"] = secret("xai")
    home.write_config().write_profiles(openai__work=api_key("openai"))
    supervise(home)
    replace_text(home.config_path, TORN)
    env, store = {"GROQ_API_KEY": secret("groq")}, {"version": 1, "profiles": {"openai:a": api_key("openai")}}
    with pytest.raises(ConfigError) as caught:
        WAYS[way](env, store)
    error = caught.value
    assert error.__traceback__ is not None
    frames = error.__traceback__
    while frames.tb_next is not None and frames.tb_frame.f_code.co_filename != provider_auth.__file__:
        frames = frames.tb_next  # the caller's own frames hold what the caller gave
    shown = "".join(traceback.TracebackException(type(error), error, frames, capture_locals=True).format())
    assert "_slow" in shown
    assert "own = " in shown
    assert CANARY not in shown


def test_a_recheck_under_a_torn_config_keeps_what_is_usable(home: Home, supervise: Supervise) -> None:
    """References to variables of the config's `env` block resolve while it is torn and after it is mended."""
    home.write_config(env={"vars": {"MY_STORED": secret("stored")}})
    home.write_profiles(openai__work=by_reference("openai", "MY_STORED"))
    supervisor = supervise(home)
    assert supervisor.verdict("openai").state is State.USABLE
    whole = home.config_path.read_text()
    replace_text(home.config_path, TORN)
    supervisor.recheck()
    # a store that changes meanwhile is read for sure
    home.write_profiles(openai__work=by_reference("openai", "MY_STORED"), zai__me=api_key("zai"))
    assert eventually(lambda: supervisor.has_auth("zai"))
    assert supervisor.verdict("openai").state is State.USABLE
    replace_text(home.config_path, whole)
    supervisor.recheck()
    assert eventually(lambda: supervisor.verdict("openai").fresh)
    assert supervisor.verdict("openai").state is State.USABLE
