"""Presence: what OpenClaw 2026.5.22 answered, row by row."""

from __future__ import annotations

import pytest
from facts_builders import (
    BLANK,
    LITERAL,
    LOCAL_URL,
    MAIN,
    NOW,
    REMOTE_URL,
    ROW,
    TEXT_REF,
    api_key,
    cli,
    entry,
    env_ref,
    index_of,
    marker,
    oauth,
    provider,
    server,
    store,
    token,
)
from hypothesis import given
from hypothesis import strategies as st

from openclaw_actors.auth.check import check
from openclaw_actors.auth.ledger import LedgerEntry, LedgerKey
from openclaw_actors.auth.shared import SharedIndex
from openclaw_actors.auth.sources.hosts import is_local, is_local_for_ollama
from openclaw_actors.auth.verdict import HAS_AUTH
from openclaw_actors.home.facts import KeyFacts, KeyForm, ProfileFacts, ProviderConfig
from openclaw_actors.home.stores.windows import Windows
from openclaw_actors.ids import EvidenceId

EMPTY_HOME_LACKS = (
    "openai",
    "anthropic",
    "google-vertex",
    "ollama",
    "lmstudio",
    "xai",
    "claude-cli",
    "openai-codex",
    "codex",
    "minimax",
    "vllm",
    "nope",
)


def present(name: str, index: SharedIndex, *profiles: ProfileFacts, **more: object) -> bool:
    """Ask one provider of a home."""
    return check(provider(name), index, store(*profiles, **more), {}, NOW).presence  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("amazon-bedrock", True),
        ("bedrock", True),
        *((name, False) for name in EMPTY_HOME_LACKS),
    ],
)
def test_an_empty_home_has_bedrock_alone(name: str, answer: bool) -> None:
    """In an empty home only Bedrock's default chain counts."""
    assert present(name, index_of()) is answer


@pytest.mark.parametrize(
    ("key", "answer"),
    [
        (LITERAL, True),
        (BLANK, False),
        (KeyFacts(), False),
        (env_ref("SET", is_set=True), True),
        (env_ref("UNSET", is_set=False), False),
        (env_ref("OPENAI_API_KEY", is_set=True, form=KeyForm.ENV_NAME), True),
        (env_ref("GROQ_API_KEY", is_set=False, form=KeyForm.ENV_NAME), False),
        (KeyFacts(KeyForm.FILE_REF, "file:default:/a"), False),
        (KeyFacts(KeyForm.FILE_REF, "file:default:/a", True, b"d", is_text=True), True),
        (KeyFacts(KeyForm.EXEC_REF, "exec:default:a"), False),
        (marker("secretref-managed"), False),
        (marker("custom-local"), False),
        (marker("oauth:…"), False),
        (KeyFacts(KeyForm.MALFORMED), False),
    ],
)
@pytest.mark.parametrize("auth", ["", "api-key", "token", "oauth"])
def test_a_remote_key_counts_when_it_yields_a_secret(key: KeyFacts, auth: str, answer: bool) -> None:
    """A configured key counts exactly when it yields a secret now, whatever the auth mode; exec never does."""
    assert present("p", index_of(server("p", key, url=REMOTE_URL, auth=auth))) is answer


@pytest.mark.parametrize(
    ("changes", "answer"),
    [
        ({}, True),
        ({"key": BLANK}, True),
        ({"auth": "api-key"}, True),
        ({"api": "anthropic-messages"}, True),
        ({"url": "http://192.168.1.5:8000/v1"}, True),
        ({"api": ""}, False),
        ({"models": ()}, False),
        ({"url": ""}, False),
        ({"auth": "oauth"}, False),
        ({"auth": "token"}, False),
        ({"url": REMOTE_URL}, False),
        ({"key": KeyFacts(KeyForm.FILE_REF, "file:default:/a")}, False),
        ({"key": env_ref("UNSET", is_set=False)}, False),
        ({"key": marker("custom-local")}, True),
        ({"key": marker("ollama-local"), "auth": "oauth"}, True),
        ({"key": marker("custom-local"), "api": "anthropic-messages"}, False),
        ({"key": marker("custom-local"), "url": REMOTE_URL}, False),
        ({"key": marker("custom-local"), "models": ()}, False),
    ],
)
def test_a_local_server_needs_no_key(changes: dict[str, object], answer: bool) -> None:
    """A complete entry of a local server counts without a key or with a marker."""
    assert present("p", index_of(server("p", **changes))) is answer  # type: ignore[arg-type]


