"""The list of models: who is shown what, and why the rest is hidden."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from openclaw_actors.auth.verdict import Cell, State
from openclaw_actors.catalog.home_reading import HomeReading
from openclaw_actors.catalog.load import load_catalog
from openclaw_actors.home.facts import (
    AgentConfig,
    ConfigFacts,
    ConfigModel,
    EnvironmentFacts,
    HomeFacts,
    ProviderConfig,
)
from openclaw_actors.ids import AgentId, ProviderId, Revision, StoreId
from openclaw_actors.listing.listing import Listing, page
from openclaw_actors.listing.shelves import Shelf, build_listing

DIR = "/nonexistent/agents/main/agent"
BASE = ConfigFacts(
    path="/nonexistent/openclaw.json",
    exists=True,
    state_dir="/nonexistent",
    main_store=StoreId(DIR),
    agents=(AgentConfig(AgentId("main"), DIR, "/nonexistent/workspace", is_default=True),),
    default_agent=AgentId("main"),
)


def config(**changes: object) -> ConfigFacts:
    """Return the base config with changes."""
    return msgspec.structs.replace(BASE, **changes)


def cell(provider: str, state: State = State.USABLE, reason: str = "because", step: str = "do this") -> Cell:
    """Return a cell."""
    return Cell(ProviderId(provider), state, presence=False, reason=reason, next_step=step)


def cells(*usable: str, **others: State) -> dict[str, Cell]:
    """Return cells: the named ones usable, the others in the given states (`_` stands for `-`)."""
    table = {name: cell(name) for name in usable}
    return table | {name.replace("_", "-"): cell(name.replace("_", "-"), state) for name, state in others.items()}


def listing(facts: ConfigFacts, table: Mapping[str, Cell], **options: str) -> Listing:
    """Return main's list."""
    return build_listing(
        load_catalog(facts), facts, table, agent_id=AgentId("main"), revision=Revision(7), agent_dir=DIR, **options
    )


def shown(result: Listing) -> set[str]:
    """Return the keys that are shown."""
    return {row.id for row in result.rows}


MINE = ProviderConfig(
    id=ProviderId("mine"), spelled="Mine", models=(ConfigModel("small", "Small", 4096), ConfigModel("large", "Large"))
)


def test_providers_with_auth_are_shown_and_the_others_counted_with_reason_and_next_step() -> None:
    """Rows show when their provider has auth; each other provider says how many it hides, why and what to do."""
    result = listing(config(), cells("groq", anthropic=State.EXPIRED))
    assert {row.provider for row in result.rows} == {"groq", "openai"}  # openai: the default model alone
    hidden = {one.provider: one for one in result.hidden}
    assert (hidden["anthropic"].model_count, hidden["anthropic"].state) == (23, State.EXPIRED)
    assert (hidden["anthropic"].reason, hidden["anthropic"].next_step) == ("because", "do this")
    assert result.total == len(result.rows)
    assert result.total + sum(one.model_count for one in result.hidden) == 948


def test_rows_are_sorted_by_provider_then_model() -> None:
    """The order never depends on the order of the sources."""
    result = listing(config(providers=(MINE,)), cells("groq", "zai", "mine"))
    order = [(row.provider, row.model) for row in result.rows]
    assert order == sorted(order)


@pytest.mark.parametrize("state", [State.COOLDOWN, State.REFRESHABLE])
def test_states_that_have_auth_show_their_rows(state: State) -> None:
    """A resting or refreshable provider is usable: its rows are shown, and say so."""
    rows = [row for row in listing(config(), cells(groq=state)).rows if row.provider == "groq"]
    assert len(rows) == 18
    assert all(row.has_auth and row.state is state and row.reason == "" for row in rows)


def test_configured_rows_never_vanish() -> None:
    """Rows of `models.providers` stay without auth, with the state and reason of their provider."""
    result = listing(config(providers=(MINE,)), cells("groq", mine=State.UNRESOLVED))
    rows = [row for row in result.rows if row.provider == "mine"]
    assert [(row.id, row.configured, row.has_auth, row.state, row.reason) for row in rows] == [
        ("mine/large", True, False, State.UNRESOLVED, "because"),
        ("mine/small", True, False, State.UNRESOLVED, "because"),
    ]
    assert rows[1].context_window == 4096


