"""Config files: JSON5 errors, includes, and the facts that are built (formats 1.2-1.4)."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_actors.errors import ConfigError, HomeError
from openclaw_actors.home.facts import ConfigFacts, HomeFacts, KeyForm
from openclaw_actors.home.files import KEPT_CHANGING
from openclaw_actors.home.includes import MAX_DEPTH, Includes, merge
from openclaw_actors.home.json5 import parse_json5
from openclaw_actors.home.reader import HomeReader

CANARY = "CANARY-7f3a"


def write(path: Path, text: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def read(state: Path, config: str | None = None, **env: str) -> HomeFacts:
    if config is not None:
        write(state / "openclaw.json", config)
    return HomeReader(state, env={"HOME": str(state)} | env, cwd=str(state / "nowhere")).read_home()


def facts(state: Path, config: str, **env: str) -> ConfigFacts:
    return read(state, config, **env).config


@pytest.mark.parametrize(
    ("text", "place", "problem"),
    [
        ('{"a": }', "line 1, column 7", "expected a value"),
        (f'{{\n "{CANARY}": "{CANARY}",\n"b":[1,2}}', "line 3, column 9", "expected a comma or `]`"),
        (f'{{a: "{CANARY}\n"}}', "line 1, column 5", "a string that begins here is not closed"),
        (f'{{"a":1}} {CANARY}', "line 1, column 7", "something follows the end"),
        ("[" * 200, "line 1, column 129", "nested deeper than 128 levels"),
        (f"{{a:'{CANARY}', b:1e999}}", "line 1", "not closed"),
        (b'{"a":\n"\xff"}', "line 2, column 2", "not valid UTF-8"),
        ("{\n\0}", "line 2, column 1", "NUL"),
        ("", "", "empty"),
        (" \ufeff\n", "", "empty"),
    ],
)
def test_a_broken_document_is_named_by_place_and_never_quoted(text: str | bytes, place: str, problem: str) -> None:
    """The error says file, line, column and what is wrong, and carries no part of the document anywhere."""
    with pytest.raises(ConfigError) as raised:
        parse_json5(text, "/h/openclaw.json")
    error = raised.value
    assert error.place.startswith(place)
    assert problem in error.problem
    assert str(error).startswith("/h/openclaw.json")
    assert CANARY not in str(error) + repr(error.args)
    assert error.__cause__ is None
    assert error.__context__ is None


def test_json5_is_accepted_with_a_byte_order_mark() -> None:
    """Comments, trailing commas, single quotes, unquoted keys; the last of equal keys wins."""
    assert parse_json5("\ufeff{/*c*/ a: 'x', // d\n a: 0x10,}", "f") == {"a": 16}


@given(st.binary(max_size=300) | st.text(max_size=300))
def test_any_bytes_parse_or_raise_config_error(data: bytes | str) -> None:
    """No other exception leaves the parser."""
    with contextlib.suppress(ConfigError):
        parse_json5(data, "f")


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=9),
        lambda x: (
            st.lists(x)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "models",
                        "providers",
                        "agents",
                        "list",
                        "auth",
                        "order",
                        "profiles",
                        "env",
                        "secrets",
                        "plugins",
                        "entries",
                        "id",
                        "apiKey",
                        "baseUrl",
                        "defaults",
                        "model",
                        "x",
                        "cooldowns",
                        "vars",
                        "agentDir",
                    ]
                ),
                x,
            )
        ),
        max_leaves=25,
    )
)
def test_any_document_gives_facts_or_config_error(tmp_path_factory: pytest.TempPathFactory, document: object) -> None:
    """Wrong types are passed over, but for the outline: a top level or a block of the wrong kind is an error."""
    state = tmp_path_factory.mktemp("home")
    encoded = msgspec.json.encode(document)
    write(state / "openclaw.json", encoded)
    place = "nowhere"
    try:
        read(state)
    except ConfigError as error:
        place = error.place
    assert place or not isinstance(document, dict)


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ({"agents": {"list": "x"}}, "agents.list"),
        ({"agents": ["ops"]}, "agents"),
        ({"models": {"providers": []}}, "models.providers"),
        ({"auth": {"order": 1}}, "auth.order"),
    ],
)
def test_a_block_of_the_wrong_kind_is_no_empty_block(tmp_path: Path, document: object, place: str) -> None:
    """An agent list that is no list doesn't read as "no agents": the config is invalid, and the error says where."""
    write(tmp_path / "openclaw.json", msgspec.json.encode(document))
    with pytest.raises(ConfigError) as caught:
        read(tmp_path)
    assert caught.value.place == place


