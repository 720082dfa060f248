"""The bench's `run`: scenario files, rounds, goals, ratios, homes of many agents, the child, the page."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

sys.path.append(str(Path(__file__).parents[2]))  # the bench is run from the project root and not installed

from bench.app import run as run_bench
from bench.baselines import NoPrewarm, TtlCache
from bench.child import ChildError, call_in_child
from bench.cold import ColdFigures, floor
from bench.crowd import Crowd, write_crowd
from bench.floors import read_and_decode
from bench.goals import judge
from bench.kinds import kind_names, kind_of
from bench.loop_gap import thinned
from bench.machine import Machine, OthersUse
from bench.report.page import page, write_report
from bench.results import Figure, Measured, Role, Run, ScenarioResult, Series, Timeline
from bench.rounds import Interrupted, interleave
from bench.samples import log_histogram, log_slope, series_of_rounds, series_of_values
from bench.scenario import Goal, Scenario, ScenarioError, find, load, shipped
from bench.table import others_text

# ----------------------------------------------------------------------------------------------------- scenario files

GOOD = """
name = "mine"
summary = "what it measures"
kind = "cold-warm"
agents = [2]
"""


def scenario_file(folder: Path, text: str, name: str = "mine") -> Path:
    """Write a scenario file."""
    path = folder / f"{name}.toml"
    path.write_text(text, "utf-8")
    return path


def test_every_shipped_scenario_loads_and_has_parameters_of_its_kind() -> None:
    """What `config/bench/` holds can be run as it stands."""
    scenarios = shipped()
    assert [one.name for one in scenarios] == [
        *("churn", "cold-warm", "failure-storm", "freshness", "hot-read", "http-listing", "import", "loop-lag"),
        *("memory", "models-listing", "rewarm-one", "scale"),
    ]
    for one in scenarios:
        one.parameters_as(kind_of(one).Parameters)
        assert one.rounds >= 5


def test_a_copied_scenario_is_run_by_its_path(tmp_path: Path) -> None:
    """A name that ends in .toml is a file anywhere; fields that are left out have defaults."""
    (one,) = find([str(scenario_file(tmp_path, GOOD))])
    assert (one.name, one.rounds, one.seed, one.goal) == ("mine", 5, 1, [])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (GOOD + "colour = 1", ("mine.toml", "colour", "config/bench")),
        (GOOD.replace("[2]", '"two"'), ("mine.toml", "agents", "array")),
        (GOOD.replace("[2]", "[]"), ("mine.toml", "agents must be")),
        (GOOD.replace("[2]", "[0]"), ("mine.toml", "agents must be")),
        (GOOD + "rounds = 0", ("mine.toml", "rounds must be at least 1")),
        (GOOD.replace('"mine"', '"other"'), ("mine.toml", "Make it 'mine'")),
        (GOOD.replace("=", "=="), ("mine.toml", "not valid TOML", "line 2")),
        (GOOD + '[[goal]]\ntitle = "t"\nmetric = "m"\n', ("mine.toml", "either at_most or at_least")),
        (GOOD + '[[goal]]\ntitle = "t"\nmetric = "m"\nat_most = 1\nat_least = 1\n', ("either at_most or at_least",)),
        (GOOD + '[[goal]]\ntitle = "t"\nat_most = 1\n', ("mine.toml", "goal", "metric")),
    ],
)
def test_a_wrong_scenario_is_refused_with_file_key_and_remedy(
    tmp_path: Path, text: str, words: tuple[str, ...]
) -> None:
    """Nobody has to guess what is wrong with an edited copy."""
    with pytest.raises(ScenarioError) as caught:
        load(scenario_file(tmp_path, text))
    assert all(word in str(caught.value) for word in words), caught.value


def test_unknown_parameters_kinds_and_names_are_refused() -> None:
    """Each says what there is instead, or which key is wrong."""
    scenario = msgspec.convert({"name": "x", "summary": "", "kind": "nonsense", "agents": [1]}, Scenario)
    with pytest.raises(ScenarioError, match=r"scenario x: kind: there is no 'nonsense'.*cold-warm"):
        kind_of(scenario)
    scenario = msgspec.structs.replace(scenario, kind="cold-warm", parameters={"profile": 3})
    with pytest.raises(ScenarioError, match=r"scenario x: parameters: .*profile"):
        scenario.parameters_as(kind_of(scenario).Parameters)
    scenario = msgspec.structs.replace(scenario, parameters={"profiles": "many"})
    with pytest.raises(ScenarioError, match=r"parameters\.profiles: expected `int`"):
        scenario.parameters_as(kind_of(scenario).Parameters)
    with pytest.raises(ScenarioError, match=r"no scenario 'lukewarm'; there are .*cold-warm"):
        find(["lukewarm"])
    assert {one.kind for one in shipped()} == set(kind_names())


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "lukewarm"],
        ["run", "cold-warm", "--peer", "nobody"],
        ["run", "cold-warm", "--agents", "0"],
        ["run", "cold-warm", "--rounds", "0"],
        ["run", "cold-warm", "--json", "/nonexistent/figures.json"],
        ["run", "cold-warm", "--report", "/nonexistent/folder/report"],
        ["run", "/nonexistent/x.toml"],
    ],
)
def test_wrong_usage_of_run_measures_nothing(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """It ends with 64 and says why, before any home is made."""
    assert run_bench(arguments) == 64
    assert "Error:" in capsys.readouterr().err


def test_list_names_scenarios_and_the_soak(capsys: pytest.CaptureFixture[str]) -> None:
    """What can be run is listed, each with a line."""
    assert run_bench(["list"]) == 0
    shown = capsys.readouterr().out
    assert all(f"{one.name} " in shown and one.summary in shown for one in shipped())
    assert "python -m bench soak" in shown


# -------------------------------------------------------------------------------------------------------------- rounds


def test_rounds_take_turns() -> None:
    """A B A B, each told the number of its round."""
    calls: list[str] = []

    def measure(name: str) -> Callable[[int], int]:
        return lambda number: calls.append(f"{name}{number}") or len(calls)  # type: ignore[func-returns-value]

    found = interleave({"A": measure("A"), "B": measure("B")}, 3)
    assert calls == ["A0", "B0", "A1", "B1", "A2", "B2"]
    assert found == {"A": [1, 3, 5], "B": [2, 4, 6]}


@pytest.mark.parametrize(("ends_at", "whole"), [(2, 1), (3, 1), (4, 2)])
def test_an_interruption_keeps_whole_rounds_only(ends_at: int, whole: int) -> None:
    """Pairs stay pairs: the half of a round that was measured is dropped."""
    begun = 0

    def before(_name: str) -> None:
        nonlocal begun
        if begun == ends_at:
            raise Interrupted
        begun += 1

    found = interleave({"A": float, "B": float}, 5, before)
    assert [len(one) for one in found.values()] == [whole, whole]


def test_an_interruption_of_the_first_round_is_told() -> None:
    """There is nothing to return then."""
    with pytest.raises(Interrupted):
        interleave({"A": _interrupted}, 5)


def _interrupted(_number: int) -> float:
    raise Interrupted


# ------------------------------------------------------------------------------------------------------- goals, ratios


def test_goals_are_held_against_the_figure_of_their_agents() -> None:
    """At most and at least include the limit; other numbers of agents don't count."""
    figures = [Figure(metric="m", value=4.0, agents=237), Figure(metric="m", value=9.0, agents=1)]
    results = judge(
        [
            Goal(title="a", metric="m", agents=237, unit="x", at_most=4),
            Goal(title="b", metric="m", agents=237, unit="x", at_least=4.1),
            Goal(title="c", metric="m", agents=1, at_most=4),
        ],
        figures,
    )
    assert [(one.met, one.measured, one.goal) for one in results] == [
        (True, 4.0, "≤ 4 x"),
        (False, 4.0, "≥ 4.1 x"),
        (False, 9.0, "≤ 4"),
    ]