def test_default_model_is_shown_when_nothing_is_configured() -> None:
    """`openai/gpt-5.5` is always there, with or without auth; the rest of its provider is hidden."""
    result = listing(config(), cells(openai=State.MISSING))
    assert shown(result) == {"openai/gpt-5.5"}
    assert next(one.model_count for one in result.hidden if one.provider == "openai") == 40


def test_models_that_the_config_selects_are_shown_even_if_no_catalogue_has_them() -> None:
    """Default model, fallbacks and the agent's own models are rows; the built-in default is one without them only."""
    agents = (msgspec.structs.replace(BASE.agents[0], model_refs=("zai/glm-99",)),)
    result = listing(
        config(agents=agents, default_model_refs=("Groq/llama-3.3-70b-versatile",)), cells(zai=State.MISSING)
    )
    assert shown(result) == {"zai/glm-99", "groq/llama-3.3-70b-versatile"}


def test_exact_allowlist_shows_just_its_refs_whatever_their_auth() -> None:
    """Only exact refs: those rows, selected models, and made-up rows for what no catalogue has; auth isn't asked."""
    allow = ("anthropic/claude-opus-4-5", "nowhere/model-x")
    result = listing(
        config(allowlist=allow, default_model_refs=("openai/gpt-5.5",), providers=(MINE,)), cells("groq", "mine")
    )
    assert shown(result) == {"anthropic/claude-opus-4-5", "nowhere/model-x", "openai/gpt-5.5"}
    hidden = {one.provider: one for one in result.hidden}
    assert "allowlist" in hidden["groq"].reason
    assert "mine" in hidden
    assert '"groq/*"' in hidden["groq"].next_step
    assert "allowlist" in hidden["anthropic"].reason


def test_wildcards_show_their_providers_and_even_the_default_model_must_pass() -> None:
    """`p/*` shows that provider's rows if it has auth, exact refs show always, everything else is hidden."""
    allow = ("groq/*", "zai/*", "anthropic/claude-opus-4-5")
    result = listing(config(allowlist=allow), cells("groq", "openai", zai=State.EXPIRED))
    assert {row.provider for row in result.rows} == {"groq", "anthropic"}
    assert "openai/gpt-5.5" not in shown(result)
    hidden = {one.provider: one for one in result.hidden}
    assert hidden["zai"].reason == "because"
    assert "allowlist" in hidden["openai"].reason


def test_cli_runtime_providers_with_auth_pass_any_allowlist() -> None:
    """`claude-cli` is another program: with a login its rows are shown, without they are hidden."""
    facts = config(allowlist=("groq/*",))
    assert {row.provider for row in listing(facts, cells("groq", "claude-cli")).rows} == {"groq", "claude-cli"}
    assert {row.provider for row in listing(facts, cells("groq")).rows} == {"groq"}


def test_legacy_runtime_ids_are_never_listed_in_the_default_view() -> None:
    """`codex-cli` rows are hidden even when configured and usable, with a reason."""
    old = ProviderConfig(id=ProviderId("codex-cli"), spelled="codex-cli", models=(ConfigModel("m"),))
    result = listing(config(providers=(old,)), cells("codex-cli"))
    assert "codex-cli/m" not in shown(result)
    assert "old runtime id" in next(one.reason for one in result.hidden if one.provider == "codex-cli")


def test_view_all_is_the_whole_catalogue_without_asking_for_auth() -> None:
    """Every row with its state, nothing hidden."""
    result = listing(config(allowlist=("groq/*",)), cells("groq", zai=State.REJECTED), view="all")
    assert result.total == 948
    assert result.hidden == ()
    assert next(row.reason for row in result.rows if row.provider == "zai") == "because"


def test_view_configured_is_like_default() -> None:
    """The two views hold the same rows."""
    facts = config(providers=(MINE,))
    assert listing(facts, cells("groq"), view="configured").rows == listing(facts, cells("groq")).rows


def test_unknown_view_is_refused() -> None:
    """A misspelt view is an error, not an empty list."""
    with pytest.raises(ValueError, match="unknown view"):
        listing(config(), {}, view="al")


def test_provider_filter_takes_any_spelling() -> None:
    """One provider's rows and hidden ones alone."""
    result = listing(config(), cells("zai", "groq"), provider=" Z.AI ")
    assert result.provider == "zai"
    assert {row.provider for row in result.rows} == {"zai"}
    assert listing(config(), cells("zai"), provider="nobody").rows == ()


