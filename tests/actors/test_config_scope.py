"""The scope of a config edit: exactly the cells that the edit can change are swept, and for most edits that is none."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rig import HOME_SOURCE, MakeRig, Rig, api_key, custom

from openclaw_actors.messages import PathsTouched, SweepAgent

ALL = "everything"
AGENTS = ("main", "ops", "lab")
OPENAI = ("openai", "openai-codex", "openai-codex-import", "codex-cli")
"""OpenAI and the providers that use its credentials."""
CODEX_USERS = ("openai-codex", "openai-codex-import", "codex-cli")
KEY_REF = {"source": "env", "provider": "default", "id": "THE_TEAMS_OWN_KEY"}

# ------------------------------------------------------------------------------------------- what no answer depends on

UNRELATED = """
    $schema meta.lastTouchedVersion meta.lastTouchedAt wizard.lastRunAt wizard.lastRunCommand logging.level
    logging.file logging.redactSensitive diagnostics.otel.endpoint update.channel ui.seamColor ui.assistant.name
    gateway.port gateway.bind gateway.auth.token gateway.remote.url gateway.reload.debounceMs
    gateway.controlUi.allowedOrigins channels.telegram.botToken channels.telegram.accounts.second.enabled
    channels.discord.token channels.discord.guilds.*.channels channels.defaults.heartbeat.target
    agents.defaults.heartbeat.every agents.defaults.heartbeat.target agents.defaults.timeoutSeconds
    agents.defaults.contextTokens agents.defaults.thinkingDefault agents.defaults.maxConcurrent
    agents.defaults.compaction.mode agents.defaults.sandbox.mode agents.defaults.memorySearch.remote.apiKey
    session.scope session.idleMinutes session.reset.atHour messages.queue.mode messages.responsePrefix
    messages.tts.openai.apiKey tools.profile tools.allow tools.web.search.apiKey tools.web.fetch.timeoutSeconds
    tools.exec.timeoutSec skills.entries.weather.apiKey skills.install.nodeManager hooks.token cron.enabled
    commands.native browser.enabled talk.apiKey bindings broadcast.strategy plugins.entries.telegram.enabled
    plugins.entries.voice-call.config.fromNumber plugins.slots.memory auth.cooldowns.billingBackoffHours
    auth.cooldowns.failureWindowHours models.pricing.enabled models.providers.acme.timeoutSeconds
    models.providers.acme.contextWindow models.providers.acme.headers.x-team a.key.that.nobody.knows
"""
"""Real keys of OpenClaw 2026.5.22's config, and one that is none."""
VALUES = st.one_of(
    st.booleans(),
    st.none(),
    st.integers(-5, 10**6),
    st.text(st.characters(codec="utf-8", exclude_characters="$"), max_size=12),
    st.sampled_from(["30m", "${NO_SUCH_VARIABLE}", "2026-05-22T10:00:00Z", "$${ESCAPED}", [], ["a"], {"b": 1}]),
)


def put(document: dict[str, Any], path: str, value: object) -> None:
    """Set a nested key, making objects on the way."""
    *folders, last = path.split(".")
    for folder in folders:
        inner = document.get(folder)
        document[folder] = inner = dict(inner) if isinstance(inner, dict) else {}
        document = inner
    document[last] = value


def shuffled(value: Any, chance: random.Random) -> Any:
    """Return the same document with the keys of its objects in another order; `models.providers` keeps its own."""
    if not isinstance(value, dict):
        return value
    return {key: shuffled(value[key], chance) for key in chance.sample(sorted(value), len(value))}


def spelled(document: object, chance: random.Random) -> str:
    """Write a document as a person might: comments, blank lines, trailing commas."""
    lines = json.dumps(document, indent=chance.choice([1, 2, 8]), ensure_ascii=chance.random() < 0.5).split("\n")
    for number, line in enumerate(lines):
        is_inner_end = line.endswith(("]", "}")) and line.strip() in ("]", "}") and number > 0
        if is_inner_end and not lines[number - 1].rstrip().endswith(("{", "[", ",")) and chance.random() < 0.5:
            lines[number - 1] += ","
    ends = ["", "  // a remark", "\t/* another, { here */", "\n\n"]
    return "\n".join(line + chance.choice(ends) for line in lines) + "\n"


