"""`/models` in a chat: its grammar, and OpenClaw's own words (formats 8.5)."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from listing_builders import LISTINGS, TEXTS, hidden, listing, model, models, units

from openclaw_actors.auth.verdict import Evidence, State, Verdict
from openclaw_actors.ids import AgentId, EvidenceId, Generation, ProviderId
from openclaw_actors.listing.chat import ADD_IS_DEPRECATED, MAX_ECHO, auth_label, reply
from openclaw_actors.listing.labels import keep_end, keep_lines, keep_start, label
from openclaw_actors.listing.listing import Listing
from openclaw_actors.listing.menu import MAX_NOTES
from openclaw_actors.listing.models_command import MAX_NUMBER, ModelsRequest, parse_models_command

SHOWN = listing(*models("groq", 45), model("zai", "glm-5"), model("groq", "openai/gpt-oss-20b"))


def asked(text: str) -> ModelsRequest:
    """Return the request of a command."""
    request = parse_models_command(text)
    assert request is not None
    return request


def said(text: str, shown: Listing = SHOWN, **options: bool) -> str:
    """Return OpenClaw's words for a command."""
    return reply(shown, asked(text), **options).text


def verdict(evidence: Evidence | None, state: State = State.USABLE, provider: str = "openai") -> Verdict:
    """Return a verdict with this credential."""
    return Verdict(
        agent_id=AgentId("main"),
        provider=ProviderId(provider),
        state=state,
        has_auth=state.has_auth,
        presence=True,
        evidence=evidence,
        shadowed=(),
        reason="",
        next_step="",
        valid_until=None,
        generation=Generation(1),
        fresh=True,
    )


def evidence(id: str, source: str, kind: str) -> Evidence:
    """Return a credential."""
    return Evidence(EvidenceId(id), source, kind)


# ---------------------------------------------------------------------------------------------------------- the grammar


@pytest.mark.parametrize("text", ["/models", " /models ", "/models providers", "/MODELS Providers", "/models list"])
def test_the_menu_is_asked_for(text: str) -> None:
    """The bare command, `providers`, and `list` without a provider ask for the menu."""
    assert parse_models_command(text) == ModelsRequest("providers")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/models groq", ModelsRequest("list", "groq")),
        ("/models list groq", ModelsRequest("list", "groq")),
        ("/models@the_bot groq", ModelsRequest("list", "groq")),
        ("/models groq 3", ModelsRequest("list", "groq", 3)),
        ("/models groq page=3", ModelsRequest("list", "groq", 3)),
        ("/models groq PAGE=3 Limit=5", ModelsRequest("list", "groq", 3, 5)),
        ("/models groq size=5 3", ModelsRequest("list", "groq", 3, 5)),
        ("/models groq limit=500", ModelsRequest("list", "groq", 1, 100)),
        ("/models groq all", ModelsRequest("list", "groq", everything=True)),
        ("/models list groq --ALL 2", ModelsRequest("list", "groq", 2, everything=True)),
        ("/models groq\n2\tall", ModelsRequest("list", "groq", 2, everything=True)),
        ("/models list list", ModelsRequest("list", "list")),
        ("/models all", ModelsRequest("list", "all")),
    ],
)
def test_arguments_come_in_any_order_and_case(text: str, expected: ModelsRequest) -> None:
    """Page, size and `all` are found wherever they stand behind the provider."""
    assert parse_models_command(text) == expected


@pytest.mark.parametrize(
    "word", ["0", "-1", "+2", "1.5", "²", "٣", "page=", "page=x", "limit=0", "size=-3", "limit=", "all=1", "what", "="]
)
def test_what_is_no_argument_is_passed_over(word: str) -> None:
    """Numbers that aren't positive, other digits and unknown words change nothing."""
    assert parse_models_command(f"/models groq {word}") == ModelsRequest("list", "groq")


@pytest.mark.parametrize("digits", ["9007199254740992", "9" * 30, "9" * 5000])
def test_enormous_numbers_are_the_highest_one(digits: str) -> None:
    """No number is too long to be read, and the answer to it stays short."""
    assert asked(f"/models groq {digits} size={digits}") == ModelsRequest("list", "groq", MAX_NUMBER, 100)
    assert len(said(f"/models groq {digits}")) < 200


@pytest.mark.parametrize("text", ["", "models", "/model groq", "/modelsgroq", "say /models", "/models@", "/models-x"])
def test_other_messages_are_no_command(text: str) -> None:
    """Only a message that begins with the whole word is one."""
    assert parse_models_command(text) is None


def test_all_asks_for_the_whole_catalogue() -> None:
    """The request says which view answers it."""
    assert (asked("/models groq all").view, asked("/models groq").view) == ("all", "default")


