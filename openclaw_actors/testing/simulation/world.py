"""A scripted world around real actors: files, clocks, sources, file events, reports, restarts and crashes."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from openclaw_actors.errors import OpenclawActorsError
from openclaw_actors.home.agents import normalise_agent_id
from openclaw_actors.ids import Generation, ProviderId
from openclaw_actors.messages import (
    FlushUsage,
    ReportFailure,
    ReportSuccess,
    ResyncDue,
    SourceRead,
    SourcesTouched,
    StampsChecked,
    SweepAgent,
    SweepFinished,
)
from openclaw_actors.reading.job import Failure
from openclaw_actors.scope import Scope
from openclaw_actors.settings import Settings
from openclaw_actors.testing.crashes import Crash, CrashPoint
from openclaw_actors.testing.home import HomeFiles, api_key, custom
from openclaw_actors.testing.simulation.coverage import ALL_TYPES, Coverage
from openclaw_actors.testing.simulation.script import Op
from openclaw_actors.testing.supervisor import SteppedSupervisor

AGENTS = ("main", "ops", "lab")
PROVIDERS = ("openai", "zai", "groq")
PROFILES = ("openai:work", "zai:work", "groq:work")
CUSTOM = "acme"
SHOWN = (*PROVIDERS, CUSTOM)
"""The providers whose answers are followed."""
REPORTED = (*PROFILES, f"config:{CUSTOM}")
REASONS = ("auth", "auth", "rate_limit", "billing", "overloaded", "format", "session_expired")
PROVE_BAD = ("auth", "billing", "session_expired")
SPANS_S = (0.001, 0.02, 0.06, 0.26, 1.0, 1.0, 5.1, 31.0, 400.0)
JUMPS_S = (-86_400.0, -40.0, -0.4, 40.0, 86_400.0)
REFUSED_S = 20.0
"""For how long a refused credential can't come back by itself: OpenClaw's shortest window is 30 s (formats 7.1)."""
_SOMETHING = "something else happens (a read is done, an alarm rings)"
_TAKEN_IN_S = 1.0
"""How long it takes at most until what another process wrote was read."""
_SOON_S = 5.0
"""How long an idle step waits at most for what is due."""
_LOGIN = '{"auth_mode":"chatgpt","tokens":{"access_token":"canary-a","refresh_token":"canary-r","id_token":"canary-i"}}'
_ERRORS: tuple[BaseException | Failure, ...] = (
    OSError(5, "Input/output error"),
    PermissionError(13, "Permission denied"),
    SystemExit(3),
    Failure.QUARANTINED,
    Failure.OVERRAN,
)
_SETTINGS = Settings(sweep_slice_checks=2, resync_interval_s=1e9, trigger_loop_sweeps=2, trigger_loop_interval_s=5.0)
"""As in production, but sweeps let others run after two checks, a resync comes only when the script says so, and a
source that changes for nothing is noticed soon.
"""
_CALM_S = 350.0
"""How long it takes until the last of what makes itself well again by and by has done so."""
_MANY = tuple(f"x{number}" for number in range(18))
"""More agents than have their answers patched at once."""


def _crash_of(point: int, effect: int) -> Crash:
    return Crash(tuple(CrashPoint)[point % len(CrashPoint)], (1, 1, 1, 2, 3)[effect % 5])


class _Supervisor(SteppedSupervisor):
    """One whose blocking writes don't wait: what they ask for is answered when the script gets there."""

    def _wait_answered(self, generation: Generation) -> None:
        pass


