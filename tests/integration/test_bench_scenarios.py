"""Every kind of scenario as its users run it, as small as can be: the real command, real processes, real files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec

sys.path.append(str(Path(__file__).parents[2]))  # the bench is run from the project root and not installed

from bench.results import Role, Run
from bench.scenario import ROOT, Scenario, shipped

_AGENTS = 3
_SMALL = {
    "churn": {"edits": 1, "moving": 1},
    "cold-warm": {},
    "failure-storm": {"single_agents": 3, "reports": 2},
    "freshness": {"edits": 2, "ttl_edits": 2, "ttl_s": 0.2},
    "hot-read": {"batches": 3, "reads": 20, "sweeps": 1},
    "http-listing": {"connections": 3, "asked": 2, "slices": 1, "slice_s": 0.02, "wrk_s": 0},
    "import": {"turns": 1},
    "loop-lag": {"ticks": 30, "slow_agents": _AGENTS, "slow_profiles": 10, "slow_stores": 1, "slow_s": 0.1},
    "memory": {"profiles": [10, 40], "sharing": True},
    "models-listing": {"calls": 2, "sweeps": 1},
    "rewarm-one": {"times": 2},
    "scale": {"profiles": [10, 40], "sharing": True, "linear_from": 1},
}
"""Parameters with which each shipped scenario is over in a moment."""

_SCRIPT = "ratio_to_bare, openclaw-actors --version"
"""There is no script where the package isn't installed."""


def small(scenario: Scenario, folder: Path) -> Path:
    """Write a scenario file that differs from a shipped one in nothing but its size; return it."""
    agents = [1, _AGENTS] if scenario.kind == "scale" else [_AGENTS]
    lines = [f"name = {json.dumps(scenario.name)}", 'summary = "small"', f"kind = {json.dumps(scenario.kind)}"]
    lines += ["rounds = 1", f"agents = {agents}", "[parameters]"]
    lines += [f"{name} = {json.dumps(value)}" for name, value in _SMALL[scenario.name].items()]
    for goal in scenario.goal:
        lines += ["[[goal]]", 'title = "goal"', f"metric = {json.dumps(goal.metric)}", "at_most = 1e12"]
        lines += [f"agents = {_AGENTS}"] if goal.agents is not None else []
        lines += [f"peer = {json.dumps(goal.peer)}"] if goal.peer else []
    path = folder / f"{scenario.name}.toml"
    path.write_text("\n".join(lines), "utf-8")
    return path


def test_every_scenario_measures_what_its_goals_look_at(tmp_path: Path) -> None:
    """One run of all kinds: figures for each goal, a floor or baseline beside ours, no secret and no path anywhere."""
    scenarios = shipped()
    files = [small(one, tmp_path) for one in scenarios]
    figures, report = tmp_path / "figures.json", tmp_path / "report"
    done = bench("run", *files, "--json", figures, "--report", report)
    assert done.returncode == 0, done.stdout + done.stderr
    run = msgspec.json.decode(figures.read_bytes(), type=Run)
    assert [one.name for one in run.scenarios] == [one.name for one in scenarios]
    for result in run.scenarios:
        assert result.error == ""
        assert Role.OURS in {series.role for series in result.measured.series}, result.name
        assert all(len(series.samples) == 1 for series in result.measured.series), result.name
    missing = {goal.metric for result in run.scenarios for goal in result.goals if goal.met is None}
    with_peers = {goal.metric for one in scenarios for goal in one.goal if goal.peer}
    assert missing - {_SCRIPT} == with_peers
    compared = {
        result.name
        for result in run.scenarios
        if {series.role for series in result.measured.series} & {Role.FLOOR, Role.BASELINE, Role.IDLE}
    }
    assert compared == set(_SMALL) - {"failure-storm"}
    shown = done.stdout + done.stderr + figures.read_text() + (report / "index.html").read_text()
    assert "dummy-" not in shown
    assert "openclaw-bench-" not in shown


def test_a_scenario_that_fails_is_told_and_takes_no_other_with_it(tmp_path: Path) -> None:
    """Exit status 1, the error in the figures, and the next scenario is measured all the same."""
    scenarios = {one.name: one for one in shipped()}
    listing = small(scenarios["models-listing"], tmp_path)
    listing.write_text(listing.read_text().replace("calls = 2", "calls = 2\nmodels = 10"))
    figures = tmp_path / "figures.json"
    done = bench("run", listing, small(scenarios["cold-warm"], tmp_path), "--json", figures)
    assert done.returncode == 1, done.stdout + done.stderr
    failed, good = msgspec.json.decode(figures.read_bytes(), type=Run).scenarios
    assert "RuntimeError: 948 models, not 10" in failed.error
    assert {goal.met for goal in failed.goals} == {None}
    assert good.error == ""
    assert "RuntimeError: 948 models, not 10" in done.stdout


def test_ctrl_c_ends_a_run_with_what_was_measured(tmp_path: Path) -> None:
    """Exit status 130, whole rounds in the figures, and no home is left behind."""
    figures, scenario = tmp_path / "figures.json", tmp_path / "import.toml"
    scenario.write_text(
        'name = "import"\nsummary = "endless"\nkind = "import-time"\nrounds = 100000\nagents = [1]\n'
        "parameters.turns = 1\n"
    )
    homes = tmp_path / "tmp"
    homes.mkdir()
    with subprocess.Popen(
        [sys.executable, "-m", "bench", "run", str(scenario), "--json", str(figures)],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(homes)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        deadline = time.monotonic() + 20
        while not list(homes.iterdir()) and time.monotonic() < deadline:
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert process.returncode == 130, (out, err)
    run = msgspec.json.decode(figures.read_bytes(), type=Run)
    assert run.interrupted
    (result,) = run.scenarios
    assert result.error in ("", "interrupted")
    assert {len(series.samples) for series in result.measured.series} <= {result.rounds}
    assert list(homes.iterdir()) == []


def bench(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the bench as its users do."""
    return subprocess.run(
        [sys.executable, "-m", "bench", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=55,
        check=False,
    )
