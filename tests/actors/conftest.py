"""Fixtures on stepped runtimes: all of them are ended with their test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rig import MakeRig, Rig, api_key


@pytest.fixture
def make_rig(tmp_path: Path) -> Iterator[MakeRig]:
    """Return a function that makes a rig on this test's home."""
    made: list[Rig] = []

    def make(*agents: Any, seed: int | None = None, **settings: Any) -> Rig:
        rig = Rig(tmp_path, agents or ("main",), seed, **settings)
        made.append(rig)
        return rig

    yield make
    for rig in made:
        rig.stop()


@pytest.fixture
def rig(make_rig: MakeRig) -> Rig:
    """Return a warm rig with a profile in `main` that `ops` inherits, and one in `ops`."""
    made = make_rig("main", "ops")
    made.files.write_profiles(openai__work=api_key("openai"))
    made.files.write_profiles("ops", zai__me=api_key("zai"))
    return made.warm()