@given(
    st.one_of(TEXTS, TEXTS.map(lambda text: f"/models {text}"), TEXTS.map(lambda text: f"/models a {text}")), LISTINGS
)
def test_any_text_has_an_answer(text: str, shown: Listing) -> None:
    """The grammar and its answers never raise, and whatever is said can be sent."""
    request = parse_models_command(text)
    if request is not None:
        assert 1 <= request.limit <= 100
        assert 1 <= request.page <= MAX_NUMBER
        for buttons in (False, True):
            msgspec.json.encode(reply(shown, request, buttons=buttons).full_text)


# ------------------------------------------------------------------------------------------------------------ the words


def test_the_menu_counts_models_by_provider() -> None:
    """Without buttons providers stand in the text, with them it is a title."""
    expected = "Providers:\n- groq (46)\n- zai (1)\n\nUse: /models <provider>\nSwitch: /model <provider/model>"
    assert said("/models") == expected
    assert said("/models", buttons=True) == "Select a provider:"


def test_a_page_of_models_says_how_to_go_on() -> None:
    """Heading, rows with their provider, and the three hints; a size isn't repeated in them."""
    assert said("/models GROQ 2 size=2") == (
        "Models (groq) — showing 3-4 of 46 (page 2/23)\n- groq/model-003\n- groq/model-004\n\n"
        "Switch: /model <provider/model>\nMore: /models list groq 3\nAll: /models list groq all"
    )
    assert said("/models groq", buttons=True) == "Models (groq) — 46 available"


def test_the_last_page_has_no_more_and_ids_with_a_slash_keep_their_provider() -> None:
    """A page that is the last says nothing of another one."""
    assert said("/models groq 3").splitlines() == [
        "Models (groq) — showing 41-46 of 46 (page 3/3)",
        *(f"- groq/model-{number:03}" for number in range(41, 46)),
        "- groq/openai/gpt-oss-20b",
        "",
        "Switch: /model <provider/model>",
        "All: /models list groq all",
    ]
    own = listing(model("openrouter", "openrouter/auto"))
    assert "- openrouter/openrouter/auto" in said("/models openrouter", own)


def test_all_is_one_page() -> None:
    """Whatever page and size are asked for with it."""
    lines = said("/models groq all 7 size=2").splitlines()
    assert lines[0] == "Models (groq) — showing 1-46 of 46 (page 1/1)"
    assert len(lines) == 46 + 3
    assert lines[-1] == "Switch: /model <provider/model>"


def test_a_page_that_is_too_high_names_the_last() -> None:
    """It isn't corrected in silence."""
    assert said("/models groq 4") == (
        "Page out of range: 4 (valid: 1-3)\n\nTry: /models list groq 3\nAll: /models list groq all"
    )


def test_an_unknown_provider_is_answered_with_the_known_ones() -> None:
    """The id is repeated normalised; of one that is too long, the start."""
    assert said("/models Bytedance") == (
        "Unknown provider: volcengine\n\nAvailable providers:\n- groq\n- zai\n\nUse: /models <provider>"
    )
    first = said(f"/models {'x' * 5000}").splitlines()[0]
    assert first == f"Unknown provider: {'x' * (MAX_ECHO - 1)}…"


def test_a_provider_without_models_says_none() -> None:
    """A list of that provider alone knows no others to name."""
    assert said("/models groq", listing(only="groq")) == (
        "Models (groq) — none\n\nBrowse: /models\nSwitch: /model <provider/model>"
    )


def test_add_is_deprecated() -> None:
    """Whatever follows it."""
    assert said("/models add groq x") == ADD_IS_DEPRECATED
    assert ADD_IS_DEPRECATED.endswith(
        " /models add is deprecated. Use /models to browse providers and /model to switch models."
    )


@pytest.mark.parametrize(
    ("credential", "expected"),
    [
        (evidence("openai:default", "profile", "api_key"), "api-key (openai:default)"),
        (evidence("openai:me", "profile", "oauth"), "oauth (openai:me)"),
        (evidence("openai:t", "profile", "token"), "token (openai:t)"),
        (evidence("env:OPENAI_API_KEY", "environment", "api_key"), "api-key (env: OPENAI_API_KEY)"),
        (evidence("env:GH_TOKEN", "environment", "token"), "api-key (env: GH_TOKEN)"),
        (evidence("env:ANTHROPIC_OAUTH_TOKEN", "environment", "token"), "oauth (env: ANTHROPIC_OAUTH_TOKEN)"),
        (evidence("cli:codex", "external-cli", "oauth"), "oauth (codex-cli)"),
        (evidence("config:openai", "config", "api_key"), "api-key (models.json)"),
        (evidence("local:openai", "local", "none"), ""),
        (None, ""),
    ],
)
def test_the_title_names_the_credential(credential: Evidence | None, expected: str) -> None:
    """Kind and name as OpenClaw puts them; what it has no words for is left out."""
    assert auth_label(verdict(credential)) == expected
    title = f"openai · 🔑 {expected}" if expected else "openai"
    shown = listing(model("openai", "m"))
    assert reply(shown, asked("/models openai"), verdict=verdict(credential)).text.startswith(f"Models ({title}) — ")