def test_what_was_not_measured_is_neither_met_nor_missed() -> None:
    """It says why: other agents, a peer that was not asked, or what went wrong."""
    goals = [
        Goal(title="a", metric="m", agents=237, at_most=4),
        Goal(title="b", metric="faster", peer="openclaw", at_least=4),
        Goal(title="c", metric="nonsense", at_most=4),
    ]
    results = judge(goals, [Figure(metric="m", value=1.0, agents=2)])
    assert [one.met for one in results] == [None] * 3
    assert [one.why for one in results] == [
        "not measured with 237 agents",
        "no figure of it without --peer openclaw, installed",
        "no such figure in this run",
    ]
    assert {one.why for one in judge(goals, [], why_not="it broke")} == {"it broke"}


def test_a_ratio_is_the_median_of_the_pairs() -> None:
    """Not the ratio of the medians: what disturbs one round disturbs both of its halves."""
    measured = Measured()
    ours = series_of_values("ours", Role.OURS, "m", "ms", [10.0, 300.0, 20.0], 7)
    floor = series_of_values("floor", Role.FLOOR, "m", "ms", [5.0, 100.0, 5.0], 7)
    measured.add_ratio("r", ours, floor)
    assert measured.ratios[0].per_pair == [2.0, 3.0, 4.0]
    assert measured.figures == [Figure(metric="r", value=3.0, agents=7)]
    with pytest.raises(ValueError, match="shorter"):
        measured.add_ratio("r", ours, series_of_values("floor", Role.FLOOR, "m", "ms", [1.0]))


