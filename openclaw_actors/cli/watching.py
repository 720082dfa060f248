"""What `watch` prints, whoever tells it: what is watched, changes, conditions, agents that come and go."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import final

import msgspec

from openclaw_actors.cli.output import write_json
from openclaw_actors.cli.session import missing_home, warn, warn_of
from openclaw_actors.cli.text import clean, clock_time, counted, milliseconds, state_label, state_style
from openclaw_actors.health import Condition
from openclaw_actors.shapes import About, AnsweredBy, WatchChange


@final
class Screen:
    """Lines for people, or JSON, one object per line. For one thread."""

    def __init__(self, choose: Callable[[About], frozenset[str] | None], *, as_json: bool) -> None:
        """Take what says which agents are told of; None for all."""
        self._choose = choose
        self._as_json = as_json
        self._agents: frozenset[str] | None = None
        self._conditions: tuple[Condition, ...] = ()
        self._known: tuple[str, ...] = ()
        self._whose = ""

    def begin(self, about: About, answered_by: AnsweredBy | None = None) -> None:
        """Say what is watched, and by whom, with the conditions that aren't well."""
        self._agents = self._choose(about)
        self._whose = f"gateway {answered_by.pid}: " if answered_by is not None else ""
        warn_of(about.conditions, whose=self._whose)
        if problem := missing_home(about.home):
            warn(problem)
        self._say_what(about, answered_by)

    def begin_with_all(self, about: About) -> None:
        """Say what is watched where nobody knows the agents yet."""
        self._agents, self._whose = None, ""
        self._say_what(about, None)

    def go_on(self, about: About, answered_by: AnsweredBy) -> None:
        """Take another gateway's word from here on, without saying again what is watched."""
        self._whose = f"gateway {answered_by.pid}: "
        self.look(about.conditions, about.agents)

    def change(self, change: WatchChange) -> None:
        """Say one change, if it is of an agent that is told of."""
        if self._agents is not None and change.agent not in self._agents:
            return
        if self._as_json:
            write_json(change, line=True)
        elif not (change.same_answer or change.cause in ("agent-removed", "agent-returned")):
            # where nothing shows has changed there is no line, and one line says that an agent came or went
            self._write_change(change)

    def look(self, conditions: tuple[Condition, ...], agents: tuple[str, ...]) -> None:
        """Say which conditions have become bad or good (on stderr; as JSON beside the changes), and which agents the
        config has gained or lost.
        """
        known = {condition.type: condition for condition in self._conditions}
        self._conditions = conditions
        for condition in conditions:
            old = known.get(condition.type)
            if not condition.status and (old is None or old.status or old.message != condition.message):
                warn(f"{self._whose}{condition.type}: {condition.message or condition.reason}")
            elif condition.status and old is not None and not old.status:
                print(f"note: {self._whose}{condition.type}: well again", file=sys.stderr)
            else:
                continue
            if self._as_json:
                write_json({"event": "condition", "at": time.time(), **msgspec.to_builtins(condition)}, line=True)
        before, self._known = self._known, agents
        for names, what in ((sorted({*agents} - {*before}), "added"), (sorted({*before} - {*agents}), "removed")):
            for name in names:
                self._write_agent(name, what)

    def _say_what(self, about: About, answered_by: AnsweredBy | None) -> None:
        self._conditions, self._known = about.conditions, about.agents
        names = sorted(about.agents if self._agents is None else self._agents)
        if self._as_json:
            record = {"event": "watching", "at": time.time(), "home": about.home, "agents": names}
            write_json({**record, "answered_by": answered_by}, line=True)
            return
        from openclaw_actors.cli.tables import write_line

        whom = f"{counted(len(names), 'agent')} ({', '.join(names)})" if names else "no agent yet"
        text = f": {whom}, {about.config}"
        if answered_by is not None:
            text += f", by gateway {answered_by.pid}"
        elif about.warm_s is not None:
            text += f", warm in {milliseconds(about.warm_s)}"
        write_line(("watching ", "dim"), (about.home, "bold"), (f"{text}. Ctrl-C ends.", "dim"))

    def _write_agent(self, name: str, what: str) -> None:
        if self._as_json:
            write_json({"event": f"agent-{what}", "at": time.time(), "agent": name}, line=True)
            return
        from openclaw_actors.cli.tables import write_line

        write_line((f"{clock_time(time.time())}  ", "dim"), (f"{clean(name)}  ", "bold"), (f"agent {what}", ""))

    def _write_change(self, change: WatchChange) -> None:
        from openclaw_actors.cli.tables import ascii_only, write_line

        plain = ascii_only()
        old, new = change.old, change.new
        before, after = change.old_evidence, change.new_evidence
        names = ("", "")
        if old == new and before is not None and after is not None and before != after:
            names = (f" ({clean(before)})", f" ({clean(after)})")
        why = f"{change.cause}: {change.reason}" if change.reason else change.cause
        write_line(
            (f"{clock_time(change.at)}  ", "dim"),
            (f"{change.agent}  ", ""),
            (f"{change.provider}  ", "bold"),
            (state_label(old, ascii_only=plain) + names[0], state_style(old)),
            (" -> ", ""),
            (state_label(new, ascii_only=plain) + names[1], state_style(new)),
            (f"  {why}", ""),
            (f"  generation {change.generation}, {milliseconds(change.latency_ms / 1000)}", "dim"),
        )
