"""Presence against recorded answers of OpenClaw 2026.5.22, home by home."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from openclaw_actors.auth.check import check
from openclaw_actors.auth.order import resolve_order
from openclaw_actors.auth.shared import SharedFacts, SharedIndex
from openclaw_actors.auth.verdict import Cell
from openclaw_actors.home.providers import normalise_provider
from openclaw_actors.home.reader import HomeReader
from openclaw_actors.home.stores.merge import StoreView, merge
from openclaw_actors.ids import StoreId

CASES = Path(__file__).parents[1] / "data" / "oracle" / "cases"
NAMES = sorted(path.name for path in CASES.iterdir()) if CASES.is_dir() else []
NOW = 1_795_000_000.0


class Home:
    """A recorded home, copied and read as the library reads it."""

    def __init__(self, case: Path, where: Path) -> None:
        home = where.resolve() / "home"
        shutil.copytree(case / "home", home, symlinks=True)
        state = home / ".openclaw"
        config = state / "openclaw.json"
        if config.exists():
            config.write_text(config.read_text().replace("{{HOME}}", str(home)))
        env = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(home),
            "OPENCLAW_STATE_DIR": str(state),
            "OPENCLAW_CONFIG_PATH": str(config),
        }
        for name, value in json.loads((case / "env.json").read_text()).items():
            env[name] = value.replace("{{HOME}}", str(home))
        self.reader = HomeReader(state, env=env, cwd=str(home))
        facts = self.reader.read_home()
        clis = tuple(self.reader.read_cli(name) for name in HomeReader.CLI_NAMES)
        self.index = SharedIndex(SharedFacts(facts, clis))
        self.main = facts.config.main_store
        self.dirs = {str(agent.id): StoreId(agent.agent_dir) for agent in facts.config.agents}

    def view(self, agent: str) -> StoreView:
        """Return the store that an agent sees, broken files taken as absent, as OpenClaw does."""
        main = self.reader.read_store(self.main, tolerant=True)
        own = self.reader.read_store(self.dirs.get(agent, self.main), tolerant=True)
        return merge(main, own, now_ms=NOW * 1000)

    def cell(self, agent: str, provider: str) -> Cell:
        """Check one provider of one agent."""
        return check(normalise_provider(provider), self.index, self.view(agent), {}, NOW)


def answers(case: Path, name: str, key: str | None = None) -> dict[str, dict[str, object]]:
    """Return recorded answers by agent and provider."""
    found = json.loads((case / name).read_text())
    return found if key is None else found[key]  # type: ignore[no-any-return]


@pytest.mark.skipif(not NAMES, reason="the recorded homes aren't there")
@pytest.mark.parametrize("name", NAMES)
def test_presence_is_what_openclaw_answered(name: str, tmp_path: Path) -> None:
    """Every recorded (agent, provider) answer agrees with the presence of its cell."""
    case = CASES / name
    home = Home(case, tmp_path)
    expected = answers(case, "expected.json")
    got = {agent: {p: home.cell(agent, p).presence for p in asked} for agent, asked in expected.items()}
    assert got == expected


@pytest.mark.skipif(not NAMES, reason="the recorded homes aren't there")
@pytest.mark.parametrize("name", NAMES)
def test_the_order_is_what_openclaw_answered(name: str, tmp_path: Path) -> None:
    """Every recorded profile order agrees, adopted logins included."""
    case = CASES / name
    home = Home(case, tmp_path)
    for agent, orders in answers(case, "detail.json", "order").items():
        view = home.view(agent)
        for provider, ids in orders.items():
            found = resolve_order(normalise_provider(provider), home.index, view, NOW)
            assert list(found.ids) == ids, (agent, provider)