def test_a_series_of_rounds_has_their_medians_and_the_distribution_of_all() -> None:
    """One sample a round; percentiles and histogram over every value."""
    series = series_of_rounds("ours", Role.OURS, "m", "ms", [[1.0, 2.0, 9.0], [3.0, 4.0, 5.0]])
    assert series.samples == [2.0, 4.0]
    assert series.median == 3.0
    assert series.distribution is not None
    assert (series.distribution.count, series.distribution.max) == (6, 9.0)
    assert sum(bucket.count for bucket in series.histogram or []) == 6


def test_histograms_hold_each_value_once_in_growing_buckets() -> None:
    """The ends belong to the first and the last bucket; zeros can't stand on a log axis."""
    buckets = log_histogram([float(one) for one in range(1001)])
    assert sum(bucket.count for bucket in buckets) == 1000
    assert buckets[0].low == 1.0
    assert buckets[-1].high == pytest.approx(1000.0)
    assert [one.high for one in buckets[:-1]] == pytest.approx([one.low for one in buckets[1:]])
    assert log_histogram([0.0]) == []
    assert [bucket.count for bucket in log_histogram([5.0, 5.0])] == [2]


def test_the_slope_on_log_axes_is_the_power() -> None:
    """Linear growth has slope 1, quadratic 2, a constant 0."""
    for power in (0, 1, 2):
        assert log_slope([(x, 3.0 * x**power) for x in (1.0, 10.0, 500.0)]) == pytest.approx(power)
    with pytest.raises(ValueError, match="two points"):
        log_slope([(1.0, 1.0)])


def test_thinning_a_timeline_loses_no_gap() -> None:
    """Of each step the latest tick stays."""
    assert thinned([(0.001, 0.1), (0.002, 40.0), (0.003, 0.1), (0.011, 0.2)], 0.01) == [(0.002, 40.0), (0.011, 0.2)]


# --------------------------------------------------------------------------------------------------------------- homes


@pytest.mark.parametrize("count", [1, 10, 40, 54])
def test_a_crowd_has_as_many_profiles_as_wanted_and_no_secret_twice(tmp_path: Path, count: int) -> None:
    """Every agent has a store of its own; what is in it says that it is a dummy."""
    crowd = write_crowd(Crowd(path=str(tmp_path), agents=3, profiles=count))
    secrets = []
    for agent in crowd.agent_ids:
        assert Path(crowd.store_path(agent)).read_text() == crowd.store_text(agent)
        profiles = crowd.profiles_of(agent)
        assert len(profiles) == count
        secrets += [
            one[name] for one in profiles.values() for name in ("key", "token", "access", "refresh") if name in one
        ]
    assert len(set(secrets)) == len(secrets) >= 3 * count
    assert all(one.startswith("dummy-") for one in secrets)
    assert read_and_decode(crowd.store_paths()) == len(secrets)


def test_stores_of_a_crowd_are_as_large_as_real_ones(tmp_path: Path) -> None:
    """40 profiles are about 18 kB; 54 are of 50 providers."""
    assert 17_000 < len(Crowd(path=str(tmp_path), agents=1).store_text("main")) < 19_500
    many = Crowd(path=str(tmp_path), agents=1, profiles=54).profiles_of("main")
    assert len({one["provider"] for one in many.values()}) == 50