def test_a_missing_config_is_an_empty_one(tmp_path: Path) -> None:
    """No file: exists is False and main is the one agent; nothing is created."""
    config = read(tmp_path).config
    assert (config.exists, [agent.id for agent in config.agents]) == (False, ["main"])
    assert config.path == str(tmp_path / "openclaw.json")
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_readable_regular_file_is_a_config_error(tmp_path: Path) -> None:
    """A directory, a FIFO, a link loop and a file without permission say so instead of hanging or crashing."""
    path = tmp_path / "openclaw.json"
    path.mkdir()
    with pytest.raises(ConfigError, match="directory"):
        read(tmp_path)
    path.rmdir()
    os.mkfifo(path)
    with pytest.raises(ConfigError, match="not a regular file"):
        read(tmp_path)
    path.unlink()
    path.symlink_to(path)
    with pytest.raises(ConfigError, match="loop"):
        read(tmp_path)
    path.unlink()
    write(path, b" " * (2 * 1024 * 1024 + 1))
    with pytest.raises(ConfigError, match="larger"):
        read(tmp_path)
    if os.geteuid() != 0:
        path.chmod(0)
        with pytest.raises(ConfigError, match="permission"):
            read(tmp_path)


def test_a_top_level_that_is_no_object_is_an_error(tmp_path: Path) -> None:
    """`[]` is JSON5 and no config."""
    with pytest.raises(ConfigError, match="top level"):
        read(tmp_path, "[]")


def test_objects_merge_arrays_join_and_the_rest_is_replaced() -> None:
    """The merge of includes: deep for objects, arrays one after the other."""
    assert merge({"a": {"x": 1, "l": [1]}, "b": 1}, {"a": {"y": 2, "l": [2]}, "b": [3]}) == {
        "a": {"x": 1, "y": 2, "l": [1, 2]},
        "b": [3],
    }


def test_includes_merge_in_order_and_siblings_win(tmp_path: Path) -> None:
    """Relative to the including file; lists merge in order; keys beside the include win; all are depended on."""
    write(
        tmp_path / "d/one.json5", "{models: {providers: {p: {apiKey: 'one', api: 'a'}}}, x: {$include: './two.json5'}}"
    )
    write(tmp_path / "d/two.json5", "{models: {providers: {p: {apiKey: 'two'}, q: {}}}}")
    home = read(tmp_path, "{$include: ['d/one.json5', './d/two.json5'], models: {providers: {p: {auth: 'token'}}}}")
    first, second = home.config.providers
    assert (first.id, first.api, first.auth, second.id) == ("p", "a", "token", "q")
    assert first.key.digest is not None
    assert {str(tmp_path / "d/one.json5"), str(tmp_path / "d/two.json5")} <= set(home.depends_on)


@pytest.mark.parametrize(
    ("include", "problem"),
    [
        ("'../outside.json'", "outside"),
        ("'./link.json'", "outside"),
        ("'./missing.json'", "missing"),
        ("'./hard.json'", "hard links"),
        ("'./openclaw.json'", "includes itself"),
        ("'./broken.json'", "expected"),
        ("3", "neither a path nor"),
        ("[3]", "neither a path nor"),
        ("''", "names no file"),
        ("'./deep0.json'", "deeper"),
        ("'./array.json'", "not an object"),
        ("'./bomb0.json'", "more than"),
    ],
)
def test_a_bad_include_is_refused(tmp_path: Path, include: str, problem: str) -> None:
    """Outside the folder (by link too), missing, hard-linked, circular, too deep or too many: a config error each."""
    state = tmp_path / "s"
    write(tmp_path / "outside.json", "{}")
    write(state / "hard.json", "{}")
    os.link(state / "hard.json", tmp_path / "second-name.json")
    (state / "link.json").symlink_to(tmp_path / "outside.json")
    write(state / "broken.json", "{a:}")
    write(state / "array.json", "[]")
    for depth in range(MAX_DEPTH + 2):
        write(state / f"deep{depth}.json", f"{{$include: './deep{depth + 1}.json'}}")
        pair = f"'./bomb{depth + 1}.json'" if depth < MAX_DEPTH - 1 else ""
        write(state / f"bomb{depth}.json", f"{{a: {{$include: [{pair}]}}, b: {{$include: [{pair}]}}}}")
    with pytest.raises(ConfigError, match=problem):
        read(state, f"{{$include: {include}, a: 1}}")


