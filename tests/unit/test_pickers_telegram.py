"""The picker on Telegram: pages within its limits, and buttons that never choose another model."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from listing_builders import INSTANCE, LISTINGS, TEXTS, hidden, is_whole, listing, model, models, offered, units

from openclaw_actors.auth.verdict import State
from openclaw_actors.ids import ProviderId
from openclaw_actors.listing.listing import Listing
from openclaw_actors.pickers import Choose, ShowModels, ShowProviders, Stale, Target, Unknown, telegram, view_of
from openclaw_actors.pickers.targets import STALE_TEXT, UNKNOWN_TEXT
from openclaw_actors.pickers.telegram import InlineButton, TelegramPage

GROQ = ProviderId("groq")
SHOWN = listing(*models("groq", 20), model("zai", "glm-5"), model("mine", "own", State.EXPIRED))


def show(target: Target = ShowProviders(), shown: Listing = SHOWN, **options: str) -> TelegramPage:  # noqa: B008
    """Return a page."""
    return telegram.show(shown, INSTANCE, target, **options)


def texts(page: TelegramPage) -> list[list[str]]:
    """Return what stands on the buttons."""
    return [[button.text for button in row] for row in page.keyboard]


def button(page: TelegramPage, text: str) -> InlineButton:
    """Return the button with this text."""
    return next(one for row in page.keyboard for one in row if one.text == text)


def pressed(page: TelegramPage, text: str, now: Listing = SHOWN, instance: str = INSTANCE) -> object:
    """Return what pressing a button comes to."""
    return telegram.answer(now, instance, button(page, text).callback_data)


# ------------------------------------------------------------------------------------------------------------ the pages


def test_providers_stand_two_in_a_row_with_their_counts() -> None:
    """One that can't be used at all is marked, and the text says why."""
    page = show()
    assert texts(page) == [["groq (20)", "⚠ mine (1)"], ["zai (1)"]]
    assert page.text == "Select a provider:\n\nHidden or not usable now:\n- mine/own: expired: because"
    assert pressed(page, "groq (20)") == ShowModels(GROQ, 1)


def test_models_stand_one_in_a_row_with_the_turning_of_pages_below() -> None:
    """Eight on a page; the way back is below."""
    middle = texts(show(ShowModels(GROQ, 2), current="groq/model-010"))
    assert middle[:8] == [[f"model-{n:03}" + (" ✓" if n == 10 else "")] for n in range(9, 17)]
    assert middle[8:] == [["◀ Prev", "2/3", "Next ▶"], ["<< Back"]]
    assert texts(show(ShowModels(GROQ)))[8] == ["1/3", "Next ▶"]
    assert texts(show(ShowModels(GROQ, 3)))[4:] == [["◀ Prev", "3/3"], ["<< Back"]]
    assert texts(show(ShowModels(ProviderId("zai")))) == [["glm-5"], ["<< Back"]]
    assert show(ShowModels(GROQ)).text == "Models (groq) — 20 available"


def test_the_buttons_turn_pages() -> None:
    """Before, after, again and back lead where they say."""
    page = show(ShowModels(GROQ, 2))
    assert pressed(page, "◀ Prev") == ShowModels(GROQ, 1)
    assert pressed(page, "2/3") == ShowModels(GROQ, 2)
    assert pressed(page, "Next ▶") == ShowModels(GROQ, 3)
    assert pressed(page, "<< Back") == ShowProviders(1)


def test_many_providers_have_pages_and_back_leads_to_the_right_one() -> None:
    """No keyboard has more than a hundred buttons."""
    shown = listing(*(model(f"p{number:03}", "m") for number in range(120)))
    page = show(ShowProviders(2), shown)
    assert texts(page)[-1] == ["◀ Prev", "2/3", "Next ▶"]
    assert texts(page)[0] == ["p050 (1)", "p051 (1)"]
    assert sum(map(len, page.keyboard)) <= 100
    assert pressed(show(ShowModels(ProviderId("p119")), shown), "<< Back", shown) == ShowProviders(3)


