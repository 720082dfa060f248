"""What every test promises: nothing of ours goes on running, and no canary secret shows in output or log lines."""

from __future__ import annotations

import os
import threading
from collections.abc import Generator, Iterator

import pykka
import pytest
from loguru import logger

from openclaw_actors.actors.base import BaseActor

CANARY = "canary-"
_THREAD_PREFIX = "openclaw"
_LEAVE_S = 2.0


def our_threads() -> list[threading.Thread]:
    """Return the package's threads that are alive."""
    return [thread for thread in threading.enumerate() if thread.name.startswith(_THREAD_PREFIX)]


def our_actors() -> list[str]:
    """Return the package's actors that are alive."""
    return [
        f"{ref.actor_class.__name__} {ref.actor_urn}"
        for ref in pykka.ActorRegistry.get_all()
        if isinstance(ref.actor_class, type) and issubclass(ref.actor_class, BaseActor)
    ]


@pytest.fixture(autouse=True, scope="session")
def _files_are_the_users_own() -> Iterator[None]:
    """Let tests, and the processes that they start, make files as OpenClaw does: nobody else may reach them."""
    before = os.umask(0o077)
    yield
    os.umask(before)


@pytest.fixture(autouse=True)
def _nothing_left_running() -> Iterator[None]:
    """Fail a test that leaves a thread or an actor of ours behind."""
    before = {thread.ident for thread in our_threads()}
    yield
    left = [thread for thread in our_threads() if thread.ident not in before]
    for thread in left:
        thread.join(_LEAVE_S)  # a thread that was told to end may still be on its way out
    names = [thread.name for thread in left if thread.is_alive()]
    assert not names, f"threads left running: {names}"
    actors = our_actors()
    assert not actors, f"actors left running: {actors}"


@pytest.fixture(autouse=True)
def log_lines() -> Iterator[list[str]]:
    """Collect everything that the package logs, with the variables of tracebacks, and fail on a canary secret in it."""
    lines: list[str] = []
    sink = logger.add(
        lines.append, level="TRACE", format="{level} {message} {extra}", backtrace=True, diagnose=True, colorize=False
    )
    logger.enable("openclaw_actors")
    yield lines
    logger.disable("openclaw_actors")
    logger.remove(sink)
    shown = [line for line in lines if CANARY in line]
    assert not shown, f"canary secret in log lines: {shown}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a test whose captured output holds a canary secret."""
    report = yield
    if report.passed and any(CANARY in text for _, text in report.sections):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid}: canary secret in captured output"
    return report
