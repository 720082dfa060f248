"""What each source says of one provider: states, details, next steps, and adoption of other programs' logins."""

from __future__ import annotations

from typing import Any

import pytest
from facts_builders import (
    BLANK,
    LITERAL,
    MAIN,
    NOW,
    REMOTE_URL,
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

from openclaw_actors.auth.check import gather
from openclaw_actors.auth.evaluation import Evaluation, SharedEvaluation
from openclaw_actors.auth.shared import SharedIndex
from openclaw_actors.auth.verdict import Candidate, State
from openclaw_actors.home.facts import CliFacts, KeyFacts, KeyForm, ProfileFacts
from openclaw_actors.home.stores.merge import StoreView
from openclaw_actors.home.stores.windows import Windows
from openclaw_actors.ids import EvidenceId


def found(
    name: str, index: SharedIndex, view: StoreView | None = None, now: float = NOW
) -> dict[EvidenceId, Candidate]:
    """Return a provider's candidates by evidence id."""
    candidates = gather(provider(name), index, view or store(), now)
    by_id = {candidate.evidence.id: candidate for candidate in candidates}
    assert len(by_id) == len(candidates)
    return by_id


@pytest.mark.parametrize(
    ("key", "state", "says"),
    [
        (LITERAL, State.USABLE, ""),
        (env_ref("MINE", is_set=True), State.USABLE, ""),
        (env_ref("MINE", is_set=False), State.UNRESOLVED, "set MINE"),
        (env_ref("GROQ_API_KEY", is_set=False, form=KeyForm.ENV_NAME), State.UNRESOLVED, "set GROQ_API_KEY"),
        (env_ref("", is_set=False), State.UNRESOLVED, "mend the reference"),
        (KeyFacts(KeyForm.FILE_REF, "file:vault:/a"), State.UNRESOLVED, "file reference"),
        (KeyFacts(KeyForm.FILE_REF, "file:vault:/a", True, b"d", is_text=True), State.USABLE, ""),
        (KeyFacts(KeyForm.EXEC_REF, "exec:vault:a"), State.UNRESOLVED, "exec reference"),
        (marker("secretref-managed"), State.UNRESOLVED, "log in"),
        (KeyFacts(KeyForm.MALFORMED), State.MALFORMED, "mend"),
    ],
)
def test_a_configured_key_is_judged_by_its_form(key: KeyFacts, state: State, says: str) -> None:
    """What yields a secret is usable; what doesn't says what to set or mend, and names no secret."""
    candidate = found("p", index_of(entry("P", key, url=REMOTE_URL)))[EvidenceId("config:p")]
    assert candidate.state is state
    assert says in candidate.next_step
    assert "models.providers.P.apiKey" in candidate.evidence.detail
    assert candidate.digest == key.digest


@pytest.mark.parametrize("key", [BLANK, KeyFacts()])
def test_no_key_is_no_candidate(key: KeyFacts) -> None:
    """A blank key says nothing, like an absent one."""
    assert found("p", index_of(entry("p", key, url=REMOTE_URL))) == {}


def test_the_exact_spelling_of_an_entry_wins() -> None:
    """Of two entries that normalise alike, the one with the exact key is taken."""
    index = index_of(entry("Z.AI", BLANK), entry("zai", LITERAL))
    assert list(found("zai", index)) == ["config:zai"]


def test_only_the_first_variable_is_used() -> None:
    """The first non-empty variable wins; further ones are shown as not looked at."""
    candidates = found("google", index_of(env=("GOOGLE_API_KEY", "GEMINI_API_KEY")))
    used, shadowed = candidates[EvidenceId("env:GEMINI_API_KEY")], candidates[EvidenceId("env:GOOGLE_API_KEY")]
    assert (used.state, shadowed.state) == (State.USABLE, State.MISSING)
    assert used.evidence.detail == "environment variable GEMINI_API_KEY (from environment)"
    assert used.order < shadowed.order
    assert "GEMINI_API_KEY" in shadowed.reason


@pytest.mark.parametrize(
    ("env", "aws_file", "detail"),
    [
        (("AWS_BEARER_TOKEN_BEDROCK",), "", "AWS_BEARER_TOKEN_BEDROCK"),
        (("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "", "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
        (("AWS_ACCESS_KEY_ID",), "", ""),
        (("AWS_PROFILE",), "", "AWS_PROFILE"),
        (("AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"), "", "AWS_WEB_IDENTITY_TOKEN_FILE"),
        (("AWS_CONTAINER_CREDENTIALS_FULL_URI",), "", "AWS_CONTAINER_CREDENTIALS_FULL_URI"),
        ((), "/home/u/.aws/credentials", "/home/u/.aws/credentials"),
        ((), "", ""),
    ],
)
def test_the_aws_chain_is_usable_when_seen(env: tuple[str, ...], aws_file: str, detail: str) -> None:
    """Bedrock is usable when a variable or file shows the chain, and unverified when only a network look could tell."""
    candidate = found("bedrock", index_of(env=env, aws_file=aws_file))[EvidenceId("cloud:aws")]
    assert candidate.state is (State.USABLE if detail else State.UNVERIFIED)
    assert detail in candidate.evidence.detail
    assert candidate.present


def test_other_shared_sources_name_themselves() -> None:
    """Evidence file, local server and plugins have evidence ids of their own."""
    assert list(found("google-vertex", index_of(vertex_file="/gcp.json"))) == ["file:google-vertex"]
    assert list(found("p", index_of(server("p")))) == ["local:p"]
    assert list(found("ollama", index_of(server("ollama", api="ollama")))) == ["local:ollama", "synthetic:ollama"]
    assert list(found("xai", index_of(xai_key=LITERAL))) == ["synthetic:xai"]
    assert found("xai", index_of(xai_key=env_ref("X", is_set=False)))[EvidenceId("synthetic:xai")].next_step


@pytest.mark.parametrize(
    ("profile", "state", "changes_at"),
    [
        (api_key("groq:a"), State.USABLE, None),
        (api_key("groq:a", BLANK), State.MALFORMED, None),
        (api_key("groq:a", KeyFacts(KeyForm.MALFORMED)), State.MALFORMED, None),
        (api_key("groq:a", env_ref("X", is_set=True)), State.USABLE, None),
        (api_key("groq:a", env_ref("X", is_set=False)), State.UNRESOLVED, None),
        (api_key("groq:a", KeyFacts(KeyForm.FILE_REF, "file:v:/a")), State.UNRESOLVED, None),
        (token("groq:a"), State.USABLE, None),
        (token("groq:a", (NOW + 1) * 1000), State.USABLE, NOW + 1),
        (token("groq:a", NOW * 1000), State.EXPIRED, None),
        (token("groq:a", 0), State.MALFORMED, None),
        (token("groq:a", None, BLANK), State.MALFORMED, None),
        (oauth("groq:a", expires_at=NOW + 301), State.USABLE, NOW + 1),
        (oauth("groq:a", expires_at=NOW + 300), State.REFRESHABLE, None),
        (oauth("groq:a", expires_at=None), State.REFRESHABLE, None),
        (oauth("groq:a", access=False), State.REFRESHABLE, None),
        (oauth("groq:a", refresh=False), State.USABLE, NOW + 86_100),
        (oauth("groq:a", refresh=False, expires_at=NOW + 300), State.EXPIRED, None),
        (oauth("groq:a", refresh=False, expires_at=None), State.MALFORMED, None),
        (oauth("groq:a", refresh=False, expires_at=0), State.MALFORMED, None),
        (oauth("groq:a", access=False, refresh=False), State.MALFORMED, None),
        (oauth("groq:a", access=False, refresh=False, has_sidecar=True), State.UNRESOLVED, None),
    ],
)
def test_a_stored_profile_is_judged_by_what_it_holds(
    profile: ProfileFacts, state: State, changes_at: float | None
) -> None:
    """A profile's state follows from its secret and its expiry; what can't be used says what to do."""
    candidate = found("groq", index_of(), store(profile))[EvidenceId("groq:a")]
    assert (candidate.state, candidate.changes_at) == (state, changes_at)
    assert candidate.present
    assert candidate.store == MAIN
    assert bool(candidate.next_step) is not candidate.state.has_auth
    if changes_at is not None:
        later = found("groq", index_of(), store(profile), changes_at)[EvidenceId("groq:a")]
        assert later.state is not state


def test_an_order_that_leaves_a_profile_out_makes_it_missing() -> None:
    """A profile that an explicit order leaves out is present but not has-auth, and names the order."""
    candidate = found("groq", index_of(order={"groq": ()}), store(api_key("groq:a")))[EvidenceId("groq:a")]
    assert (candidate.state, candidate.present) == (State.MISSING, True)
    assert "auth.order of the config" in candidate.reason


def test_a_mismatched_description_makes_a_profile_malformed() -> None:
    """A profile that the config describes otherwise can't be used and says which line to mend."""
    index = index_of(profiles={"groq:a": ("groq", "oauth")})
    candidate = found("groq", index, store(api_key("groq:a")))[EvidenceId("groq:a")]
    assert candidate.state is State.MALFORMED
    assert "auth.profiles.groq:a.mode" in candidate.next_step


def test_openai_keys_serve_codex_without_presence() -> None:
    """An OpenAI key is usable for openai-codex, though OpenClaw doesn't count it there."""
    candidate = found("openai-codex", index_of(), store(api_key("openai:a")))[EvidenceId("openai:a")]
    assert (candidate.state, candidate.present) == (State.USABLE, False)


def test_exempt_providers_and_usage_travel_with_the_candidate() -> None:
    """A profile's usage stats come along, and providers without cooldowns say so."""
    windows = Windows(cooldown_until=1)
    view = store(api_key("openrouter:a"), api_key("groq:a"), usage={"groq:a": windows})
    assert found("openrouter", index_of(), view)[EvidenceId("openrouter:a")].exempt
    candidate = found("groq", index_of(), view)[EvidenceId("groq:a")]
    assert (candidate.exempt, candidate.windows) == (False, windows)


def test_a_configured_keys_usage_is_the_stores() -> None:
    """Usage stats of a configured key stand in the store as inline-api-key:PROVIDER."""
    windows = Windows(cooldown_until=1)
    candidates = found("groq", index_of(entry("groq", LITERAL)), store(usage={"inline-api-key:groq": windows}))
    assert candidates[EvidenceId("config:groq")].windows == windows


@pytest.mark.parametrize(
    ("login", "stored", "adopted"),
    [
        (cli("codex"), None, True),
        (cli("codex", expires_at=NOW + 300), None, False),
        (cli("codex", expires_at=None), None, False),
        (cli("codex"), oauth("openai-codex:default", access=False, refresh=False), True),
        (cli("codex"), oauth("openai-codex:default", expires_at=1.0), False),
        (cli("codex"), oauth("openai-codex:default", access=False), False),
        (cli("codex"), api_key("openai-codex:default"), False),
        (cli("minimax"), oauth("minimax-portal:minimax-cli", expires_at=NOW + 301), False),
        (cli("minimax"), oauth("minimax-portal:minimax-cli", expires_at=NOW + 300), True),
        (cli("minimax"), oauth("minimax-portal:minimax-cli", expires_at=1.0, provider="groq"), False),
        (cli("claude", kind="token", has_refresh=False), None, False),
        (cli("claude"), oauth("anthropic:claude-cli", expires_at=1.0, provider="claude-cli"), True),
        (cli("gemini"), None, False),
        (cli("codex", found=False, problem="it is not valid JSON"), None, False),
    ],
)
def test_adoption(login: CliFacts, stored: ProfileFacts | None, adopted: bool) -> None:
    """A login is adopted while it is good, unless a stored profile of its id is to be kept; else it says why not."""
    view = store(stored) if stored is not None else store()
    candidates = found(login.provider, index_of(clis=(login,)), view)
    candidate = candidates[EvidenceId(f"cli:{login.name}")]
    assert (candidate.present, candidate.state is State.USABLE) == (adopted, adopted)
    assert bool(candidate.reason)
    if adopted:
        assert login.expires_at is not None
        assert candidate.changes_at == login.expires_at - 300
        assert login.profile_id not in candidates
    elif stored is not None and stored.provider == login.provider:
        assert login.profile_id in candidates


@pytest.mark.parametrize(
    ("of_cli", "of_stored", "adopted"),
    [
        ({"account": b"1"}, {"account": b"1"}, True),
        ({"account": b"1"}, {"account": b"2"}, False),
        ({"account": b"1", "email": b"e"}, {"account": b"1", "email_digest": b"f"}, True),
        ({"email": b"e"}, {"email_digest": b"e"}, True),
        ({"email": b"e"}, {"email_digest": b"f"}, False),
        ({"account": b"1"}, {"email_digest": b"e"}, False),
        ({}, {"account": b"1"}, False),
        ({"account": b"1"}, {}, True),
        ({}, {}, True),
    ],
)
def test_the_identity_guard(of_cli: dict[str, Any], of_stored: dict[str, Any], adopted: bool) -> None:
    """Accounts must agree, else e-mails; a known stored identity that can't be compared refuses the login."""
    stored = oauth("minimax-portal:minimax-cli", expires_at=1.0, **of_stored)
    candidates = found("minimax-portal", index_of(clis=(cli("minimax", **of_cli),)), store(stored))
    assert candidates[EvidenceId("cli:minimax")].present is adopted


def test_an_absent_login_says_nothing() -> None:
    """A program that isn't logged in is no candidate."""
    assert found("openai-codex", index_of(clis=(cli("codex", found=False, path=""),))) == {}


@pytest.mark.parametrize(
    ("login", "state"),
    [
        (cli("claude"), State.USABLE),
        (cli("claude", expires_at=NOW), State.REFRESHABLE),
        (cli("claude", expires_at=NOW, has_refresh=False), State.EXPIRED),
    ],
)
def test_claude_cli_refreshes_itself(login: CliFacts, state: State) -> None:
    """For claude-cli the program itself runs: an expired login with a refresh token is refreshable."""
    assert found("claude-cli", index_of(clis=(login,)))[EvidenceId("synthetic:claude-cli")].state is state
    assert EvidenceId("synthetic:claude-cli") not in found("anthropic", index_of(clis=(login,)))


def test_a_login_outside_an_explicit_order_is_present_only() -> None:
    """An adopted login that an order leaves out counts as present and not as has-auth."""
    index = index_of(clis=(cli("codex"),), order={"openai-codex": ("openai-codex:other",)})
    candidate = found("openai-codex", index)[EvidenceId("cli:codex")]
    assert (candidate.state, candidate.present) == (State.MISSING, True)


def test_answers_cover_every_named_provider() -> None:
    """Answers cover the catalogue's, the config's, the logins', the profiles' and the fact tables' providers."""
    facts = index_of(entry("Mine", LITERAL), clis=(cli("codex"),), order={"listed": ()}).facts
    index = SharedIndex(facts, (provider("from-catalogue"),))
    evaluation = Evaluation(SharedEvaluation(index, {}, NOW), store(api_key("own:a")), {}, NOW)
    covered = evaluation.providers()
    assert set(evaluation.table()) == set(covered)
    assert {"mine", "openai-codex", "listed", "own", "from-catalogue", "groq", "amazon-bedrock"} <= set(covered)
    assert len(covered) == len(set(covered))
    assert "own" not in index.known
