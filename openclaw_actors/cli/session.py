"""A supervisor for the length of one command."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import click

from openclaw_actors.cli.text import clean, did_you_mean
from openclaw_actors.health import STORE_PERMISSIONS
from openclaw_actors.spelling import near_misses

if TYPE_CHECKING:
    from openclaw_actors import AuthSupervisor
    from openclaw_actors.health import Condition
    from openclaw_actors.shapes import About

WARM_TIMEOUT_S = 60.0
"""How long a command waits for the first answers, in seconds: longer than the budget of a sweep."""

BESIDES = (STORE_PERMISSIONS, "ControlSocket")
"""Conditions that say nothing about the answers of one command: who else may reach the stores (`doctor` says so), and
whether a gateway can be told to look again."""

_LOOK_INTERVAL_S = 0.1


class ConfigUnusableError(click.ClickException):
    """The config can't be read, so there are no answers (exit status 1)."""

    exit_code = 1


@contextlib.contextmanager
def one_shot(home: str | None, *, warns: bool = True) -> Iterator[AuthSupervisor]:
    """Start a supervisor that reads once and watches nothing, wait until it is warm, and stop it in the end.

    Conditions that are not well are written to stderr, apart from those that say nothing about the answers of one
    command: that nothing is watched, and who else may reach the stores; without `warns` none is. Raises
    ConfigUnusableError when the config gives no agents.
    """
    from openclaw_actors import AuthSupervisor, Settings

    with AuthSupervisor(home, settings=Settings(watch=False, one_shot=True)) as supervisor:
        wait_until_warm(supervisor)
        if warns:
            warn_of(supervisor.health().conditions, (*BESIDES, "Watching"))
            if problem := missing_home(supervisor.home_path):
                warn(problem)
        yield supervisor


def wait_until_warm(supervisor: AuthSupervisor) -> None:
    """Wait for the first answers. Raises ConfigUnusableError when the config can't be read."""
    deadline = time.monotonic() + WARM_TIMEOUT_S
    while not supervisor.wait_warm(_LOOK_INTERVAL_S):
        _raise_for_config(supervisor)
        _raise_for_death(supervisor)
        if time.monotonic() > deadline:
            warn(f"not warm after {WARM_TIMEOUT_S:.0f} s: some answers are unknown")
            return
    if not supervisor.agent_ids():
        _raise_for_config(supervisor)


def _raise_for_death(supervisor: AuthSupervisor) -> None:
    for condition in supervisor.health().conditions:
        if condition.type == "ActorsAlive" and condition.reason == "SupervisorFailed":
            raise ConfigUnusableError(condition.message)


def _raise_for_config(supervisor: AuthSupervisor) -> None:
    for condition in supervisor.health().conditions:
        if condition.type == "ConfigValid" and not condition.status:
            raise ConfigUnusableError(condition.message or condition.reason)


def warn_of(conditions: Iterable[Condition], besides: tuple[str, ...] = (), *, whose: str = "") -> None:
    """Write the conditions that are not well to stderr."""
    for condition in conditions:
        if not condition.status and condition.type not in besides:
            warn(f"{whose}{condition.type}: {condition.message or condition.reason}")


def warn(text: str) -> None:
    """Write one warning to stderr."""
    print(f"warning: {clean(text)}", file=sys.stderr)


def note(text: str) -> None:
    """Write something worth knowing to stderr."""
    print(f"note: {clean(text)}", file=sys.stderr)


def silence_stdout() -> None:
    """Let whatever is still to be written to stdout go nowhere: its reader is gone, or its disk is full."""
    # without this the interpreter complains once more when it flushes at exit
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)


def missing_home(path: str) -> str:
    """Return what is wrong when the home is no directory; empty when it is one."""
    return "" if os.path.isdir(path) else f"{path}: there is no such directory. Check --home or OPENCLAW_STATE_DIR"


def chosen_agents(about: About, agent: str | None, *, all_agents: bool = False) -> tuple[str, ...]:
    """Return the agents that a command is about: the named one, all, or the configured default.

    Raises click.UsageError (exit status 2) that names the known agents, for one that isn't configured.
    """
    known = about.agents
    if agent is not None and all_agents:
        raise click.UsageError("--agent and --all-agents exclude each other.")
    if all_agents:
        return known
    if agent is None:
        return (about.default_agent,)
    wanted = agent.strip().lower()
    for one in known:
        if one == wanted:
            return (one,)
    hint = did_you_mean(near_misses(wanted, known))
    raise click.UsageError(
        f"Unknown agent {clean(agent)!r}. The config has: {', '.join(clean(one) for one in known)}. {hint}".rstrip()
    )