def reload_text(rig: Rig, text: str) -> None:
    """Write the config as this text and let it be looked at."""
    rig.files.replace(rig.files.path / "openclaw.json", text)
    rig.touch(HOME_SOURCE)


def make_home(rig: Rig) -> Rig:
    """Give a rig a home in which every kind of source has something."""
    rig.files.config["models"] = {"providers": {"acme": custom(), "bolt": custom("bolt")}}
    rig.files.write_config()
    team = {"type": "api_key", "provider": "groq", "keyRef": KEY_REF}
    rig.files.write_profiles(openai__work=api_key("openai"), zai__me=api_key("zai"), groq__team=team)
    rig.files.write_profiles("ops", mistral__me=api_key("mistral"), mistral__you=api_key("mistral", "you"))
    return rig.warm()


@pytest.fixture
def rig(make_rig: MakeRig) -> Rig:
    """Return a warm rig with two configured providers; `ops` has a store of its own beside what it inherits."""
    return make_home(make_rig(*AGENTS))


def test_an_edit_that_no_answer_depends_on_costs_nothing(rig: Rig) -> None:
    """Whatever is edited of the other keys, in whatever spelling: no check, sweep, publication or store reading."""
    base = json.loads(json.dumps(rig.files.config))

    @settings(max_examples=120, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(edits=st.dictionaries(st.sampled_from(UNRELATED.split()), VALUES, max_size=6), chance=st.randoms())
    def edit(edits: dict[str, object], chance: random.Random) -> None:
        document = json.loads(json.dumps(base))
        for path, value in edits.items():
            put(document, path, value)
        before, answers = rig.stats(), rig.answers()
        reload_text(rig, spelled(shuffled(document, chance), chance))
        assert rig.condition("ConfigValid").status, rig.condition("ConfigValid").message
        assert rig.since(before).keys() <= {"shared_reads", "watch_noops", "config_reloads"}
        assert rig.answers() == answers

    edit()


# --------------------------------------------------------------------------------------------- what an edit touches

Edit = Callable[[Rig], None]
Cells = set[tuple[str, str]]


def of_all(*providers: str) -> Cells:
    """Return the cells of some providers, for every agent."""
    return {(agent, provider) for agent in AGENTS for provider in providers}


def config(path: str, value: object) -> Edit:
    """Return an edit that sets one key of the config."""

    def edit(rig: Rig) -> None:
        put(rig.files.config, path, value)
        rig.files.write_config()

    return edit


def dotenv(text: str) -> Edit:
    """Return an edit that writes the home's dotenv file."""
    return lambda rig: rig.files.replace(rig.files.path / ".env", text)


def agents(*entries: dict[str, object] | str) -> Edit:
    """Return an edit that configures these agents."""
    return lambda rig: rig.files.write_agents(*entries)


def swept(rig: Rig, edit: Edit) -> Cells:
    """Make an edit, and return the cells that were swept for it."""
    before = len(rig.handled(SweepAgent))
    edit(rig)
    rig.touch(HOME_SOURCE)
    rig.advance(1.0)
    assert rig.open_generations() == ()
    return {
        (name.removeprefix("agent-"), provider)
        for name, message in [one for one in rig.dispatcher.history if isinstance(one[1], SweepAgent)][before:]
        for provider in (message.providers or (ALL,))  # type: ignore[attr-defined]
    }


EDITS: dict[str, tuple[Edit, Cells]] = {
    "a provider's key": (config("models.providers.acme.apiKey", "canary-another-0417"), of_all("acme")),
    "a provider's kind of auth": (config("models.providers.bolt.auth", "aws-sdk"), of_all("bolt")),
    "a new provider": (config("models.providers.coil", custom("coil")), of_all("coil")),
    "an order": (config("auth.order", {"mistral": ["mistral:you"]}), of_all("mistral")),
    "an order of openai": (config("auth.order.openai", []), of_all(*OPENAI)),
    "a described profile": (
        config("auth.profiles", {"m:x": {"provider": "mistral", "mode": "token"}}),
        of_all("mistral"),
    ),
    "a plugin that is off": (config("plugins.entries.mistral.enabled", False), of_all("mistral")),
    "the search key of xai": (
        config("plugins.entries.xai.config.webSearch.apiKey", "canary-x-1"),
        of_all("xai", "x-ai"),
    ),
    "the env block": (config("env.vars.MISTRAL_API_KEY", "canary-env-66120"), of_all("mistral")),
    "a dotenv file": (dotenv("MISTRAL_API_KEY=canary-env-66120\n"), of_all("mistral")),
    "a variable that only a store names, in a dotenv file": (dotenv("THE_TEAMS_OWN_KEY=canary-e-1\n"), of_all("groq")),
    "a variable that only a store names, in the config": (
        config("env.vars.THE_TEAMS_OWN_KEY", "canary-e-1"),
        of_all("groq"),
    ),
    "a secrets block that nothing refers to": (config("secrets.defaults.file", "vault"), set()),
    "an added agent": (agents(*AGENTS, "new"), {("new", ALL)}),
    "a removed agent": (agents("main", "ops"), set()),
    "a moved agent": (agents("main", "ops", {"id": "lab", "agentDir": "/nowhere/lab"}), {("lab", ALL)}),
    "a renamed agent": (agents("main", "ops", "den"), {("den", ALL)}),
    "a workspace": (agents("main", "ops", {"id": "lab", "workspace": "/nowhere/ws"}), set()),
    "a name and a model": (agents("main", "ops", {"id": "lab", "name": "Lab", "model": "openai/gpt-5"}), set()),
    "another default": (agents("main", {"id": "ops", "default": True}, "lab"), set()),
    "another order of agents": (agents("lab", "ops", "main"), set()),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_is_swept_in_its_own_scope(rig: Rig, name: str) -> None:
    """Exactly the cells that an edit can change are swept, and the same edit undone sweeps them again."""
    edit, cells = EDITS[name]
    before = json.dumps(rig.files.config)
    assert swept(rig, edit) == cells
    if all(provider != ALL for _, provider in cells) and name != "a removed agent":
        rig.files.config = json.loads(before)
        rig.files.write_config()
        assert swept(rig, dotenv("# nothing\n")) == cells


def test_a_secrets_block_touches_what_refers_to_it(rig: Rig) -> None:
    """Who may be asked for a secret is decided in the config; the profiles that ask are checked again, no others."""
    dotenv("THE_TEAMS_OWN_KEY=canary-env-51\n")(rig)
    rig.recheck()
    rig.advance(1.0)
    assert rig.state("lab", "groq") == "usable"
    providers = {"default": {"source": "env", "allowlist": ["ANOTHER"]}}
    assert swept(rig, config("secrets.providers", providers)) == of_all("groq")
    assert rig.state("lab", "groq") == "unresolved"


def test_the_content_of_an_included_file_is_the_configs(rig: Rig) -> None:
    """An included file is diffed like the config itself, also when it did not exist at the start."""
    part = rig.files.path / "providers.json5"

    def include(rig: Rig) -> None:
        rig.files.replace(part, json.dumps({"acme": custom(), "bolt": custom("bolt")}))
        rig.files.config["models"]["providers"] = {"$include": "./providers.json5"}
        rig.files.write_config()

    assert swept(rig, include) == set()
    other = {"acme": custom(), "bolt": {**custom("bolt"), "apiKey": "canary-rotated-1"}}
    assert swept(rig, lambda rig: rig.files.replace(part, json.dumps(other))) == of_all("bolt")
    assert swept(rig, lambda rig: rig.files.replace(part, "// said otherwise\n" + json.dumps(other))) == set()
    stamps = dict(rig.dispatcher.actor("watcher")._stamps[HOME_SOURCE])  # type: ignore[union-attr]
    assert str(part) in stamps


def test_a_variable_that_moves_a_login_has_the_login_read(rig: Rig) -> None:
    """Where another program keeps its login may be said by a variable: the login there shows with the variable."""
    moved = rig.files.user / "elsewhere" / "auth.json"
    tokens = {"access_token": "canary-access-1", "refresh_token": "canary-refresh-1"}
    rig.files.replace(moved, json.dumps({"tokens": tokens}))
    os.utime(moved, (rig.clock.epoch(), rig.clock.epoch()))
    assert swept(rig, dotenv(f"CODEX_HOME={moved.parent}\n")) == of_all(*CODEX_USERS)
    assert rig.state("lab", "openai-codex") == "usable"


def test_a_removed_agent_leaves_nothing_behind(rig: Rig) -> None:
    """Its actor ends, its files are not watched, its answers are gone; what it shared with others stays."""
    ref, source = rig.ref("agent-ops"), rig.store("ops")
    watched = rig.dispatcher.actor("watcher")._stamps  # type: ignore[union-attr]
    assert source in watched
    assert swept(rig, agents("main", "lab")) == set()
    assert not ref.is_alive()
    assert (source in watched, rig.store() in watched, source in rig.read_sources()) == (False, True, False)
    assert sorted(rig.published_agents) == ["lab", "main"]
    assert rig.state("lab") == "usable"


# --------------------------------------------------------------------------------------------------- broken configs

BROKEN = {
    "a syntax error": ('{\n  "agents": {},\n  "models": [,,\n', "line 3", "Mend the file"),
    "an empty file": ("", "empty", "Mend the file"),
    "a list": ("[1, 2]", "top level", "Put everything into one"),
    "a missing include": ('{models: {$include: "./gone.json5"}}', "(models.$include)", "Create it"),
    "an include of itself": ('{models: {$include: "./openclaw.json"}}', "(models.$include)", "Break the cycle"),
    "an include from elsewhere": (
        '{agents: {$include: "/etc/hostname"}}',
        "(agents.$include)",
        "OPENCLAW_INCLUDE_ROOTS",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_config_keeps_every_answer_and_stops_no_event(rig: Rig, name: str) -> None:
    """The condition names file, place and remedy; events go on with the last good config, and the next good one
    clears it.
    """
    text, place, remedy = BROKEN[name]
    good, answers, revisions = json.dumps(rig.files.config), rig.answers(), {a: rig.auth(a).revision for a in AGENTS}
    reload_text(rig, text)
    condition = rig.condition("ConfigValid")
    assert not condition.status
    assert all(part in condition.message for part in ("openclaw.json", place, remedy))
    assert (rig.answers(), {a: rig.auth(a).revision for a in AGENTS}) == (answers, revisions)
    assert not rig.answer("ops").fresh

    rechecked, reloaded = rig.recheck(), rig.reload_config()
    rig.refuse("zai:me", "auth", agent_id="lab")
    rig.files.write_profiles("ops", together__me=api_key("together"))
    rig.touch(rig.store("ops"))
    rig.advance(5.0)
    assert not rig.runtime.wants.is_open(rechecked)
    assert (rig.state("ops", "together"), rig.state("ops", "mistral")) == ("usable", "missing")
    assert (rig.state("main", "zai"), rig.state("lab", "acme")) == ("rejected", "usable")
    assert sorted(rig.published_agents) == sorted(AGENTS)

    before = rig.stats()
    reload_text(rig, good)
    rig.advance(1.0)
    assert rig.condition("ConfigValid").status
    assert not rig.runtime.wants.is_open(reloaded)
    assert (rig.open_generations(), rig.answer("ops").fresh) == ((), True)
    assert not rig.since(before).keys() & {"provider_checks", "sweeps"}, "it says what was known"


@pytest.mark.parametrize("broken", [None, "{ acme: "])
def test_mending_the_file_that_broke_the_config_is_seen_at_once(rig: Rig, broken: str | None) -> None:
    """A file event for an included file that is missing or broken is one for the config: nobody waits for a retry."""
    part = rig.files.path / "providers.json5"
    if broken is not None:
        rig.files.replace(part, broken)
    reload_text(rig, '{agents: {list: [{id: "main"}]}, models: {providers: {$include: "./providers.json5"}}}')
    rig.advance(200.0)
    assert not rig.condition("ConfigValid").status
    rig.files.replace(part, json.dumps({"coil": custom("coil")}))
    touched = PathsTouched(paths=(str(part),), seen_at=rig.clock.monotonic())
    rig.dispatcher.inject(rig.ref("watcher"), touched)
    rig.advance(0.1)
    assert rig.condition("ConfigValid").status
    assert rig.state("main", "coil") == "usable"
