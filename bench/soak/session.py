"""The first process: runs the supervisor, takes in its changes and the journal, and reads all the time."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque

from bench.homes import Home
from bench.interruption import Interruption
from bench.machine import Footprint
from bench.soak.comparison import WARM_S, compare_with_fresh, generations, moved
from bench.soak.journal import Done, Edit, Line, Roster
from bench.soak.matching import Matching
from bench.soak.model import EDITED, RESTING, TOUCHED
from bench.soak.process import WriterProcess
from bench.soak.progress import SoakProgress
from bench.soak.reading import Reader
from bench.soak.rhythm import Rhythm
from bench.soak.roster import RosterWatch
from bench.soak.seen import Seen
from bench.soak.violations import Violations
from bench.soak.windows import Windows
from openclaw_actors import AuthSupervisor, Change

_PAUSE_S = 0.004
"""Between two looks at the journal, in seconds: reads are many, but the processors are not theirs alone."""

_FINISH_S = 15.0
"""How long the writer may take to finish what it has begun."""

_RSS_GROWTH_MIB = 48.0
_THREADS_GROWTH = 16
"""Reader threads come when they are needed, as many as `Settings.read_threads` has by default."""
_DESCRIPTORS_GROWTH = 8

_PLANTED = frozenset({"AgentDirsDistinct"})
"""What health says of these homes rightly: two agents share a folder."""


class Session:
    """One soak, from the warm on. For one thread, but for the callback."""

    def __init__(self, home: Home, supervisor: AuthSupervisor, seed: int) -> None:
        self._home = home
        self._supervisor = supervisor
        self.violations = Violations()
        self.matching = Matching(self.violations, tuple(agent.id for agent in home.agents))
        self.windows = Windows(self.violations)
        self.roster = RosterWatch(supervisor, self.violations)
        self.reader = Reader(supervisor, (*EDITED, *RESTING, "openai", "anthropic", "house-gateway", "nobody"), seed)
        self.edits: Counter[str] = Counter()
        self.seconds = 0.0
        self.footprint_start = self.footprint_end = Footprint.now()
        self.still_cells = self.still_moved = self.compared = 0
        self._arrived: deque[Seen] = deque()
        self._is_done = False
        self._pause = threading.Event()  # never set: its wait is what lets the others run

    def run(self, writer: WriterProcess, duration_s: float, progress: SoakProgress, interruption: Interruption) -> None:
        """Watch the writer edit for so long, then let it finish and look at what is left."""
        agents = tuple(agent.id for agent in self._home.agents)
        before = generations(self._supervisor, agents, TOUCHED)
        unsubscribe = self._supervisor.subscribe(self._hear)
        self.footprint_start = Footprint.now()
        began_at = time.monotonic()
        while time.monotonic() - began_at < duration_s and not (writer.has_ended or interruption.is_wanted):
            self._turn(writer)
            progress.show(time.monotonic() - began_at, self._counts())
        writer.tell_to_stop()
        finishing_at = time.monotonic()
        while not (writer.has_ended and self._is_settled()) and time.monotonic() - finishing_at < _FINISH_S:
            self._turn(writer)
            progress.show(duration_s, "finishing")
        self.seconds = time.monotonic() - began_at
        self.footprint_end = Footprint.now()
        unsubscribe()
        if not self._is_done:
            status = writer.status() if writer.has_ended else "none yet"
            self.violations.add(f"the writer did not finish; its exit status: {status}")
        if Rhythm(duration_s).has_full_cycles and not interruption.is_wanted:
            self.windows.demand_one_of_each()
        after = generations(self._supervisor, agents, TOUCHED)
        self.still_cells, still_moved = len(before), moved(before, after)
        self.still_moved = len(still_moved)
        for cell in still_moved:
            self.violations.add(f"{cell} was answered again, though nothing but usage was written about it")
        self._look_at_the_end()

    # ------------------------------------------------------------------------------------------------------- within

    def _hear(self, change: Change) -> None:
        """Take a change in: on the notifier's thread."""
        self._arrived.append(Seen(time.monotonic(), change))
        # what a change announces can be read already; an agent that has left meanwhile is at 0
        shown = self._supervisor.snapshot(change.agent_id).revision
        if 0 < shown < change.revision:
            self.violations.add(
                f"change {change.sequence} of {change.agent_id} came before its revision {change.revision} was there"
            )

    def _turn(self, writer: WriterProcess) -> None:
        for line in writer.lines():
            self._take(line)
        while self._arrived:
            self.matching.see(self._arrived.popleft())
        self.matching.judge()
        self.roster.look()
        self.reader.read(self.violations)
        self._pause.wait(_PAUSE_S)

    def _take(self, line: Line) -> None:
        if isinstance(line, Edit):
            self.edits[line.kind] += 1
            self.matching.expect(line)
        elif isinstance(line, Roster):
            self.matching.expect_agents(line)
            self.roster.expect(line)
        elif isinstance(line, Done):
            self._is_done = True
        else:
            stats = self._supervisor.stats()
            while self._arrived:
                self.matching.see(self._arrived.popleft())
            self.windows.take(line, stats, is_settled=self._is_settled())

    def _is_settled(self) -> bool:
        return not self._arrived and self.matching.is_settled and self.roster.is_settled

    def _look_at_the_end(self) -> None:
        begin, end, stats = self.footprint_start, self.footprint_end, self._supervisor.stats()
        self.compared = compare_with_fresh(self._home, self._supervisor, self.violations)
        bad = {one.type: one.reason for one in self._supervisor.health().conditions if not one.status}
        for kind in bad.keys() ^ _PLANTED:
            self.violations.add(f"health: {kind} is {bad.get(kind, 'well, though two agents share a folder')}")
        for name in ("resync_drifts", "restarts"):
            if getattr(stats, name):
                self.violations.add(f"stats: {name} is {getattr(stats, name)}")
        for what, grown, bound in (
            ("RSS (MiB)", end.rss_mib - begin.rss_mib, _RSS_GROWTH_MIB),
            ("threads", end.threads - begin.threads, _THREADS_GROWTH),
            ("descriptors", end.descriptors - begin.descriptors, _DESCRIPTORS_GROWTH),
        ):
            if grown > bound:
                self.violations.add(f"{what} grew by {grown:g}, more than {bound:g}")

    def _counts(self) -> str:
        matching = self.matching
        window = f" · {self.windows.current} window" if self.windows.current else ""
        return (
            f"{self.edits.total():,} edits · {matching.matched:,}/{matching.expected:,} changes ·"
            f" {self.reader.count:,} reads · {self.violations.total} violations{window}"
        )


def is_ready(supervisor: AuthSupervisor) -> bool:
    """Wait until a supervisor is warm and its watches are in place; return whether that came to be."""
    if not supervisor.wait_warm(WARM_S):
        return False
    pause, until = threading.Event(), time.monotonic() + WARM_S
    while time.monotonic() < until:
        watching = supervisor.health().condition("Watching")
        if watching is not None and watching.status:
            return True
        pause.wait(0.01)
    return False
