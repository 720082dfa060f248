"""A whole runtime that moves only when a test says so: real actors and files, a stepped dispatcher, virtual time."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from queue import Empty
from typing import Any, Protocol, TypeVar

import pykka

from openclaw_actors.auth.verdict import Verdict
from openclaw_actors.counters import Stats
from openclaw_actors.events import Events
from openclaw_actors.health import Condition
from openclaw_actors.home.digest import Digester
from openclaw_actors.home.reader import HomeReader
from openclaw_actors.ids import AgentId, Generation
from openclaw_actors.messages import Reread, ResyncDue, SourcesTouched, WarmScope
from openclaw_actors.prepared import AgentAuth, PreparedMap
from openclaw_actors.runtime import Runtime
from openclaw_actors.scope import Scope
from openclaw_actors.settings import Settings
from openclaw_actors.testing import SteppedDispatcher, VirtualClock

M = TypeVar("M")

HOME_SOURCE = "home"
CODEX, CLAUDE = "cli:codex", "cli:claude"
KEY = b"k" * 32


def api_key(provider: str, name: str = "key", **fields: object) -> dict[str, object]:
    """Return a stored API key; another name is another secret."""
    return {"type": "api_key", "provider": provider, "key": f"canary-{provider}-{name}-4f1c9a72d0", **fields}


def custom(name: str = "acme", **fields: object) -> dict[str, object]:
    """Return a provider entry of the config with a key of its own."""
    models = [{"id": f"{name}-1"}]
    key = f"canary-{name}-71c09b2e44"
    return {
        "baseUrl": f"https://{name}.test/v1",
        "apiKey": key,
        "api": "openai-completions",
        "models": models,
        **fields,
    }


class Files:
    """A home on disk."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "home"
        self.user = folder / "user"
        self.config: dict[str, Any] = {}
        self._writes = 0
        self.path.mkdir(exist_ok=True)
        self.user.mkdir(exist_ok=True)

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
        self.replace(self.path / "openclaw.json", json.dumps(self.config))

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
        self._writes += 1
        # in the past, so that no reading takes it for one that may still be written and reads twice
        os.utime(path, ns=(self._writes * 1_000_000_000, self._writes * 1_000_000_000))


