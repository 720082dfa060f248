"""`watch`: each change of an answer as it is published, until Ctrl-C."""

from __future__ import annotations

import os
import queue
import signal
import time
from types import FrameType
from typing import NoReturn

import click

from openclaw_actors.cli.session import ConfigUnusableError, chosen_agents, wait_until_warm, warn
from openclaw_actors.cli.watching import Screen
from openclaw_actors.control.address import HTTP_SUFFIX, offers
from openclaw_actors.home.paths import locate
from openclaw_actors.shapes import About, WatchChange, watch_change

_LOOK_INTERVAL_S = 0.5
"""How often the conditions are looked at, in seconds."""


def watch_changes(*, home: str | None, agent: str | None, all_agents: bool, as_json: bool, offline: bool) -> int:
    """Print the changes that a running gateway publishes; without one, or when it ends, those of a supervisor of this
    command's own. Ends with exit status 0 on SIGINT and SIGTERM.
    """
    if agent is not None and all_agents:
        raise click.UsageError("--agent and --all-agents exclude each other.")

    def choose(about: About) -> frozenset[str] | None:
        return None if all_agents else frozenset(chosen_agents(about, agent))

    _interrupt_on_signals()
    screen = Screen(choose, as_json=as_json)
    try:
        if not offline:
            _follow_gateways(home, screen)
        _watch_by_itself(home, screen, may_wait=agent is None)
    except KeyboardInterrupt:
        return 0


def _follow_gateways(home: str | None, screen: Screen) -> None:
    if offers(locate(home, os.environ).state_dir, suffix=HTTP_SUFFIX)[0]:
        from openclaw_actors.cli.following import follow  # only where there is one

        follow(home, screen)


def _watch_by_itself(home: str | None, screen: Screen, *, may_wait: bool) -> NoReturn:
    """Run a watching supervisor and print its changes, for ever; `may_wait` for a config that can't be read now."""
    from openclaw_actors import AuthSupervisor, Settings, telling

    with AuthSupervisor(home, settings=Settings(control_socket=True)) as supervisor:
        # The callback only puts: it runs on the notifier thread, which must never wait for a slow terminal.
        changes: queue.SimpleQueue[WatchChange] = queue.SimpleQueue()
        supervisor.subscribe(lambda change: changes.put(watch_change(change, time.time())))
        try:
            wait_until_warm(supervisor)
        except ConfigUnusableError as error:
            if not may_wait:
                raise
            warn(f"{error.message} Watching until it can be read.")
            screen.begin_with_all(telling.about(supervisor))
        else:
            screen.begin(telling.about(supervisor))
        while True:
            try:
                screen.change(changes.get(timeout=_LOOK_INTERVAL_S))
            except queue.Empty:
                screen.look(supervisor.health().conditions, supervisor.agent_ids())


def _interrupt_on_signals() -> None:
    def interrupt(number: int, frame: FrameType | None) -> None:
        # a second signal must not break into the orderly stop
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGTERM, interrupt)