def test_what_is_included_has_a_largest_size_in_all(tmp_path: Path) -> None:
    """Repeats count: a small config can't become a large one by naming a file often."""
    write(tmp_path / "part.json5", f"{{a: '{'x' * 500_000}'}}")
    assert read(tmp_path, "{$include: ['./part.json5', './part.json5']}")
    many = ", ".join(["'./part.json5'"] * 10)
    with pytest.raises(ConfigError, match="bytes are included"):
        read(tmp_path, f"{{$include: [{many}]}}")


def test_the_variables_of_a_config_have_a_largest_size_in_all(tmp_path: Path) -> None:
    """A long variable that is named often is refused, with the variable's name and no value; what the config includes
    is still looked at, since mending that may mend this.
    """
    write(tmp_path / "part.json5", "{}")
    named = "${BIG}" * 200
    config = f"{{$include: './part.json5', env: {{BIG: '{CANARY}{'x' * 100_000}'}}, k: ['{named}']}}"
    with pytest.raises(ConfigError, match="more than 16777216 characters") as raised:
        read(tmp_path, config)
    assert (raised.value.place, "BIG" in raised.value.remedy) == ("k[0]", True)
    assert str(tmp_path / "part.json5") in raised.value.looked_at
    assert CANARY not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "good"),
    [("0x" + "f" * 100_000, False), (f"'0x{'f' * 100_000}'", True), ("0x" + "f" * 2_000, True), ("9" * 5_000, False)],
    ids=["number", "text", "shorter", "decimal"],
)
def test_a_number_that_cannot_be_written_down_again_is_refused(tmp_path: Path, text: str, good: bool) -> None:
    """A hexadecimal number may be longer than any that Python writes as a decimal one; a text may be as long."""
    if good:
        assert read(tmp_path, f"{{secrets: {{a: {text}}}}}")
        return
    with pytest.raises(ConfigError, match="number"):
        read(tmp_path, f"{{secrets: {{a: {text}}}}}")


def test_an_include_root_widens_the_confinement(tmp_path: Path) -> None:
    """A folder named in OPENCLAW_INCLUDE_ROOTS may be included from."""
    write(tmp_path / "roots/x.json", "{models: {mode: 'replace'}}")
    config = f"{{$include: '{tmp_path}/roots/x.json'}}"
    assert facts(tmp_path / "s", config, OPENCLAW_INCLUDE_ROOTS=str(tmp_path / "roots")).models_mode == "replace"
    with pytest.raises(ConfigError, match="outside"):
        read(tmp_path / "s", config)


def test_includes_resolve_without_a_config_on_disk() -> None:
    """A document without includes comes back as it is."""
    assert Includes("/nowhere/openclaw.json").resolve({"a": [1, {"b": None}]}) == {"a": [1, {"b": None}]}


