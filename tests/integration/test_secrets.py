"""No secret leaves the reading: not by log, repr, JSON, command output or exception, nor in what is kept."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from homes import (
    CANARY,
    Home,
    SqliteOwner,
    Supervise,
    api_key,
    eventually,
    now_ms,
    oauth,
    replace_text,
    secret,
    token,
    write_secret,
)

from openclaw_actors import AuthSupervisor, Change, Scope, StoreError, UnknownReasonError
from openclaw_actors.home.opaque import OpaqueEnv

ROOT = Path(__file__).parents[2]
HOLDERS = (OpaqueEnv,)
"""The only objects that may hold secrets after a reading: the environment, dotenv files included, as opaque values."""


def jwt(name: str) -> str:
    """Return something of the shape of a JWT that doesn't expire soon."""
    return f"{secret(name)}.{secret(name)}.{secret(name)}"


@pytest.fixture
def full(home: Home) -> Iterator[Home]:
    """Return a home with a secret in every place that is read."""
    home.agents("main", "ops", "lab").write_config(
        env={"VENICE_API_KEY": secret("config-env"), "vars": {"XAI_API_KEY": secret("config-vars")}},
        gateway={"auth": {"token": secret("gateway-token"), "password": secret("gateway-password")}},
        models={
            "providers": {
                "acme": {
                    "baseUrl": f"https://user:{secret('url')}@acme.test/v1?key={secret('query')}",
                    "apiKey": secret("config-key"),
                    "api": "openai-completions",
                    "headers": {"X-Api-Key": secret("header"), "Authorization": f"Bearer {secret('bearer')}"},
                    "models": [{"id": "anvil-1", "headers": {"x": secret("model-header")}}],
                },
                "byref": {
                    "baseUrl": "https://byref.test/v1",
                    "apiKey": "${DOTENV_KEY}",
                    "api": "openai-completions",
                    "models": [{"id": "b1"}],
                },
                "wrong-ref": {
                    "baseUrl": "https://wrong.test/v1",
                    "apiKey": {"source": "env", "provider": "default", "id": secret("as-an-id")},
                    "models": [{"id": "w1"}],
                },
                "byfile": {
                    "baseUrl": "https://byfile.test/v1",
                    "apiKey": {"source": "file", "provider": "disk", "id": "/byfile"},
                    "models": [{"id": "f1"}],
                },
                "nofile": {
                    "baseUrl": "https://nofile.test/v1",
                    "apiKey": {"source": "file", "provider": "disk", "id": "/byfile/deeper"},
                    "models": [{"id": "f2"}],
                },
                "local": {
                    "baseUrl": f"http://{secret('user')}@127.0.0.1:8000/v1",
                    "api": "openai-completions",
                    "models": [{"id": "l1"}],
                },
            }
        },
        secrets={
            "providers": {
                "vault": {"source": "exec", "command": "/bin/true", "env": {"T": secret("exec-env")}},
                "disk": {"source": "file", "path": str(home.user / "vault.json")},
                "single": {"source": "file", "path": str(home.user / "single"), "mode": "singleValue"},
            }
        },
        plugins={"entries": {"xai": {"config": {"webSearch": {"apiKey": secret("plugin")}}}}},
    )
    home.write_profiles(
        openai__work=api_key("openai"),
        deepseek__file={
            "type": "api_key",
            "provider": "deepseek",
            "keyRef": {"source": "file", "provider": "single", "id": "value"},
        },
        anthropic__me=oauth("anthropic"),
        github__x={**token("github-copilot", expires_in_s=-60.0)},
        groq__old=oauth("groq", expires_in_s=-60.0),
        zai__bad={"type": "api_key", "provider": "zai", "key": {"source": secret("bad-source")}},
        moonshot__none={"type": "token", "provider": "moonshot", "token": "", "expires": secret("no-time")},
        dropped__one={"type": secret("no-type"), "provider": "mistral", "key": secret("dropped")},
        dropped__two=secret("not-an-object"),
    )
    home.write_usage(
        {
            "openai:work": {
                "cooldownUntil": now_ms(600),
                "cooldownReason": "rate_limit",
                "cooldownModel": "gpt-5",
                "errorCount": 1,
            }
        }
    )
    replace_text(home.agent_dir("ops") / "auth.json", json.dumps({"cerebras": api_key("cerebras", "legacy")}))
    replace_text(
        home.path / "credentials" / "oauth.json",
        json.dumps(
            {"chutes": {"access": secret("old-access"), "refresh": secret("old-refresh"), "expires": now_ms(9e4)}}
        ),
    )
    rows = {"acme": {"baseUrl": "https://acme.test/v1", "apiKey": secret("models-json"), "models": [{"id": "anvil-2"}]}}
    replace_text(home.agent_dir() / "models.json", json.dumps({"providers": rows}))
    replace_text(home.dotenv_path, f"DOTENV_KEY={secret('dotenv')}\nexport FAL_KEY='{secret('dotenv-quoted')}'\n")
    logins = {
        ".codex/auth.json": {"tokens": {"access_token": jwt("codex"), "refresh_token": secret("codex-refresh")}},
        ".claude/.credentials.json": {
            "claudeAiOauth": {
                "accessToken": secret("claude"),
                "refreshToken": secret("claude-r"),
                "expiresAt": now_ms(9e4),
            }
        },
        ".minimax/oauth_creds.json": {
            "access_token": secret("minimax"),
            "refresh_token": secret("minimax-r"),
            "expiry_date": now_ms(9e4),
        },
        ".gemini/oauth_creds.json": {
            "access_token": secret("gemini"),
            "refresh_token": secret("gemini-r"),
            "expiry_date": now_ms(9e4),
            "id_token": jwt("gemini-id"),
        },
    }
    for name, document in logins.items():
        replace_text(home.user / name, json.dumps(document))
    home.env.update(
        GEMINI_API_KEY=secret("env"), AWS_SECRET_ACCESS_KEY=secret("aws"), AWS_ACCESS_KEY_ID=secret("aws-id")
    )
    write_secret(home.user / "vault.json", json.dumps({"byfile": secret("in-a-file"), "more": secret("not-asked-for")}))
    write_secret(home.user / "single", secret("whole-file") + "\n")
    owner = SqliteOwner(home.agent_dir("lab"))
    owner.write({"together:x": api_key("together")})
    yield home
    owner.close()


