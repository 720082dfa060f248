"""The catalogue: sources, their order, and what a broken file does."""

from __future__ import annotations

import json
import os
from pathlib import Path

import msgspec
import pytest

from openclaw_actors.catalog.load import Catalog, built_in_rows, load_catalog
from openclaw_actors.catalog.rows import model_key
from openclaw_actors.home.facts import AgentConfig, ConfigFacts, ConfigModel, ProviderConfig
from openclaw_actors.ids import AgentId, ProviderId, StoreId

CANARY = "canary-secret-in-models-json"


def config_of(home: Path, *, providers: tuple[ProviderConfig, ...] = (), mode: str = "merge") -> ConfigFacts:
    """Return a config with a default agent `main` and an agent `ops` in a dir of its own."""
    agents = tuple(
        AgentConfig(AgentId(name), str(home / "agents" / name / "agent"), str(home), is_default=name == "main")
        for name in ("main", "ops")
    )
    return ConfigFacts(
        path=str(home / "openclaw.json"),
        exists=True,
        state_dir=str(home),
        main_store=StoreId(agents[0].agent_dir),
        agents=agents,
        default_agent=AgentId("main"),
        providers=providers,
        models_mode=mode,
    )


def provider_of(name: str, *models: str) -> ProviderConfig:
    """Return a config entry with some models."""
    rows = tuple(ConfigModel(id=model, name=f"{model} of the config") for model in models)
    return ProviderConfig(id=ProviderId(name), spelled=name, models=rows)


def write_models(home: Path, agent: str, content: object) -> Path:
    """Write an agent's models.json; a string is written as it is."""
    path = home / "agents" / agent / "agent" / "models.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def ids(catalog: Catalog, provider: str, agent_dir: str | None = None) -> list[str]:
    """Return a provider's model ids."""
    return [row.id for row in catalog.rows_of(provider, agent_dir)]


def test_bare_home_has_the_built_in_rows_once_each(tmp_path: Path) -> None:
    """955 rows of 39 providers are shipped; those that say the same `provider/id` twice are one model."""
    catalog = load_catalog(config_of(tmp_path))
    assert len(catalog.providers) == 39
    assert len(catalog) == 948
    assert sum(catalog.count(provider) for provider in catalog.providers) == 948
    assert catalog.count("kimi-coding") == catalog.count("kimi") == 2
    assert catalog.findings == ()


def test_built_in_rows_are_decoded_once_per_process(tmp_path: Path) -> None:
    """Two catalogues share the very same built-in rows."""
    one, other = load_catalog(config_of(tmp_path)), load_catalog(config_of(tmp_path))
    assert one.rows_of("openai") is other.rows_of("openai")
    assert built_in_rows()[0]["openai"] is one.rows_of("openai")


def test_rows_are_sorted_by_model_id(tmp_path: Path) -> None:
    """Each provider's rows come sorted, added ones included."""
    catalog = load_catalog(config_of(tmp_path, providers=(provider_of("openai", "a-first", "zz-last"),)))
    found = ids(catalog, "openai")
    assert found == sorted(found)
    assert (found[0], found[-1]) == ("a-first", "zz-last")


def test_earlier_sources_win_in_any_case(tmp_path: Path) -> None:
    """Built-in beats models.json beats config, by `provider::id` in lower case."""
    write_models(
        tmp_path,
        "main",
        {"providers": {"Lab": {"baseUrl": "http://lab.example", "models": [{"id": "One", "name": "File"}]}}},
    )
    providers = (provider_of("lab", "one", "two"), provider_of("openai", "GPT-5.5"))
    catalog = load_catalog(config_of(tmp_path, providers=providers))
    assert [(row.id, row.origin) for row in catalog.rows_of("lab")] == [("One", "models.json"), ("two", "config")]
    found = catalog.find("openai/GPT-5.5")
    assert found is not None
    assert found.origin == "built-in"