def test_what_can_not_be_used_is_marked_and_explained_and_can_be_chosen() -> None:
    """A configured row stays; whoever chooses it can be told why it won't work."""
    page = show(ShowModels(ProviderId("mine")))
    assert texts(page)[0] == ["⚠ own"]
    assert page.text.endswith("- mine/own: expired: because")
    chosen = pressed(page, "⚠ own")
    assert isinstance(chosen, Choose)
    assert (chosen.ref, chosen.warning) == ("mine/own", "expired: because")


def test_long_ids_show_their_end_and_are_chosen_all_the_same() -> None:
    """OpenClaw drops buttons whose id doesn't fit into 64 bytes."""
    shown = listing(model("groq", "a/" + "x" * 200 + "-one"), model("groq", "a/" + "x" * 200 + "-two"))
    page = show(ShowModels(GROQ), shown)
    one, two = (row[0] for row in page.keyboard[:2])
    assert one.text == "…" + "x" * 33 + "-one"
    chosen = [telegram.answer(shown, INSTANCE, button.callback_data) for button in (one, two)]
    assert chosen == [Choose(row) for row in shown.rows]


def test_pages_out_of_range_are_the_nearest() -> None:
    """A page is never empty because its number is wrong."""
    assert show(ShowModels(GROQ, 99)).page == 3
    assert show(ShowModels(GROQ, -1)).page == 1
    assert show(ShowProviders(99)).page == 1


def test_old_runtime_ids_are_in_no_menu() -> None:
    """Not in the whole catalogue either (formats 8.4)."""
    shown = listing(model("codex-cli", "m"), model("zai", "glm-5"), view="all")
    assert texts(show(ShowProviders(), shown)) == [["zai (1)"]]
    assert show(ShowModels(ProviderId("codex-cli")), shown).text.startswith("Unknown provider: codex-cli\n")


def test_a_provider_that_is_not_there_says_so_with_a_way_back() -> None:
    """Its reason stands in the text."""
    shown = listing(*SHOWN.rows, hides=(hidden("xai", 3, State.REJECTED),))
    page = show(ShowModels(ProviderId("xai")), shown)
    assert page.text.startswith("Unknown provider: xai\n")
    assert page.text.endswith("- xai (3 hidden): rejected: because. Next: do this")
    assert pressed(page, "Browse providers", shown) == ShowProviders(1)


def test_the_markup_is_what_the_bot_api_takes() -> None:
    """Plain lists and dicts."""
    markup = json.loads(json.dumps(show().reply_markup()))
    assert markup["inline_keyboard"][0][0]["text"] == "groq (20)"
    assert set(markup["inline_keyboard"][0][0]) == {"text", "callback_data"}


# ----------------------------------------------------------------------------------------------------------- the tokens


@pytest.mark.parametrize(
    ("now", "instance"),
    [
        (msgspec.structs.replace(SHOWN, revision=8), INSTANCE),
        (msgspec.structs.replace(SHOWN, agent_id="ops"), INSTANCE),
        (msgspec.structs.replace(SHOWN, view="all"), INSTANCE),
        (msgspec.structs.replace(SHOWN, provider=GROQ), INSTANCE),
        (SHOWN, "another process"),
    ],
)
def test_a_button_of_another_list_says_so_and_offers_the_page_as_it_is_now(now: Listing, instance: str) -> None:
    """Another revision, agent, view, provider or process: nothing is chosen."""
    page = show(ShowModels(GROQ, 2))
    assert pressed(page, "model-010", now, instance) == Stale(STALE_TEXT, ShowModels(GROQ, 2))
    assert pressed(page, "Next ▶", now, instance) == Stale(STALE_TEXT, ShowModels(GROQ, 3))
    assert pressed(page, "<< Back", now, instance) == Stale(STALE_TEXT, ShowProviders(1))


def test_a_stale_button_offers_the_page_where_its_model_stands_now() -> None:
    """Moved: that page; gone: its provider's first; its provider gone: the menu."""
    page = show(ShowModels(GROQ, 1))
    moved = listing(*SHOWN.rows, *(model("groq", f"a-{number}") for number in range(10)), revision=8)
    assert pressed(page, "model-001", moved) == Stale(STALE_TEXT, ShowModels(GROQ, 2))
    gone = listing(*SHOWN.rows[1:], revision=8)
    assert pressed(page, "model-001", gone) == Stale(STALE_TEXT, ShowModels(GROQ, 1))
    without = listing(model("zai", "glm-5"), revision=8)
    assert pressed(page, "model-001", without) == Stale(STALE_TEXT, ShowProviders(1))


