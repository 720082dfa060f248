"""The picker on Discord: selects and autocomplete within its limits, and values that never choose another model."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given, settings
from listing_builders import INSTANCE, LISTINGS, TEXTS, hidden, listing, model, models, offered, units

from openclaw_actors.auth.verdict import State
from openclaw_actors.ids import ProviderId
from openclaw_actors.listing.listing import Listing
from openclaw_actors.pickers import Choose, ShowModels, ShowProviders, Stale, Target, Unknown, discord
from openclaw_actors.pickers.discord import DiscordPage, SelectOption
from openclaw_actors.pickers.targets import STALE_TEXT

GROQ = ProviderId("groq")
SHOWN = listing(*models("groq", 60), model("zai", "glm-5"), model("mine", "own", State.EXPIRED))


def show(target: Target = ShowProviders(), shown: Listing = SHOWN, **options: str) -> DiscordPage:  # noqa: B008
    """Return a page."""
    return discord.show(shown, INSTANCE, target, **options)


def options(page: DiscordPage) -> tuple[SelectOption, ...]:
    """Return the options of its select."""
    assert page.select is not None
    return page.select.options


# ------------------------------------------------------------------------------------------------------------ the pages


def test_providers_are_options_with_their_counts_and_reasons() -> None:
    """Selecting one leads to its models."""
    page = show()
    assert [(one.label, one.description) for one in options(page)] == [
        ("groq (60)", ""),
        ("mine (1)", "expired: because"),
        ("zai (1)", ""),
    ]
    assert page.content.startswith("Select a provider:\n")
    assert discord.answer(SHOWN, INSTANCE, options(page)[0].value) == ShowModels(GROQ, 1)


def test_models_are_options_and_buttons_turn_pages() -> None:
    """Twenty-five on a page; the one that is selected now is the default."""
    page = show(ShowModels(GROQ, 2), current="groq/model-030")
    assert [one.label for one in options(page)] == [f"model-{number:03}" for number in range(26, 51)]
    assert [one.label for one in options(page) if one.default] == ["model-030"]
    assert page.select is not None
    assert page.select.placeholder == "Select a model (2/3)"
    leads = {one.label: discord.answer(SHOWN, INSTANCE, one.custom_id) for one in page.buttons}
    assert leads == {"◀ Prev": ShowModels(GROQ, 1), "Next ▶": ShowModels(GROQ, 3), "<< Back": ShowProviders(1)}


def test_a_model_that_can_not_be_used_says_why_in_its_description() -> None:
    """Else the description is its name, where it has one of its own."""
    named = msgspec.structs.replace(model("groq", "m1"), name="Model One")
    shown = listing(named, model("groq", "m2", State.UNRESOLVED))
    assert [one.description for one in options(show(ShowModels(GROQ), shown))] == ["Model One", "unresolved: because"]
    assert options(show(ShowProviders(), shown))[0].description == "1 not usable now: unresolved: because"


def test_the_components_are_what_the_http_interface_takes() -> None:
    """A row with the select, a row with the buttons; each custom id once; no empty descriptions."""
    page = show(ShowModels(GROQ, 2))
    select, buttons = json.loads(json.dumps(page.components()))
    assert (select["type"], select["components"][0]["type"]) == (1, 3)
    assert set(select["components"][0]["options"][0]) == {"label", "value"}
    assert [one["type"] for one in buttons["components"]] == [2, 2, 2]
    ids = [one["custom_id"] for row in (select, buttons) for one in row["components"]]
    assert len(ids) == len(set(ids))


def test_nothing_to_select_is_no_select() -> None:
    """Discord refuses a select without options."""
    page = show(ShowProviders(), listing(hides=(hidden("xai", 3, State.REJECTED),)))
    assert page.select is None
    assert page.components() == []
    assert "- xai (3 hidden): rejected: because. Next: do this" in page.content


def test_a_provider_that_is_not_there_says_so_and_offers_the_others() -> None:
    """The reason stands in the text."""
    page = show(ShowModels(ProviderId("xai")))
    assert page.content.startswith("Unknown provider: xai\n")
    assert options(page) == options(show())


# ----------------------------------------------------------------------------------------------------------- the values


@pytest.mark.parametrize("change", [{"revision": 8}, {"agent_id": "ops"}, {"view": "all"}])
def test_an_option_of_another_list_says_so_and_offers_the_page_as_it_is_now(change: dict[str, object]) -> None:
    """Nothing is chosen."""
    value = options(show(ShowModels(GROQ, 2)))[0].value
    now = msgspec.structs.replace(SHOWN, **change)
    assert discord.answer(now, INSTANCE, value) == Stale(STALE_TEXT, ShowModels(GROQ, 2))
    assert discord.answer(SHOWN, "another process", value) == Stale(STALE_TEXT, ShowModels(GROQ, 2))


@settings(max_examples=60)
@given(LISTINGS, TEXTS)
def test_whatever_the_ids_are_the_limits_hold_and_each_option_leads_where_it_says(
    shown: Listing, instance: str
) -> None:
    """Every page of any list: Discord's limits, and each model chosen by one option."""
    chosen = []
    todo: list[Target] = [ShowProviders()]
    seen: set[Target] = set()
    while todo:
        target = todo.pop()
        if target in seen:
            continue
        seen.add(target)
        page = discord.show(shown, instance, target, current="groq/x")
        assert 0 < units(page.content) <= discord.MAX_CONTENT
        msgspec.json.encode(page.components())
        values = [(one.label, one.custom_id) for one in page.buttons]
        if page.select is not None:
            assert 1 <= len(page.select.options) <= discord.MAX_OPTIONS
            assert units(page.select.placeholder) <= discord.MAX_PLACEHOLDER
            assert units(page.select.custom_id) <= discord.MAX_TEXT
            assert len({one.value for one in page.select.options}) == len(page.select.options)
            assert all(units(one.description) <= discord.MAX_TEXT for one in page.select.options)
            values += [(one.label, one.value) for one in page.select.options]
        assert len(page.components()) <= 5
        for words, value in values:
            assert 0 < units(words) <= discord.MAX_TEXT
            assert 0 < units(value) <= discord.MAX_TEXT
            found = discord.answer(shown, instance, value)
            if isinstance(found, Choose):
                chosen.append(found.model)
            else:
                assert isinstance(found, ShowProviders | ShowModels)
                todo.append(found)
    assert sorted(map(id, chosen)) == sorted(map(id, offered(shown)))


