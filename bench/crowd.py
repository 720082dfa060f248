"""Homes of many agents of one sort, as many as wanted: each with its own store, or all on main's.

Each store has the same profiles with other secrets and accounts, so that no two stores share one; 40 profiles are about
18 kB. Every key is a dummy. The same description gives the same home, byte for byte.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import msgspec

from bench.homes import (
    FAR_FUTURE_MS,
    KEY_PROVIDERS,
    LOGIN_PROVIDERS,
    PAIRED_PROVIDERS,
    Profile,
    api_key,
    custom_provider,
    json_text,
    oauth,
    replace_file,
    token,
)

_MARK = "@@@@@@"
"""Stands where each agent's number goes into its secrets."""

_HOUSE = "house-gateway"

_EARLIER_MS = 1_760_000_000_000
"""October 2025, epoch milliseconds: before any run."""


class Crowd(msgspec.Struct, frozen=True, kw_only=True):
    """Describes such a home; `write_crowd` makes it."""

    path: str
    """Absolute."""
    agents: int
    profiles: int = 40
    """Per store: a tenth of them logins, a tenth of them pairs of token and login, the rest API keys."""
    sharing: bool = False
    """Whether all agents but main only inherit from main."""
    extra_models: int = 0
    """Models that the config adds to the catalogue."""
    varied: bool = False
    """Whether stores differ by more than their secrets: each lacks a tenth of the profiles, every expiry is another
    one, and half of the profiles were used, each at a time of its own."""
    seed: int = 1

    @property
    def agent_ids(self) -> tuple[str, ...]:
        """The agents, in config order; the first one is `main`."""
        return ("main", *(f"agent-{number:05d}" for number in range(1, self.agents)))

    @property
    def env(self) -> dict[str, str]:
        """The environment in which this home is looked at: nothing of this machine's counts."""
        return {"HOME": f"{self.path}/user"}

    @property
    def config_path(self) -> Path:
        """The config file."""
        return Path(self.path, "openclaw.json")

    def store_path(self, agent_id: str) -> Path:
        """Return the file with an agent's own profiles."""
        return Path(self.path, "agents", agent_id, "agent", "auth-profiles.json")

    def store_paths(self) -> list[str]:
        """Return the files of all stores."""
        ids = self.agent_ids[:1] if self.sharing else self.agent_ids
        return [str(self.store_path(agent_id)) for agent_id in ids]

    def profiles_of(self, agent_id: str) -> dict[str, Profile]:
        """Return the profiles of an agent's own store."""
        found: dict[str, Profile] = msgspec.json.decode(self.store_text(agent_id))["profiles"]
        return found

    def store_text(self, agent_id: str) -> str:
        """Return the text of an agent's own store."""
        return _marked(self.template(), 0 if agent_id == "main" else int(agent_id.rpartition("-")[2]))

    def template(self) -> str:
        """Return the text of a store with a mark in each secret."""
        return (
            json_text({"version": 1, "profiles": _profiles(self.profiles, random.Random(self.seed))})
            .replace('"dummy-', f'"dummy-{_MARK}-')
            .replace("@example.test", f"-{_MARK}@example.test")
        )

    def config(self, without: int = 0) -> dict[str, Any]:
        """Return the config, without the last few agents."""
        chance = random.Random(f"{self.seed}/config")
        house = custom_provider(_HOUSE, chance)
        house["models"] += [
            {"id": f"house-{number:04d}", "name": f"House {number}", "contextWindow": 128_000}
            for number in range(1, self.extra_models)
        ]
        entries: list[dict[str, Any]] = [{"id": agent_id} for agent_id in self.agent_ids[: self.agents - without]]
        entries[0]["default"] = True
        config: dict[str, Any] = {
            "agents": {
                "defaults": {"model": {"primary": "anthropic/claude-opus-4-5", "fallbacks": ["openai/gpt-5.5"]}},
                "list": entries,
            },
            "auth": {"order": {one: [f"{one}:work", f"{one}:personal"] for one in PAIRED_PROVIDERS}},
            "gateway": {"port": 18789},
        }
        if self.extra_models:
            config["models"] = {"mode": "merge", "providers": {_HOUSE: house}}
        return config


def write_crowd(crowd: Crowd) -> Crowd:
    """Make the home on disk and return it."""
    Path(crowd.path, "user").mkdir(parents=True, exist_ok=True)
    template = crowd.template()
    for number, agent_id in enumerate(crowd.agent_ids[: 1 if crowd.sharing else None]):
        path = crowd.store_path(agent_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        text = _marked(template, number)
        if crowd.varied:
            text, usage = _varied(text, random.Random(f"{crowd.seed}/{number}"))
            replace_file(path.with_name("auth-state.json"), usage)
        replace_file(path, text)
    replace_file(crowd.config_path, json_text(crowd.config()))
    return crowd


def _varied(text: str, chance: random.Random) -> tuple[str, str]:
    """Return a store's text with fewer profiles and other expiries, and its usage stats."""
    store = msgspec.json.decode(text)
    profiles: dict[str, Profile] = store["profiles"]
    for name in chance.sample(sorted(profiles), len(profiles) // 10):
        del profiles[name]
    for profile in profiles.values():
        if "expires" in profile:
            profile["expires"] = FAR_FUTURE_MS + chance.randrange(10**11)
    used = {
        name: {"lastUsed": _EARLIER_MS + chance.randrange(10**9)}
        for name in chance.sample(sorted(profiles), len(profiles) // 2)
    }
    return json_text(store), json_text({"version": 1, "usageStats": used})


def _marked(template: str, number: int) -> str:
    return template.replace(_MARK, f"{number:06x}")


def _profiles(count: int, chance: random.Random) -> dict[str, Profile]:
    pairs, logins = PAIRED_PROVIDERS[: count // 10], LOGIN_PROVIDERS[: count // 10]
    found: dict[str, Profile] = {}
    for one in pairs:
        found[f"{one}:work"] = token(one, chance)
        found[f"{one}:personal"] = oauth(one, chance)
    found |= {f"{one}:default": oauth(one, chance) for one in logins}
    more = (f"provider-{number:03d}" for number in range(1 << 20))
    for one in (*KEY_PROVIDERS, *(next(more) for _ in range(count))):
        if len(found) >= count:
            break
        found[f"{one}:default"] = api_key(one, chance)
    return found
