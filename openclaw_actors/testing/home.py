"""A home on disk that a test writes: real files with stamps that always differ."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, final


def api_key(provider: str, name: str = "key", **fields: object) -> dict[str, object]:
    """Return a stored API key of a provider as `auth-profiles.json` has it; another name is another secret."""
    return {"type": "api_key", "provider": provider, "key": f"canary-{provider}-{name}-4f1c9a72d0", **fields}


def oauth(provider: str, name: str = "login", *, expires_ms: int, **fields: object) -> dict[str, object]:
    """Return a stored login of a provider with an access and a refresh token.

    Args:
        provider: Whose login.
        name: Another name is another secret.
        expires_ms: When the access token expires, epoch milliseconds.
        fields: More fields, or other values for these; None leaves one out.
    """
    login = {
        "type": "oauth",
        "provider": provider,
        "access": f"canary-{provider}-{name}-access-8d1e",
        "refresh": f"canary-{provider}-{name}-refresh-27ab",
        "expires": expires_ms,
        **fields,
    }
    return {key: value for key, value in login.items() if value is not None}


def custom(name: str = "acme", **fields: object) -> dict[str, object]:
    """Return a provider entry of the config with a key of its own and one model."""
    return {
        "baseUrl": f"https://{name}.test/v1",
        "apiKey": f"canary-{name}-71c09b2e44",
        "api": "openai-completions",
        "models": [{"id": f"{name}-1"}],
        **fields,
    }


@final
class HomeFiles:
    """A home in a folder, and a user's home beside it, where the logins of other programs are looked for.

    Every write gets a modification time of its own, so that no two versions of a file look alike, and one far in the
    past, so that no reader takes the file for one that may still be written.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.path = Path(folder) / "home"
        """The state directory."""
        self.user = Path(folder) / "user"
        """What `HOME` is."""
        self.config: dict[str, Any] = {}
        """What `write_config` writes."""
        self.on_write: Callable[[Path], object] | None = None
        """Called with each path that was written or removed; a stepped supervisor's watcher hears of it that way."""
        self._writes = 0
        self.path.mkdir(parents=True, exist_ok=True)
        self.user.mkdir(parents=True, exist_ok=True)

    @property
    def config_path(self) -> Path:
        """The config file."""
        return self.path / "openclaw.json"

    def agent_dir(self, agent: str = "main") -> Path:
        """Return where an agent's store is."""
        for entry in self.config.get("agents", {}).get("list", []):
            if entry["id"] == agent and "agentDir" in entry:
                return Path(entry["agentDir"])
        return self.path / "agents" / agent / "agent"

    def profiles_path(self, agent: str = "main") -> Path:
        """Return the file with an agent's credentials."""
        return self.agent_dir(agent) / "auth-profiles.json"

    def usage_path(self, agent: str = "main") -> Path:
        """Return the file with the usage of an agent's credentials."""
        return self.agent_dir(agent) / "auth-state.json"

    def write_agents(self, *agents: str | Mapping[str, object]) -> None:
        """Configure these agents, by id or by entry."""
        self.config["agents"] = {"list": [{"id": one} if isinstance(one, str) else dict(one) for one in agents]}
        self.write_config()

    def write_providers(self, **providers: Mapping[str, object]) -> None:
        """Configure these providers."""
        self.config["models"] = {"providers": providers}
        self.write_config()

    def write_config(self, **parts: object) -> None:
        """Write the config with some of its top-level parts replaced."""
        self.config.update(parts)
        self.replace(self.config_path, json.dumps(self.config))

    def write_profiles(self, agent: str = "main", /, **profiles: object) -> None:
        """Replace an agent's credentials; `openai__work` stands for the profile id `openai:work`."""
        named = {name.replace("__", ":"): profile for name, profile in profiles.items()}
        self.replace(self.profiles_path(agent), json.dumps({"version": 1, "profiles": named}))

    def write_usage(self, agent: str = "main", /, **stats: object) -> None:
        """Replace the usage stats of an agent's credentials."""
        named = {name.replace("__", ":"): one for name, one in stats.items()}
        self.replace(self.usage_path(agent), json.dumps({"version": 1, "usageStats": named}))

    def replace(self, path: Path, text: str) -> None:
        """Write a file as a whole; its stamp differs from every earlier one."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o600)
        self._writes += 1
        os.utime(path, ns=(self._writes * 1_000_000_000, self._writes * 1_000_000_000))
        self._written(path)

    def remove(self, path: Path) -> None:
        """Remove a file, if it is there."""
        path.unlink(missing_ok=True)
        self._written(path)

    def _written(self, path: Path) -> None:
        if self.on_write is not None:
            self.on_write(path)
