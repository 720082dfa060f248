"""Scenario files: what is measured with which parameters, and which goals it has. `config/bench/` holds those that are
shipped; a person may copy one, edit it, and run it by its path.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

ROOT = Path(__file__).parents[1]
"""The project root."""

FOLDER = ROOT / "config" / "bench"
"""Where the shipped scenarios are."""

P = TypeVar("P")


class ScenarioError(Exception):
    """A scenario can't be run as it is written; the text names file, key and remedy."""


class Goal(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a figure has to be. Exactly one of `at_most` and `at_least` is given."""

    title: str
    """In words, for the table."""
    metric: str
    """The figure of the scenario that is looked at."""
    agents: int | None = None
    """With how many agents; None for a figure of the whole scenario."""
    peer: str = ""
    """The `--peer` without which it can't be judged; empty when it needs none."""
    unit: str = ""
    """`x` for a ratio; else `ms`, `µs`, `KiB`…"""
    at_most: float | None = None
    at_least: float | None = None

    def __post_init__(self) -> None:
        if (self.at_most is None) == (self.at_least is None):
            raise ValueError("a goal has either at_most or at_least")


class Scenario(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One scenario file."""

    name: str
    """The file's name without `.toml`."""
    summary: str
    """What it measures, in one line."""
    kind: str
    """The module of `bench/scenarios/` that runs it, with hyphens."""
    rounds: int = 5
    """How often everything is measured, interleaved."""
    agents: list[int]
    """For how many agents it is measured."""
    seed: int = 1
    """Of the homes."""
    parameters: dict[str, Any] = {}
    """What else this kind takes."""
    goal: list[Goal] = []

    def __post_init__(self) -> None:
        if self.rounds < 1:
            raise ValueError("rounds must be at least 1")
        if not self.agents or min(self.agents) < 1:
            raise ValueError("agents must be a list of numbers from 1")

    def parameters_as(self, kind: type[P]) -> P:
        """Return the parameters as those of a kind.

        Raises:
            ScenarioError: One is unknown or of another type.
        """
        try:
            return msgspec.convert(self.parameters, kind)
        except msgspec.ValidationError as error:
            raise ScenarioError(_refusal(f"scenario {self.name}", error, "parameters")) from None


def shipped(folder: Path = FOLDER) -> list[Scenario]:
    """Return the scenarios of a folder, by name.

    Raises:
        ScenarioError: One of them can't be used.
    """
    return [load(path) for path in sorted(folder.glob("*.toml"))]


def find(names: Sequence[str], folder: Path = FOLDER) -> list[Scenario]:
    """Return scenarios by name, or by the path of a file that ends in `.toml`; all of the folder for none.

    Raises:
        ScenarioError: There is no such scenario, or it can't be used.
    """
    if not names:
        return shipped(folder)
    known = {path.stem: path for path in folder.glob("*.toml")}
    found = []
    for name in names:
        if not name.endswith(".toml") and name not in known:
            raise ScenarioError(f"there is no scenario {name!r}; there are {', '.join(sorted(known))}")
        found.append(load(Path(name) if name.endswith(".toml") else known[name]))
    return found


def load(path: Path) -> Scenario:
    """Read one scenario file.

    Raises:
        ScenarioError: It can't be read or used; names file, key and remedy.
    """
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ScenarioError(f"{path}: can't be read ({error.strerror}). Check the path") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ScenarioError(f"{path}: is not valid TOML: {error}. Mend it, or copy one of config/bench/") from None
    try:
        scenario = msgspec.convert(document, Scenario)
    except msgspec.ValidationError as error:
        raise ScenarioError(_refusal(str(path), error)) from None
    if scenario.name != path.stem:
        raise ScenarioError(f"{path}: name is {scenario.name!r}. Make it {path.stem!r}, as the file is called")
    return scenario


def _refusal(where: str, error: msgspec.ValidationError, below: str = "") -> str:
    problem, _, place = str(error).partition(" - at ")
    keys = [key for key in (below, place.strip("`").removeprefix("$").removeprefix(".")) if key]
    at = f"{'.'.join(keys)}: " if keys else ""
    return f"{where}: {at}{problem[:1].lower()}{problem[1:]}. Mend it, or compare it with the files in config/bench/"
