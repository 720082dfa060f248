"""Fixtures for pytest, there wherever this package is installed: no `conftest.py` has to name them.

`openclaw_home` is a home on disk; `make_stepped_supervisor` makes supervisors on it; `stepped_supervisor` is one that
is not started yet. All are stopped with their test.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

if TYPE_CHECKING:
    # whoever tests something else must not pay for these: every pytest run in this environment loads the plugin
    from openclaw_actors.testing.home import HomeFiles
    from openclaw_actors.testing.supervisor import SteppedSupervisor


class MakeSteppedSupervisor(Protocol):
    """Makes a supervisor on a test's home; the arguments are those of `SteppedSupervisor`."""

    def __call__(self, **arguments: Any) -> SteppedSupervisor: ...


@pytest.fixture
def openclaw_home(tmp_path: Path) -> HomeFiles:
    """Return a home on disk with the agent `main` and no credential."""
    from openclaw_actors.testing.home import HomeFiles

    files = HomeFiles(tmp_path)
    files.write_agents("main")
    return files


@pytest.fixture
def make_stepped_supervisor(openclaw_home: HomeFiles) -> Iterator[MakeSteppedSupervisor]:
    """Return a function that makes stepped supervisors on this test's home."""
    from openclaw_actors.testing.supervisor import SteppedSupervisor

    made: list[SteppedSupervisor] = []

    def make(**arguments: Any) -> SteppedSupervisor:
        supervisor = SteppedSupervisor(openclaw_home, **arguments)
        made.append(supervisor)
        return supervisor

    yield make
    for supervisor in made:
        supervisor.stop()


@pytest.fixture
def stepped_supervisor(make_stepped_supervisor: MakeSteppedSupervisor) -> SteppedSupervisor:
    """Return a supervisor that isn't started yet and moves only when told to; `openclaw_home` is its home."""
    return make_stepped_supervisor()
