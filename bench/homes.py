"""Homes made of a seed: the same seed gives the same home, byte for byte. Every key in them is a dummy.

A store holds 40 profiles of 36 providers in about 18 kB, as homes of some age do. Agents come in the kinds that there
are: `main`, agents with a store of their own, agents that only inherit from main, and two that share one folder.
"""

from __future__ import annotations

import enum
import json
import os
import random
import string
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

FAR_FUTURE_MS = 4_102_444_800_000
"""2100-01-01, epoch milliseconds: an expiry that no run sees."""

KEY_PROVIDERS = (
    *("groq", "mistral", "deepseek", "cerebras", "together", "fireworks", "xai", "nvidia", "venice", "chutes"),
    *("huggingface", "deepinfra", "arcee", "tencent-tokenhub", "exa", "tavily", "firecrawl", "perplexity"),
    *("zai", "moonshot", "kimi", "qwen", "stepfun", "qianfan", "xiaomi", "elevenlabs", "deepgram", "voyage"),
)
"""Providers with one API key per store, `PROVIDER:default`. The first 18 share credentials with no other provider."""

LOGIN_PROVIDERS = ("github-copilot", "minimax", "fal", "runway")
"""Providers with one OAuth login per store, `PROVIDER:default`."""

PAIRED_PROVIDERS = ("openai", "anthropic", "google", "openrouter")
"""Providers with a token `PROVIDER:work` and a login `PROVIDER:personal` per store; the config says in which order they
are tried, so that using one of them doesn't change the answer.
"""

SMALLEST = 6
"""How many agents a home has at least: one of each kind, two of those that share, two with a store."""

Profile = dict[str, Any]
"""A stored credential, as OpenClaw writes it."""

_LETTERS = string.ascii_letters + string.digits


class AgentKind(enum.StrEnum):
    """Where an agent's credentials are."""

    MAIN = "main"
    """The store that all inherit from."""
    OWN = "own"
    """A store of its own over main's."""
    HEIR = "heir"
    """Only main's."""
    SHARED = "shared"
    """One folder for two agents. OpenClaw refuses that; the package serves them, and says so in `health()`."""


class Agent(msgspec.Struct, frozen=True):
    """One agent of a home."""

    id: str
    kind: AgentKind
    store: str
    """The name of its own store; of an heir, of one that isn't there."""


class Home(msgspec.Struct, frozen=True):
    """A home as it is before anybody edits it. Describes; `write` makes it."""

    path: Path
    agents: tuple[Agent, ...]
    """The agents that the config names."""
    spares: tuple[Agent, ...]
    """Agents that a run may add to the config: their folders are there."""
    stores: dict[str, dict[str, Profile]]
    """Profiles by the name of their store."""
    config: dict[str, Any]

    @property
    def env(self) -> dict[str, str]:
        """The environment in which this home is looked at: nothing of this machine's counts."""
        return {"HOME": str(self.path / "user")}

    @property
    def config_path(self) -> Path:
        """The config file."""
        return self.path / "openclaw.json"

    def folder(self, store: str) -> Path:
        """Return the agent dir that is a store."""
        return self.path / ("shared" if store == "shared" else f"agents/{store}") / "agent"

    def profiles_path(self, store: str) -> Path:
        """Return the file with a store's credentials."""
        return self.folder(store) / "auth-profiles.json"

    def state_path(self, store: str) -> Path:
        """Return the file with a store's usage stats."""
        return self.folder(store) / "auth-state.json"

    def agent_entry(self, agent: Agent) -> dict[str, Any]:
        """Return an agent's entry in the config."""
        entry: dict[str, Any] = {"id": agent.id, "name": agent.id.title()}
        if agent.kind is AgentKind.SHARED:
            entry["agentDir"] = str(self.folder(agent.store))
        return entry

    def write(self) -> None:
        """Make the home on disk."""
        (self.path / "user").mkdir(parents=True, exist_ok=True)
        for store, profiles in self.stores.items():
            self.folder(store).mkdir(parents=True, exist_ok=True)
            replace_file(self.profiles_path(store), json_text({"version": 1, "profiles": profiles}))
        replace_file(self.config_path, json_text(self.config))


