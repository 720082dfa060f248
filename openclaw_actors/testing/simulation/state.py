"""The state of a scripted world: what is on disk, what is expected, and who is asked."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import msgspec

from openclaw_actors.auth.binding import key_of
from openclaw_actors.auth.ledger import LedgerKey
from openclaw_actors.auth.reports import find_reported
from openclaw_actors.ids import Generation
from openclaw_actors.settings import Settings
from openclaw_actors.testing.crashes import Crash
from openclaw_actors.testing.home import HomeFiles, api_key
from openclaw_actors.testing.simulation.coverage import Coverage
from openclaw_actors.testing.supervisor import SteppedSupervisor

AGENTS = ("main", "ops", "lab")
PROVIDERS = ("openai", "zai", "groq")
PROFILES = ("openai:work", "zai:work", "groq:work")
CUSTOM = "acme"
SHOWN = (*PROVIDERS, CUSTOM)
"""The providers whose answers are followed."""
REPORTED = (*PROFILES, f"config:{CUSTOM}")
_SETTINGS = Settings(sweep_slice_checks=2, resync_interval_s=1e9, trigger_loop_sweeps=2, trigger_loop_interval_s=5.0)
"""As in production, but sweeps let others run after two checks, a resync comes only when the script says so, and a
source that changes for nothing is noticed soon.
"""


class _Supervisor(SteppedSupervisor):
    """One whose blocking writes don't wait: what they ask for is answered when the script gets there."""

    def _wait_answered(self, generation: Generation) -> None:
        pass


class WorldState:
    """Three agents with stores, one of whom all inherit from."""

    def __init__(self, folder: Path) -> None:
        self.files = HomeFiles(folder)
        self.shared_dir = str(folder / "shared")
        self.profiles: dict[str, dict[str, dict[str, object]] | None] = {}
        self.configured: list[Any] = ["main", "ops"]
        self.providers: dict[str, dict[str, object]] = {}
        self.order: list[str] = []
        self.torn: set[Path] = set()
        """Files that are broken at the moment."""
        self.is_deaf = False
        """Whether file events get lost at the moment."""
        self.lost = False
        """Whether any were lost, or came to nothing, since everything was last looked at."""
        self._used_at = float("-inf")
        """When another process used a credential, monotonic seconds."""
        self._accepted_at: dict[str, float] = {}
        """When each profile was last reported to work, monotonic seconds."""
        self.refused: dict[tuple[str, str, str], tuple[LedgerKey | None, float]] = {}
        """(agent, provider, profile): the secret that must not count before so late (monotonic seconds), unless
        something says so.
        """
        self.failures: Counter[str] = Counter()
        """How often each profile failed, here and elsewhere, whoever's it was."""
        self.moved: set[str] = set()
        """Agents that the config has had elsewhere at times: what is known of a store is forgotten with its last agent.
        """
        self.cleared: set[str] = set()
        """Profiles whose usage somebody else has replaced, or whose reports may have got lost with an actor."""
        self.coverage = Coverage()
        self._next_crash: tuple[str, Crash] | None = None
        self.trace: list[str] = []
        """What was done, for people."""
        for agent in AGENTS:
            self.profiles[agent] = {"openai__work": api_key("openai", agent)} if agent != "lab" else None
            self._write_store(agent)
        self._write_config()
        self.supervisor = _Supervisor(self.files, settings=_SETTINGS, seed=0, strict=True)
        self.files.on_write = self._happened

    def _forget_refused(
        self, *, agent: str | None = None, provider: str | None = None, profile: str | None = None
    ) -> None:
        """Expect nothing any more of what was refused: newer evidence is on its way."""
        for key in list(self.refused):
            if all(wanted in (None, of) for wanted, of in zip((agent, provider, profile), key, strict=True)):
                del self.refused[key]

    def secret(self, agent: str, profile: str) -> LedgerKey | None:
        """Return what stands for the very secret that an agent's published answers were folded from."""
        auth = self.supervisor.snapshot(agent)
        found = find_reported(auth.table, auth.view, profile)
        return key_of(found.candidate) if found is not None else None

    def _source(self, which: int) -> str:
        stores = [f"{kind}:{self.files.agent_dir(agent)}" for agent in AGENTS for kind in ("store", "usage")]
        known = ("home", "cli:codex", "watch", "resync", *stores)
        return known[which % len(known)]

    def _named(self, source: str) -> str:
        return source.replace(str(self.files.path.parent), "…")

    def _happened(self, path: Path) -> None:
        """Tell of a write, unless events get lost."""
        if self.is_deaf:
            self.lost = True
        else:
            self.supervisor.watcher.happened(path)

    def _tear(self, path: Path, text: str) -> None:
        self.files.replace(path, text)
        self.torn.add(path)

    def _rewrite(self, path: Path) -> None:
        for agent in AGENTS:
            if path == self.files.profiles_path(agent):
                self._write_store(agent)
        if path == self.files.config_path:
            self._write_config()
        elif path in self.torn:
            self.files.remove(path)  # of an agent dir that nobody has any more
            self.torn.discard(path)

    def _write_store(self, agent: str) -> None:
        profiles, path = self.profiles[agent], self.files.profiles_path(agent)
        self.torn.discard(path)
        if profiles is None:
            self.files.remove(path)
        else:
            self.files.write_profiles(agent, **profiles)

    def _look_at_stores(self) -> None:
        """Take in what a logout has left in the stores."""
        for agent in AGENTS:
            path = self.files.profiles_path(agent)
            try:
                there = msgspec.json.decode(path.read_bytes())["profiles"]
            except (OSError, msgspec.DecodeError):
                continue
            mine = self.profiles[agent]
            if mine is not None:
                self.profiles[agent] = {name: one for name, one in mine.items() if name.replace("__", ":") in there}

    def _write_config(self) -> None:
        self.torn.discard(self.files.config_path)
        self.files.config = {
            "models": {"providers": self.providers},
            "auth": {"order": {"openai": self.order} if self.order else {}},
        }
        self.files.write_agents(*self.configured)