def test_a_sharing_crowd_has_one_store(tmp_path: Path) -> None:
    """The others only inherit."""
    crowd = write_crowd(Crowd(path=str(tmp_path), agents=4, sharing=True))
    assert [str(path) for path in tmp_path.rglob("auth-profiles.json")] == crowd.store_paths()
    assert len(crowd.store_paths()) == 1
    assert len(crowd.config()["agents"]["list"]) == 4
    assert len(crowd.config(without=3)["agents"]["list"]) == 1


# ----------------------------------------------------------------------------------------------------------- baselines


def test_no_prewarm_looks_at_the_disk_each_time_and_ttl_does_not(tmp_path: Path) -> None:
    """The baselines answer what the package answers; the cache is wrong until its time is over."""
    crowd = write_crowd(Crowd(path=str(tmp_path), agents=2))
    sweeper, now = NoPrewarm(crowd), 0.0
    cache = TtlCache(sweeper, ttl_s=10.0, clock=lambda: now)
    agent = crowd.agent_ids[1]
    assert sweeper.has_auth("groq", agent)
    assert not sweeper.has_auth("replicate", agent)
    assert cache.has_auth("groq", agent)
    listed = json.loads(sweeper.listing(agent, "all"))
    assert next(row for row in listed if row["provider"] == "groq")["has_auth"]
    for path in crowd.store_paths():
        Path(path).write_text('{"version": 1, "profiles": {}}')
    assert not sweeper.has_auth("groq", agent)
    now = 9.9
    assert cache.has_auth("groq", agent)
    now = 10.0
    assert not cache.has_auth("groq", agent)


# --------------------------------------------------------------------------------------------------------------- child


def test_a_child_gives_back_what_its_function_returns(tmp_path: Path) -> None:
    """Structs go over and come back; it is another process."""
    crowd = write_crowd(Crowd(path=str(tmp_path), agents=2))
    figures = call_in_child(floor, crowd)
    assert isinstance(figures, ColdFigures)
    assert figures.seconds > 0


def test_a_failing_child_says_why(tmp_path: Path) -> None:
    """The end of its stderr is in the error."""
    with pytest.raises(ChildError, match=r"bench\.cold:floor: exit status 1(.|\n)*FileNotFoundError"):
        call_in_child(floor, Crowd(path=str(tmp_path / "nothing"), agents=1))


def test_a_child_is_ended_when_it_is_over_or_takes_too_long(tmp_path: Path) -> None:
    """Neither Ctrl-C nor a hang makes the bench wait for ever."""
    crowd = Crowd(path=str(tmp_path), agents=1)
    crowd.store_path("main").parent.mkdir(parents=True)
    os.mkfifo(crowd.store_path("main"))  # opening it blocks
    with pytest.raises(Interrupted):
        call_in_child(floor, crowd, is_over=lambda: True)
    with pytest.raises(ChildError, match=r"not done after 0\.1 s"):
        call_in_child(floor, crowd, timeout_s=0.1)


# ------------------------------------------------------------------------------------------------------------- machine


def test_what_others_use_leaves_out_what_we_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 10 s on 2 processors, 9 were worked, 4 of them by us: others had a quarter."""
    busy, own, now = iter((100.0, 109.0)), iter((1.0, 5.0)), iter((50.0, 60.0))
    monkeypatch.setattr("bench.machine._busy_s", lambda: next(busy))
    monkeypatch.setattr("bench.machine._own_s", lambda: next(own))
    monkeypatch.setattr("bench.machine.time.monotonic", lambda: next(now))
    monkeypatch.setattr("bench.machine.os.cpu_count", lambda: 2)
    assert OthersUse().share() == 0.25
    monkeypatch.undo()
    share = OthersUse().share()
    assert share is None or 0.0 <= share <= 1.0
    noisy = result_of(Measured(), others_share=0.25)
    assert others_text(noisy) == "other programs had 25% of all processor time meanwhile"
    assert "not known" in others_text(result_of(Measured()))


# ---------------------------------------------------------------------------------------------------------------- page


def result_of(measured: Measured, **fields: object) -> ScenarioResult:
    """Return a scenario's result with these fields."""
    given = {
        "name": "some",
        "summary": "a <summary> & more",
        "kind": "cold-warm",
        "agents": [1],
        "rounds": 1,
        "parameters": {"<key>": "<value>"},
        "seconds": 1.0,
        "goals": judge([Goal(title="<goal>", metric="m", at_most=1)], [Figure(metric="m", value=2.0)]),
    }
    return ScenarioResult(**{**given, **fields}, measured=measured)  # type: ignore[arg-type]


