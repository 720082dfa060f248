"""Cells that agents share say what each agent's own check would say."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw_actors.auth.agent_profiles import reported_profiles
from openclaw_actors.auth.binding import binder, candidates_of
from openclaw_actors.auth.cells import same_answer
from openclaw_actors.auth.check import check
from openclaw_actors.auth.evaluation import Evaluation, SharedEvaluation
from openclaw_actors.auth.ledger import Ledger, LedgerEntry, LedgerKey
from openclaw_actors.auth.shared import SharedIndex
from openclaw_actors.auth.verdict import Cell
from openclaw_actors.home.facts import ProfileFacts
from openclaw_actors.home.stores.merge import StoreView
from openclaw_actors.home.stores.windows import Windows
from openclaw_actors.ids import EvidenceId, ProviderId, StoreId
from tests.unit.facts_builders import (
    LITERAL,
    MAIN,
    NOW,
    api_key,
    cli,
    entry,
    env_ref,
    index_of,
    oauth,
    provider,
    token,
)

PROVIDERS = ("openai", "openai-codex", "anthropic", "claude-cli", "groq", "mine", "unheard-of", "minimax-portal")
NAMES = tuple(f"{one}:{name}" for one in PROVIDERS for name in ("a", "b"))
NOW_MS = int(NOW * 1000)

profiles = st.one_of(
    st.builds(api_key, st.sampled_from(NAMES), st.sampled_from([LITERAL, env_ref("UNSET", is_set=False)])),
    st.builds(token, st.sampled_from(NAMES), st.sampled_from([None, 0.0, NOW_MS - 5.0, NOW_MS + 9e6])),
    st.builds(
        oauth,
        st.sampled_from(NAMES),
        access=st.booleans(),
        refresh=st.booleans(),
        expires_at=st.sampled_from([None, NOW - 9, NOW + 100, NOW + 90_000]),
    ),
)
some_names = st.lists(st.sampled_from(NAMES), max_size=3, unique=True).map(tuple)
orders = st.dictionaries(st.sampled_from(PROVIDERS), some_names, max_size=2)
stats = st.sampled_from(
    [
        Windows(last_used=NOW_MS - 5),
        Windows(last_used=NOW_MS - 9, error_count=0),
        Windows(cooldown_until=NOW_MS + 60_000, cooldown_reason="rate_limit", last_failure_at=NOW_MS - 5),
        Windows(cooldown_until=NOW_MS + 60_000, cooldown_reason="rate_limit", cooldown_model="m"),
        Windows(cooldown_until=NOW_MS - 60_000, cooldown_reason="auth", last_failure_at=NOW_MS - 90_000),
        Windows(disabled_until=NOW_MS + 60_000, disabled_reason="billing", last_failure_at=NOW_MS - 5),
    ]
)
usage = st.dictionaries(st.sampled_from((*NAMES, "inline-api-key:mine")), stats, max_size=2)


@st.composite
def views(draw: st.DrawFn, own: str) -> StoreView:
    """Return what an agent sees: some profiles of its own, some inherited."""
    found = draw(st.lists(profiles, max_size=5, unique_by=lambda profile: profile.id))
    flags = bytes(draw(st.booleans()) for _ in found)
    order = tuple((provider(name), ids) for name, ids in draw(orders).items() if ids)
    return StoreView(
        tuple(found),
        flags,
        StoreId(own),
        MAIN,
        order,
        (),
        tuple(draw(st.one_of(st.just({}), usage)).items()),
        draw(st.sampled_from(["", "", "", "it is torn"])),
    )


def with_other_secrets(view: StoreView, own: str) -> StoreView:
    """Return the same for another agent, whose secrets are others."""
    renewed = tuple(ProfileFacts(one.outline, None if one.digest is None else own.encode()) for one in view.profiles)
    return msgspec.structs.replace(view, profiles=renewed, own=StoreId(own))


def ledger_of(views: Iterable[StoreView], picks: list[tuple[int, Windows]]) -> Ledger:
    """Return reports of some profiles that the agents see, and of a variable."""
    seen = [
        LedgerKey(owner, EvidenceId(profile.id), profile.digest)
        for view in views
        for profile, owner in zip(view.profiles, view.owners, strict=True)
    ]
    seen.append(LedgerKey(None, EvidenceId("env:GROQ_API_KEY"), b"GROQ_API_KEY"))
    return {seen[at % len(seen)]: LedgerEntry(windows, NOW_MS) for at, windows in picks}


@settings(max_examples=300, deadline=None)
@given(
    seen=st.lists(views("/agents/first"), min_size=1, max_size=3),
    picks=st.one_of(st.just([]), st.lists(st.tuples(st.integers(0, 50), stats), max_size=2)),
    config_order=st.one_of(st.just({}), orders),
    logins=st.sampled_from([(), (), (cli("codex"),), (cli("minimax", found=False, problem="torn"),)]),
    env=st.sampled_from([(), ("GROQ_API_KEY",)]),
)
def test_every_answer_is_the_agents_own(
    seen: list[StoreView],
    picks: list[tuple[int, Windows]],
    config_order: dict[str, tuple[str, ...]],
    logins: tuple[object, ...],
    env: tuple[str, ...],
) -> None:
    """With profiles, orders, usage, reports, logins and variables in any combination; also for the second and third
    agent, whose profiles look like those of the first, and when the order in which they are asked is another one.
    """
    index = index_of(entry("Mine", LITERAL), clis=logins, order=config_order, env=env)  # type: ignore[arg-type]
    agents = [
        view if number == 0 else with_other_secrets(view, f"/agents/{number}-{at}")
        for at, view in enumerate(seen)
        for number in range(2)
    ]
    ledger = ledger_of(agents, picks)
    base = SharedEvaluation(index, ledger, NOW)
    for view in (*agents, *reversed(agents)):
        evaluation = Evaluation(base, view, ledger, NOW, reported_profiles(ledger))
        table = evaluation.table()
        assert set(table) == set(evaluation.providers())
        for one in {*evaluation.providers(), *map(provider, PROVIDERS)}:
            _same(evaluation.cell(one), check(one, index, view, ledger, NOW), view)
            if one in evaluation.providers():
                _same(table.get(one), check(one, index, view, ledger, NOW), view)


def _same(shared: Cell | None, own: Cell, view: StoreView) -> None:
    assert shared is not None
    assert same_answer(shared, own), (shared, own)
    assert candidates_of(shared, view) == own.candidates
    if shared.is_common:
        assert tuple(map(binder(view), shared.candidates)) == own.candidates


def test_agents_whose_profiles_look_alike_have_the_very_same_cells_and_no_secret_in_them() -> None:
    """One cell for all holds neither a digest nor a store's name; each agent's own reading of it has both."""
    base = SharedEvaluation(index_of(), {}, NOW)
    first = StoreView((api_key("groq:a"), oauth("openai:b")), b"\0\0", StoreId("/agents/one"), MAIN)
    second = with_other_secrets(first, "/agents/two")
    tables = [Evaluation(base, view, {}, NOW).table() for view in (first, second)]
    assert tables[0] is tables[1]
    cell = tables[0].get("groq")
    assert cell is not None
    assert cell.is_common
    assert [(one.digest, one.windows) for one in cell.candidates] == [(None, None)]
    assert "/agents/" not in str(cell)
    bound = [candidates_of(cell, view)[0] for view in (first, second)]
    assert [(one.store, one.digest) for one in bound] == [("/agents/one", b"secret"), ("/agents/two", b"/agents/two")]


@pytest.mark.parametrize("later", [NOW + 50_000, NOW + 200_000, NOW - 50])
def test_a_shared_cell_is_folded_again_when_time_has_changed_it(later: float) -> None:
    """What was folded for one agent is not shown to another after its end, nor before its beginning."""
    index: SharedIndex = index_of()
    base = SharedEvaluation(index, {}, NOW)
    views_ = [
        StoreView((oauth("openai:b", refresh=False, expires_at=NOW + 90_000),), b"\0", StoreId(f"/agents/{one}"), MAIN)
        for one in range(2)
    ]
    assert Evaluation(base, views_[0], {}, NOW).cell(ProviderId("openai")).has_auth
    cell = Evaluation(base, views_[1], {}, later).cell(ProviderId("openai"))
    assert same_answer(cell, check(ProviderId("openai"), index, views_[1], {}, later))