def test_the_facts_of_a_config(tmp_path: Path) -> None:
    """Providers, profiles, order, cool-downs, allow list, models and plugins are read; secrets become digests."""
    config = facts(
        tmp_path,
        f"""{{
      unknown: {{x: 1}},
      models: {{mode: 'replace', providers: {{
        'Z.AI': {{apiKey: '{CANARY}', baseUrl: 'https://u:{CANARY}@h/v1', api: 'openai-completions', auth: 'api-key',
                 headers: {{authorization: '{CANARY}'}}, authHeader: false, request: {{}},
                 models: [{{id: 'm', name: 'M', contextWindow: 1000.0, reasoning: true,
                           input: ['text', 3]}}, {{}}, 3]}},
        plain: {{}}, odd: 3, ' ': {{}} }}}},
      auth: {{profiles: {{'aws:x': {{provider: 'Bedrock', mode: 'aws-sdk'}}, bad: {{}}}},
             order: {{'z.ai': [' a ', 3, 'b'], groq: [], odd: 3}},
             cooldowns: {{billingBackoffHours: 2, billingBackoffHoursByProvider: {{x: 1, y: '{CANARY}'}},
                         s: '{CANARY}'}}}},
      agents: {{defaults: {{model: 'p/m', imageModel: {{primary: 'p/i'}}, models: {{'p/*': {{}}, 'q/m': {{}}}}}}}},
      plugins: {{deny: ['telegram'], entries: {{ollama: {{enabled: false}},
                xai: {{config: {{webSearch: {{apiKey: '{CANARY}'}}}}}}}}}},
      secrets: {{providers: {{v: {{source: 'exec', command: '/bin/{CANARY}'}}}}}},
    }}""",
    )
    provider, plain = config.providers
    assert (provider.id, provider.spelled, provider.base_url) == ("zai", "Z.AI", "https://h/v1")
    assert provider.key.form is KeyForm.LITERAL
    assert provider.has_headers
    assert provider.has_authorization
    assert provider.has_auth_header
    assert provider.has_request
    assert [(model.id, model.context_window, model.reasoning, model.input) for model in provider.models] == [
        ("m", 1000, True, ("text",))
    ]
    assert plain.key.form is KeyForm.ABSENT
    assert [(profile.provider, profile.mode) for profile in config.auth_profiles] == [("amazon-bedrock", "aws-sdk")]
    assert config.auth_order == (("zai", ("a", "b")), ("groq", ()))
    assert msgspec.json.decode(config.cooldowns) == {
        "billingBackoffHours": 2,
        "billingBackoffHoursByProvider": {"x": 1},
    }
    assert config.allowlist == ("p/*", "q/m")
    assert config.default_model_refs == ("p/m", "p/i")
    assert config.models_mode == "replace"
    assert config.disabled_plugins == ("ollama", "telegram")
    assert config.xai_search_key.resolved
    assert CANARY not in repr(config)
    assert CANARY.encode() not in msgspec.json.encode(config)


def test_unresolved_references_are_findings_not_errors(tmp_path: Path) -> None:
    """A missing variable anywhere and a key that can't be resolved are each said once, with their place."""
    config = facts(
        tmp_path,
        """{gateway: {token: '${NOPE}'}, models: {providers: {a: {apiKey: '${NOPE}'}, b: {apiKey: '$NOPE'},
           c: {apiKey: {source: 'file', id: '/x'}}, d: {apiKey: 'ollama-local'}}}}""",
    )
    assert [(finding.code, finding.place) for finding in config.findings] == [
        ("unresolved-variable", "gateway.token"),
        ("unresolved-variable", "models.providers.a.apiKey"),
        ("unresolved-ref", "models.providers.b.apiKey"),
        ("unresolved-ref", "models.providers.c.apiKey"),
    ]


def test_the_secrets_digest_follows_the_secrets_block_only(tmp_path: Path) -> None:
    """Key order and other keys don't move it; its content does."""
    reader = HomeReader(tmp_path, env={}, cwd=str(tmp_path))
    digests = []
    for text in ("{secrets: {a: 1, b: 2}}", "{secrets: {b: 2, a: 1}, x: 1}", "{secrets: {a: 2, b: 2}}"):
        write(tmp_path / "openclaw.json", text)
        digests.append(reader.read_home().config.secrets_digest)
    assert digests[0] == digests[1] != digests[2]


def test_all_plugins_off_names_them_all(tmp_path: Path) -> None:
    """`plugins.enabled: false` switches every known plugin off."""
    assert {"ollama", "xai", "google"} <= set(facts(tmp_path, "{plugins: {enabled: false}}").disabled_plugins)


