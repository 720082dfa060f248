"""The bench's own parts: figures, homes, and that the soak's judges find what is wrong."""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

sys.path.append(str(Path(__file__).parents[2]))  # the bench is run from the project root and not installed

from bench.homes import SMALLEST, AgentKind, Home, json_text, make_home
from bench.machine import Footprint, Machine
from bench.soak.guests import REMOVED, RETURNED
from bench.soak.journal import Done, Edit, Expected, Roster, Window, decode, encode
from bench.soak.matching import Matching
from bench.soak.model import EDITED, Form, Model
from bench.soak.report import ChangeFigures, LatencyFigures, ReadFigures, Report, StillFigures, show
from bench.soak.rhythm import Phase, Rhythm
from bench.soak.seen import Seen
from bench.soak.violations import Violations
from bench.soak.windows import WindowCosts, Windows
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


def seen(
    state: str, sequence: int, at: float, old: str = "missing", revision: int = 2, reason: str = "credentials-changed"
) -> Seen:
    """Return a change of `ops`/`groq`."""
    agent, groq = AgentId("ops"), ProviderId("groq")
    change = Change(
        sequence=sequence,
        agent_id=agent,
        revision=Revision(revision),
        provider=groq,
        old=bare_verdict(agent, groq, State(old), ""),
        new=bare_verdict(agent, groq, State(state), ""),
        reason=reason,
        generation=Generation(2),
        latency_s=0.001,
        published_at=0.0,
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


@pytest.mark.parametrize("is_heard_first", [False, True])
def test_an_agent_that_leaves_and_comes_back_may_change_each_answer_once(is_heard_first: bool) -> None:
    """Whichever is heard of first, what the roster explains is not unexpected; none of it is demanded."""
    violations, now = Violations(), time.monotonic()
    matching = Matching(violations, ("main", "ops"))
    for step in range(2):
        away, back = now - 4 + step * 2, now - 3 + step * 2
        steps = [
            (seen("missing", step * 2 + 1, away + 0.1, old="usable", reason=REMOVED), Roster(("main",), "main", away)),
            (seen("usable", step * 2 + 2, back + 0.1, reason=RETURNED), Roster(("main", "ops"), "main", back)),
        ]
        for change, roster in steps:
            if is_heard_first:
                matching.see(change)
                assert not matching.is_settled
                matching.expect_agents(roster)
            else:
                matching.expect_agents(roster)
                assert matching.is_settled
                matching.see(change)
            assert matching.is_settled
    matching.judge()
    assert (matching.of_guests, matching.unexpected, violations.total) == (4, 0, 0)
    assert (matching.expected, matching.matched) == (0, 0)


@pytest.mark.parametrize(
    ("rosters", "changes"),
    [
        pytest.param((), [seen("missing", 1, -5.0, old="usable", reason=REMOVED)], id="nobody left"),
        pytest.param(
            (Roster(("main",), "main", -6.0),),
            [seen("missing", n, -6.0 + n / 10, old=o, reason=REMOVED) for n, o in ((1, "usable"), (2, "missing"))],
            id="gone twice",
        ),
        pytest.param(
            (Roster(("main",), "main", -6.0),), [seen("expired", 1, -5.0, old="usable", reason=REMOVED)], id="not gone"
        ),
        pytest.param((Roster(("main",), "main", -6.0),), [seen("usable", 1, -5.0, reason=RETURNED)], id="not back"),
        pytest.param(
            (Roster(("main", "ops", "new"), "main", -6.0),), [seen("usable", 1, -5.0, reason=RETURNED)], id="never away"
        ),
        pytest.param(
            (Roster(("main",), "main", -30.0),), [seen("missing", 1, -5.0, old="usable", reason=REMOVED)], id="long ago"
        ),
        pytest.param(
            (Roster(("main",), "main", -3.0),), [seen("missing", 1, -5.0, old="usable", reason=REMOVED)], id="too soon"
        ),
    ],
)
def test_a_change_of_an_agent_that_did_neither_is_unexpected(rosters: tuple[Roster, ...], changes: list[Seen]) -> None:
    """Without such a line in the journal, at another time, a second time or with another answer it is reported."""
    violations, now = Violations(), time.monotonic()
    matching = Matching(violations, ("main", "ops"))
    for roster in rosters:
        matching.expect_agents(msgspec.structs.replace(roster, at=now + roster.at))
    for change in changes:
        matching.see(change._replace(at=now + change.at))
    matching.judge()
    assert (matching.unexpected, violations.total) == (1, 1)
    assert violations.kept[0].startswith("unexpected: ops/groq")
    assert matching.is_settled


def test_a_first_publication_explains_no_change() -> None:
    """An agent that the config names for the first time has not come back."""
    violations, now = Violations(), time.monotonic()
    matching = Matching(violations, ("main",))
    matching.expect_agents(Roster(("main", "ops"), "main", now - 6))
    matching.see(seen("usable", 1, now - 5, reason=RETURNED))
    matching.judge()
    assert (matching.of_guests, matching.unexpected) == (0, 1)


def report(violations: Violations, windows: Windows) -> Report:
    """Return a report in which only the windows matter."""
    footprint = Footprint.now()
    return Report(
        scenario="soak",
        package_version="0",
        machine=Machine.here(),
        seconds=6.0,
        agents=SMALLEST,
        seed=1,
        resync_interval_s=2.0,
        interrupted=False,
        edits={},
        changes=ChangeFigures(0, 0, 0, 0, 0),
        windows=windows.costs,
        still=StillFigures(0, 0, 0, 0),
        latency_ms=LatencyFigures(None, None, None, None),
        slowest=[],
        reads=ReadFigures(0, 0.0, 0.0),
        footprint_start=footprint,
        footprint_end=footprint,
        compared_with_fresh=0,
        warm_ms=0.0,
        stats=msgspec.structs.asdict(Stats()),
        violations=violations.kept,
        violations_total=violations.total,
    )


def test_a_soak_of_which_no_window_was_judged_is_not_clean() -> None:
    """A long run without a judged window of each kind went wrong; a short one says that it was too short."""
    violations = Violations()
    windows = Windows(violations)
    windows.take(Window("usage", begins=True, at=0.0), Stats(), is_settled=False)
    windows.take(Window("usage", begins=False, at=3.0), Stats(), is_settled=True)
    console = Console(width=160)
    with console.capture() as shown:
        show(report(violations, windows), console)
    assert shown.get().count("no window fitted; run longer") == 2
    assert "clean" not in shown.get()
    windows.costs["config"] = WindowCosts(windows=1)
    assert report(violations, windows).verdict.startswith("no violations, but")
    windows.demand_one_of_each()
    assert violations.kept == ["no usage window could be judged; 1 skipped"]
    assert report(violations, windows).verdict == "1 violations"
    windows.costs["usage"] = WindowCosts(windows=1, skipped=3)
    windows.demand_one_of_each()
    assert violations.total == 1
    assert report(Violations(), windows).verdict == "clean"


def test_only_a_run_with_full_cycles_owes_a_window() -> None:
    """Shorter runs have shorter windows, which one late answer can skip."""
    assert [Rhythm(one).has_full_cycles for one in (6.0, 15.0, 24.0, 3600.0)] == [False, False, True, True]


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
