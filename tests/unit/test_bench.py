"""The bench's own parts: figures, homes, and that the soak's judges find what is wrong."""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path

import msgspec
import pytest

sys.path.append(str(Path(__file__).parents[2]))  # the bench is run from the project root and not installed

from bench.homes import SMALLEST, AgentKind, Home, json_text, make_home
from bench.soak.journal import Done, Edit, Expected, Roster, Window, decode, encode
from bench.soak.matching import Matching, Seen
from bench.soak.model import EDITED, Form, Model
from bench.soak.rhythm import Phase, Rhythm
from bench.soak.violations import Violations
from bench.soak.windows import Windows
from bench.statistics import percentile, summarise
from openclaw_actors import Change, State, Stats
from openclaw_actors.ids import AgentId, Generation, ProviderId, Revision
from openclaw_actors.prepared import bare_verdict

# ------------------------------------------------------------------------------------------------------------- figures


def test_percentiles_are_values_that_were_measured() -> None:
    """The nearest rank: half of the sample is at most the median, all of it at most the largest."""
    summary = summarise(float(one) for one in random.Random(1).sample(range(1, 101), 100))
    assert summary is not None
    assert (summary.count, summary.median, summary.p90, summary.p99, summary.max) == (100, 50.0, 90.0, 99.0, 100.0)
    assert percentile([7.0], 0.5) == percentile([7.0], 1.0) == 7.0
    assert percentile([1.0, 2.0, 3.0], 0.5) == 2.0


def test_an_empty_sample_has_no_figures() -> None:
    """Nothing measured is nothing, not zero."""
    assert summarise([]) is None
    with pytest.raises(ValueError, match="empty"):
        percentile([], 0.5)


# --------------------------------------------------------------------------------------------------------------- homes


def test_a_seed_gives_one_home(tmp_path: Path) -> None:
    """The same seed gives the same texts, another one others: two processes can know one home."""
    one, again, other = (make_home(tmp_path, agents=9, seed=seed, spares=2) for seed in (1, 1, 2))
    assert (one.stores, one.config, one.agents, one.spares) == (again.stores, again.config, again.agents, again.spares)
    assert one.stores != other.stores


def test_stores_are_as_large_as_real_ones_and_hold_dummies_only(tmp_path: Path) -> None:
    """A store has 40 profiles in about 18 kB, and every secret in it says that it is none."""
    home = make_home(tmp_path, agents=SMALLEST, seed=3)
    for profiles in home.stores.values():
        assert len(profiles) == 40
        assert 17_000 < len(json_text({"version": 1, "profiles": profiles})) < 19_500
        secrets = [
            one[name] for one in profiles.values() for name in ("key", "token", "access", "refresh") if name in one
        ]
        assert len(secrets) >= 40
        assert all(secret.startswith("dummy-") for secret in secrets)


def test_the_smallest_home_has_agents_of_every_kind(tmp_path: Path) -> None:
    """Main, own stores, an heir without any, and two that share one."""
    home = make_home(tmp_path / "home", agents=SMALLEST, seed=1)
    assert {agent.kind for agent in home.agents} == set(AgentKind)
    home.write()
    stores = {path.parent for path in home.path.rglob("auth-profiles.json")}
    assert stores == {home.folder(agent.store) for agent in home.agents if agent.kind is not AgentKind.HEIR}
    shared = [agent for agent in home.agents if agent.kind is AgentKind.SHARED]
    assert len({home.folder(agent.store) for agent in shared}) == 1 < len(shared)
    with pytest.raises(ValueError, match="6 agents"):
        make_home(tmp_path, agents=SMALLEST - 1, seed=1)


# ------------------------------------------------------------------------------------------------------------ the soak


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Return a small home that isn't written."""
    return make_home(tmp_path, agents=SMALLEST, seed=1, spares=2)


def seen(state: str, sequence: int, at: float, old: str = "missing", revision: int = 2) -> Seen:
    """Return a change of `ops`/`groq`."""
    agent, groq = AgentId("ops"), ProviderId("groq")
    change = Change(
        sequence=sequence,
        agent_id=agent,
        revision=Revision(revision),
        provider=groq,
        old=bare_verdict(agent, groq, State(old), ""),
        new=bare_verdict(agent, groq, State(state), ""),
        reason="credentials-changed",
        generation=Generation(2),
        latency_s=0.001,
    )
    return Seen(at, change)


def edit(state: str, at: float) -> Edit:
    """Return an edit that has to change `ops`/`groq`."""
    return Edit("credentials replaced", "ops", at, (Expected("ops", "groq", state),))