@pytest.mark.parametrize(
    ("block", "off", "reached"),
    [
        ("{}", "", ""),
        ("{allow: []}", "", ""),
        ("{enabled: false}", "anthropic google lmstudio ollama xai", "anthropic google lmstudio ollama xai"),
        (
            "{enabled: false, entries: {ollama: {enabled: false}}}",
            "anthropic google lmstudio ollama xai",
            "anthropic google lmstudio xai",
        ),
        ("{enabled: false, allow: ['ollama']}", "anthropic google lmstudio ollama xai", "ollama"),
        ("{deny: [' Ollama ']}", "ollama", ""),
        ("{entries: {OLLAMA: {enabled: false}}}", "ollama", ""),
        ("{allow: ['ollama']}", "anthropic google lmstudio xai", ""),
        ("{allow: ['openai']}", "anthropic google lmstudio ollama xai", ""),
        ("{allow: ['openai'], entries: {xai: {config: {}}}}", "anthropic google lmstudio ollama xai", "xai"),
        ("{allow: ['openai'], entries: {ollama: {enabled: true}}}", "anthropic google lmstudio ollama xai", "ollama"),
        ("{allow: ['openai'], entries: {ollama: {}}}", "anthropic google lmstudio ollama xai", ""),
        ("{allow: ['deepseek'], entries: {xai: {config: {}}}}", "anthropic google lmstudio ollama xai", ""),
        (
            "{allow: ['ollama'], deny: ['ollama'], entries: {xai: {config: {}}}}",
            "anthropic google lmstudio ollama xai",
            "xai",
        ),
    ],
)
def test_plugins_are_switched_off_and_some_still_reached(tmp_path: Path, block: str, off: str, reached: str) -> None:
    """`enabled`, `deny`, entries and a non-empty `allow` switch off; the last look reaches some all the same."""
    config = facts(tmp_path, f"{{plugins: {block}}}")
    looked_at = {"anthropic", "google", "lmstudio", "ollama", "xai"}
    assert sorted(looked_at & set(config.disabled_plugins)) == off.split()
    assert sorted(looked_at & set(config.reached_plugins)) == reached.split()


def test_headers_count_by_what_they_hold(tmp_path: Path) -> None:
    """An empty headers object is none, and an Authorization header that is blank isn't given."""
    text = """{models: {providers: {
        a: {headers: {}},
        b: {headers: {' authorization ': ' '}},
        c: {headers: {Authorization: {source: 'env', provider: 'default', id: 'X'}}},
    }}}"""
    found = {p.id: (p.has_headers, p.has_authorization) for p in facts(tmp_path, text).providers}
    assert found == {"a": (False, False), "b": (True, False), "c": (True, True)}


def test_the_evidence_file_is_named_without_a_tilde(tmp_path: Path) -> None:
    """`GOOGLE_APPLICATION_CREDENTIALS` is a path as it stands: `~` is no home there."""
    write(tmp_path / "adc.json", "{}")
    write(tmp_path / ".openclaw/openclaw.json", "{}")
    env = {"HOME": str(tmp_path), "GOOGLE_CLOUD_PROJECT": "p", "GOOGLE_CLOUD_LOCATION": "l"}
    for named, found in ((str(tmp_path / "adc.json"), True), ("~/adc.json", False)):
        home = HomeReader(env=env | {"GOOGLE_APPLICATION_CREDENTIALS": named}, cwd=str(tmp_path)).read_home()
        assert bool(home.environment.evidence_files) is found


def test_dotenv_layers_fill_the_environment_in_order(tmp_path: Path) -> None:
    """Process, then what the working directory's file may set, the state dir's, then gateway.env of a default home."""
    state, cwd = tmp_path / ".openclaw", tmp_path / "cwd"
    write(cwd / ".env", "ANTHROPIC_API_KEY=blocked\nGROQ_API_KEY=cwd\nMY_KEY=cwd\nMY.KEY=odd\n")
    write(state / ".env", "ANTHROPIC_API_KEY=state\nGROQ_API_KEY=state\nMY_KEY=state\nXAI_API_KEY=state\n")
    write(tmp_path / ".config/openclaw/gateway.env", "XAI_API_KEY=late\nZAI_API_KEY=late\n")
    write(
        state / "openclaw.json",
        "{models: {providers: {p: {apiKey: '$MY_KEY'}}}, env: {VENICE_API_KEY: 'v', XAI_API_KEY: 'no'}}",
    )
    env = {"HOME": str(tmp_path), "OPENAI_API_KEY": "process", "MISTRAL_API_KEY": " "}
    home = HomeReader(env=env, cwd=str(cwd)).read_home()
    assert {variable.name: variable.origin for variable in home.environment.variables} == {
        "OPENAI_API_KEY": "environment",
        "MY_KEY": str(cwd / ".env"),
        "ANTHROPIC_API_KEY": str(state / ".env"),
        "GROQ_API_KEY": str(cwd / ".env"),
        "XAI_API_KEY": str(state / ".env"),
        "ZAI_API_KEY": str(tmp_path / ".config/openclaw/gateway.env"),
        "VENICE_API_KEY": "config env",
    }
    assert str(state / ".env") in home.depends_on
    elsewhere = HomeReader(env=env | {"OPENCLAW_STATE_DIR": str(tmp_path / "other")}, cwd=str(cwd)).read_home()
    assert "ZAI_API_KEY" not in elsewhere.environment.by_name()