# -------------------------------------------------------------------------------------------------------- autocomplete


def test_what_begins_with_the_text_comes_first() -> None:
    """Then ids and names that do, then those that have it anywhere; in any case."""
    shown = listing(model("zai", "groq-like"), model("groq", "a"), model("openai", "for-groq"), model("openai", "else"))
    assert [one.name for one in discord.autocomplete(shown, INSTANCE, " GROQ")] == [
        "groq/a",
        "zai/groq-like",
        "openai/for-groq",
    ]
    assert discord.autocomplete(shown, INSTANCE, "nothing") == ()
    assert len(discord.autocomplete(SHOWN, INSTANCE, "")) == discord.MAX_CHOICES


def test_a_choice_that_can_not_be_used_says_so() -> None:
    """The state stands behind the name, however long that is."""
    shown = listing(model("mine", "own", State.EXPIRED), model("mine", "x" * 200, State.EXPIRED))
    names = [one.name for one in discord.autocomplete(shown, INSTANCE, "mine")]
    assert names[0] == "mine/own (expired)"
    assert names[1].startswith("…x")
    assert names[1].endswith("x (expired)")


def test_a_full_name_holds_in_later_lists_and_a_long_one_does_not() -> None:
    """A name in full can't be mistaken; a token is of one list."""
    shown = listing(model("mine", "own"), model("mine", "x" * 200))
    own, long = discord.autocomplete(shown, INSTANCE, "mine")
    later = msgspec.structs.replace(shown, revision=8)
    assert own.value == "mine/own"
    assert discord.answer_choice(later, INSTANCE, own.value) == Choose(shown.rows[0])
    assert discord.answer_choice(shown, INSTANCE, long.value) == Choose(shown.rows[1])
    assert discord.answer_choice(later, INSTANCE, long.value) == Stale(STALE_TEXT, ShowModels(ProviderId("mine"), 1))