def test_nothing_else_is_chosen_even_if_a_revision_came_twice() -> None:
    """The token names its model too: another list under the same number is stale."""
    page = show(ShowModels(GROQ, 1))
    other = listing(model("groq", "aaa"), *SHOWN.rows)
    assert isinstance(pressed(page, "model-001", other), Stale)
    assert isinstance(pressed(page, "model-001", listing()), Stale)


@pytest.mark.parametrize(
    "data", ["", "mdl_", "mdl_prov", "mdl_sel_groq/model-001", "mdl_sel/x", "x" * 10_000, "mdl_\ud800"]
)
def test_texts_that_are_no_token_are_unknown(data: str) -> None:
    """OpenClaw's own buttons among them: they don't say of which list they are."""
    assert telegram.answer(SHOWN, INSTANCE, data) == Unknown(UNKNOWN_TEXT, ShowProviders())


def test_the_token_of_another_surface_is_unknown() -> None:
    """What Discord's picker made is no button of Telegram."""
    data = button(show(), "groq (20)").callback_data
    assert isinstance(telegram.answer(SHOWN, INSTANCE, data.replace("mdl_", "mdlpk_")), Unknown)


@pytest.mark.parametrize("view", ["default", "configured", "all"])
def test_a_token_says_which_view_answers_it(view: str) -> None:
    """A gateway knows which list to take; other texts mean the usual one."""
    shown = msgspec.structs.replace(SHOWN, view=view)
    for row in show(ShowModels(GROQ, 2), shown).keyboard:
        assert all(view_of(one.callback_data) == view for one in row)
    assert view_of("nonsense") == "default"


@given(st.integers(0, 100), st.characters(), st.sampled_from(["model-010", "Next ▶", "<< Back"]))
def test_a_changed_token_chooses_nothing(place: int, character: str, text: str) -> None:
    """One character changed anywhere: unknown, or of another process."""
    data = button(show(ShowModels(GROQ, 2)), text).callback_data
    place %= len(data)
    forged = data[:place] + character + data[place + 1 :]
    if forged != data:
        assert isinstance(telegram.answer(SHOWN, INSTANCE, forged), Stale | Unknown)


@settings(max_examples=60)
@given(LISTINGS, TEXTS)
def test_whatever_the_ids_are_the_limits_hold_and_each_button_leads_where_it_says(
    shown: Listing, instance: str
) -> None:
    """Every page of any list: at most 64 bytes in a button, labels that can be sent, each model on one button."""
    chosen = []
    todo: list[Target] = [ShowProviders()]
    seen: set[Target] = set()
    while todo:
        target = todo.pop()
        if target in seen:
            continue
        seen.add(target)
        page = telegram.show(shown, instance, target, current="groq/x")
        assert 0 < units(page.text) <= telegram.MAX_MESSAGE
        msgspec.json.encode(page.reply_markup())
        for row in page.keyboard:
            for one in row:
                assert 0 < len(one.callback_data.encode()) <= telegram.MAX_CALLBACK_BYTES
                assert 0 < units(one.text.removesuffix(telegram.CURRENT_MARK)) <= telegram.MAX_LABEL
                found = telegram.answer(shown, instance, one.callback_data)
                if isinstance(found, Choose):
                    chosen.append(found.model)
                else:
                    assert isinstance(found, ShowProviders | ShowModels)
                    todo.append(found)
    assert sorted(map(id, chosen)) == sorted(map(id, offered(shown)))


@given(TEXTS)
def test_any_text_that_is_pressed_is_answered(data: str) -> None:
    """Nothing raises."""
    assert isinstance(telegram.answer(SHOWN, INSTANCE, data), Stale | Unknown)
    assert view_of(data) == "default"


def test_labels_are_cut_between_characters() -> None:
    """A long id of emoji keeps whole ones."""
    shown = listing(model("groq", "👩🏽" * 40), model("groq", "e\u0301" * 80))
    assert all(is_whole(row[0].text) for row in show(ShowModels(GROQ), shown).keyboard)