def test_a_change_is_matched_whichever_is_heard_of_first() -> None:
    """The journal and the callback race; the latency is the same."""
    matching, now = Matching(Violations()), time.monotonic()
    matching.expect(edit("usable", now - 1.0))
    matching.see(seen("usable", 1, now - 0.75))
    matching.see(seen("expired", 2, now - 0.25, old="usable"))
    matching.expect(edit("expired", now - 0.5))
    assert matching.is_settled
    assert (matching.expected, matching.matched, matching.missed, matching.unexpected) == (2, 2, 0, 0)
    assert matching.edit_s == [pytest.approx(0.25)] * 2


def test_an_answer_that_never_changes_is_missed() -> None:
    """What nobody saw is reported, also when a later change was seen."""
    violations, now = Violations(), time.monotonic()
    matching = Matching(violations)
    matching.expect(edit("usable", now - 60))
    matching.judge()
    assert (matching.missed, violations.total) == (1, 1)
    matching.expect(edit("expired", now - 5))
    matching.expect(edit("usable", now - 4))
    matching.see(seen("usable", 1, now - 3.9))
    matching.judge()
    assert (matching.missed, matching.matched, matching.unexpected, violations.total) == (2, 1, 0, 2)
    assert matching.is_settled


@pytest.mark.parametrize("state", ["usable", "expired"])
def test_a_change_that_nobody_caused_is_unexpected(state: str) -> None:
    """A second change for one edit, and one into another state, are reported."""
    violations, now = Violations(), time.monotonic()
    matching = Matching(violations)
    matching.expect(edit("usable", now - 5))
    matching.see(seen("usable", 1, now - 4.9))
    matching.see(seen(state, 2, now - 4.8, old="usable"))
    matching.judge()
    assert (matching.matched, matching.unexpected, violations.total) == (1, 1, 1)
    assert "unexpected: ops/groq" in violations.kept[0]


def test_changes_out_of_order_are_reported() -> None:
    """Sequence and revision only grow, and an old state is the last new one."""
    violations, now = Violations(), time.monotonic()
    matching = Matching(violations)
    matching.see(seen("usable", 2, now, revision=3))
    matching.see(seen("expired", 1, now, old="malformed", revision=2))
    assert [text.partition(": ")[2][:9] for text in violations.kept] == ["came afte", "revision ", "the old s"]


def test_a_check_in_a_usage_window_is_reported() -> None:
    """Only a window in which stores were read and nothing else was done is well."""
    violations = Violations()
    windows = Windows(violations)
    for after in (Stats(store_reads=5, watch_hints=6), Stats(store_reads=5, watch_hints=6, provider_checks=1), Stats()):
        windows.take(Window("usage", begins=True, at=0.0), Stats(), is_settled=True)
        windows.take(Window("usage", begins=False, at=3.0), after, is_settled=True)
    assert [text.split(":")[0] for text in violations.kept] == ["usage window 2", "usage window 3"]
    windows.take(Window("usage", begins=True, at=0.0), Stats(), is_settled=False)
    windows.take(Window("usage", begins=False, at=3.0), Stats(provider_checks=9), is_settled=True)
    costs = windows.costs["usage"]
    assert (costs.windows, costs.skipped, costs.provider_checks, violations.total) == (3, 1, 1, 2)


@pytest.mark.parametrize("duration_s", [6.0, 30.0, 3600.0])
def test_every_run_has_each_phase(duration_s: float) -> None:
    """Short runs have shorter cycles: both windows fit in, and most of a cycle is edited."""
    rhythm = Rhythm(duration_s)
    phases = [rhythm.at(rhythm.cycle_s * step / 200) for step in range(200)]
    assert list(dict.fromkeys(phases)) == list(Phase)
    assert rhythm.cycle_s < duration_s
    assert phases.count(Phase.EDITING) > 90


def test_the_model_knows_what_inherits(home: Home) -> None:
    """A profile of main changes the answers of those without one of that id; another key changes none."""
    model, groq = Model(home, random.Random(1)), EDITED[0]
    before = model.answers([groq])
    model.put("main", groq, Form.SPENT)
    assert set(model.changed_since(before)) == {Expected(one, groq, "expired") for one in ("main", "heir-3")}
    before = model.answers([groq])
    model.put("own-1", groq, Form.ABSENT)
    assert model.changed_since(before) == (Expected("own-1", groq, "expired"),)
    before = model.answers([groq])
    model.put("shared", groq, Form.KEY)
    assert model.changed_since(before) == ()


def test_the_journal_says_what_was_told() -> None:
    """Every kind of line comes back from its bytes."""
    for line in (edit("usable", 1.5), Roster(("main",), "main", 2.0), Window("config", begins=True, at=3.0), Done(4.0)):
        assert decode(encode(line).rstrip(b"\n")) == line
    with pytest.raises(msgspec.DecodeError):
        decode(b"{}")