def test_an_unreadable_dotenv_is_a_finding(tmp_path: Path) -> None:
    """A directory in the file's place takes its variables away and says so."""
    (tmp_path / ".env").mkdir()
    (finding,) = read(tmp_path).config.findings
    assert (finding.code, finding.path) == ("dotenv-unreadable", str(tmp_path / ".env"))
    assert "its variables are missing" in finding.problem
    assert finding.remedy


@pytest.mark.parametrize("trouble", ["it may not be read (permission denied)", KEPT_CHANGING])
def test_a_dotenv_that_cannot_be_read_keeps_what_it_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    """Its variables stay, also for readers with other variables, and a finding says so; they follow the file when it
    can be read again, and go with it.
    """
    dotenv = write(tmp_path / ".env", "OPENAI_API_KEY=a\n")
    reader = HomeReader(tmp_path, env={"HOME": str(tmp_path)}, cwd=str(tmp_path / "nowhere"))
    good = reader.read_home()
    assert "OPENAI_API_KEY" in good.environment.by_name()

    def refused(path: str, error: type[HomeError], **_: object) -> None:
        if path == str(dotenv):
            raise error(path, trouble, "Mend it.")

    with monkeypatch.context() as patched:
        patched.setattr("openclaw_actors.home.dotenv.read_regular", refused)
        for one in (reader, reader, reader.with_environment({"HOME": str(tmp_path)})):
            found = one.read_home()
            assert found.environment == good.environment
            (finding,) = found.config.findings
            assert (finding.code, finding.path, finding.remedy) == ("dotenv-unreadable", str(dotenv), "Mend it.")
            assert finding.problem == f"{trouble}; what it held before still counts"
    write(dotenv, "GROQ_API_KEY=b\n")
    names = reader.read_home().environment.by_name()
    assert "GROQ_API_KEY" in names
    assert "OPENAI_API_KEY" not in names
    dotenv.unlink()
    assert "GROQ_API_KEY" not in reader.read_home().environment.by_name()
    dotenv.mkdir()
    found = reader.read_home()
    assert "GROQ_API_KEY" not in found.environment.by_name()
    assert "its variables are missing" in found.config.findings[0].problem


def test_a_dotenv_that_was_read_for_a_store_counts_later(tmp_path: Path) -> None:
    """A broken config doesn't keep the file's variables from being held for the time when it can't be read."""
    dotenv = write(tmp_path / ".env", "OPENAI_API_KEY=a\n")
    config = write(tmp_path / "openclaw.json", "{")
    reader = HomeReader(tmp_path, env={"HOME": str(tmp_path)}, cwd=str(tmp_path / "nowhere"))
    with pytest.raises(ConfigError):
        reader.read_home()
    reader.read_cli("codex")
    dotenv.unlink()
    dotenv.mkdir()
    config.write_text("{}")
    assert "OPENAI_API_KEY" in reader.read_home().environment.by_name()


def test_vertex_evidence_needs_file_project_and_location(tmp_path: Path) -> None:
    """A named file counts alone; else the ADC file below the raw HOME; with project and location; not when disabled."""
    adc = write(tmp_path / ".config/gcloud/application_default_credentials.json", "{}")
    both = {"GCLOUD_PROJECT": "p", "GOOGLE_CLOUD_LOCATION": "l"}
    assert read(tmp_path, **both).environment.evidence_files == (("google-vertex", str(adc)),)
    assert read(tmp_path, GCLOUD_PROJECT="p").environment.evidence_files == ()
    named = {"GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "none.json")} | both
    home = read(tmp_path, **named)
    assert home.environment.evidence_files == ()
    assert str(tmp_path / "none.json") in home.depends_on
    assert read(tmp_path, "{plugins: {enabled: false}}", **both).environment.evidence_files == ()


def test_the_aws_file_is_named_when_it_exists(tmp_path: Path) -> None:
    """`AWS_SHARED_CREDENTIALS_FILE`, else `~/.aws/credentials`; existence only."""
    assert read(tmp_path).environment.aws_file == ""
    path = write(tmp_path / ".aws/credentials", CANARY)
    home = read(tmp_path)
    assert home.environment.aws_file == str(path)
    assert str(path) in home.depends_on
    assert read(tmp_path, AWS_SHARED_CREDENTIALS_FILE="/none").environment.aws_file == ""