def live_a_little(supervisor: AuthSupervisor, home: Home) -> list[Change]:
    """Have everything happen that reads, compares, reports, fails and publishes, and return the changes."""
    changes: list[Change] = []
    supervisor.subscribe(changes.append)
    supervisor.report_failure("openai:work", "auth")
    supervisor.report_failure("config:acme", "billing")
    supervisor.report_failure("env:GEMINI_API_KEY", "rate_limit", model="gemini-3")
    assert eventually(lambda: not supervisor.has_auth("acme"))
    supervisor.recheck()
    supervisor.reload_config()
    supervisor.reload_plugins()
    good_config = home.config_path.read_text()
    replace_text(home.config_path, '{"models": {"providers": {"acme": {"apiKey": "' + secret("torn") + "\x00\n")
    replace_text(home.agent_dir("ops") / "auth-profiles.json", '{"profiles": {"a": {"key": "' + secret("torn-store"))
    write_secret(home.user / "vault.json", '{"byfile": "' + secret("torn-file"))
    assert eventually(lambda: not supervisor.health().ok)
    assert eventually(lambda: supervisor.stats().retries >= 2)
    replace_text(home.config_path, good_config.replace(secret("config-key"), secret("rotated")))
    replace_text(home.agent_dir("ops") / "auth-profiles.json", json.dumps({"profiles": {"xai:y": api_key("xai")}}))
    assert eventually(lambda: supervisor.has_auth("xai", agent_id="ops"))
    assert eventually(lambda: all(supervisor.verdict("acme", agent_id=one).fresh for one in ("main", "ops", "lab")))
    supervisor.invalidate(Scope.provider("acme"), "once more")
    assert eventually(lambda: supervisor.verdict("acme").fresh)
    assert eventually(lambda: changes)
    return changes


def assert_clean(text: str | bytes, what: str) -> None:
    """Fail with what is around a canary."""
    shown = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    at = shown.find(CANARY)
    assert at < 0, f"{what}: …{shown[max(0, at - 80) : at + 40]}…"


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


def holds_canary(value: object) -> bool:
    """Tell whether a text or some bytes hold the marker, plainly."""
    if isinstance(value, str):
        return CANARY in value
    return isinstance(value, (bytes, bytearray)) and CANARY.encode() in value


def reachable(root: object, into: tuple[type, ...] = ()) -> Iterator[tuple[str, object]]:
    """Yield each object that is reachable from a root, with the types on the way; holders are not entered."""
    foreign = (type, types.ModuleType, types.FrameType, types.CodeType, types.BuiltinFunctionType)
    seen: set[int] = set()
    kept: list[object] = []  # keeps what is made on the way alive, so that ids stay theirs
    stack: list[tuple[str, object]] = [(type(root).__name__, root)]
    while stack:
        path, value = stack.pop()
        if id(value) in seen or isinstance(value, foreign):
            continue
        seen.add(id(value))
        kept.append(value)
        yield path, value
        if isinstance(value, HOLDERS) and not isinstance(value, into):
            continue
        below: list[object]
        if isinstance(value, types.FunctionType):
            # a function's globals are its module's; what it closes over and its defaults are its own
            below = [value.__closure__, value.__defaults__, value.__kwdefaults__]
        elif isinstance(value, msgspec.Struct):
            below = [getattr(value, name) for name in value.__struct_fields__]
        else:
            below = list(gc.get_referents(value))
        name = type(value).__name__
        tail = path if len(path) < 160 else f"…{path[-150:]}"
        stack.extend((f"{tail} > {name}" if name not in ("dict", "list", "tuple") else tail, one) for one in below)


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
