"""What must hold at each moment: the promises of freshness, reading and safety, checked."""

from __future__ import annotations

from openclaw_actors.actors.publisher import REMOVED, RETURNED
from openclaw_actors.auth.verdict import State, Verdict
from openclaw_actors.changes import Change
from openclaw_actors.home.reader import HomeReader
from openclaw_actors.ids import AgentId, Generation, ProviderId
from openclaw_actors.messages import CancelSweep, SweepAgent
from openclaw_actors.prepared import MAIN_SHADOW, AgentAuth
from openclaw_actors.testing.simulation.ending import Ending
from openclaw_actors.testing.simulation.promise import Answer, Violation, answers_of, promise, said
from openclaw_actors.testing.simulation.state import SHOWN
from openclaw_actors.testing.simulation.world import World

CANARY = "canary-"
LOGINS = frozenset(f"cli:{name}" for name in HomeReader.CLI_NAMES)


class Invariants:
    """Watches a world; each check raises `Violation` with what was promised."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._supervisor = world.supervisor
        self._shown: dict[AgentId, AgentAuth] = {}
        self._revisions: dict[AgentId, int] = {}
        self._known: set[AgentId] = set()
        """Agents whose answers were published when all that they are made of had been read well once."""
        self._cells: dict[AgentId, dict[str, tuple[int, Answer]]] = {}
        self._told: list[Change] = []
        self._posted: list[Change] = []
        self._mirror: dict[tuple[str, str], Verdict] = {}
        self._sequence = 0
        self._latest = Generation(0)
        self._stats = self._supervisor.stats()
        self._held: list[tuple[AgentAuth, dict[str, Answer], int]] = []
        self._seen = 0
        self._kinds: set[type] = set()
        self._steps = 0
        self._broken: str = ""
        tell_published = self._supervisor.runtime.published

        def published(auth: AgentAuth, changes: tuple[Change, ...]) -> None:
            try:
                self._look_at_publication(auth, changes)
            except Violation as violation:
                # raised in a handler it would be one more crash that is survived
                self._broken = self._broken or str(violation)
            tell_published(auth, changes)

        self._supervisor.runtime.published = published  # type: ignore[method-assign]
        self._supervisor.subscribe(self._told.append)

    def hold_snapshot(self, which: int) -> None:
        """Hold a snapshot as a reader does, for ever."""
        published = list(self._supervisor.published_agents.values())
        if published:
            auth = published[which % len(published)]
            self._held.append((auth, answers_of(auth), auth.revision))

    def check(self) -> None:
        """Check what must hold after each operation."""
        if self._broken:
            raise Violation(self._broken)
        self._steps += 1
        latest = self._supervisor.runtime.wants.latest
        promise(latest >= self._latest, "generations only grow")
        self._latest = latest
        self._look_at_refused()
        for auth, answers, revision in self._held[-2:]:
            promise(
                answers_of(auth) == answers and auth.revision == revision,
                "a snapshot that a reader holds never changes",
            )
        self._look_at_sweeps()
        for _, message in self._supervisor.history[self._seen :]:
            kind = type(message)
            if kind not in self._kinds or self._steps % 16 == 0:
                self._kinds.add(kind)
                promise(CANARY not in repr(message), f"messages hold no secret: {kind.__name__}")
        self._seen = len(self._supervisor.history)
        if self._steps % 16 == 0:
            now = self._supervisor.stats()
            for name in now.__struct_fields__:
                promise(getattr(now, name) >= getattr(self._stats, name), f"counters only grow: {name}")
            self._stats = now

    def check_stopped(self) -> None:
        """Check what must hold after a stop."""
        living, waits = self._supervisor.dispatcher.living, self._supervisor.dispatcher.alarms
        promise(not living, f"a stop ends every actor: {living} live")
        promise(not waits, "a stop ends every alarm")
        promise(not self._supervisor.open_generations() or not self._supervisor.runtime.wants.is_live, "a stop is said")

    def check_settled(self) -> None:
        """Check what must hold when everything is well again and nothing is left to do."""
        self.check()
        supervisor, world = self._supervisor, self._world
        unanswered = supervisor.open_generations()
        promise(not unanswered, f"every attempt is answered: {unanswered} are not")
        for auth, answers, revision in self._held:
            promise(
                answers_of(auth) == answers and auth.revision == revision,
                "a snapshot that a reader holds never changes",
            )
        promise(self._told == self._posted, "each change is told once, in order")
        for auth in supervisor.published_agents.values():
            for provider in SHOWN:
                promise(auth.verdict(provider).fresh, f"{provider} of {auth.agent_id} is fresh when nothing is wanted")
        wrong = [condition.type for condition in supervisor.health().conditions if not condition.status]
        promise(not wrong, f"every condition is true again: {wrong} are not")
        drifts = supervisor.stats().resync_drifts
        expected = world.lost or world.coverage.done["resync"]  # one may be quicker than the event
        promise(expected or not drifts, "no resync finds what no event told of")
        Ending(self._world).check()

    # ---------------------------------------------------------------------------------------------------- publications

    def _look_at_publication(self, auth: AgentAuth, changes: tuple[Change, ...]) -> None:
        agent = auth.agent_id
        self._look_at_changes(auth, changes)
        self._posted.extend(changes if agent != MAIN_SHADOW else ())
        if (changes and changes[0].reason == REMOVED) or agent not in self._supervisor.published_agents:
            self._revisions[agent] = auth.revision + 1
            self._shown.pop(agent, None)
            self._cells.pop(agent, None)
            self._known.discard(agent)
            return
        if agent in self._shown and self._shown[agent].agent_dir != auth.agent_dir:
            self._known.discard(agent)
        if agent in self._world.moved and not self._is_remembered(auth):
            self._known.discard(agent)
        before, known = self._shown.get(agent), self._cells.get(agent, {})
        last = self._revisions.get(agent, 0)
        promise(auth.revision >= last, f"revisions never go back: {agent} from {last} to {auth.revision}")
        cells: dict[str, tuple[int, Answer]] = {}
        for provider, answer in answers_of(auth).items():
            generation = auth.generation_of(ProviderId(provider))
            cells[provider] = (generation, answer)
            if before is None or provider not in known:
                continue
            old_generation, old_answer = known[provider]
            promise(
                generation >= old_generation,
                f"a cell's generation never goes back: {agent}/{provider} from {old_generation} to {generation}",
            )
            promise(
                answer == old_answer or auth.revision > before.revision,
                f"another answer is another revision: {agent}/{provider} from {old_answer} to {answer}",
            )
            promise(
                answer[0] != State.UNKNOWN or old_answer[0] == State.UNKNOWN or agent not in self._known,
                f"the last good answer stays: {agent}/{provider} from {old_answer[0]} to {answer[0]}",
            )
        promise(
            before is None or before.agent_dir != auth.agent_dir or cells.keys() >= known.keys() - {"acme"},
            f"nothing is cleared before it is filled again: {agent} loses {known.keys() - cells.keys()}",
        )
        self._shown[agent], self._cells[agent], self._revisions[agent] = auth, cells, auth.revision
        if self._has_last_good(auth):
            self._known.add(agent)

    def _has_last_good(self, auth: AgentAuth) -> bool:
        """Tell whether these answers were made of things that were all read well once."""
        return auth.view.own in ("", auth.agent_dir) and not auth.view.unread and self._is_remembered(auth)

    def _is_remembered(self, auth: AgentAuth) -> bool:
        facts, config = self._supervisor.runtime.remembered.facts, self._supervisor.runtime.config()
        stores = {f"store:{auth.agent_dir}", f"store:{config.main_store if config is not None else ''}"}
        return facts.keys() >= LOGINS | stores

    def _look_at_changes(self, auth: AgentAuth, changes: tuple[Change, ...]) -> None:
        before = self._shown.get(auth.agent_id)
        for change in changes:
            self._sequence += 1
            promise(
                change.sequence == self._sequence,
                f"sequences have no gap: {change.sequence} after {self._sequence - 1}",
            )
            cell = (change.agent_id, change.provider)
            known = self._mirror.get(cell, change.old)
            promise(
                (known.state, known.evidence) == (change.old.state, change.old.evidence),
                f"nothing is left out of the changes: {cell} was {known.state}, and is told to be {change.old.state}",
            )
            self._mirror[cell] = change.new
            if change.reason == REMOVED:
                promise(change.new.state == State.MISSING, "an agent that has left has nothing")
            elif change.reason == RETURNED:
                promise(before is None and change.old.state == State.MISSING, "who returns was away")
            else:
                promise(
                    before is not None and change.revision == auth.revision > before.revision, "a change is a revision"
                )
                promise(said(change.new) == said(auth.verdict(change.provider)) != said(change.old), "a change changes")

    # --------------------------------------------------------------------------------------------------------- moments

    def _look_at_sweeps(self) -> None:
        """Of each agent one sweep runs at most: of those that wait for its actor all but one are cancelled."""
        dispatcher = self._supervisor.dispatcher
        asked: dict[str, list[int]] = {}
        cancelled: dict[str, int] = {}
        for name, message in dispatcher.pending():
            if isinstance(message, CancelSweep):
                cancelled[name] = max(message.serial, cancelled.get(name, 0))
            elif isinstance(message, SweepAgent):
                asked.setdefault(name, []).append(message.serial)
        for name, serials in asked.items():
            if len(serials) > 1:
                last = max(cancelled.get(name, 0), getattr(dispatcher.actor(name), "_cancelled", 0))
                left = [serial for serial in serials if serial > last]
                promise(len(left) <= 1, f"one sweep per agent runs: {len(left)} wait for {name}")

    def _look_at_refused(self) -> None:
        now, refused = self._supervisor.clock.monotonic(), self._world.refused
        for (agent, provider, profile), (secret, until) in list(refused.items()):
            if now >= until:
                del refused[agent, provider, profile]
                continue
            verdict = self._supervisor.verdict(provider, agent_id=agent)
            counts = verdict.has_auth and verdict.evidence is not None and verdict.evidence.id == profile
            promise(
                not counts or self._world.secret(agent, profile) != secret,
                f"what was refused stays hidden: {profile} of {agent} is {verdict.state} again",
            )