def make_home(path: Path, *, agents: int, seed: int, spares: int = 0) -> Home:
    """Describe a home.

    Args:
        path: Where it is to be; becomes absolute.
        agents: How many agents the config names, `SMALLEST` at least.
        seed: Of everything in it.
        spares: How many further agents there are folders for; every second one is an heir.

    Raises:
        ValueError: Too few agents.
    """
    if agents < SMALLEST:
        raise ValueError(f"a home has {SMALLEST} agents at least, not {agents}")
    fixed = (AgentKind.MAIN, AgentKind.OWN, AgentKind.OWN, AgentKind.HEIR, AgentKind.SHARED, AgentKind.SHARED)
    kinds = [*fixed, *((AgentKind.OWN, AgentKind.HEIR)[at % 2] for at in range(agents - len(fixed)))]
    named = tuple(
        _agent(kind, str(kind) if kind is AgentKind.MAIN else f"{kind}-{at}") for at, kind in enumerate(kinds)
    )
    extra = tuple(_agent((AgentKind.OWN, AgentKind.HEIR)[at % 2], f"guest-{at + 1}") for at in range(spares))
    stores = dict.fromkeys(agent.store for agent in (*named, *extra) if agent.kind is not AgentKind.HEIR)
    home = Home(
        path=path.absolute(),
        agents=named,
        spares=extra,
        stores={store: _profiles(random.Random(f"{seed}/{store}")) for store in stores},
        config={},
    )
    home.config.update(_config(home, random.Random(f"{seed}/config")))
    return home


def dummy(provider: str, chance: random.Random, length: int = 96) -> str:
    """Return a key that opens nothing, and says so."""
    return f"dummy-{provider}-{''.join(chance.choices(_LETTERS, k=length))}"


def api_key(provider: str, chance: random.Random) -> Profile:
    """Return a stored API key."""
    return {
        "type": "api_key",
        "provider": provider,
        "key": dummy(provider, chance),
        "displayName": f"{provider} {chance.choice(('team', 'lab', 'billing', 'trial'))}",
        "metadata": {"addedBy": "openclaw models auth login", "workspace": "".join(chance.choices(_LETTERS, k=24))},
    }


def token(provider: str, chance: random.Random, expires_ms: int = FAR_FUTURE_MS) -> Profile:
    """Return a stored token."""
    return {
        "type": "token",
        "provider": provider,
        "token": dummy(provider, chance),
        "expires": expires_ms,
        "email": f"{provider}@example.test",
    }


def oauth(provider: str, chance: random.Random, expires_ms: int = FAR_FUTURE_MS) -> Profile:
    """Return a stored login with access and refresh token."""
    return {
        "type": "oauth",
        "provider": provider,
        "access": dummy(provider, chance, 520),
        "refresh": dummy(provider, chance, 72),
        "expires": expires_ms,
        "email": f"{provider}@example.test",
    }


def json_text(document: Mapping[str, Any]) -> str:
    """Return a document as OpenClaw writes it: indented by two, with a final newline."""
    return json.dumps(document, indent=2) + "\n"


def replace_file(path: Path, text: str) -> None:
    """Write a file as OpenClaw does: a temporary file beside it, for its user alone, moved over the old one."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(temporary, path)


def overwrite_file(path: Path, text: str) -> None:
    """Write a file in place, as other programs do: it is empty for a moment, then half written, then whole."""
    half = len(text) // 2
    with open(path, "w", encoding="utf-8") as file:
        file.write(text[:half])
        file.flush()
        file.write(text[half:])


def _agent(kind: AgentKind, name: str) -> Agent:
    return Agent(id=name, kind=kind, store="shared" if kind is AgentKind.SHARED else name)


def _profiles(chance: random.Random) -> dict[str, Profile]:
    found: dict[str, Profile] = {f"{one}:default": api_key(one, chance) for one in KEY_PROVIDERS}
    found |= {f"{one}:default": oauth(one, chance) for one in LOGIN_PROVIDERS}
    for one in PAIRED_PROVIDERS:
        found[f"{one}:work"] = token(one, chance)
        found[f"{one}:personal"] = oauth(one, chance)
    return found


def _config(home: Home, chance: random.Random) -> dict[str, Any]:
    entries = [home.agent_entry(agent) for agent in home.agents]
    entries[0]["default"] = True
    return {
        "agents": {
            "defaults": {"model": {"primary": "anthropic/claude-opus-4-5", "fallbacks": ["openai/gpt-5.5"]}},
            "list": entries,
        },
        "auth": {"order": {one: [f"{one}:work", f"{one}:personal"] for one in PAIRED_PROVIDERS}},
        "gateway": {"port": 18789},
        "models": {"mode": "merge", "providers": {"house-gateway": custom_provider("house-gateway", chance)}},
    }


def custom_provider(name: str, chance: random.Random) -> dict[str, Any]:
    """Return the config of a provider that OpenClaw doesn't know, with a key."""
    return {
        "baseUrl": f"https://{name}.example/v1",
        "api": "openai-completions",
        "apiKey": dummy(name, chance, 40),
        "models": [{"id": f"{name}-large", "name": f"{name} large", "contextWindow": 200_000, "input": ["text"]}],
    }