def test_a_credential_that_does_not_work_or_is_another_providers_is_not_named() -> None:
    """A title never suggests auth where there is none."""
    credential = evidence("openai:default", "profile", "api_key")
    assert auth_label(verdict(credential, State.EXPIRED)) == ""
    other = reply(SHOWN, asked("/models groq"), verdict=verdict(credential))
    assert other.text.startswith("Models (groq) — ")


# ------------------------------------------------------------------------------------------------- what can't be used


UNUSABLE = listing(
    model("mine", "small", State.UNRESOLVED),
    model("mine", "large", State.UNRESOLVED),
    model("openai", "gpt", State.MISSING),
    model("zai", "glm"),
    hides=(
        hidden("anthropic", 23, State.EXPIRED),
        hidden("groq", 18, State.MISSING),
        hidden("openai", 40, State.MISSING, step=""),
        hidden("xai", 2, State.USABLE, "left out", "add it"),
    ),
)


def test_the_menu_says_what_is_set_up_and_can_not_be_used() -> None:
    """Rows that are shown all the same and providers that are hidden, with reason and next step, beside OpenClaw's
    words; those that nobody set up, or that only the allowlist hides, aren't named.
    """
    said_all = reply(UNUSABLE, asked("/models"))
    assert said_all.notes == (
        "- anthropic (23 hidden): expired: because. Next: do this",
        "- mine/large, mine/small: unresolved: because",
        "- openai/gpt: missing: because",
    )
    assert "because" not in said_all.text
    assert said_all.full_text == "\n".join((said_all.text, "", "Hidden or not usable now:", *said_all.notes))


def test_asked_for_by_name_anything_hidden_is_explained() -> None:
    """Missing and left out by the allowlist, too; a hidden provider is unknown in OpenClaw's words."""
    assert reply(UNUSABLE, asked("/models groq")).text.startswith("Unknown provider: groq\n")
    assert reply(UNUSABLE, asked("/models groq")).notes == ("- groq (18 hidden): missing: because. Next: do this",)
    assert reply(UNUSABLE, asked("/models xai")).notes == ("- xai (2 hidden): left out. Next: add it",)
    assert reply(UNUSABLE, asked("/models openai")).notes == (
        "- openai/gpt: missing: because",
        "- openai (40 hidden): missing: because",
    )
    assert reply(UNUSABLE, asked("/models zai")).notes == ()


def test_notes_are_few() -> None:
    """Before the first answers every provider is unknown: the rest is counted."""
    many = tuple(hidden(f"p{number:02}", 1, State.UNKNOWN, "not warmed", "") for number in range(39))
    notes = reply(listing(hides=many), asked("/models")).notes
    assert len(notes) == MAX_NOTES
    assert notes[-1] == "… and 30 more"
    assert reply(listing(*models("groq", 50, State.EXPIRED)), asked("/models groq")).notes == (
        "- groq/model-001, groq/model-002, groq/model-003 and 17 more: expired: because",
    )


# --------------------------------------------------------------------------------------------------------------- labels


@given(TEXTS, st.integers(3, 120))
def test_cut_texts_keep_to_the_limit_and_can_be_sent(text: str, limit: int) -> None:
    """Either end, or whole lines: never more UTF-16 code units than allowed; short texts stay as they are."""
    clean = label(text)
    for cut in (keep_start, keep_end, keep_lines):
        kept = cut(clean, limit)
        assert 0 < units(kept) <= limit
        assert (kept == clean) == (units(clean) <= limit)


@pytest.mark.parametrize("character", ["e\u0301", "👩🏽", "👩\u200d🚀", "❤\ufe0f", "😀"])
def test_no_character_is_cut_through(character: str) -> None:
    """What a person sees as one character is kept whole or left out."""
    for limit in range(units(character) + 1, 40):
        start, end = keep_start(character * 30, limit), keep_end(character * 30, limit)
        assert start.removesuffix("…").replace(character, "") == ""
        assert end.removeprefix("…").replace(character, "") == ""


def test_lines_are_kept_whole() -> None:
    """A message that is too long ends after a line, and says that it goes on."""
    assert keep_lines("one\ntwo\nthree", 10) == "one\ntwo\n…"


def test_what_can_not_be_seen_is_made_visible() -> None:
    """Line breaks, controls, direction marks and halves of pairs are replaced; nothing at all has a name."""
    assert label("a\nb\u202ec\ud83d") == "a\ufffdb\ufffdc\ufffd"
    assert label(" \u0301") == label("") == "(unnamed)"