class World:
    """Three agents with stores, one of whom all inherit from, and everything that can happen to them."""

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
        self.refused: dict[tuple[str, str, str], tuple[bytes, float]] = {}
        """(agent, provider, profile): the digest of a secret that must not count before so late (monotonic seconds),
        unless something says so.
        """
        self.failures: Counter[str] = Counter()
        """How often each profile failed, here and elsewhere, whoever's it was."""
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
        self._acts: dict[str, Callable[[int, int, int], str]] = {
            name.removeprefix("_do_"): getattr(self, name) for name in dir(self) if name.startswith("_do_")
        }

    def start(self) -> None:
        """Start the actors."""
        self.supervisor.start()

    def do(self, op: Op) -> bool:
        """Carry out an operation; return whether it did anything."""
        handled = len(self.supervisor.history)
        effects = self.supervisor.dispatcher.effects
        said = self._acts[op.name](op.a, op.b, op.c)
        if not said:
            return False
        self.coverage.done[op.name] += 1
        for name, message in self.supervisor.history[handled:]:
            kind = type(message).__name__
            self.coverage.handled[kind] += 1
            if said is _SOMETHING:
                said = f"{name} handles {kind}"
                if self.supervisor.dispatcher.effects > effects:
                    self.coverage.with_effect[kind] += 1
        self.trace.append(said)
        return True

    def settle(self) -> None:
        """Mend everything, and let everything happen that is due; only lost events need a look at everything."""
        supervisor = self.supervisor
        supervisor.watcher.refuses = ""
        supervisor.watcher.recover()
        self.is_deaf = False
        for source in sorted({*supervisor.sources.held, *supervisor.sources.broken}):
            supervisor.sources.mend(source)
        for path in sorted(self.torn):
            self._rewrite(path)
        # restarts, retries and whatever waits for a pause: each comes by itself
        for _ in range(4):
            supervisor.advance(supervisor.settings.restart_max_s)
        supervisor.advance(2 * supervisor.settings.retry_max_s)
        if self.lost:
            supervisor.runtime.warmer.tell(ResyncDue())
            supervisor.advance(2.0 * supervisor.settings.retry_max_s)
        supervisor.advance(_CALM_S)

    def finish(self) -> None:
        """Stop, as the supervisor does; the crash that waits may come in here, too."""
        supervisor = self.supervisor
        supervisor.runtime.listener.tell(FlushUsage())
        begin = len(supervisor.history)
        while self._step():
            pass
        for _, message in supervisor.history[begin:]:
            self.coverage.handled[type(message).__name__] += 1
        supervisor.stop()

    # ----------------------------------------------------------------------------------------------- actors and time

    def _do_step(self, pick: int, _b: int, _c: int) -> str:
        said = self._step(pick)
        if said:
            return said
        due_s = self.supervisor.dispatcher.next_due_s
        if due_s is None or due_s > _SOON_S:
            return ""
        self.supervisor.clock.advance(max(0.0, due_s))
        return f"{due_s:.3f} s pass until something is due"

    def _step(self, pick: int | None = None) -> str:
        """Let one thing happen, or the crash that waits for it."""
        dispatcher = self.supervisor.dispatcher
        if self._next_crash is not None:
            kind, crash = self._next_crash
            for name in dispatcher.busy:
                waiting = dispatcher.actor(name).inbox.waiting()  # of the newest of that name
                if waiting and type(waiting[0]).__name__ == kind:
                    self._next_crash = None
                    return self._crash(name, crash)
        return _SOMETHING if self.supervisor.step(pick) else ""

    def _do_look_after(self, _a: int, _b: int, _c: int) -> str:
        before = (self.supervisor.stats().restarts, self.supervisor.dispatcher.living)
        self.supervisor.look_after()
        after = (self.supervisor.stats().restarts, self.supervisor.dispatcher.living)
        return "the supervisor starts again what died" if before != after else ""

    def _do_advance(self, span: int, run: int, _c: int) -> str:
        span_s = SPANS_S[span % len(SPANS_S)]
        if run % 4:
            self.supervisor.dispatcher.advance(span_s, run=False)
            return f"{span_s:g} s pass, and what is due waits"
        clock, until = self.supervisor.clock, self.supervisor.clock.monotonic() + span_s
        while True:
            while self._step():
                pass
            restart_s = self.supervisor.runtime.look_after()
            if self.supervisor.dispatcher.busy:
                continue
            left_s = until - clock.monotonic()
            if left_s <= 0:
                return f"{span_s:g} s pass, with all that is due"
            ahead = (left_s, restart_s, self.supervisor.dispatcher.next_due_s)
            clock.advance(max(0.0, min(one_s for one_s in ahead if one_s is not None)))

    def _do_set_clock(self, jump: int, _b: int, _c: int) -> str:
        jump_s = JUMPS_S[jump % len(JUMPS_S)]
        self.refused.clear()
        self.supervisor.clock.jump_epoch(jump_s)
        return f"the wall clock is set by {jump_s:+g} s"

    def _do_crash(self, who: int, point: int, effect: int) -> str:
        busy = self.supervisor.dispatcher.busy
        return self._crash(busy[who % len(busy)], _crash_of(point, effect)) if busy else ""

    def _do_crash_at(self, kind: int, point: int, effect: int) -> str:
        """Have the next message of some type meet a crash: rare types are met as often as others."""
        if self._next_crash is not None and effect % 2:
            return ""  # it has not come yet
        self._next_crash = (ALL_TYPES[kind % len(ALL_TYPES)], _crash_of(point, effect))
        return ""

    def _crash(self, name: str, crash: Crash) -> str:
        dispatcher, where = self.supervisor.dispatcher, crash.point
        message = next(iter(dispatcher.actor(name).inbox.waiting()), None)
        kind = type(message).__name__
        if kind not in ALL_TYPES:
            return ""  # pykka's stop, or nothing for the newest of that name
        if isinstance(message, ReportFailure | ReportSuccess):
            self.refused.clear()  # the report itself is what gets lost
            self.cleared.add(message.evidence_id)
        failures = dispatcher.stats().handler_errors
        dispatcher.crash(name, crash)
        if where in (CrashPoint.BEFORE, CrashPoint.AFTER) or dispatcher.stats().handler_errors > failures:
            self.coverage.crashed[kind, str(where)] += 1
            return f"{name} crashes ({where}) at {kind}"
        return f"{name} handles {kind}"

    def _do_kill(self, who: int, _b: int, _c: int) -> str:
        living = self.supervisor.dispatcher.living
        if not living:
            return ""
        name = living[who % len(living)]
        waits = [message for at, message in self.supervisor.dispatcher.pending() if at == name]
        if any(isinstance(message, ReportFailure | ReportSuccess) for message in waits):
            self.refused.clear()
        self.supervisor.dispatcher.kill(name)
        return f"{name} is killed with {len(waits)} messages waiting"

    # ------------------------------------------------------------------------------------------------------ the files

    def _do_edit_store(self, agent: int, provider: int, key: int) -> str:
        who, what = AGENTS[agent % 3], PROVIDERS[provider % 3]
        profiles = dict(self.profiles[who] or {})
        profiles.pop(f"{what}__work", None)
        if key % 4:
            profiles[f"{what}__work"] = api_key(what, f"{who}{key % 4}")
        self.profiles[who] = profiles
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

    # -------------------------------------------------------------------------------------------------- the embedder

    def _do_report_failure(self, agent: int, profile: int, reason: int) -> str:
        who, what, why = AGENTS[agent % 3], REPORTED[profile % 4], REASONS[reason % len(REASONS)]
        self.failures[what] += 1
        self.supervisor.report_failure(what, why, agent_id=who)
        provider = CUSTOM if what.startswith("config:") else what.partition(":")[0]
        verdict = self.supervisor.verdict(provider, agent_id=who)
        digest = self.digest(who, what)
        if self.supervisor.clock.monotonic() - self._used_at < _TAKEN_IN_S:
            pass  # what was used meanwhile may not have been read yet, and is newer than what was refused before
        elif why in PROVE_BAD and verdict.evidence is not None and verdict.evidence.id == what and not verdict.has_auth:
            self.refused[who, provider, what] = (digest or b"", self.supervisor.clock.monotonic() + REFUSED_S)
        return f"{who} reports {what}: {why}"

    def _do_report_success(self, agent: int, profile: int, _c: int) -> str:
        who, what = AGENTS[agent % 3], REPORTED[profile % 4]
        self._forget_refused(profile=what)
        self.supervisor.report_success(what, agent_id=who)
        return f"{who} reports {what}: success"

    def _do_log_out(self, agent: int, provider: int, _c: int) -> str:
        who, what = AGENTS[agent % 3], PROVIDERS[provider % 3]
        auth = self.supervisor.snapshot(who)
        self._forget_refused(provider=what)
        self.cleared.add(f"{what}:work")
        try:
            self.supervisor.logout(what, agent_id=who)
        except OpenclawActorsError as error:
            return f"{who} can't log out of {what}: {type(error).__name__}"
        finally:
            self._look_at_stores()
            for agent_dir in {profile.store for profile in auth.profiles} | {auth.agent_dir}:
                if agent_dir:
                    self._happened(Path(agent_dir) / "auth-profiles.json")
        return f"{who} logs out of {what}"

    def _do_clear_cooldown(self, agent: int, profile: int, _c: int) -> str:
        who, what = AGENTS[agent % 3], PROFILES[profile % 3]
        self._forget_refused(profile=what)
        self.cleared.add(what)
        try:
            self.supervisor.clear_cooldown(what, agent_id=who)
        except OpenclawActorsError as error:
            return f"{who} can't clear {what}: {type(error).__name__}"
        return f"{who} clears the cooldown of {what}"

    def _do_recheck(self, provider: int, agent: int, _c: int) -> str:
        what = (None, *PROVIDERS)[provider % 4]
        who = (None, *AGENTS)[agent % 4]
        self._forget_refused(provider=what)
        self.cleared.update(PROFILES)
        self.supervisor.recheck(what, agent_id=who)
        return f"a recheck of {what or 'everything'} for {who or 'everybody'}"

    def _do_invalidate(self, provider: int, agent: int, _c: int) -> str:
        who, what = (*AGENTS, None)[agent % 4], (*PROVIDERS, None)[provider % 4]
        scope = Scope.product(
            None if who is None else (normalise_agent_id(who),), None if what is None else (ProviderId(what),)
        )
        self.supervisor.invalidate(scope, "simulated")
        return f"{what or 'everything'} of {who or 'everybody'} is invalidated"

    def _do_reload_config(self, _a: int, _b: int, _c: int) -> str:
        self.supervisor.reload_config()
        return "the config is reloaded"

    def _do_reload_plugins(self, _a: int, _b: int, _c: int) -> str:
        self.supervisor.reload_plugins()
        return "the plugins are reloaded"

    def _do_read(self, agent: int, provider: int, _c: int) -> str:
        who, what = (*AGENTS, "nobody")[agent % 4], (*SHOWN, "amazon-bedrock", "no-such")[provider % 6]
        verdict = self.supervisor.verdict(what, agent_id=who)
        assert verdict.has_auth == self.supervisor.has_auth(what, agent_id=who), "reads agree with each other"
        self.supervisor.models(agent_id=who)
        self.supervisor.health()
        return f"{what} of {who} is read: {verdict.state}"

    def _do_hold_snapshot(self, _a: int, _b: int, _c: int) -> str:
        return "a reader holds a snapshot"

    # ---------------------------------------------------------------------------------------------------- the sources

    def _do_hold(self, which: int, _b: int, _c: int) -> str:
        source = self._source(which)
        self.supervisor.sources.hold(source)
        return f"reads of {self._named(source)} hang from now on"

    def _do_damage(self, which: int, error: int, _c: int) -> str:
        source, how = self._source(which), _ERRORS[error % len(_ERRORS)]
        self.supervisor.sources.damage(source, how)
        return f"reads of {self._named(source)} fail from now on: {how!r}"

    def _do_mend(self, which: int, _b: int, _c: int) -> str:
        sources = self.supervisor.sources
        broken = sorted({*sources.held, *sources.broken})
        if not broken:
            return ""
        source = broken[which % len(broken)]
        sources.mend(source)
        return f"reads of {self._named(source)} are well again"

    def _do_repeat_result(self, back: int, kind: int, _c: int) -> str:
        """Have a result arrive again, late and out of order; also one of a sweep that the agent is at again."""
        history, supervisor = self.supervisor.history, self.supervisor
        results: list[tuple[str, object]] = [
            (name, message)
            for name, message in history[-200:]
            if isinstance(message, SourceRead | SweepFinished | StampsChecked)
        ]
        if kind % 2:
            busy = {name for name, message in supervisor.dispatcher.pending() if isinstance(message, SweepAgent)}
            results = [
                (name, message)
                for name, message in history
                if isinstance(message, SweepFinished) and f"agent-{message.agent_id}" in busy
            ]
        if not results:
            return ""
        name, message = results[-(back % len(results)) - 1]
        {"warmer": supervisor.runtime.warmer, "watcher": supervisor.runtime.watcher}[name].tell(message)
        return f"an old {type(message).__name__} comes again to {name}"

    def _forget_refused(
        self, *, agent: str | None = None, provider: str | None = None, profile: str | None = None
    ) -> None:
        """Expect nothing any more of what was refused: newer evidence is on its way."""
        for key in list(self.refused):
            if all(wanted in (None, of) for wanted, of in zip((agent, provider, profile), key, strict=True)):
                del self.refused[key]

    def digest(self, agent: str, profile: str) -> bytes | None:
        """Return the digest of the secret that an agent is shown in a profile."""
        view = self.supervisor.snapshot(agent).view
        return next((one.digest for one in view.profiles if one.outline.id == profile), None)

    # --------------------------------------------------------------------------------------------------------- inside

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