def run_of(*results: ScenarioResult) -> Run:
    """Return a run of some scenarios."""
    return Run(
        package_version="0",
        machine=Machine.here(),
        started="2026-01-01T00:00:00+00:00",
        seconds=1.0,
        interrupted=True,
        scenarios=list(results),
    )


def hostile() -> Measured:
    """Return figures whose every text wants to be markup."""
    measured = Measured(notes=["<note>"], timelines=[Timeline(variant="<t>", points=[(0.1, 1.0)], load=[(0.0, 0.2)])])
    for agents in (1, 10, 100):
        for variant, role in (("<ours>", Role.OURS), ("<floor>", Role.FLOOR), ("<peer>", Role.PEER)):
            measured.series.append(series_of_values(variant, role, "<metric>", "<ms>", [1.0 * agents], agents))
    values = [float(one) for one in range(1, 200)]
    measured.series.append(series_of_rounds("<shape>", Role.OURS, "<values>", "<ns>", [values]))
    measured.add_pairs("<ratio>", "<ours>", "<floor>", [1.0])
    return measured


def test_the_page_escapes_everything() -> None:
    """No text of a run is markup, wherever it stands."""
    text = page(run_of(result_of(hostile(), error="<error>")))
    for word in ("summary", "key", "value", "goal", "note", "ours", "floor", "peer", "metric", "ratio", "error"):
        assert f"<{word}>" not in text
        assert f"&lt;{word}&gt;" in text
    assert "missed" in text
    assert "Ended early" in text


def test_the_page_needs_nothing_else(tmp_path: Path) -> None:
    """No script, no link to another file or host; the figures stand beside it as JSON."""
    run = run_of(result_of(hostile()))
    path = write_report(run, tmp_path / "report")
    text = path.read_text("utf-8")
    assert re.findall(r"""(?:src|href)=["'](?!#)[^"']*""", text) == []
    assert not re.search(r"<script|@import|url\((?!#)", text)
    assert "prefers-color-scheme:dark" in text
    again = msgspec.json.decode((path.parent / "bench.json").read_bytes(), type=Run)
    assert again == run


def test_plots_are_drawn_of_costs_shapes_peers_and_gaps() -> None:
    """One inline drawing each, in the page's own colours, and no id twice."""
    pytest.importorskip("matplotlib", reason="extra bench")
    text = page(run_of(result_of(hostile()), result_of(hostile(), name="other")))
    captions = re.findall("<figcaption>(.*?)</figcaption>", text)
    assert captions == 2 * [
        "&lt;metric&gt; over agents",
        "&lt;metric&gt;, side by side",
        "&lt;values&gt;: distribution",
        "event-loop gaps: &lt;t&gt;",
    ]
    assert text.count("<svg ") == len(captions)
    assert "var(--s1)" in text
    assert not re.search(r"#000[0-9a-f]{3}\b", text)
    ids = re.findall(r'\bid="([^"]*)"', text)
    assert len(set(ids)) == len(ids)


def test_without_matplotlib_the_page_says_which_extra_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The figures are there all the same."""
    monkeypatch.setattr("bench.report.page.can_plot", lambda: False)
    text = page(run_of(result_of(hostile())))
    assert "pip install &#x27;.[bench]&#x27;" in text
    assert "<svg" not in text
    assert "&lt;metric&gt;" in text


def test_a_series_keeps_its_median_through_json() -> None:
    """The figures that the README quotes can be made from the file."""
    series = Series(variant="a", role=Role.OURS, metric="m", unit="ms", samples=[3.0, 1.0, 2.0])
    assert msgspec.json.decode(msgspec.json.encode(series), type=Series).median == 2.0
