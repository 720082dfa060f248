"""The command line on real homes, as a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "config" / "example"
CELL_KEYS = [
    "state", "has_auth", "presence", "source", "kind", "profile",
    "reason", "next_step", "valid_until", "fresh", "model_count",
    "provider", "configured", "expires_at", "refreshable",
]  # fmt: skip
DEADLINE_S = 30.0

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def environment(user: Path) -> dict[str, str]:
    """Return an environment without anybody's credentials."""
    kept = {name: os.environ[name] for name in ("PATH", "VIRTUAL_ENV", "LANG") if name in os.environ}
    return {**kept, "HOME": str(user), "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"}


def command(*arguments: str) -> list[str]:
    """Return the command line."""
    return [sys.executable, "-m", "openclaw_actors", *arguments]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return a copy of the example home."""
    return Path(shutil.copytree(EXAMPLE, tmp_path / "home"))


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Return a function that runs one command to its end, as a user without credentials of their own."""
    user = tmp_path / "user"
    user.mkdir()

    def run_command(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command(*arguments), env=environment(user), cwd=tmp_path, capture_output=True, text=True, timeout=DEADLINE_S
        )

    return run_command


def status(run: Run, home: Path, *arguments: str) -> dict[str, Any]:
    """Return the agents of `status --json`."""
    done = run("status", "--home", str(home), "--json", *arguments)
    assert done.returncode == 0, done.stderr
    agents: dict[str, Any] = json.loads(done.stdout)["agents"]
    return agents


def write_home(folder: Path, config: object, profiles: dict[str, object]) -> Path:
    """Write a small home."""
    agent = folder / "agents" / "main" / "agent"
    agent.mkdir(parents=True)
    (folder / "openclaw.json").write_text(json.dumps(config))
    (agent / "auth-profiles.json").write_text(json.dumps({"version": 1, "profiles": profiles}))
    return folder


