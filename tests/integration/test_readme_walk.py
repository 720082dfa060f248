"""The README's walk over HTTP, pasted into a shell as a newcomer would."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


@pytest.mark.skipif(not (shutil.which("bash") and shutil.which("curl")), reason="bash or curl isn't installed")
def test_the_walk_says_what_its_comments_say(tmp_path: Path) -> None:
    """Only port and places are others here, so that it can run beside anything."""
    section = (ROOT / "README.md").read_text("utf-8").partition("### Over HTTP")[2]
    walk = re.search(r"```\n(.*?)```", section, re.DOTALL)
    assert walk is not None
    port = free_port()
    text = walk[1].replace("18790", str(port)).replace("/tmp/walk", str(tmp_path / "walk"))
    text = text.replace("openclaw-actors serve", f"{sys.executable} -m openclaw_actors serve --port {port}")
    text = text.replace("\\\n", " ")
    text = re.sub(r"(?m)^curl (.*?)( +#.*)?$", r"curl \1; echo; echo ----", text)
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("OPENCLAW", "XDG"))}
    env = {**bare, "HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}
    done = subprocess.run(
        ["bash", "-c", f"set -m\n{text}wait"], cwd=ROOT, env=env, capture_output=True, text=True, timeout=50
    )
    assert [line for line in done.stderr.splitlines() if "Terminated" not in line] == [], done.stderr
    said = done.stdout.partition("\n{")[1] + done.stdout.partition("\n{")[2]
    openai, page, chat, groq, refused, research, again, changes, metrics = said.strip().split("----")[:9]
    assert {model["owned_by"] for model in json.loads(openai)["data"]} >= {"groq", "zai"}
    assert len(json.loads(page)["models"]) == 5
    assert "Providers:" in chat
    assert json.loads(groq)["state"] == "cooldown"
    assert json.loads(refused)["answered"]
    assert json.loads(research)["state"] == "rejected"
    assert json.loads(again)["answered"]
    assert {(one["old"], one["new"]) for one in json.loads(changes)["changes"]} == {
        ("usable", "rejected"),
        ("rejected", "usable"),
    }
    assert "openclaw_actors_failures_reported_total 1.0" in metrics
