"""No secret leaves the reading: not by log, repr, JSON, command output or exception, nor in what is kept."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import msgspec
import pytest
from canaries import HOLDERS, assert_clean, holds_canary, live_a_little, reachable
from gateways import running
from homes import Home, Supervise, api_key, eventually, replace_text, secret

from openclaw_actors import StoreError, UnknownReasonError

ROOT = Path(__file__).parents[2]


def test_no_secret_in_logs_reprs_or_json(full: Home, supervise: Supervise, log_lines: list[str]) -> None:
    """Everything public by repr, str and msgspec, and every log line at TRACE with diagnosis, is free of secrets."""
    supervisor = supervise(full)
    assert supervisor.has_auth("byref")
    assert supervisor.has_auth("byfile")
    assert supervisor.has_auth("deepseek", agent_id="ops")
    assert supervisor.has_auth("together", agent_id="lab")
    assert supervisor.has_auth("cerebras", agent_id="ops")
    changes = live_a_little(supervisor, full)
    agents = supervisor.agent_ids()
    snapshots = [supervisor.snapshot(one) for one in agents]
    verdicts = [verdict for snapshot in snapshots for verdict in snapshot.verdicts.values()]
    listings = [
        supervisor.models(agent_id=one, view=view) for one in agents for view in ("default", "configured", "all")
    ]
    structs = [*verdicts, *listings, *changes, supervisor.stats(), supervisor.health(), *snapshots[0].profiles]
    assert len(verdicts) > 100
    for thing in structs:
        assert_clean(msgspec.json.encode(thing), f"JSON of {type(thing).__name__}")
    shown: list[object] = [
        *structs,
        *snapshots,
        supervisor,
        supervisor.aio,
        supervisor._env,
        supervisor._runtime.reader,
    ]
    shown += [snapshot.table for snapshot in snapshots] + [snapshot.view for snapshot in snapshots]
    for one in shown:
        assert_clean(f"{one!r} {one!s} {one}", f"repr of {type(one).__name__}")
    for snapshot in snapshots:
        assert_clean(repr(list(snapshot.table.cells())), "cells")
    assert len(log_lines) > 3
    for line in log_lines:
        assert_clean(line, "log")


def test_no_secret_in_exceptions(full: Home, supervise: Supervise) -> None:
    """What is raised names files, places and remedies, never a value; nothing with a value is chained to it."""
    supervisor = supervise(full)
    replace_text(full.state_path(), '{"usageStats": {"openai:work": "' + secret("torn-state"))
    calls: list[tuple[type[Exception], Callable[[], object]]] = [
        (UnknownReasonError, lambda: supervisor.report_failure("openai:work", f"refused {secret('in-a-reason')}")),
        (StoreError, lambda: supervisor.clear_cooldown("openai:work")),
        (StoreError, lambda: supervisor.logout("together", agent_id="lab")),
        (StoreError, lambda: supervisor.logout("no-such-provider")),
        (ValueError, lambda: supervisor.models(view="no-such-view")),
    ]
    for kind, call in calls:
        with pytest.raises(kind) as raised:
            call()
        error: BaseException | None = raised.value
        while error is not None:
            assert_clean(f"{error} {error!r} {error.args!r} {vars(error)!r}", f"exception {kind.__name__}")
            error = error.__cause__ or error.__context__


def test_no_secret_in_memory_after_a_warm(full: Home, supervise: Supervise) -> None:
    """All that is reachable from a supervisor holds no secret, apart from the opaque environment."""
    supervisor = supervise(full)
    live_a_little(supervisor, full)
    found = [path for path, value in reachable(supervisor) if holds_canary(value)]
    assert found == []


def test_the_walk_through_memory_finds_what_it_looks_for(full: Home, supervise: Supervise) -> None:
    """The walk reaches the facts, the prepared map, the actors' state and the environment's holder: it isn't blind."""
    supervisor = supervise(full)
    kinds = {type(value).__name__ for _, value in reachable(supervisor)}
    wanted = {"HomeReader", "Runtime", "WarmerActor", "FailureListener", "WatcherActor", "AuthStateActor", "Cell"}
    assert wanted | {"StoreFacts", "ConfigFacts", "ProfileFacts", "CliFacts", "AgentAuth", "Evaluation"} <= kinds
    assert {"OpaqueEnv", "SecretFiles", "Judgement"} <= kinds
    holders = [value for _, value in reachable(supervisor, into=HOLDERS) if holds_canary(value)]
    assert holders