def test_a_vllm_server_in_the_lan_counts() -> None:
    """Servers without synthetic auth of their own work through the local rule."""
    assert present("vllm", index_of(server("vllm", url="http://192.168.0.7:8000/v1")))


@pytest.mark.parametrize(
    ("url", "core", "ollama"),
    [
        ("http://localhost:1/v1", True, True),
        ("http://LOCALHOST", True, True),
        ("http://127.0.0.1", True, True),
        ("http://127.1", True, True),
        ("http://0x7f000001/", True, True),
        ("http://0.0.0.0:80", True, True),
        ("http://[::1]:80", True, True),
        ("http://[0:0:0:0:0:0:0:1]", True, True),
        ("http://[::ffff:127.0.0.1]", True, False),
        ("http://[::ffff:7f00:1]", True, False),
        ("http://docker.orb.internal", True, True),
        ("http://host.docker.internal", True, True),
        ("http://host.orb.internal", True, True),
        ("http://box.local", True, True),
        ("http://10.255.0.1", True, True),
        ("http://172.16.0.1", True, True),
        ("http://172.31.255.255", True, True),
        ("http://192.168.9.9", True, True),
        ("http://172.32.0.1", False, False),
        ("http://127.0.0.2", False, False),
        ("http://169.254.1.1", False, False),
        ("http://[::]", False, True),
        ("http://[fe80::1]", False, True),
        ("http://[fd00::1]", False, True),
        ("http://[2001:db8::1]", False, False),
        ("http://gpubox:11434", False, True),
        ("http://llm.example.invalid", False, False),
        ("http://10.example.com", False, False),
        ("http://1.2.3.4.5", False, False),
        ("127.0.0.1:80", False, False),
        ("localhost:11434", False, True),
        ("file:///x", False, True),
        ("foo://localhost:1", True, True),
        ("http://", False, False),
        ("invalid:", False, False),
        ("http://localhost:99999", False, False),
        ("", False, False),
    ],
)
def test_local_hosts(url: str, core: bool, ollama: bool) -> None:
    """The core's list and the ollama plugin's list of local hosts differ in IPv6 networks and single-label names."""
    assert (is_local(url), is_local_for_ollama(url)) == (core, ollama)


@pytest.mark.parametrize(
    ("found", "answer"),
    [
        (entry("ollama", url="http://127.0.0.1:11434", api="ollama", models=ROW), True),
        (entry("ollama", models=ROW), True),
        (entry("ollama", url="http://127.0.0.1:11434"), False),
        (entry("ollama", url="http://127.0.0.1:11434/v1/"), False),
        (entry("ollama", url="http://127.0.0.1:11435"), True),
        (entry("ollama", url="http://gpubox:11434"), True),
        (entry("ollama", url="https://ollama.example.invalid", models=ROW), False),
        (entry("ollama", auth="oauth"), False),
        (entry("ollama", has_auth_header=True, has_headers=True, has_request=True), False),
        (entry("ollama", env_ref("UNSET", is_set=False)), False),
        (entry("ollama", TEXT_REF), False),
        (entry("openai", TEXT_REF, api="ollama"), True),
        (entry("openai", env_ref("UNSET", is_set=False), api="ollama"), False),
        (entry("openai", api="ollama", auth="oauth"), True),
        (entry("openai", api="ollama", has_auth_header=True), True),
        (entry("openai", api="ollama", has_headers=True), True),
        (entry("openai", api="ollama", has_request=True), True),
        (entry("openai", api="ollama"), False),
        (entry("ollama", TEXT_REF, url="http://127.0.0.1:11434", auth="oauth", has_headers=True), False),
        (entry("ollama"), False),
        (entry("mine", api="ollama", url="http://gpubox:1", models=ROW, auth="oauth"), True),
        (entry("mine", BLANK, api="ollama", url="http://[fd00::1]:1", models=ROW), True),
        (entry("mine", env_ref("UNSET", is_set=False), api="ollama", url=LOCAL_URL, models=ROW), True),
        (entry("mine", api="ollama", url="https://ollama.example.invalid", models=ROW), False),
        (entry("mine", api="openai-completions", url="http://gpubox:1", models=ROW), False),
    ],
)
def test_the_ollama_plugin_wants_a_meaningful_local_entry(found: ProviderConfig, answer: bool) -> None:
    """Ollama's plugin answers for its own id and for every entry with its API, when the entry says something local."""
    assert present(found.id, index_of(found)) is answer


