"""Homes that OpenClaw starts on: no two agents share a folder, each has a store of its own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import msgspec

from bench.homes import SMALLEST, AgentKind, Home, make_home
from bench.peers.protocol import PeerError

_CONFIG = "openclaw.json"

STORE = "auth-profiles.json"
"""The file of a store in an agent's folder."""


def distinct_home(path: Path, *, agents: int, seed: int) -> Home:
    """Describe a home whose agents all have their own store, `main` among them, of 40 profiles each.

    Args:
        path: Where it is to be.
        agents: How many, 1 at least.
        seed: Of everything in it.
    """
    whole = make_home(path, agents=SMALLEST + 2 * agents, seed=seed)
    kept = tuple(one for one in whole.agents if one.kind in (AgentKind.MAIN, AgentKind.OWN))[:agents]
    entries = [whole.agent_entry(agent) for agent in kept]
    entries[0]["default"] = True
    stores = {agent.store: whole.stores[agent.store] for agent in kept}
    for store, profiles in stores.items():
        for profile in profiles.values():
            if "email" in profile:  # an account of its own: OpenClaw drops a login that main has for the same account
                profile["email"] = profile["email"].replace("@", f"@{store}.")
    return msgspec.structs.replace(
        whole,
        agents=kept,
        stores=stores,
        config={**whole.config, "agents": {**whole.config["agents"], "list": entries}},
    )


def copy_home(home: Path, target: Path) -> dict[str, Any]:
    """Copy a written home to a folder that isn't there yet, for this user alone; returns its config.

    Raises:
        PeerError: There is no config that is plain JSON, or it leads out of the home.
    """
    config = read_config(home)
    outside = [entry["id"] for entry in agent_entries(config) if "agentDir" in entry]
    if outside:
        raise PeerError(f"agent {outside[0]} has a folder of its own choice; a copy would still use the original's.")
    shutil.copytree(home, target)
    target.chmod(0o700)
    (target / "user").mkdir(exist_ok=True)
    return config


def read_config(home: Path) -> dict[str, Any]:
    """Return the config of a written home.

    Raises:
        PeerError: There is none that is plain JSON.
    """
    path = home / _CONFIG
    try:
        config: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        raise PeerError(f"{path}: it isn't there or isn't plain JSON. Give the folder of a made home.") from None
    return config


def write_config(home: Path, config: dict[str, Any]) -> None:
    """Write a home's config."""
    (home / _CONFIG).write_text(json.dumps(config, indent=2) + "\n", "utf-8")


def agent_entries(config: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the agents that a config lists; a config without any has `main`."""
    entries: list[dict[str, Any]] = config.get("agents", {}).get("list", [])
    return entries or [{"id": "main"}]


def main_profiles(home: Path) -> dict[str, dict[str, Any]]:
    """Return the profiles of a written home's main store.

    Raises:
        PeerError: There is no such store.
    """
    path = home / "agents" / "main" / "agent" / STORE
    try:
        found: dict[str, dict[str, Any]] = json.loads(path.read_text("utf-8"))["profiles"]
    except (OSError, ValueError, KeyError):
        raise PeerError(f"{path}: it isn't there or isn't a store. Give the folder of a made home.") from None
    return found
