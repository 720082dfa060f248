"""What embedders test with: a supervisor that moves only when told to, with scripted files, events and sources."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from openclaw_actors.errors import NotRunningError, StoreError
from openclaw_actors.messages import ReportFailure, SourceRead, SweepAgent
from openclaw_actors.prepared import NOT_WARMED
from openclaw_actors.reading.job import Failure
from openclaw_actors.scope import Scope
from openclaw_actors.testing import (
    Crash,
    CrashPoint,
    HomeFiles,
    SteppedSupervisor,
    VirtualClock,
    api_key,
    oauth,
)
from openclaw_actors.testing.pytest_plugin import MakeSteppedSupervisor

EXAMPLE = Path(__file__).parents[2] / "README.md"


def test_nothing_moves_until_it_is_told_to(stepped_supervisor: SteppedSupervisor, openclaw_home: HomeFiles) -> None:
    """After `start` messages wait; steps handle them one by one; when all are handled the agents are warm."""
    openclaw_home.write_profiles(openai__work=api_key("openai"))
    supervisor = stepped_supervisor.start()
    assert supervisor.verdict("openai").reason == NOT_WARMED
    assert supervisor.pending()
    assert supervisor.step()
    assert len(supervisor.history) <= 1
    supervisor.run_until_idle()
    assert supervisor.has_auth("openai")
    assert not supervisor.step()


def test_a_write_is_seen_by_the_file_watcher(stepped_supervisor: SteppedSupervisor, openclaw_home: HomeFiles) -> None:
    """What `openclaw_home` writes reaches the actors as a file event; what it writes behind their back doesn't."""
    supervisor = stepped_supervisor.warm()
    openclaw_home.write_profiles(openai__work=api_key("openai"))
    supervisor.advance(0.1)
    assert supervisor.has_auth("openai")
    openclaw_home.on_write = None
    openclaw_home.write_profiles()
    supervisor.advance(10.0)
    assert supervisor.has_auth("openai"), "nobody was told"
    assert supervisor.watcher.overflow()
    supervisor.advance(0.1)
    assert not supervisor.has_auth("openai")


def test_time_passes_only_by_advance(stepped_supervisor: SteppedSupervisor, openclaw_home: HomeFiles) -> None:
    """A login ends when virtual time gets there: five minutes before it expires, as OpenClaw has it."""
    expires_s = stepped_supervisor.clock.epoch() + 3600
    openclaw_home.write_profiles(
        **{"openai-codex__me": oauth("openai-codex", expires_ms=int(expires_s * 1000), refresh=None)}
    )
    supervisor = stepped_supervisor.warm()
    assert supervisor.has_auth("openai-codex")
    supervisor.advance(3200)
    assert supervisor.has_auth("openai-codex")
    supervisor.advance(200)
    assert supervisor.verdict("openai-codex").state == "expired"


def test_changes_are_delivered_by_the_calls_that_make_things_happen(
    stepped_supervisor: SteppedSupervisor, openclaw_home: HomeFiles
) -> None:
    """A subscriber is called on the test's thread, in order, and what it raises the test gets."""
    openclaw_home.write_profiles(openai__work=api_key("openai"))
    supervisor, seen = stepped_supervisor.warm(), []
    stop = supervisor.subscribe(seen.append)
    supervisor.report_failure("openai:work", "auth")
    assert seen == []
    supervisor.run_until_idle()
    assert [
        (change.provider, change.old.state, change.new.state) for change in seen if change.provider == "openai"
    ] == [("openai", "usable", "rejected")]
    stop()
    supervisor.recheck()
    supervisor.run_until_idle()
    assert len([change for change in seen if change.provider == "openai"]) == 1


def test_a_source_hangs_fails_and_is_well_again(
    stepped_supervisor: SteppedSupervisor, openclaw_home: HomeFiles
) -> None:
    """Scripted sources fail as real ones do: the answer from before stays, and the health says so."""
    openclaw_home.write_profiles(openai__work=api_key("openai"))
    supervisor = stepped_supervisor.warm()
    for error in (OSError(5, "Input/output error"), SystemExit(3), Failure.OVERRAN):
        supervisor.sources.damage(supervisor.store(), error)
        supervisor.touch(supervisor.store())
        assert supervisor.has_auth("openai")
        assert not supervisor.verdict("openai").fresh
        assert not supervisor.condition("StoresReadable").status
        supervisor.sources.mend(supervisor.store())
        supervisor.advance(supervisor.settings.retry_max_s)
        assert supervisor.condition("StoresReadable").status
        assert supervisor.verdict("openai").fresh


def test_messages_can_be_injected_and_looked_at(stepped_supervisor: SteppedSupervisor) -> None:
    """`inject`, `step`, `pending` and `history` show and steer every message."""
    supervisor = stepped_supervisor.warm()
    generation = supervisor.runtime.wants.mint(Scope.everything())
    report = ReportFailure(
        generation=generation,
        agent_id=supervisor.snapshot().agent_id,
        evidence_id="openai:work",  # type: ignore[arg-type]
        reason="auth",
        model=None,
        observed_at=supervisor.clock.epoch(),
        cause_at=supervisor.clock.monotonic(),
    )
    supervisor.inject("failure-listener", report)
    assert supervisor.pending(ReportFailure) == [report]
    supervisor.run_until_idle()
    assert supervisor.handled(ReportFailure) == [report]
    assert supervisor.history[-1][0] == "warmer"
    assert generation not in supervisor.open_generations()
    with pytest.raises(LookupError, match="nobody"):
        supervisor.inject("nobody", report)