class Rig:
    """A runtime on a home, with hands for files, messages, readings and time."""

    def __init__(
        self,
        folder: Path,
        agents: tuple[str | Mapping[str, object], ...] = ("main",),
        seed: int | None = None,
        *,
        strict: bool = True,
        clock: VirtualClock | None = None,
        ledger: Mapping[Any, Any] | None = None,
        instance_id: str = "rig",
        **settings: Any,
    ) -> None:
        self.files = Files(folder)
        if agents:
            self.files.write_agents(*agents)
        self.clock = clock or VirtualClock()
        self.dispatcher = SteppedDispatcher(self.clock, seed, strict=strict)
        self.settings = Settings(**{"watch": False, "resync_interval_s": 1e9, **settings})
        self.map = PreparedMap(instance_id)
        self.runtime = Runtime(self.dispatcher, self.settings, self.map)
        self.runtime.ledger.update(ledger or {})
        self.runtime._chance = random.Random(seed)
        self.events = Events(self.map, self.runtime, self.settings)
        self.events._started = True
        self.published: list[AgentAuth] = []
        """Every publication, in order."""
        self._tell_published = self.runtime.published
        self.runtime.published = self._note_published  # type: ignore[method-assign]

    # ------------------------------------------------------------------------------------------------------------ life

    def begin(self) -> Rig:
        """Start the actors; nothing has moved yet."""
        env = {"HOME": str(self.files.user)}
        self.runtime.begin(lambda: HomeReader(self.files.path, env=env, digester=Digester(KEY)))
        return self

    def warm(self) -> Rig:
        """Start, and run until every agent is published and nothing is left to do."""
        return self.begin().warm_up()

    def warm_up(self) -> Rig:
        """Run until every agent is published and nothing is left to do."""
        self.run()
        # first publications have stopped waiting for slow logins: no alarm but the resync is left
        self.dispatcher.advance(0.2)
        assert self.runtime.warm.is_set()
        return self

    def end(self) -> None:
        """Stop everything."""
        self.runtime._flushed.set()
        self.runtime.end(2.0)

    def supervise(self) -> None:
        """Do what the supervisor thread does: take note of deaths, and restart what is due by now."""
        while True:
            try:
                death = self.runtime._deaths.get_nowait()
            except Empty:
                break
            assert death is not None
            self.runtime._on_death(death)
        for name in [name for name, at in self.runtime._due.items() if at <= self.clock.monotonic()]:
            del self.runtime._due[name]
            self.runtime._restart(name)

    # ---------------------------------------------------------------------------------------------------------- moving

    def run(self) -> int:
        """Run until nothing is left to do at this moment; return the number of steps."""
        return self.dispatcher.run_until_idle()

    def advance(self, seconds: float) -> None:
        """Let virtual time pass, and everything that it brings happen."""
        self.dispatcher.advance(seconds)

    def step_until(self, condition: Callable[[], object], max_steps: int = 10_000) -> int:
        """Step until something holds; return the number of steps."""
        for steps in range(max_steps):
            if condition():
                return steps
            assert self.dispatcher.step(), "idle before the condition held"
        raise AssertionError("the condition never held")

    # -------------------------------------------------------------------------------------------------------- messages

    def to_warmer(self, message: object) -> None:
        """Tell the WarmerActor something."""
        assert self.runtime.warmer.ref is not None
        self.dispatcher.inject(self.runtime.warmer.ref, message)

    def to_agent(self, agent: str, message: object) -> None:
        """Tell an agent's actor something."""
        self.dispatcher.inject(self.ref(f"agent-{agent}"), message)

    def ref(self, name: str) -> pykka.ActorRef[Any]:
        """Return the living actor of this name."""
        actor = self.dispatcher._lane(name).actor
        assert actor is not None
        return actor.actor_ref

    def touch(self, *sources: str, run: bool = True) -> None:
        """Have the WarmerActor look at sources again, as a file event does, and by default wait for their turn."""
        self.to_warmer(SourcesTouched(sources=sources, cause_at=self.clock.monotonic()))
        if run:
            self.advance(self.settings.hint_interval_s + 0.001)

    def touch_all(self, *, run: bool = True) -> None:
        """Have the WarmerActor look at everything that it reads again."""
        self.touch(*self.sources(), run=run)

    def resync(self) -> None:
        """Do a resync, up to where it says what no event has told of."""
        self.to_warmer(ResyncDue())
        self.advance(0.02 * len(self.sources()) + 2.5 * max(1.0, 2 * self.settings.poll_interval_s))

    def report_failure(self, evidence: str = "openai:work", reason: str = "auth", **who: Any) -> Generation:
        """Report that a credential was refused; it is on its way then."""
        return self.events.report_failure(evidence, reason, **who)

    def report_success(self, evidence: str = "openai:work", **who: Any) -> Generation:
        """Report that a credential was accepted; it is on its way then."""
        return self.events.report_success(evidence, **who)

    def handled(self, kind: type[M], actor: str | None = None) -> list[M]:
        """Return the messages of a type that were handled so far."""
        return [
            message for name, message in self.dispatcher.history if isinstance(message, kind) and actor in (None, name)
        ]

    def pending(self, kind: type[M]) -> list[M]:
        """Return the messages of a type that wait."""
        return [message for _, message in self.dispatcher.pending() if isinstance(message, kind)]

    # --------------------------------------------------------------------------------------------------------- looking

    def store(self, agent: str = "main") -> str:
        """Return the source that is an agent's store."""
        return f"store:{self.files.agent_dir(agent)}"

    def sources(self) -> list[str]:
        """Return everything that is read."""
        return sorted(self.warmer._desk.board.records)

    @property
    def warmer(self) -> Any:
        """The living WarmerActor."""
        return self.dispatcher._lane("warmer").actor

    def verdict(self, agent: str = "main", provider: str = "openai", model: str | None = None) -> Verdict:
        """Return an answer as readers get it."""
        return self.events.verdict(provider, agent_id=agent, model=model)

    def state(self, agent: str = "main", provider: str = "openai", model: str | None = None) -> str:
        """Return the state of an answer."""
        return str(self.verdict(agent, provider, model).state)

    def auth(self, agent: str = "main") -> AgentAuth:
        """Return the published answers of an agent."""
        return self.map.agents[AgentId(agent)]

    def condition(self, kind: str) -> Condition:
        """Return a condition of the health."""
        found = self.runtime.conditions.health().condition(kind)
        assert found is not None
        return found

    def stats(self) -> Stats:
        """Return the counters as they are now."""
        return self.runtime.counters.stats()

    def since(self, before: Stats) -> dict[str, int]:
        """Return what has been counted since; what hasn't moved is left out."""
        now = self.stats()
        moved = {name: getattr(now, name) - getattr(before, name) for name in now.__struct_fields__}
        return {name: count for name, count in moved.items() if count}

    def answers(self) -> dict[str, dict[str, tuple[str, bool, str | None, bool]]]:
        """Return every answer: agent → provider → state, presence, evidence, has_auth."""
        return {
            str(agent): {
                provider: (str(one.state), one.presence, one.evidence.id if one.evidence else None, one.has_auth)
                for provider, one in auth.verdicts.items()
            }
            for agent, auth in self.map.agents.items()
        }

    def open_generations(self) -> tuple[Generation, ...]:
        """Return the attempts that are not answered yet."""
        return tuple(generation for generation, _ in self.runtime.wants.open_generations())

    def _note_published(self, auth: AgentAuth, changes: tuple[Any, ...]) -> None:
        self.published.append(auth)
        self._tell_published(auth, changes)


def wanting(rig: Rig, scope: Scope, reread: Reread = Reread.NOTHING, *, reload: bool = False) -> WarmScope:
    """Return a wish for a scope (or for what a reload changes in it), with a generation of its own."""
    return WarmScope(
        generation=rig.runtime.wants.mint(scope),
        scope=scope,
        reason="test",
        cause_at=rig.clock.monotonic(),
        reread=reread,
        cancels=reload,
        diff_only=reload,
    )


class MakeRig(Protocol):
    """Makes a rig on a test's home; it has not begun yet."""

    def __call__(self, *agents: Any, seed: int | None = None, **settings: Any) -> Rig: ...
