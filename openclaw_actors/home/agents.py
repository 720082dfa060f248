"""Which agents a config has, and where each one lives (formats 2; OpenClaw 2026.5.22, agent-scope-config.ts,
session-key.ts).
"""

from __future__ import annotations

import os
import re

from openclaw_actors.home.facts import AgentConfig, Finding
from openclaw_actors.home.paths import HomeLocation, Lookup, absolute, default_workspace
from openclaw_actors.ids import AgentId
from openclaw_actors.reading.pace import give_way

MAIN = AgentId("main")
"""The agent that every other one inherits credentials from, and the only one of a config that lists none."""

_VALID = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}\Z", re.IGNORECASE | re.ASCII)
_RUN = re.compile(r"[^a-z0-9_-]+")
_DEFAULT_MODEL_KEYS = (
    "model",
    "imageModel",
    "imageGenerationModel",
    "videoGenerationModel",
    "musicGenerationModel",
    "pdfModel",
)


def normalise_agent_id(text: object) -> AgentId:
    """Return the normalised form of any agent id; blank, or nothing usable, is `main`."""
    trimmed = text.strip() if isinstance(text, str) else ""
    if not trimmed:
        return MAIN
    if _VALID.match(trimmed):
        return AgentId(trimmed.lower())
    return AgentId(_RUN.sub("-", trimmed.lower()).strip("-")[:64] or MAIN)


def agent_entries(document: dict[str, object]) -> list[dict[str, object]]:
    """Return the configured agents: objects of `agents.list`, or (newer configs) the records of `agents.entries`."""
    agents = document.get("agents")
    if not isinstance(agents, dict):
        return []
    listed = agents.get("list")
    if isinstance(listed, list):
        return [entry for entry in listed if isinstance(entry, dict)]
    records = agents.get("entries")
    if isinstance(records, dict):
        return [{**entry, "id": key} for key, entry in records.items() if isinstance(entry, dict)]
    return []


def agent_defaults(document: dict[str, object]) -> dict[str, object]:
    """Return `agents.defaults`, or an empty object."""
    agents = document.get("agents")
    defaults = agents.get("defaults") if isinstance(agents, dict) else None
    return defaults if isinstance(defaults, dict) else {}


def default_agent(entries: list[dict[str, object]]) -> AgentId:
    """Return the default agent: the first marked `default`, else the first, else `main`."""
    if not entries:
        return MAIN
    return normalise_agent_id(next((entry for entry in entries if _truthy(entry.get("default"))), entries[0]).get("id"))


def agent_dir(agent: AgentId, entry: dict[str, object], location: HomeLocation) -> str:
    """Return where an agent's store lives: its own `agentDir`, else `<state>/agents/<id>/agent`."""
    own = _text(entry.get("agentDir"))
    return absolute(own, location.home) if own else os.path.join(location.state_dir, "agents", agent, "agent")


def workspace_dir(
    agent: AgentId,
    entry: dict[str, object],
    defaults: dict[str, object],
    *,
    is_default: bool,
    location: HomeLocation,
    env: Lookup,
) -> str:
    """Return an agent's workspace: its own, else one that follows from `agents.defaults.workspace` or the state dir."""
    own = _text(entry.get("workspace"))
    if own:
        return absolute(own, location.home)
    shared = _text(defaults.get("workspace"))
    if is_default:
        return absolute(shared, location.home) if shared else default_workspace(location, env)
    if shared:
        return os.path.join(absolute(shared, location.home), agent)
    return os.path.join(location.state_dir, f"workspace-{agent}")


def read_agents(
    document: dict[str, object], location: HomeLocation, env: Lookup, config_path: str
) -> tuple[tuple[AgentConfig, ...], AgentId, list[Finding]]:
    """Return the agents in config order, the default one, and what is wrong with them.

    The first entry of an id counts. Two agents with one agent dir are reported, not refused: OpenClaw itself would
    not start.
    """
    entries = agent_entries(document)
    defaults = agent_defaults(document)
    default = default_agent(entries)
    findings: list[Finding] = []
    if sum(_truthy(entry.get("default")) for entry in entries) > 1:
        findings.append(
            Finding(
                config_path,
                "Multiple agents marked default=true; using the first entry as default",
                "Mark one agent only.",
                "agents.list",
                "several-defaults",
            )
        )
    first: dict[AgentId, dict[str, object]] = {}
    for entry in entries:
        first.setdefault(normalise_agent_id(entry.get("id")), entry)
    owners: dict[str, AgentId] = {}
    agents = []
    for agent, entry in (first or {MAIN: {}}).items():
        give_way()
        folder = agent_dir(agent, entry, location)
        owner = owners.setdefault(folder, agent)
        if owner != agent:
            findings.append(
                Finding(
                    config_path,
                    f"agents {owner} and {agent} have the same agent dir {folder}; OpenClaw would refuse this config",
                    "Give each agent its own agentDir.",
                    "agents.list",
                    "duplicate-agent-dir",
                )
            )
        is_default = agent == default
        agents.append(
            AgentConfig(
                agent,
                folder,
                workspace_dir(agent, entry, defaults, is_default=is_default, location=location, env=env),
                is_default,
                _text(entry.get("name")),
                agent_model_refs(entry),
            )
        )
    return tuple(agents), default, findings


def agent_model_refs(entry: dict[str, object]) -> tuple[str, ...]:
    """Return the models that an agent's own entry selects: primary, fallbacks, then those of its sub-agents."""
    subagents = entry.get("subagents")
    refs = model_refs(entry.get("model"))
    if isinstance(subagents, dict):
        refs += model_refs(subagents.get("model"))
    return tuple(dict.fromkeys(refs))


def default_model_refs(defaults: dict[str, object]) -> tuple[str, ...]:
    """Return the models that `agents.defaults` selects: primary and fallbacks first, then those of images, sounds and
    sub-agents.
    """
    refs: list[str] = []
    for key in _DEFAULT_MODEL_KEYS:
        refs += model_refs(defaults.get(key))
    subagents = defaults.get("subagents")
    if isinstance(subagents, dict):
        refs += model_refs(subagents.get("model"))
    return tuple(dict.fromkeys(refs))


def model_refs(value: object) -> list[str]:
    """Return the references of one model setting: a text, or `{primary, fallbacks}`."""
    if isinstance(value, dict):
        fallbacks = value.get("fallbacks")
        values = [value.get("primary"), *(fallbacks if isinstance(fallbacks, list) else ())]
    else:
        values = [value]
    return [text for item in values if (text := _text(item))]


def _text(value: object) -> str:
    return value.replace("\0", "").strip() if isinstance(value, str) else ""


def _truthy(value: object) -> bool:
    # A JavaScript truth: an empty list or object counts as true there.
    return bool(value) or isinstance(value, (list, dict))
