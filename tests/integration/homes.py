"""Builders of OpenClaw homes in a temporary folder. Every secret in them holds the canary marker."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from openclaw_actors import AuthSupervisor

CANARY = "canary-"
"""Part of every secret here; `tests/conftest.py` fails a test whose output or log lines hold it."""

DATABASE = "openclaw-agent.sqlite"
_POLL_S = 0.005


def secret(name: str) -> str:
    """Return a dummy secret that is recognised wherever it shows up."""
    return f"{CANARY}{name}-4f1c9a72d0"


def api_key(provider: str, name: str = "key", **fields: object) -> dict[str, object]:
    """Return a stored API key."""
    return {"type": "api_key", "provider": provider, "key": secret(f"{provider}-{name}"), **fields}


def token(provider: str, *, expires_in_s: float | None = None, name: str = "token") -> dict[str, object]:
    """Return a stored token, with an expiry if one is asked for."""
    expires = {} if expires_in_s is None else {"expires": now_ms(expires_in_s)}
    return {"type": "token", "provider": provider, "token": secret(f"{provider}-{name}"), **expires}


def oauth(provider: str, *, expires_in_s: float = 86_400.0, name: str = "oauth") -> dict[str, object]:
    """Return a stored login with access and refresh token."""
    return {
        "type": "oauth",
        "provider": provider,
        "access": secret(f"{provider}-{name}-access"),
        "refresh": secret(f"{provider}-{name}-refresh"),
        "expires": now_ms(expires_in_s),
    }


def now_ms(plus_s: float = 0.0) -> int:
    """Return the epoch time in milliseconds, shifted by some seconds."""
    return int((time.time() + plus_s) * 1000)


def profiles_json(profiles: Mapping[str, object]) -> str:
    """Return the text of an `auth-profiles.json`."""
    return json.dumps({"version": 1, "profiles": dict(profiles)}, indent=2) + "\n"


def replace_text(path: Path, text: str) -> None:
    """Write a file the way OpenClaw does: a temporary file, moved over the old one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{uuid.uuid4()}.tmp")
    temporary.write_text(text)
    os.replace(temporary, path)


def write_secret(path: Path, text: str) -> None:
    """Replace a secret file, closed to everybody else, as OpenClaw demands of it."""
    temporary = path.with_name(f"{path.name}.{uuid.uuid4()}.tmp")
    temporary.touch(0o600)
    temporary.write_text(text)
    os.replace(temporary, path)


def replace_json(path: Path, document: object) -> None:
    """Replace a JSON file as a whole."""
    replace_text(path, json.dumps(document, indent=2) + "\n")


def eventually(predicate: Callable[[], object], timeout_s: float = 8.0) -> bool:
    """Wait until something holds and return whether it came to hold in time."""
    pause, until = threading.Event(), time.monotonic() + timeout_s
    while not predicate():
        if time.monotonic() > until:
            return False
        pause.wait(_POLL_S)
    return True


class Supervise(Protocol):
    """Starts a supervisor on a home, and by default waits until it is warm."""

    def __call__(self, home: Home, *, warm: bool = True, **settings: Any) -> AuthSupervisor: ...


class Home:
    """A home on disk, a user's folder beside it, and the environment that leads there."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "home"
        self.user = folder / "user"
        self.path.mkdir()
        self.user.mkdir()
        self.env: dict[str, str] = {"HOME": str(self.user)}
        self.config: dict[str, Any] = {"agents": {"list": [{"id": "main"}]}}

    @property
    def config_path(self) -> Path:
        """The config file."""
        return self.path / "openclaw.json"

    @property
    def dotenv_path(self) -> Path:
        """The state dir's dotenv file."""
        return self.path / ".env"

    def agent_dir(self, agent: str = "main") -> Path:
        """The default agent dir of an agent."""
        return self.path / "agents" / agent / "agent"

    def profiles_path(self, agent: str = "main") -> Path:
        """The credentials of an agent's JSON store."""
        return self.agent_dir(agent) / "auth-profiles.json"

    def state_path(self, agent: str = "main") -> Path:
        """The usage and order of an agent's JSON store."""
        return self.agent_dir(agent) / "auth-state.json"

    def agents(self, *ids: str) -> Home:
        """Configure these agents, the first one as default; `main` is always there for inheritance."""
        self.config["agents"] = {"list": [{"id": one} for one in ids]}
        return self

    def write_config(self, **parts: object) -> Home:
        """Write the config with some of its top-level parts replaced."""
        self.config.update(parts)
        replace_json(self.config_path, self.config)
        return self

    def write_profiles(self, agent: str = "main", /, **profiles: object) -> Home:
        """Replace an agent's credentials; `openai__work` stands for the profile id `openai:work`."""
        replace_text(self.profiles_path(agent), profiles_json({k.replace("__", ":"): v for k, v in profiles.items()}))
        return self

    def write_usage(self, stats: Mapping[str, object], agent: str = "main") -> Home:
        """Replace an agent's usage stats."""
        replace_json(self.state_path(agent), {"version": 1, "usageStats": dict(stats)})
        return self

    def usage(self, agent: str = "main") -> dict[str, Any]:
        """Return the usage stats on disk; empty when there are none."""
        try:
            found: dict[str, Any] = json.loads(self.state_path(agent).read_text()).get("usageStats", {})
        except FileNotFoundError:
            return {}
        return found


class SqliteOwner:
    """The owner of an agent's SQLite store: keeps it open in WAL mode, as OpenClaw does, and commits into it."""

    def __init__(self, agent_dir: Path) -> None:
        agent_dir.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(agent_dir / DATABASE, isolation_level=None)
        self._connection.executescript(
            """
            PRAGMA journal_mode=WAL;
            PRAGMA wal_autocheckpoint=0;
            CREATE TABLE IF NOT EXISTS auth_profile_store(
                store_key TEXT PRIMARY KEY, store_json TEXT NOT NULL, updated_at INTEGER NOT NULL) STRICT;
            CREATE TABLE IF NOT EXISTS auth_profile_state(
                state_key TEXT PRIMARY KEY, state_json TEXT NOT NULL, updated_at INTEGER NOT NULL) STRICT;
            """
        )

    def write(self, profiles: Mapping[str, object]) -> None:
        """Commit new credentials."""
        self._put("auth_profile_store", profiles_json(profiles))

    def write_usage(self, stats: Mapping[str, object]) -> None:
        """Commit new usage stats."""
        self._put("auth_profile_state", json.dumps({"version": 1, "usageStats": dict(stats)}))

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    def _put(self, table: str, text: str) -> None:
        with closing(self._connection.cursor()) as cursor:
            cursor.execute(f"INSERT OR REPLACE INTO {table} VALUES ('primary', ?, ?)", (text, now_ms()))  # noqa: S608  # our own table names


def write_from_another_process(code: str, *arguments: object) -> None:
    """Run code in another process, with this module's names and `sys.argv[1:]` as given, and wait for its end."""
    script = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\nfrom homes import *\n{code}"
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)], capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode == 0, done.stderr