def test_models_json_rows_have_the_documented_defaults(tmp_path: Path) -> None:
    """A row that says only its id gets 128,000 tokens, no reasoning, text; values of a wrong type count as absent."""
    models = [
        {"id": "bare"},
        {"id": "odd", "contextWindow": "many", "reasoning": "yes", "input": ["smell", "image"], "name": 7},
    ]
    write_models(tmp_path, "main", {"providers": {"lab": {"baseUrl": "http://lab.example", "models": models}}})
    bare, odd = load_catalog(config_of(tmp_path)).rows_of("lab")
    assert (bare.name, bare.context_window, bare.reasoning, bare.input) == ("bare", 128_000, False, ("text",))
    assert (odd.name, odd.context_window, odd.reasoning, odd.input) == ("odd", 128_000, False, ("image",))


def test_another_agents_file_counts_for_that_dir_only(tmp_path: Path) -> None:
    """The default agent's file is shared; any other one is seen with that agent dir alone."""
    entry = {"baseUrl": "http://lab.example"}
    write_models(tmp_path, "main", {"providers": {"lab": {**entry, "models": [{"id": "shared"}]}}})
    write_models(
        tmp_path,
        "ops",
        {"providers": {"lab": {**entry, "models": [{"id": "own"}]}, "den": {**entry, "models": [{"id": "x"}]}}},
    )
    config = config_of(tmp_path)
    catalog = load_catalog(config)
    ops_dir = config.agents[1].agent_dir
    assert ids(catalog, "lab") == ["shared"]
    assert ids(catalog, "lab", ops_dir) == ["own", "shared"]
    assert (catalog.count("den"), catalog.count("den", ops_dir)) == (0, 1)
    assert catalog.find("den/x") is None
    assert catalog.find("den/x", ops_dir) is not None
    assert catalog.count("openai", ops_dir) == catalog.count("openai")
    assert "den" in catalog.providers


def test_built_in_provider_without_base_url_is_ignored_in_a_file(tmp_path: Path) -> None:
    """OpenClaw's registry ignores such an entry; one with a base URL counts."""
    entries = {
        "openai": {"models": [{"id": "fake"}]},
        "groq": {"baseUrl": "http://proxy.example", "models": [{"id": "real"}]},
    }
    write_models(tmp_path, "main", {"providers": entries})
    catalog = load_catalog(config_of(tmp_path))
    assert catalog.find("openai/fake") is None
    assert catalog.find("groq/real") is not None


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ('{"providers": {', "invalid-models-json"),
        ("", "invalid-models-json"),
        ("[]", "invalid-models-json"),
        ('{"providers": []}', "invalid-models-json"),
        ("{}", "invalid-models-json"),
        ('{"providers": {"lab": 5}}', "dropped-models"),
        ('{"providers": {"lab": {"models": [{"name": "no id"}]}}}', "dropped-models"),
    ],
)
def test_broken_file_is_a_finding_and_the_other_rows_stay(tmp_path: Path, content: str, code: str) -> None:
    """Whatever stands in models.json: all other rows are there, and the finding names file and remedy."""
    path = write_models(tmp_path, "main", content)
    catalog = load_catalog(config_of(tmp_path, providers=(provider_of("mine", "one"),)))
    (finding,) = catalog.findings
    assert (finding.path, finding.code) == (str(path), code)
    assert finding.remedy
    assert catalog.count("openai") == 41
    assert catalog.count("mine") == 1


def test_one_bad_entry_does_not_sink_the_good_ones(tmp_path: Path) -> None:
    """Rows beside a broken one are kept."""
    entry = {"baseUrl": "http://lab.example", "models": [{"id": "good"}, 7, {"id": " "}]}
    write_models(tmp_path, "main", {"providers": {"lab": entry, "bad": "text"}})
    catalog = load_catalog(config_of(tmp_path))
    assert ids(catalog, "lab") == ["good"]
    assert [finding.code for finding in catalog.findings] == ["dropped-models"]


@pytest.mark.parametrize(
    "text",
    ['{"providers": {"lab": ' + "[" * 100_000, '{"providers": {"lab": ' + "[" * 100_000 + "]" * 100_000 + "}}"],
    ids=["open", "closed"],
)
def test_brackets_without_end_are_a_finding(tmp_path: Path, text: str) -> None:
    """What no stack can take is a broken file like any other."""
    path = tmp_path / "agents" / "main" / "agent" / "models.json"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    (finding,) = load_catalog(config_of(tmp_path)).findings
    assert (finding.code, finding.problem) == ("invalid-models-json", "is not valid JSON")


