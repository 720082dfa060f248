"""What happens to files, and what the file watching sees of it."""

from __future__ import annotations

import json
import os

import msgspec

from openclaw_actors.messages import (
    ResyncDue,
    SourcesTouched,
)
from openclaw_actors.testing.home import api_key, custom
from openclaw_actors.testing.simulation.actor_acts import ActorActs
from openclaw_actors.testing.simulation.state import AGENTS, CUSTOM, PROVIDERS

_LOGIN = '{"auth_mode":"chatgpt","tokens":{"access_token":"canary-a","refresh_token":"canary-r","id_token":"canary-i"}}'
_MANY = tuple(f"x{number}" for number in range(18))
"""More agents than have their answers patched at once."""


class FileActs(ActorActs):
    """Edits, torn files, and events that come or get lost."""

    def _do_edit_store(self, agent: int, provider: int, key: int) -> str:
        who, what = AGENTS[agent % 3], PROVIDERS[provider % 3]
        profiles = dict(self.profiles[who] or {})
        profiles.pop(f"{what}__work", None)
        if key % 4:
            profiles[f"{what}__work"] = api_key(what, f"{who}{key % 4}")
        self.profiles[who] = profiles
        self._forget_refused(provider=what)
        self._write_store(who)
        return f"{who}'s store {'has another' if key % 4 else 'loses its'} key of {what}"

    def _do_remove_store(self, agent: int, _b: int, _c: int) -> str:
        who = AGENTS[agent % 3]
        self.profiles[who] = None
        self._write_store(who)
        return f"{who}'s store is removed"

    def _do_tear_store(self, agent: int, _b: int, _c: int) -> str:
        who = AGENTS[agent % 3]
        self._tear(self.files.profiles_path(who), '{"profiles": {"op')
        return f"{who}'s store is torn"

    def _do_mend_store(self, agent: int, _b: int, _c: int) -> str:
        who = AGENTS[agent % 3]
        self._write_store(who)
        return f"{who}'s store is written again"

    def _do_edit_store_unseen(self, agent: int, key: int, _c: int) -> str:
        """Replace the keys under the very stamp that the file had, as a copy that keeps times does."""
        who = AGENTS[agent % 3]
        path, profiles = self.files.profiles_path(who), self.profiles[who]
        if not profiles or not path.exists():
            return ""
        before = path.stat()
        fresh = {name: api_key(str(one["provider"]), f"{who}{key % 4}") for name, one in profiles.items()}
        self.profiles[who] = fresh
        self.refused.clear()
        hears, self.files.on_write = self.files.on_write, None
        self._write_store(who)
        self.files.on_write = hears
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        self._happened(path)
        return f"{who}'s keys are others, under the old stamp"

    def _do_use_elsewhere(self, agent: int, provider: int, how: int) -> str:
        """Do what another process does that used a credential: successfully, or not."""
        who, what, way = AGENTS[agent % 3], PROVIDERS[provider % 3], how % 6
        now_ms = int(self.supervisor.clock.epoch() * 1000)
        stats: dict[str, object] = {"lastUsed": now_ms - 10 - way}
        if way > 2:
            reason, until = ("auth", "rate_limit", "billing")[way - 3], now_ms + 30_000
            self.failures[f"{what}:work"] += 1
            lane = "disabled" if reason == "billing" else "cooldown"
            stats = {"lastFailureAt": now_ms - 10, "errorCount": 1, f"{lane}Until": until, f"{lane}Reason": reason}
        self._forget_refused(profile=f"{what}:work")
        self.cleared.add(f"{what}:work")
        self._used_at = self.supervisor.clock.monotonic()
        path = self.files.usage_path(who)
        try:
            document = msgspec.json.decode(path.read_bytes())
        except (OSError, msgspec.DecodeError):
            document = {"version": 1}
        document.setdefault("usageStats", {})[f"{what}:work"] = stats
        self.files.replace(path, json.dumps(document))
        return f"another process used {what} in {who}'s store ({'failed' if way > 2 else 'well'})"

    def _do_edit_order(self, order: int, _b: int, _c: int) -> str:
        self.order = [["openai:work"], [], ["openai:other", "openai:work"]][order % 3]
        self._write_config()
        return "the config's order is edited"

    def _do_edit_provider(self, key: int, _b: int, _c: int) -> str:
        self._forget_refused(provider=CUSTOM)
        self.providers = {CUSTOM: {**custom(), "apiKey": f"canary-{CUSTOM}-{key % 3}-000"}} if key % 3 else {}
        self._write_config()
        return f"the config {'has' if key % 3 else 'loses'} a provider of its own"

    def _do_edit_agents(self, which: int, share: int, _c: int) -> str:
        self.configured = ["main"]
        if which & 1:
            self.configured.append("ops")
        if which & 2:
            self.configured.append({"id": "lab", "agentDir": self.shared_dir} if share % 2 else "lab")
        if share % 16 == 0:
            self.configured.extend(_MANY)
        self.refused.clear()
        self.moved.add("lab")
        self._write_config()
        names = [one if isinstance(one, str) else f"{one['id']} elsewhere" for one in self.configured]
        return f"the config has the agents {' '.join(names)}"

    def _do_tear_config(self, _a: int, _b: int, _c: int) -> str:
        self._tear(self.files.config_path, "{ agents: {")
        return "the config is torn"

    def _do_mend_config(self, _a: int, _b: int, _c: int) -> str:
        self._write_config()
        return "the config is written again"

    def _do_edit_login(self, there: int, _b: int, _c: int) -> str:
        path = self.files.user / ".codex" / "auth.json"
        if there % 2:
            self.files.replace(path, _LOGIN)
        elif path.exists():
            self.files.remove(path)
        else:
            return ""
        return f"another program {'logs in' if there % 2 else 'logs out'}"

    # ------------------------------------------------------------------------------------------------ the file events

    def _do_churn(self, agent: int, _b: int, _c: int) -> str:
        """Let a program rewrite a store again and again, with keys that change no answer."""
        who = AGENTS[agent % 3]
        if not self.profiles[who]:
            return ""
        self.refused.clear()
        for key in range(5):
            self.profiles[who] = {
                name: api_key(str(one["provider"]), f"{who}{key % 3}")
                for name, one in (self.profiles[who] or {}).items()
            }
            self._write_store(who)
            self._do_advance(3, 0, 0)
        return f"{who}'s store is rewritten all the time"

    def _do_touch(self, which: int, times: int, _c: int) -> str:
        source = self._source(which)
        for _ in range(1 + times % 3):
            self.supervisor.runtime.warmer.tell(
                SourcesTouched(sources=(source,), cause_at=self.supervisor.clock.monotonic())
            )
        return f"{self._named(source)} is touched"

    def _do_lose_events(self, _a: int, _b: int, _c: int) -> str:
        self.is_deaf = not self.is_deaf
        return f"file events {'get lost' if self.is_deaf else 'come'} from now on"

    def _do_overflow(self, agent: int, provider: int, key: int) -> str:
        """Let the kernel's queue overflow: an edit of which no event tells, and then only that something was lost."""
        hears, self.files.on_write = self.files.on_write, None
        said = self._do_edit_store(agent, provider, key)
        self.files.on_write = hears
        if not self.supervisor.watcher.overflow():
            self.lost = True
        return f"{said}, of which the overflowing kernel only says that something was lost"

    def _do_degrade(self, which: int, _b: int, _c: int) -> str:
        watcher = self.supervisor.watcher
        if which % 2:
            return "native watching is possible again" if watcher.recover() else ""
        return "native watching isn't possible" if watcher.degrade() else ""

    def _do_refuse_watches(self, _a: int, _b: int, _c: int) -> str:
        watcher = self.supervisor.watcher
        watcher.refuses = "" if watcher.refuses else "No space left on device"
        return f"watches {'can not' if watcher.refuses else 'can'} be set from now on"

    def _do_resync(self, _a: int, _b: int, _c: int) -> str:
        self.supervisor.runtime.warmer.tell(ResyncDue())
        return "a resync is due"