def test_a_models_own_cell_counts_for_that_row() -> None:
    """A window that rests one model shows on that row only."""
    resting = cell("groq", State.COOLDOWN, "resting")
    whole = msgspec.structs.replace(cell("groq"), models=(("llama-3.3-70b-versatile", resting),))
    rows = {row.model: row for row in listing(config(), {"groq": whole}).rows}
    assert rows["llama-3.3-70b-versatile"].state is State.COOLDOWN
    assert {
        row.state for name, row in rows.items() if row.provider == "groq" and name != "llama-3.3-70b-versatile"
    } == {State.USABLE}


def test_before_the_first_answers_everything_is_unknown_and_says_so() -> None:
    """Without any cell the reason is "not warmed"; once warmed, a provider without a cell is missing."""
    (row,) = listing(config(), {}).rows
    assert (row.state, row.reason, row.has_auth) == (State.UNKNOWN, "not warmed", False)
    assert {one.state for one in listing(config(), cells("groq")).hidden} == {State.MISSING}


def test_pages_count_from_one_and_cover_all_rows_once() -> None:
    """Going through the pages gives every row, in order, once."""
    result = listing(config(), cells("groq", "zai"))
    first = page(result)
    assert (first.page, first.limit, first.first, first.total) == (1, 20, 1, result.total)
    pages = [page(result, number, 7) for number in range(1, page(result, 1, 7).pages + 1)]
    assert [row for one in pages for row in one.rows] == list(result.rows)
    assert all(one.in_range for one in pages)


def test_a_page_outside_is_empty_and_says_so() -> None:
    """Zero and too high are out of range; an empty list has one empty page; limits are held between 1 and 100."""
    result = listing(config(), cells("groq"))
    assert not page(result, 0).in_range
    outside = page(result, 99)
    assert (outside.rows, outside.in_range, outside.pages) == ((), False, 1)
    empty = page(listing(config(), cells("groq"), provider="nobody"))
    assert (empty.in_range, empty.pages, empty.first) == (True, 1, 0)
    assert (page(result, 1, 0).limit, page(result, 1, 5000).limit) == (1, 100)


def test_the_whole_catalogue_is_listed_in_milliseconds(tmp_path: Path) -> None:
    """948 rows take about a millisecond; ten of them are allowed here, on a busy machine."""
    facts = config()
    catalog = load_catalog(facts)
    table = {provider: cell(provider) for provider in catalog.providers}
    best = float("inf")
    for _ in range(10):
        begun = time.perf_counter()
        build_listing(catalog, facts, table, agent_id=AgentId("main"), revision=Revision(1), agent_dir=DIR)
        best = min(best, time.perf_counter() - begun)
    assert best < 0.01


def test_the_json_of_a_list_is_that_of_its_rows() -> None:
    """Blocks of providers that are encoded before are joined to what encoding all rows would give."""
    table = cells("groq", "openai", anthropic=State.EXPIRED)
    for view in ("default", "configured", "all"):
        result = listing(config(providers=(MINE,)), table, view=view)
        assert result.json() == msgspec.json.encode(result.rows)
        assert result.json() is result.json()
    assert listing(config(), table, provider="nobody").json() == b"[]"


def test_agents_in_the_same_state_are_shown_the_same_rows_and_a_rest_of_one_model_concerns_its_row_alone() -> None:
    """What is made once for a provider in one state is never shown for another one."""
    home = HomeReading(home=HomeFacts(config(), EnvironmentFacts(), ()), catalog=load_catalog(config()))
    shelf = Shelf(home.catalog, config(), (), None)
    resting = cell("groq", State.COOLDOWN, "it rests")
    limited = msgspec.structs.replace(cell("groq"), models=(("llama-3.3-70b-versatile", resting),))
    lists = [
        shelf.arranged({"groq": one}, ProviderId("groq"), "all").rows
        for one in (
            cell("groq"),
            limited,
            cell("groq"),
            cell("groq", State.EXPIRED),
            cell("groq", State.EXPIRED, "other"),
        )
    ]
    assert lists[0] == lists[2]
    assert {row.model for row in lists[1] if row.state is State.COOLDOWN} == {"llama-3.3-70b-versatile"}
    assert {row.reason for row in lists[3]} == {"because"}
    assert {row.reason for row in lists[4]} == {"other"}