@pytest.mark.parametrize(
    ("found", "answer"),
    [
        (entry("lmstudio", models=ROW), True),
        (entry("lmstudio", BLANK, models=ROW, url=REMOTE_URL, auth="oauth"), True),
        (entry("lmstudio", LITERAL, models=ROW, url=REMOTE_URL), True),
        (entry("lmstudio", marker("custom-local"), models=ROW), True),
        (entry("lmstudio", marker("ollama-local"), models=ROW), False),
        (entry("lmstudio", env_ref("UNSET", is_set=False), models=ROW), False),
        (entry("lmstudio", models=ROW, has_authorization=True), False),
        (entry("lmstudio"), False),
    ],
)
def test_the_lmstudio_plugin_wants_models_and_no_other_key(found: ProviderConfig, answer: bool) -> None:
    """LM Studio's plugin looks at models, key and the Authorization header, and at nothing else."""
    assert present("lmstudio", index_of(found)) is answer


def test_an_entry_with_the_ollama_api_is_asked_of_one_plugin_alone() -> None:
    """The ollama plugin answers in place of lmstudio's and xai's; the Claude one before it; one that is off is out."""
    keyed = env_ref("UNSET", is_set=False)
    assert present("lmstudio", index_of(entry("lmstudio", keyed, api="ollama", url="http://gpubox:1", models=ROW)))
    remote = entry("lmstudio", api="ollama", url=REMOTE_URL, models=ROW)
    assert not present("lmstudio", index_of(remote))
    assert present("lmstudio", index_of(remote, disabled=("ollama",)))
    assert not present("lmstudio", index_of(remote, disabled=("ollama", "lmstudio")))
    local = entry("xai", api="ollama", url="http://gpubox:1", models=ROW)
    assert present("xai", index_of(local, xai_key=keyed))
    assert present("xai", index_of(local, disabled=("xai",)))
    assert not present("xai", index_of(local, disabled=("ollama",)))
    claude = entry("claude-cli", api="ollama", url="http://gpubox:1", models=ROW)
    assert not present("claude-cli", index_of(claude))
    assert present("claude-cli", index_of(claude, disabled=("anthropic",)))


def test_a_plugin_that_is_off_may_still_be_reached_for_its_own_provider() -> None:
    """What the last look reaches counts for the plugin's own id, not for others with its API, nor as evidence."""
    own, other = (
        entry("ollama", url=LOCAL_URL, models=ROW),
        entry("mine", api="ollama", url=LOCAL_URL, auth="oauth", models=ROW),
    )
    reached = index_of(own, other, disabled=("google", "ollama"), reached=("google", "ollama"), vertex_file="/adc.json")
    assert present("ollama", reached)
    assert not present("mine", reached)
    assert not present("google-vertex", reached)
    assert not present("ollama", index_of(own, disabled=("ollama",)))


def test_the_xai_plugin_takes_the_web_search_key() -> None:
    """The web search key of xai is a key of xai; an unset reference isn't, nor a switched-off plugin's."""
    assert present("xai", index_of(xai_key=LITERAL))
    assert present("x-ai", index_of(xai_key=LITERAL))
    assert not present("x-ai", index_of(env=("XAI_API_KEY",)))
    assert not present("x-ai", index_of(xai_key=LITERAL, disabled=("xai",)))
    assert not present("xai", index_of(xai_key=env_ref("UNSET", is_set=False)))
    assert present("xai", index_of(xai_key=TEXT_REF))
    assert present("xai", index_of(xai_key=KeyFacts(KeyForm.MARKER, "custom-local", problem="a marker", is_text=True)))
    managed = KeyFacts(KeyForm.MARKER, "secretref-managed", problem="a marker", is_text=True)
    assert not present("xai", index_of(xai_key=managed))
    assert not present("xai", index_of(xai_key=LITERAL, disabled=("xai",)))


