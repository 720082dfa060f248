"""An edit is swept where it matters, and nowhere is it forgotten: the answers are those of a start from scratch."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rig import HOME_SOURCE, MakeRig, Rig, api_key

IDS = ("openai:a", "openai:b", "zai:a", "team:key")
PROVIDERS = ("openai", "openai-codex", "zai", "groq")

stores = st.lists(st.tuples(st.sampled_from(IDS), st.sampled_from(PROVIDERS)), max_size=4, unique_by=lambda one: one[0])
described = st.lists(
    st.tuples(st.sampled_from(IDS), st.sampled_from(PROVIDERS), st.sampled_from(("api_key", "oauth"))),
    max_size=3,
    unique_by=lambda one: one[0],
)
orders = st.dictionaries(
    st.sampled_from(PROVIDERS), st.lists(st.sampled_from(IDS), max_size=3, unique=True), max_size=2
)
edits = st.one_of(
    st.tuples(st.just("main"), stores),
    st.tuples(st.just("ops"), stores),
    st.tuples(st.just("profiles"), described),
    st.tuples(st.just("order"), orders),
)


def write(rig: Rig, what: str, value: object) -> None:
    """Make one edit, and have it noticed."""
    if what in ("main", "ops"):
        assert isinstance(value, list)
        profiles = {name: api_key(provider, name) for name, provider in value}
        rig.files.write_profiles(what, **profiles)
        rig.touch(rig.store(what))
        return
    auth = rig.files.config.setdefault("auth", {})
    if what == "profiles":
        assert isinstance(value, list)
        auth["profiles"] = {name: {"provider": provider, "mode": mode} for name, provider, mode in value}
    else:
        auth["order"] = value
    rig.files.write_config()
    rig.touch(HOME_SOURCE)


def shown(rig: Rig) -> dict[tuple[str, str], tuple[object, ...]]:
    """Return what every answer says."""
    return {
        (str(agent), provider): (one.state, one.presence, one.evidence, one.shadowed, one.reason)
        for agent, auth in rig.published_agents.items()
        for provider, one in auth.verdicts.items()
    }


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(history=st.lists(edits, min_size=2, max_size=8))
def test_any_history_of_edits_ends_in_the_answers_of_a_fresh_start(history: list[tuple[str, object]]) -> None:
    """Whatever was edited in whichever order, no answer is stale: a sweep that should have been is never left out."""
    with tempfile.TemporaryDirectory() as folder:
        rig = Rig(Path(folder), ("main", "ops")).warm()
        try:
            for what, value in history:
                write(rig, what, value)
            fresh = Rig(Path(folder), ())
            try:
                fresh.warm()
                assert shown(rig) == shown(fresh)
            finally:
                fresh.stop()
        finally:
            rig.stop()


@pytest.mark.parametrize(
    ("before", "after", "providers"),
    [
        pytest.param(
            [("openai:a", "openai"), ("openai:b", "openai"), ("zai:a", "zai")],
            [("openai:b", "openai"), ("openai:a", "openai"), ("zai:a", "groq")],
            {"openai", "openai-codex", "zai", "groq"},
            id="two profiles swap places while another one changes",
        ),
        pytest.param(
            [],
            [("team:key", "zai")],
            {"zai", "groq"},
            id="a profile that hides an inherited one of another provider",
        ),
    ],
)
def test_an_edit_touches_all_whose_answer_it_decides(
    make_rig: MakeRig, before: list[tuple[str, str]], after: list[tuple[str, str]], providers: set[str]
) -> None:
    """The providers whose order or view an edit changes are swept, not only those whose credentials it changes."""
    rig = make_rig("main", "ops").warm()
    write(rig, "main", [("team:key", "groq")])
    write(rig, "ops", before)
    stats = rig.stats()
    write(rig, "ops", after)
    assert rig.since(stats)["sweeps"] == 1
    swept = [message for message in rig.published if message.agent_id == "ops"][-1]
    newest = max(swept.generation_of(provider) for provider in swept.table)
    assert {one for one in PROVIDERS if swept.generation_of(one) == newest} >= providers  # type: ignore[arg-type]
