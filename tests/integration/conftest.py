"""Fixtures on real homes: each test gets one of its own, and every supervisor is stopped in the end."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from canaries import fill_with_secrets
from homes import Home, Supervise
from stores import make_store

from openclaw_actors import AuthSupervisor, Settings


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Return an empty home without a config."""
    return Home(tmp_path)


@pytest.fixture
def supervise() -> Iterator[Supervise]:
    """Return a function that starts a supervisor on a home and waits until it is warm; all are stopped in the end."""
    started: list[AuthSupervisor] = []

    def start(home: Home, *, warm: bool = True, **settings: Any) -> AuthSupervisor:
        supervisor = AuthSupervisor(home.path, env=home.env, settings=Settings(**settings))
        started.append(supervisor)
        supervisor.start()
        if warm:
            assert supervisor.wait_warm(10.0), supervisor.health()
        return supervisor

    yield start
    for supervisor in started:
        supervisor.stop()


@pytest.fixture
def full(home: Home) -> Iterator[Home]:
    """Return a home with a secret in every place that is read."""
    owner = fill_with_secrets(home)
    yield home
    owner.close()


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a runtime directory with a path short enough for sockets, set for this process too."""
    folder = Path(tempfile.mkdtemp(prefix="oc", dir="/tmp"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def agent(tmp_path: Path) -> Path:
    """Return an agent dir with three profiles, for what writes into stores."""
    return make_store(tmp_path)
