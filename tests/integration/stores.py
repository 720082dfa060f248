"""A store that the usage writer's tests write into."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from openclaw_actors.home.stores.windows import Windows

KEY = "sk-canary"
ID = "openai:default"


def make_store(folder: Path) -> Path:
    """Make an agent dir with three profiles and return it."""
    directory = folder / "agents" / "main" / "agent"
    directory.mkdir(parents=True)
    entries = {
        f"{p}:default": {"type": "api_key", "provider": p, "key": KEY, "x": 1} for p in ("openai", "groq", "zai")
    }
    (directory / "auth-profiles.json").write_text(json.dumps({"version": 1, "profiles": entries, "mine": [1]}))
    return directory


def state_of(agent: Path) -> dict[str, Any]:
    """Return what an agent dir's auth-state.json says."""
    content = json.loads((agent / "auth-state.json").read_text())
    assert isinstance(content, dict)
    return content


def bump(windows: Windows | None) -> Windows:
    """Count one more error."""
    current = windows or Windows()
    return msgspec.structs.replace(current, error_count=(current.error_count or 0) + 1)