def test_version_needs_neither_cli_libraries_nor_pykka_nor_provider_code() -> None:
    """`--version` is answered from the arguments alone."""
    code = (
        "import sys, openclaw_actors.__main__ as m; m.main(['--version']); "
        "print([name for name in sys.modules "
        "if name.split('.')[0] in ('click', 'rich', 'pykka', 'msgspec', 'watchdog') "
        "or name.startswith(('openclaw_actors.home', 'openclaw_actors.cli'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE_S)
    version, modules = done.stdout.splitlines()
    assert version.startswith("openclaw-actors ")
    assert modules == "[]"


def test_status_json_has_the_documented_shape(run: Run, home: Path) -> None:
    """Agent → revision, generation, providers; each provider with exactly the documented fields."""
    agents = status(run, home, "--all-agents")
    assert set(agents) == {"main", "ops", "research"}
    for agent in agents.values():
        assert set(agent) == {"revision", "generation", "providers"}
        assert all(list(cell) == CELL_KEYS for cell in agent["providers"].values())


@pytest.mark.parametrize(
    ("agent", "provider", "state"),
    [
        ("main", "openai", "usable"),
        ("main", "google", "usable"),
        ("main", "mistral", "usable"),
        ("main", "cerebras", "usable"),
        ("main", "openai-codex", "usable"),
        ("main", "example-corp", "usable"),
        ("main", "workshop", "usable"),
        ("main", "ollama", "usable"),
        ("main", "minimax-portal", "refreshable"),
        ("main", "groq", "cooldown"),
        ("main", "vercel-ai-gateway", "disabled"),
        ("main", "github-copilot", "expired"),
        ("main", "moonshot", "malformed"),
        ("main", "stepfun", "unresolved"),
        ("main", "cloudflare-ai-gateway", "usable"),
        ("main", "amazon-bedrock", "unverified"),
        ("main", "perplexity", "missing"),
        ("ops", "groq", "usable"),
        ("ops", "github-copilot", "usable"),
        ("ops", "zai", "usable"),
        ("research", "zai", "usable"),
        ("research", "github-copilot", "expired"),
    ],
)
def test_example_home_shows_each_state(run: Run, home: Path, agent: str, provider: str, state: str) -> None:
    """The example home says what its README promises: own store, inheritance and all kinds of trouble."""
    cell = status(run, home, "--agent", agent, "--provider", provider)[agent]["providers"][provider]
    assert cell["state"] == state, cell["reason"]


def test_asked_providers_are_keyed_as_spelled_and_nothing_else_is_answered(run: Run, home: Path) -> None:
    """`--provider` takes any spelling, also of ids outside the catalogue."""
    providers = status(run, home, "--provider", "Z.AI", "--provider", "no-such")["main"]["providers"]
    assert list(providers) == ["Z.AI", "no-such"]
    assert (providers["Z.AI"]["state"], providers["no-such"]["state"]) == ("usable", "missing")


def test_status_table_is_plain_and_whole_when_piped(run: Run, home: Path) -> None:
    """No escape sequences, nothing cut off, providers without credentials counted and shown with --all."""
    done = run("status", "--home", str(home))
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout
    assert "…" not in done.stdout.replace("… unknown", "")
    assert "vercel-ai-gateway:default" in done.stdout
    assert "(--all to see them)" in done.stdout
    assert "perplexity" in run("status", "--home", str(home), "--all").stdout


def test_no_secret_is_ever_printed(run: Run, home: Path) -> None:
    """Whatever command, none of the home's keys shows."""
    for arguments in (
        ["status", "--all-agents", "--all"],
        ["models", "--all", "--json"],
        ["explain", "zai"],
        ["explain", "mistral"],
    ):
        done = run(*arguments, "--home", str(home))
        assert "dummy-" not in done.stdout + done.stderr


def test_check_tells_broken_expiring_and_fine_apart(run: Run, tmp_path: Path) -> None:
    """0 when all is well, 1 for what needs a person, 2 for a token that ends within a day."""
    config = {"agents": {"defaults": {"model": "zai/glm-4.7"}}}
    soon_ms = (time.time() + 3600) * 1000
    token = {"type": "token", "provider": "zai", "token": "dummy"}
    cases = {
        "fine": ({"zai:a": {"type": "api_key", "provider": "zai", "key": "dummy"}}, 0),
        "missing": ({}, 1),
        "expired": ({"zai:a": {**token, "expires": 1}}, 1),
        "soon": ({"zai:a": {**token, "expires": soon_ms}}, 2),
    }
    found = {
        name: run("status", "--check", "--home", str(write_home(tmp_path / name, config, profiles))).returncode
        for name, (profiles, _) in cases.items()
    }
    assert found == {name: expected for name, (_, expected) in cases.items()}


def test_check_goes_with_json(run: Run, home: Path) -> None:
    """The answer is on stdout, the problems are on stderr, and the exit status holds."""
    done = run("status", "--home", str(home), "--check", "--json")
    assert done.returncode == 1
    assert "main" in json.loads(done.stdout)["agents"]
    assert "stepfun is unresolved" in done.stderr


def test_unknown_agent_is_told_the_known_ones(run: Run, home: Path) -> None:
    """Exit status 2, the configured ids, and a guess."""
    done = run("status", "--home", str(home), "--agent", "reserch")
    assert done.returncode == 64
    assert "main, ops, research" in done.stderr
    assert "Did you mean research?" in done.stderr


def test_unreadable_config_is_one_clear_error(run: Run, tmp_path: Path) -> None:
    """File, place and remedy on stderr, exit status 1, no traceback; with --json an error beside empty agents."""
    home = tmp_path / "broken"
    home.mkdir()
    (home / "openclaw.json").write_text("{ agents: [ }")
    for arguments in (["status"], ["status", "--json"], ["models"], ["explain", "openai"]):
        done = run(*arguments, "--home", str(home))
        assert done.returncode == 1
        assert str(home / "openclaw.json") in done.stderr
        assert "Traceback" not in done.stderr
    answer = json.loads(run("status", "--json", "--home", str(home)).stdout)
    assert answer["agents"] == {}
    assert "openclaw.json" in answer["error"]


def test_explain_says_what_won_what_it_shadows_and_what_openclaw_would_say(run: Run, home: Path) -> None:
    """The evidence, the reason, the next step, and the difference from OpenClaw's presence."""
    done = run("explain", "github-copilot", "--home", str(home))
    assert done.returncode == 0, done.stderr
    assert "github-copilot:github" in done.stdout
    assert "2026.5.22 would say: has auth" in done.stdout
    answer = json.loads(run("explain", "xai", "--home", str(home), "--json").stdout)
    assert answer["evidence"]["id"] == "xai:team"
    assert [one["id"] for one in answer["shadowed"]] == ["xai:personal"]


def test_explain_says_why_a_model_is_hidden_and_what_was_meant(run: Run, home: Path) -> None:
    """The first slash parts provider and model; unknown names get a guess."""
    shown = json.loads(run("explain", "groq/groq/compound", "--home", str(home), "--json").stdout)
    assert (shown["model"], shown["visibility"]) == ("groq/compound", "shown")
    hidden = json.loads(run("explain", "github-copilot/gpt-5-mini", "--home", str(home), "--json").stdout)
    assert hidden["visibility"].startswith("hidden: ")
    slip = json.loads(run("explain", "openai/gpt-55", "--home", str(home), "--json").stdout)
    assert "openai/gpt-5.5" in slip["did_you_mean"]
    assert "Did you mean mistral" in run("explain", "mistal", "--home", str(home)).stdout


def test_models_are_paged_and_the_hidden_ones_explained(run: Run, home: Path) -> None:
    """Pages cover the list; hidden providers come with count, state, reason and step; a page outside is an error."""
    first = json.loads(run("models", "--home", str(home), "--json", "--limit", "5").stdout)
    assert (first["page"], len(first["models"]), first["limit"]) == (1, 5, 5)
    assert first["pages"] == -(-first["total"] // 5)
    copilot = next(one for one in first["hidden"] if one["provider"] == "github-copilot")
    assert (copilot["state"], copilot["model_count"]) == ("expired", 19)
    assert copilot["reason"]
    assert copilot["next_step"]
    outside = run("models", "--home", str(home), "--page", "99999")
    assert outside.returncode == 64
    assert "Page out of range: 99999 (valid: 1-" in outside.stderr
    everything = json.loads(run("models", "--home", str(home), "--json", "--all").stdout)
    assert everything["total"] == len(everything["models"]) > 948
    assert "example-lab/lab-preview" in {row["id"] for row in everything["models"]}


def test_configured_rows_stay_though_they_cannot_be_used(run: Run, home: Path) -> None:
    """A configured model whose key leads nowhere is listed with its state and reason."""
    rows = json.loads(run("models", "stepfun", "--home", str(home), "--json").stdout)["models"]
    assert [(row["id"], row["state"], row["configured"]) for row in rows] == [("stepfun/step-3", "unresolved", True)]
    assert rows[0]["reason"]


def test_status_writes_nothing(run: Run, home: Path) -> None:
    """Contents and times of every file are what they were."""

    def tree() -> dict[str, tuple[int, bytes]]:
        return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in home.rglob("*") if path.is_file()}

    before = tree()
    status(run, home, "--all-agents")
    assert tree() == before


@pytest.fixture
def watching(tmp_path: Path, home: Path) -> Iterator[subprocess.Popen[str]]:
    """Run `watch --json` until it says that it watches."""
    user = tmp_path / "watcher"
    user.mkdir()
    process = subprocess.Popen(
        command("watch", "--json", "--all-agents", "--home", str(home)),
        env=environment(user),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert process.stdout is not None
            first = json.loads(process.stdout.readline())
            assert (first["event"], first["agents"]) == ("watching", ["main", "ops", "research"])
            yield process
        finally:
            process.kill()


def test_watch_tells_of_a_change_of_a_file(watching: subprocess.Popen[str], home: Path) -> None:
    """A profile that goes is a change for every agent that saw it, with cause, generation and latency."""
    path = home / "agents" / "main" / "agent" / "auth-profiles.json"
    store = json.loads(path.read_text())
    del store["profiles"]["zai:default"]
    path.with_suffix(".tmp").write_text(json.dumps(store))
    path.with_suffix(".tmp").replace(path)
    assert watching.stdout is not None
    changes = [json.loads(watching.stdout.readline()) for _ in range(3)]
    assert {(one["agent"], one["provider"], one["old"], one["new"]) for one in changes} == {
        (agent, "zai", "usable", "missing") for agent in ("main", "ops", "research")
    }
    assert all(one["generation"] > 0 and one["latency_ms"] >= 0 for one in changes)


def test_watch_tells_of_a_condition_as_json_too(watching: subprocess.Popen[str], home: Path) -> None:
    """A config that breaks, and is mended, is an event beside the changes."""
    path = home / "openclaw.json"
    text = path.read_text()
    path.write_text("{ agents: {")
    assert watching.stdout is not None
    broken = json.loads(watching.stdout.readline())
    assert (broken["event"], broken["type"], broken["status"]) == ("condition", "ConfigValid", False)
    assert "openclaw.json" in broken["message"]
    path.write_text(text)
    mended = json.loads(watching.stdout.readline())
    assert (mended["event"], mended["type"], mended["status"]) == ("condition", "ConfigValid", True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_watch_ends_cleanly_on_a_signal(watching: subprocess.Popen[str], number: signal.Signals) -> None:
    """Ctrl-C and SIGTERM are a normal end: exit status 0 and no traceback."""
    watching.send_signal(number)
    _, errors = watching.communicate(timeout=DEADLINE_S)
    assert watching.returncode == 0
    assert "Traceback" not in errors


def test_output_into_a_closed_pipe_ends_quietly(tmp_path: Path, home: Path) -> None:
    """Whoever read may go away: no traceback, exit status 0."""
    process = subprocess.Popen(
        command("models", "--all", "--json", "--home", str(home)),
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        errors = process.stderr.read()
        assert process.wait(DEADLINE_S) == 0
    assert "Traceback" not in errors
    assert "BrokenPipe" not in errors


def test_a_full_disk_is_one_line() -> None:
    """Output that can't be written is said on stderr, with a status of its own and no traceback."""
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run(
            [sys.executable, "-m", "openclaw_actors", "status", "--home", str(EXAMPLE)],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=DEADLINE_S,
        )
    assert done.returncode == 74
    assert "can't be written" in done.stderr
    assert "Traceback" not in done.stderr


def test_check_of_a_home_that_is_not_there_is_broken(run: Run, tmp_path: Path) -> None:
    """A typing error in a monitoring job doesn't stay green."""
    done = run("status", "--check", "--home", str(tmp_path / "nowhere"))
    assert done.returncode == 1
    assert "no such directory" in done.stderr


def test_check_looks_at_selected_models_of_unknown_providers(run: Run, tmp_path: Path) -> None:
    """A model that the config selects counts, whoever its provider is."""
    (tmp_path / "openclaw.json").write_text('{"agents": {"defaults": {"model": {"primary": "nobody/x"}}}}')
    done = run("status", "--check", "--home", str(tmp_path))
    assert done.returncode == 1
    assert "nobody" in done.stdout