def test_inputs_of_a_wrong_kind_are_passed_over(tmp_path: Path) -> None:
    """A list or an object where the name of an input is expected counts as nothing."""
    rows = [{"id": "x", "input": [["text"], {}, None, "image"]}]
    write_models(tmp_path, "main", {"providers": {"lab": {"baseUrl": "http://lab.example", "models": rows}}})
    (row,) = load_catalog(config_of(tmp_path)).rows_of("lab")
    assert row.input == ("image",)


def test_a_pipe_in_the_place_of_the_file_holds_nobody_up(tmp_path: Path) -> None:
    """A FIFO without a writer is a finding, not a reader that waits for ever."""
    path = tmp_path / "agents" / "main" / "agent" / "models.json"
    path.parent.mkdir(parents=True)
    os.mkfifo(path)
    assert [finding.code for finding in load_catalog(config_of(tmp_path)).findings] == ["unreadable-models-json"]


def test_a_directory_in_the_place_of_the_file_is_a_finding(tmp_path: Path) -> None:
    """What isn't a regular file is not read."""
    (tmp_path / "agents" / "main" / "agent" / "models.json").mkdir(parents=True)
    assert [finding.code for finding in load_catalog(config_of(tmp_path)).findings] == ["unreadable-models-json"]


def test_keys_of_the_file_are_never_kept(tmp_path: Path) -> None:
    """No row, finding or repr holds what stands as a key, a header or in a base URL."""
    entry = {
        "apiKey": CANARY,
        "headers": {"Authorization": CANARY},
        "baseUrl": f"http://u:{CANARY}@lab.example",
        "models": [{"id": "m", "headers": {"x": CANARY}}],
    }
    write_models(tmp_path, "main", {"providers": {"lab": entry, "broken": {"apiKey": CANARY, "models": CANARY}}})
    catalog = load_catalog(config_of(tmp_path))
    shown = repr(catalog) + repr(catalog.findings) + repr(catalog.rows_of("lab"))
    assert catalog.count("lab") == 1
    assert CANARY not in shown
    assert CANARY.encode() not in msgspec.json.encode((catalog.rows_of("lab"), catalog.findings))


def test_replace_makes_the_configs_rows_the_whole_catalogue(tmp_path: Path) -> None:
    """With `models.mode: "replace"` neither built-in rows nor files count."""
    write_models(tmp_path, "main", {"providers": {"lab": {"baseUrl": "http://lab.example", "models": [{"id": "x"}]}}})
    catalog = load_catalog(config_of(tmp_path, providers=(provider_of("mine", "one"),), mode="replace"))
    assert catalog.providers == ("mine",)
    assert len(catalog) == 1


def test_every_models_json_is_depended_on_existing_or_not(tmp_path: Path) -> None:
    """The paths to watch are those of all distinct agent dirs, the default agent's first."""
    config = config_of(tmp_path)
    assert load_catalog(config).depends_on == tuple(f"{agent.agent_dir}/models.json" for agent in config.agents)


def test_find_takes_any_spelling_and_ids_with_slashes(tmp_path: Path) -> None:
    """The first slash parts provider and model; a model id may repeat its provider."""
    catalog = load_catalog(config_of(tmp_path))
    keys = [
        row.key
        for ref in ("Z.AI/glm-4.7", "openrouter/auto", "openrouter/openrouter/auto")
        if (row := catalog.find(ref))
    ]
    assert keys == ["zai/glm-4.7", "openrouter/auto", "openrouter/auto"]
    assert catalog.find("no-slash") is None
    assert catalog.find("openai/") is None


def test_model_key_does_not_repeat_the_provider() -> None:
    """`provider/model`, unless the id starts with this provider; another provider's name in it changes nothing."""
    assert model_key("groq", "Groq/compound") == "Groq/compound"
    assert model_key("groq", "openai/gpt-oss-20b") == "groq/openai/gpt-oss-20b"
    assert model_key("groq", "groq") == "groq/groq"