def test_a_provider_with_a_slash_is_never_taken_for_another_one() -> None:
    """`a` with `b/c` and `a/b` with `c` are called the same: the second is named by a token."""
    shown = listing(model("a", "b/c"), model("a/b", "c"))
    choices = discord.autocomplete(shown, INSTANCE, "a/b/c")
    assert [one.name for one in choices] == ["a/b/c", "a/b/c"]
    assert [discord.answer_choice(shown, INSTANCE, one.value) for one in choices] == [Choose(row) for row in shown.rows]
    gone = listing(model("a/b", "c"), revision=8)
    assert isinstance(discord.answer_choice(gone, INSTANCE, choices[0].value), Unknown)


@pytest.mark.parametrize("typed", ["", "own", "mine", "mine/", "mine/OWN", "other/own", "mine/own/x"])
def test_a_part_of_a_name_chooses_nothing(typed: str) -> None:
    """What somebody typed without taking a choice must be a whole name."""
    assert isinstance(discord.answer_choice(listing(model("mine", "own")), INSTANCE, typed), Unknown)


@given(LISTINGS, TEXTS, TEXTS)
def test_whatever_is_typed_the_limits_hold_and_each_choice_is_its_model(
    shown: Listing, typed: str, instance: str
) -> None:
    """At most 25 choices of at most 100 characters; each value leads to the model that is named."""
    for text in ("", typed, typed[:1]):
        choices = discord.autocomplete(shown, instance, text)
        assert len(choices) <= discord.MAX_CHOICES
        found = []
        for choice in choices:
            assert 0 < units(choice.name) <= discord.MAX_TEXT
            assert 0 < units(choice.value) <= discord.MAX_TEXT
            answer = discord.answer_choice(shown, instance, choice.value)
            assert isinstance(answer, Choose)
            found.append(id(answer.model))
        assert len(set(found)) == len(found)
        if not text:
            assert len(found) == min(discord.MAX_CHOICES, len(offered(shown)))


def test_providers_are_offered_and_lead_to_their_models() -> None:
    """Those that begin with the text come first; what can't be used says so; what is typed leads there as well."""
    shown = listing(*models("groq", 3), model("my-groq", "x"), model("groovy", "own", State.EXPIRED), model("zai", "a"))
    choices = discord.autocomplete_providers(shown, INSTANCE, " GRO")
    assert [one.name for one in choices] == ["groovy (1, expired)", "groq (3)", "my-groq (1)"]
    assert discord.answer_provider(shown, INSTANCE, choices[1].value) == ShowModels(GROQ)
    assert discord.answer_provider(shown, INSTANCE, " Groq ") == ShowModels(GROQ)
    assert discord.answer_provider(shown, INSTANCE, "nobody") == ShowModels(ProviderId("nobody"))


def test_models_of_one_provider_are_offered_alone() -> None:
    """Whether it was chosen or typed; a provider that the list doesn't have narrows nothing."""
    long = "long" * 40
    shown = listing(*models("groq", 2), model("groq-like", "model-009"), model(long, "model-003"))
    (token,) = [one.value for one in discord.autocomplete_providers(shown, INSTANCE, "long")]
    for provider, expected in (("Groq", 2), (token, 1), ("", 4), ("nobody", 4)):
        assert len(discord.autocomplete(shown, INSTANCE, "model", provider=provider)) == expected


@given(LISTINGS, TEXTS, TEXTS)
def test_whatever_is_typed_each_provider_that_is_offered_is_its_own(shown: Listing, typed: str, instance: str) -> None:
    """At most 25 choices of at most 100 characters; each value leads to the provider's page."""
    for text in ("", typed[:1]):
        choices = discord.autocomplete_providers(shown, instance, text)
        assert len(choices) <= discord.MAX_CHOICES
        found = []
        for choice in choices:
            assert 0 < units(choice.name) <= discord.MAX_TEXT
            assert 0 < units(choice.value) <= discord.MAX_TEXT
            answer = discord.answer_provider(shown, instance, choice.value)
            assert isinstance(answer, ShowModels)
            found.append(answer.provider)
        assert len(set(found)) == len(found)
        assert set(found) <= {row.provider for row in offered(shown)}


@given(TEXTS)
def test_any_value_is_answered(value: str) -> None:
    """Nothing raises, and nothing is chosen by accident."""
    assert not isinstance(discord.answer_choice(SHOWN, INSTANCE, value), Choose)
