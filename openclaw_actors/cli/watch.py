"""`watch`: each change of an answer as it is published, until Ctrl-C."""

from __future__ import annotations

import queue
import signal
import sys
import time
from types import FrameType
from typing import TYPE_CHECKING

import click
import msgspec

from openclaw_actors.cli.output import write_json
from openclaw_actors.cli.session import ConfigUnusableError, chosen_agents, wait_until_warm, warn, warn_of_conditions
from openclaw_actors.cli.text import clean, clock_time, counted, milliseconds, state_label, state_style
from openclaw_actors.shapes import watch_change

if TYPE_CHECKING:
    from openclaw_actors import AuthSupervisor
    from openclaw_actors.changes import Change
    from openclaw_actors.health import Condition

_LOOK_INTERVAL_S = 0.5
"""How often the conditions are looked at, in seconds."""


def watch_changes(*, home: str | None, agent: str | None, all_agents: bool, as_json: bool) -> int:
    """Run a watching supervisor and print its changes. Ends with exit status 0 on SIGINT and SIGTERM."""
    from openclaw_actors import AuthSupervisor, Settings

    if agent is not None and all_agents:
        raise click.UsageError("--agent and --all-agents exclude each other.")
    _interrupt_on_signals()
    try:
        with AuthSupervisor(home, settings=Settings(control_socket=True)) as supervisor:
            # The callback only puts: it runs on the notifier thread, which must never wait for a slow terminal.
            changes: queue.SimpleQueue[tuple[float, Change]] = queue.SimpleQueue()
            supervisor.subscribe(lambda change: changes.put((time.time(), change)))
            agents = _begin(supervisor, agent, all_agents=all_agents, as_json=as_json)
            shown, known = supervisor.health().conditions, supervisor.agent_ids()
            while True:
                try:
                    seen_at, change = changes.get(timeout=_LOOK_INTERVAL_S)
                except queue.Empty:
                    shown = _write_conditions(shown, supervisor.health().conditions, as_json=as_json)
                    known = _write_agents(known, supervisor.agent_ids(), as_json=as_json)
                    continue
                if agents is None or change.agent_id in agents:
                    _write_change(change, seen_at, as_json=as_json)
    except KeyboardInterrupt:
        return 0


def _begin(supervisor: AuthSupervisor, agent: str | None, *, all_agents: bool, as_json: bool) -> frozenset[str] | None:
    """Say what is watched and return the agents to tell of; None for all."""
    try:
        wait_until_warm(supervisor)
    except ConfigUnusableError as error:
        if agent is not None:
            raise
        warn(f"{error.message} Watching until it can be read.")
        agents = None
    else:
        agents = None if all_agents else frozenset(chosen_agents(supervisor, agent))
        warn_of_conditions(supervisor)
    names = sorted(supervisor.agent_ids() if agents is None else agents)
    if as_json:
        record = {"event": "watching", "at": time.time(), "home": str(supervisor.home_path), "agents": names}
        write_json(record, line=True)
        return agents
    from openclaw_actors.cli.tables import write_line

    whom = f"{counted(len(names), 'agent')} ({', '.join(names)})" if names else "no agent yet"
    warm = supervisor.warm_time_s
    text = f": {whom}, {supervisor.config_path}" + (f", warm in {milliseconds(warm)}" if warm is not None else "")
    write_line(("watching ", "dim"), (str(supervisor.home_path), "bold"), (f"{text}. Ctrl-C ends.", "dim"))
    return agents


def _write_conditions(
    before: tuple[Condition, ...], now: tuple[Condition, ...], *, as_json: bool
) -> tuple[Condition, ...]:
    """Say on stderr which conditions have become bad or good; as JSON beside the changes."""
    known = {condition.type: condition for condition in before}
    for condition in now:
        old = known.get(condition.type)
        if not condition.status and (old is None or old.status or old.message != condition.message):
            warn(f"{condition.type}: {condition.message or condition.reason}")
        elif condition.status and old is not None and not old.status:
            print(f"note: {condition.type}: well again", file=sys.stderr)
        else:
            continue
        if as_json:
            write_json({"event": "condition", "at": time.time(), **msgspec.to_builtins(condition)}, line=True)
    return now


def _write_agents(before: tuple[str, ...], now: tuple[str, ...], *, as_json: bool) -> tuple[str, ...]:
    """Say which agents the config has gained or lost."""
    for names, what in ((sorted({*now} - {*before}), "added"), (sorted({*before} - {*now}), "removed")):
        for name in names:
            if as_json:
                write_json({"event": f"agent-{what}", "at": time.time(), "agent": name}, line=True)
            else:
                from openclaw_actors.cli.tables import write_line

                write_line((f"{clock_time(time.time())}  ", "dim"), (f"{clean(name)}  ", "bold"), (f"agent {what}", ""))
    return now


def _write_change(change: Change, seen_at: float, *, as_json: bool) -> None:
    if as_json:
        write_json(watch_change(change, seen_at), line=True)
        return
    from openclaw_actors.cli.tables import ascii_only, write_line

    plain = ascii_only()
    if _says_the_same(change):
        return
    old, new = change.old.state, change.new.state
    before, after = change.old.evidence, change.new.evidence
    names = ("", "")
    if old == new and before is not None and after is not None and before.id != after.id:
        names = (f" ({clean(before.id)})", f" ({clean(after.id)})")
    why = f"{change.reason}: {change.new.reason}" if change.new.reason else change.reason
    write_line(
        (f"{clock_time(seen_at)}  ", "dim"),
        (f"{change.agent_id}  ", ""),
        (f"{change.provider}  ", "bold"),
        (state_label(old, ascii_only=plain) + names[0], state_style(old)),
        (" -> ", ""),
        (state_label(new, ascii_only=plain) + names[1], state_style(new)),
        (f"  {why}", ""),
        (f"  generation {change.generation}, {milliseconds(change.latency_s)}", "dim"),
    )


def _says_the_same(change: Change) -> bool:
    """Tell whether a line would show nothing: only what the answer shadows, or its wording, has changed, or another
    line says it.
    """
    if change.reason in ("agent-removed", "agent-returned"):
        return True  # one line says so for all of them
    old, new = change.old, change.new
    return (old.state, old.presence, old.valid_until, old.evidence) == (
        new.state,
        new.presence,
        new.valid_until,
        new.evidence,
    )


def _interrupt_on_signals() -> None:
    def interrupt(number: int, frame: FrameType | None) -> None:
        # a second signal must not break into the orderly stop
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGTERM, interrupt)