@pytest.mark.parametrize(
    ("variable", "yes", "no"),
    [
        ("GEMINI_API_KEY", ["google"], ["google-gemini-cli", "google-vertex"]),
        ("MINIMAX_API_KEY", ["minimax", "minimax-cn", "minimax-portal"], []),
        ("BYTEPLUS_API_KEY", ["byteplus", "byteplus-plan"], ["volcengine"]),
        ("GH_TOKEN", ["github-copilot"], []),
        ("Z_AI_API_KEY", ["zai", "z.ai", "Z-AI"], []),
        ("HF_TOKEN", ["huggingface"], []),
        ("OPENAI_API_KEY", ["openai"], ["openai-codex", "codex-cli"]),
        ("ANTHROPIC_OAUTH_TOKEN", ["anthropic", "claude-cli"], ["anthropic-openai"]),
        ("OPENROUTER_API_KEY", ["openrouter", "perplexity"], []),
        ("AZURE_SPEECH_REGION", ["azure-speech", "azure"], []),
        ("KIMI_API_KEY", ["kimi", "kimi-coding", "moonshot"], []),
    ],
)
def test_variables_count_for_their_providers(variable: str, yes: list[str], no: list[str]) -> None:
    """A variable counts for exactly the providers whose list has it, looked up under the alias target."""
    index = index_of(env=(variable,))
    assert all(present(name, index) for name in yes)
    assert not any(present(name, index) for name in no)


def test_an_evidence_file_counts_for_vertex_alone() -> None:
    """A complete evidence file makes google-vertex present, unless its plugin is switched off."""
    assert present("google-vertex", index_of(vertex_file="/gcp.json"))
    assert not present("google", index_of(vertex_file="/gcp.json"))
    assert not present("google-vertex", index_of(vertex_file="/gcp.json", disabled=("google",)))


def test_aws_sdk_counts_unseen() -> None:
    """`auth: aws-sdk` counts for any provider; another `auth` of Bedrock switches its default off."""
    assert present("p", index_of(server("p", url=REMOTE_URL, auth="aws-sdk")))
    assert not present("bedrock", index_of(entry("amazon-bedrock", auth="api-key")))
    assert not present("amazon-bedrock-mantle", index_of())


@pytest.mark.parametrize(
    "profile",
    [
        api_key("groq:a", BLANK),
        api_key("groq:a", KeyFacts()),
        api_key("groq:a", env_ref("UNSET", is_set=False)),
        token("groq:a", 1.0),
        token("groq:a", 0),
        oauth("groq:a", access=False, refresh=False),
        oauth("groq:a", expires_at=1.0),
    ],
)
def test_every_stored_profile_counts(profile: ProfileFacts) -> None:
    """Any profile of the provider is present, whatever its state, its windows and the order say."""
    windows = {"groq:a": Windows(disabled_until=4_102_444_800_000, disabled_reason="billing")}
    assert present("groq", index_of(order={"groq": ()}), profile, usage=windows)


@pytest.mark.parametrize(
    ("stored", "yes", "no"),
    [
        ("Z.AI", ["zai", "z-ai"], []),
        ("moonshotai", ["moonshot"], ["kimi"]),
        ("minimax-cn", ["minimax", "minimax-cn"], ["minimax-portal"]),
        ("claude-cli", ["anthropic", "claude-cli"], []),
        ("bytedance", ["volcengine", "volcengine-plan", "doubao"], ["byteplus"]),
        ("openai", ["openai"], ["openai-codex", "codex-cli"]),
        ("openai-codex", ["openai-codex", "codex-cli"], ["openai", "codex"]),
    ],
)
def test_profiles_match_by_alias(stored: str, yes: list[str], no: list[str]) -> None:
    """A profile counts for every provider with the same alias target."""
    profile = api_key("x:default", provider=stored)
    assert all(present(name, index_of(), profile) for name in yes)
    assert not any(present(name, index_of(), profile) for name in no)


def test_described_profiles_are_not_credentials() -> None:
    """`auth.profiles` alone makes nothing present."""
    index = index_of(profiles={"xai:a": ("xai", "api_key"), "groq:a": ("groq", "aws-sdk")})
    assert not present("xai", index)
    assert not present("groq", index)


