"""Where a home, its config, its agents and their workspaces are (formats 1.1, 2)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from openclaw_actors.home.agents import normalise_agent_id, read_agents
from openclaw_actors.home.facts import AgentConfig
from openclaw_actors.home.paths import default_workspace, include_roots, locate, main_agent_dir, oauth_path, real_path


def test_where_a_path_leads_is_told_while_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link that becomes a file between the look and the reading of the link makes Python's own function raise: it is
    asked again. The moment is made certain by a step between the two; all else is real.
    """
    (tmp_path / "file").write_text("")
    (tmp_path / "way").symlink_to("file")
    plain, read = str(tmp_path / "way"), os.readlink

    def swapped(path: str) -> str:
        os.unlink(path)
        Path(path).write_text("")
        return read(path)

    monkeypatch.setattr(os, "readlink", swapped)
    assert real_path(plain) == plain


@pytest.mark.parametrize("path", ["/tmp/a\0b", "/tmp/\ud800"], ids=["NUL", "surrogate"])
def test_a_name_that_no_file_can_have_leads_nowhere(path: str) -> None:
    """It comes back as it is."""
    assert real_path(path) == path


def agents_of(document: dict[str, object], **env: str) -> dict[str, AgentConfig]:
    env = {"HOME": "/u"} | env
    agents, _, _ = read_agents(document, locate(None, env), env, "c")
    return {agent.id: agent for agent in agents}


@pytest.mark.parametrize(
    ("env", "home"),
    [
        ({"OPENCLAW_HOME": " /srv/h ", "HOME": "/u"}, "/srv/h"),
        ({"OPENCLAW_HOME": "~/h", "HOME": "/u"}, "/u/h"),
        ({"OPENCLAW_HOME": " ", "HOME": "/u"}, "/u"),
        ({"OPENCLAW_HOME": "undefined", "HOME": "/u"}, "/u"),
        ({"OPENCLAW_HOME": "null", "USERPROFILE": "/p"}, "/p"),
        ({"HOME": "/u", "USERPROFILE": "/p"}, "/u"),
    ],
)
def test_the_tilde_is_the_first_home_that_is_named(env: dict[str, str], home: str) -> None:
    """`OPENCLAW_HOME`, then `HOME`, then `USERPROFILE`; blank and stringified nothing are passed over."""
    assert locate(None, env).home == home


def test_the_tilde_falls_back_to_the_users_own_home() -> None:
    """With no variable at all the operating system's idea of home counts."""
    assert os.path.isabs(locate(None, {}).home)


def test_the_state_dir_is_the_override_else_new_else_old_else_new(tmp_path: Path) -> None:
    """`OPENCLAW_STATE_DIR` wins; then `.openclaw` if it exists, then `.clawdbot` if that does, then `.openclaw`."""
    env = {"HOME": str(tmp_path)}
    assert locate(None, env | {"OPENCLAW_STATE_DIR": "~/s"}).state_dir == str(tmp_path / "s")
    assert locate(None, env).state_dir == str(tmp_path / ".openclaw")
    (tmp_path / ".clawdbot").mkdir()
    assert locate(None, env).state_dir == str(tmp_path / ".clawdbot")
    assert locate(None, env | {"OPENCLAW_TEST_FAST": "1"}).state_dir == str(tmp_path / ".openclaw")
    (tmp_path / ".openclaw").mkdir()
    assert locate(None, env).state_dir == str(tmp_path / ".openclaw")


def test_the_config_is_the_override_else_the_first_that_exists(tmp_path: Path) -> None:
    """`OPENCLAW_CONFIG_PATH`, then openclaw.json, clawdbot.json of the state dir, then those of the old dir."""
    env = {"HOME": str(tmp_path)}
    state, old = tmp_path / ".openclaw", tmp_path / ".clawdbot"
    state.mkdir()
    old.mkdir()
    assert locate(None, env | {"OPENCLAW_CONFIG_PATH": "~/c.json"}).config_path == str(tmp_path / "c.json")
    assert locate(None, env).config_path == str(state / "openclaw.json")
    (old / "clawdbot.json").write_text("{}")
    assert locate(None, env).config_path == str(old / "clawdbot.json")
    assert locate(None, env | {"OPENCLAW_STATE_DIR": str(state)}).config_path == str(state / "openclaw.json")
    (state / "clawdbot.json").write_text("{}")
    assert locate(None, env).config_path == str(state / "clawdbot.json")
    (state / "openclaw.json").write_text("{}")
    assert locate(None, env).config_path == str(state / "openclaw.json")


def test_a_given_home_ignores_the_variables_that_name_another(tmp_path: Path) -> None:
    """A home that the caller names is the state dir, and its own config counts."""
    env = {"HOME": "/u", "OPENCLAW_STATE_DIR": "/other", "OPENCLAW_CONFIG_PATH": "/other/c.json"}
    (tmp_path / "clawdbot.json").write_text("{}")
    location = locate(tmp_path, env)
    assert (location.state_dir, location.config_path) == (str(tmp_path), str(tmp_path / "clawdbot.json"))
    assert location.explicit
    assert not locate(None, env).explicit