@pytest.mark.parametrize("point", CrashPoint)
def test_a_crash_is_survived_and_restarted(
    point: CrashPoint, stepped_supervisor: SteppedSupervisor, openclaw_home: HomeFiles
) -> None:
    """An actor that ends anywhere around a message comes again when time passes, and its work is done."""
    openclaw_home.write_profiles(openai__work=api_key("openai"))
    supervisor = stepped_supervisor.start()
    supervisor.step_until(lambda: any(name == "warmer" for name in supervisor.dispatcher.busy))
    assert supervisor.dispatcher.crash("warmer", Crash(point))
    supervisor.advance(supervisor.settings.restart_max_s + 1.0)
    assert supervisor.has_auth("openai")
    assert supervisor.open_generations() == ()


def test_a_seed_replays_an_interleaving(
    make_stepped_supervisor: MakeSteppedSupervisor, openclaw_home: HomeFiles
) -> None:
    """The same seed, the same order of messages; another seed, another order, and the same answers."""
    openclaw_home.write_agents("main", "ops", "lab")
    openclaw_home.write_profiles(openai__work=api_key("openai"))

    def run(seed: int) -> tuple[list[str], bool]:
        supervisor = make_stepped_supervisor(seed=seed, watches=False).warm()
        order = [f"{name} {type(message).__name__}" for name, message in supervisor.history]
        return order, supervisor.has_auth("openai", agent_id="lab")

    assert run(1) == run(1)
    orders = [run(seed) for seed in range(6)]
    assert len({tuple(order) for order, _ in orders}) > 1
    assert all(answer for _, answer in orders)


def test_blocking_writes_are_answered_in_virtual_time(
    stepped_supervisor: SteppedSupervisor, openclaw_home: HomeFiles
) -> None:
    """`logout` writes the real file and lets things happen until it is published."""
    openclaw_home.write_profiles(openai__work=api_key("openai"))
    supervisor = stepped_supervisor.warm()
    supervisor.logout("openai")
    assert supervisor.verdict("openai").state == "missing"
    assert b"openai" not in openclaw_home.profiles_path().read_bytes()
    with pytest.raises(StoreError):
        supervisor.logout("openai")


def test_a_stopped_one_says_so(stepped_supervisor: SteppedSupervisor, openclaw_home: HomeFiles) -> None:
    """`stop` writes the usage that waits and ends every actor; reads go on, events raise."""
    openclaw_home.write_profiles(openai__work=api_key("openai"))
    with stepped_supervisor.warm() as supervisor:
        supervisor.report_success("openai:work")
        supervisor.run_until_idle()
    assert supervisor.dispatcher.living == ()
    assert b"lastUsed" in openclaw_home.usage_path().read_bytes()
    assert supervisor.has_auth("openai")
    assert not supervisor.verdict("openai").fresh
    with pytest.raises(NotRunningError):
        supervisor.recheck()


def test_the_folder_that_the_tests_run_in_has_no_say(
    stepped_supervisor: SteppedSupervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A `.env` of the embedder's own project gives no agent a credential."""
    project = tmp_path / "project"
    project.mkdir()
    (project / ".env").write_text("GROQ_API_KEY=canary-of-the-project-51c0\n")
    monkeypatch.chdir(project)
    assert stepped_supervisor.warm().verdict("groq").state == "missing"


def test_slices_of_a_sweep_are_steps(make_stepped_supervisor: MakeSteppedSupervisor, openclaw_home: HomeFiles) -> None:
    """Settings hold here as in production."""
    from openclaw_actors.settings import Settings

    openclaw_home.write_profiles(openai__work=api_key("openai"))
    supervisor = make_stepped_supervisor(settings=Settings(sweep_slice_checks=1, resync_interval_s=1e9)).warm()
    assert len(supervisor.handled(SweepAgent)) == 1
    assert supervisor.handled(SourceRead, "warmer")


def test_time_can_not_go_back_but_clocks_can(stepped_supervisor: SteppedSupervisor) -> None:
    """Monotonic time only grows; the wall clock may be set."""
    clock = VirtualClock(epoch=1000.0)
    clock.jump_epoch(-500.0)
    assert clock.epoch() == 500.0
    with pytest.raises(ValueError, match="negative"):
        clock.advance(-1.0)
    with pytest.raises(ValueError, match="negative"):
        stepped_supervisor.start().advance(-1.0)


def test_the_fixtures_cost_a_stranger_nothing() -> None:
    """Every pytest run in an environment with this package imports the plugin: it must not import the package."""
    code = (
        "import sys, pytest; before = set(sys.modules); import openclaw_actors.testing.pytest_plugin; "
        "print(sorted(name for name in set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == (
        "['openclaw_actors', 'openclaw_actors.testing', 'openclaw_actors.testing.pytest_plugin']"
    )


def test_the_readmes_example_passes(tmp_path: Path) -> None:
    """What an embedder pastes from the README works as it stands, without a conftest."""
    text = EXAMPLE.read_text(encoding="utf-8")
    begin = text.index("```python\n# test_picker.py") + len("```python\n")
    (tmp_path / "test_picker.py").write_text(text[begin : text.index("```", begin)], encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