@pytest.mark.parametrize(
    ("name", "expires_at", "yes", "no"),
    [
        ("codex", NOW + 301, ["openai-codex", "codex-cli"], ["codex", "openai"]),
        ("codex", NOW + 300, [], ["openai-codex", "codex-cli"]),
        ("minimax", NOW + 999, ["minimax-portal", "minimax-portal-cn"], ["minimax"]),
        ("minimax", NOW - 1, [], ["minimax-portal"]),
        ("claude", NOW + 999, ["claude-cli", "anthropic"], ["anthropic-vertex"]),
        ("claude", NOW - 1, ["claude-cli"], ["anthropic"]),
        ("gemini", NOW + 999, [], ["google-gemini-cli", "google"]),
    ],
)
def test_other_programs_logins(name: str, expires_at: float, yes: list[str], no: list[str]) -> None:
    """A login counts while it can be adopted; Claude CLI's counts for claude-cli whatever its expiry."""
    index = index_of(clis=(cli(name, expires_at=expires_at),))
    assert all(present(asked, index) for asked in yes)
    assert not any(present(asked, index) for asked in no)


_KEYS = st.sampled_from([LITERAL, BLANK, KeyFacts(), env_ref("UNSET", is_set=False), marker("custom-local")])
_PROFILES = st.lists(
    st.one_of(
        st.builds(api_key, st.sampled_from(["groq:a", "openai:b"]), _KEYS),
        st.builds(
            token, st.sampled_from(["groq:c", "openai-codex:d"]), st.sampled_from([None, 0, 1.0, (NOW + 9) * 1000])
        ),
        st.builds(oauth, st.sampled_from(["groq:e", "openai-codex:f"]), access=st.booleans(), refresh=st.booleans()),
    ),
    max_size=4,
    unique_by=lambda profile: profile.id,
)
_WINDOWS = st.builds(
    Windows,
    cooldown_until=st.sampled_from([None, 1, int(NOW * 1000) + 9000]),
    cooldown_reason=st.sampled_from([None, "rate_limit", "auth", "format"]),
    cooldown_model=st.sampled_from([None, "m"]),
    disabled_until=st.sampled_from([None, 1, int(NOW * 1000) + 5000]),
    disabled_reason=st.sampled_from([None, "billing", "auth_permanent"]),
    blocked_until=st.sampled_from([None, int(NOW * 1000) + 7000]),
)


@given(
    profiles=_PROFILES,
    windows=st.dictionaries(st.sampled_from(["groq:a", "openai:b", "groq:c", "groq:e", "openai-codex:f"]), _WINDOWS),
    reported=_WINDOWS,
    key=_KEYS,
    order=st.sampled_from([None, {"groq": ()}, {"groq": ("groq:e", "groq:a")}]),
    later=st.floats(0, 1e9),
    asked=st.sampled_from(["groq", "openai", "openai-codex"]),
)
def test_presence_depends_on_facts_alone(
    profiles: list[ProfileFacts],
    windows: dict[str, Windows],
    reported: Windows,
    key: KeyFacts,
    order: dict[str, tuple[str, ...]] | None,
    later: float,
    asked: str,
) -> None:
    """Neither windows nor reports nor time change presence; has-auth is the state's; the winner is a candidate."""
    index = index_of(server("groq", key), order=order)
    ledger = {
        LedgerKey(MAIN, EvidenceId(name), digest): LedgerEntry(reported, int(NOW * 1000))
        for name in ("groq:a", "openai:b", "groq:e")
        for digest in (b"secret", b"oauth")
    }
    quiet = check(provider(asked), index, store(*profiles), {}, NOW)
    loud = check(provider(asked), index, store(*profiles, usage=windows), ledger, NOW + later)
    assert quiet.presence == loud.presence
    for cell in (quiet, loud, *(row for _, row in loud.models)):
        assert cell.has_auth is (cell.state in HAS_AUTH)
        ids = [candidate.evidence for candidate in cell.candidates]
        assert cell.evidence in ids if ids else cell.evidence is None
        assert len(cell.shadowed) == max(0, len(ids) - 1)
        assert bool(cell.reason)
    assert loud.valid_until is None or loud.valid_until > NOW + later