def test_the_oauth_file_and_the_include_roots_follow_their_variables() -> None:
    """`OPENCLAW_OAUTH_DIR` else `<state>/credentials`; include roots are absolute or tilde paths, once each."""
    location = locate("/s", {"HOME": "/u"})
    assert oauth_path(location, {}) == "/s/credentials/oauth.json"
    assert oauth_path(location, {"OPENCLAW_OAUTH_DIR": "~/o"}) == "/u/o/oauth.json"
    assert include_roots(location, {"OPENCLAW_INCLUDE_ROOTS": "/a:rel: ~/b :/a/"}) == ("/a", "/u/b")
    assert include_roots(location, {}) == ()


@pytest.mark.parametrize(
    ("env", "workspace"),
    [
        ({"OPENCLAW_HOME": "/srv/h"}, "/srv/h/.openclaw/workspace"),
        ({"OPENCLAW_HOME": "/srv/h", "OPENCLAW_WORKSPACE_DIR": "~/w"}, "/srv/h/w"),
        ({"HOME": "/u", "OPENCLAW_PROFILE": "dev"}, "/u/.openclaw/workspace-dev"),
        ({"HOME": "/u", "OPENCLAW_PROFILE": "default"}, "/u/.openclaw/workspace"),
        ({"HOME": "/u", "OPENCLAW_STATE_DIR": "/tmp/s"}, "/u/.openclaw/workspace"),
    ],
)
def test_the_default_workspace_ignores_the_state_dir(env: dict[str, str], workspace: str) -> None:
    """The variable, else below `~`, with the profile's name; never below the state dir."""
    assert default_workspace(locate(None, env), env) == workspace


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("", "main"),
        ("  ", "main"),
        (None, "main"),
        (7, "main"),
        (" Ops ", "ops"),
        ("a_b-1", "a_b-1"),
        ("My Agent!", "my-agent"),
        ("--x--", "x"),
        ("!!!", "main"),
        ("_x", "_x"),
        ("é", "main"),
        ("a" * 70, "a" * 64),
    ],
)
def test_agent_ids_are_normalised(text: object, normal: str) -> None:
    """Valid ids are lowered; runs of other characters become a dash, trimmed, cut at 64; nothing left is main."""
    assert normalise_agent_id(text) == normal


def test_no_list_means_main_alone() -> None:
    """A config without agents has the agent main, which is the default."""
    agents = agents_of({})
    assert list(agents) == ["main"]
    assert agents["main"].is_default
    assert agents["main"].agent_dir == main_agent_dir("/u/.openclaw") == "/u/.openclaw/agents/main/agent"


def test_main_is_not_added_to_a_list_without_it() -> None:
    """Ids come in list order, without duplicates, and null or odd entries are passed over."""
    agents = agents_of(
        {"agents": {"list": [{"id": "B"}, None, 3, {"id": "a", "default": True}, {"id": "b", "name": "2"}]}}
    )
    assert list(agents) == ["b", "a"]
    assert agents["a"].is_default
    assert agents["b"].name == ""


def test_the_newer_record_of_agents_is_read_when_there_is_no_list() -> None:
    """`agents.entries` (9.6) names the same agents."""
    assert list(agents_of({"agents": {"entries": {"x": {}, "y": {"default": True}}}})) == ["x", "y"]


def test_several_defaults_are_reported_and_the_first_counts() -> None:
    """The first agent marked default is the default."""
    document: dict[str, object] = {
        "agents": {"list": [{"id": "a"}, {"id": "b", "default": 1}, {"id": "c", "default": True}]}
    }
    _, default, findings = read_agents(document, locate("/s", {}), {}, "c")
    assert default == "b"
    assert [finding.code for finding in findings] == ["several-defaults"]


def test_agents_that_share_a_dir_are_reported() -> None:
    """OpenClaw would refuse two agents in one dir, tilde and dots resolved."""
    document: dict[str, object] = {
        "agents": {"list": [{"id": "a", "agentDir": "~/x"}, {"id": "b", "agentDir": "/u/y/../x"}]}
    }
    agents, _, findings = read_agents(document, locate("/s", {"HOME": "/u"}), {}, "c")
    assert [agent.agent_dir for agent in agents] == ["/u/x", "/u/x"]
    assert [finding.code for finding in findings] == ["duplicate-agent-dir"]
    assert "OpenClaw would refuse this config" in findings[0].problem


def test_workspaces_follow_from_the_agent_then_the_defaults_then_the_state_dir() -> None:
    """Own workspace; the default agent takes the shared one, others a folder in it; else one in the state dir."""
    listed = [{"id": "main"}, {"id": "ops", "default": True}, {"id": "own", "workspace": " ~/w\0s "}]
    shared = agents_of({"agents": {"list": listed, "defaults": {"workspace": "/shared"}}})
    assert [agent.workspace_dir for agent in shared.values()] == ["/shared/main", "/shared", "/u/ws"]
    plain = agents_of({"agents": {"list": listed}}, OPENCLAW_STATE_DIR="/tmp/s")
    assert [agent.workspace_dir for agent in plain.values()] == [
        "/tmp/s/workspace-main",
        "/u/.openclaw/workspace",
        "/u/ws",
    ]
    assert plain["ops"].agent_dir == "/tmp/s/agents/ops/agent"


def test_model_references_come_primary_first() -> None:
    """A model setting is a text or primary and fallbacks; sub-agents' models follow; blanks and repeats are dropped."""
    entry = {"id": "a", "model": {"primary": "p/1", "fallbacks": ["p/2", "", "p/1"]}, "subagents": {"model": "p/3"}}
    assert agents_of({"agents": {"list": [entry]}})["a"].model_refs == ("p/1", "p/2", "p/3")