# ---------------------------------------------------------------------------------------------------- the command line

COMMANDS = {
    "status": ("status", "--all-agents", "--all"),
    "status-check": ("status", "--check"),
    "status-provider": ("status", "--provider", "acme", "--provider", "wrong-ref"),
    "explain-config": ("explain", "acme"),
    "explain-profile": ("explain", "openai/gpt-5"),
    "explain-login": ("explain", "openai-codex"),
    "explain-malformed": ("explain", "zai"),
    "models": ("models",),
    "models-all": ("models", "--all", "--limit", "100"),
    "models-provider": ("models", "acme"),
    "doctor": ("doctor",),
    "logout": ("logout", "groq", "--yes"),
    "logout-by-config": ("logout", "acme", "--yes"),
    "clear-cooldown": ("clear-cooldown", "openai:work"),
}


def environment(home: Home) -> dict[str, str]:
    """Return the environment of a command."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    return {**kept, **home.env, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", "COLUMNS": "200"}


def command(home: Home, *arguments: str) -> list[str]:
    """Return a command line."""
    return [sys.executable, "-m", "openclaw_actors", *arguments, "--home", str(home.path)]


@pytest.mark.parametrize("name", COMMANDS)
def test_no_secret_in_command_output(name: str, full: Home) -> None:
    """Tables and JSON, stdout and stderr: no secret, and the commands do say something."""
    for extra in ((), ("--json",)):
        done = subprocess.run(
            command(full, *COMMANDS[name], *extra),
            env=environment(full),
            cwd=full.user,
            capture_output=True,
            timeout=30,
        )
        assert done.returncode in (0, 1, 2), done.stderr
        assert done.stdout
        assert_clean(done.stdout, f"stdout of {name}")
        assert_clean(done.stderr, f"stderr of {name}")


def test_no_secret_in_what_a_gateway_tells_commands(full: Home, runtime: Path, tmp_path: Path) -> None:
    """The same commands, answered by a running `serve`: no secret in what they print, nor a token."""
    full.env["XDG_RUNTIME_DIR"] = str(runtime)
    with running(full, tmp_path / "state", runtime=runtime) as (process, said):
        with httpx.Client(base_url=str(said["url"]), timeout=10.0) as client:
            assert eventually(lambda: client.get("/readyz").status_code == 200)
        tokens = [line.split()[1].encode() for line in Path(str(said["tokens"])).read_text().splitlines()]
        for name, arguments in COMMANDS.items():
            done = subprocess.run(
                command(full, *arguments, "--json"),
                env=environment(full),
                cwd=full.user,
                capture_output=True,
                timeout=30,
            )
            assert done.returncode in (0, 1, 2), done.stderr
            if name != "doctor":
                assert f'"pid": {process.pid}'.encode() in done.stdout, name
            assert_clean(done.stdout + done.stderr, name)
            assert not any(token in done.stdout + done.stderr for token in tokens)


def test_no_secret_in_command_output_on_a_broken_config(full: Home) -> None:
    """The error about a broken config shows file and place, not the line."""
    replace_text(full.config_path, '{"models": {"providers": {"acme": {"apiKey": "' + secret("torn") + '"}}},,}')
    for extra in ((), ("--json",)):
        done = subprocess.run(
            command(full, "status", *extra), env=environment(full), cwd=full.user, capture_output=True, timeout=30
        )
        assert done.returncode == 1
        assert str(full.config_path).encode() in done.stderr
        assert_clean(done.stdout + done.stderr, "error about a broken config")


@pytest.mark.parametrize("extra", [(), ("--json",)], ids=["plain", "json"])
def test_no_secret_in_what_watch_prints(extra: tuple[str, ...], full: Home) -> None:
    """The live view prints a change of a key without either key."""
    process = subprocess.Popen(
        command(full, "watch", "--all-agents", *extra),
        env=environment(full),
        cwd=full.user,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        lines = [process.stdout.readline()]
        full.write_profiles(openai__work=api_key("openai", "rotated"), mistral__x=api_key("mistral"))
        while "mistral" not in lines[-1]:
            lines.append(process.stdout.readline())
            assert lines[-1], process.stderr and process.stderr.read()
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=10)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, errors
    assert_clean("".join(lines) + output + errors, "watch")
