"""Kinds of scenarios: one module of `bench/scenarios/` each, with a struct `Parameters` and a function `run`."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any, Protocol, cast

from bench import scenarios
from bench.context import Context
from bench.scenario import Scenario, ScenarioError


class Kind(Protocol):
    """What such a module has."""

    Parameters: type[Any]
    """What a scenario file of this kind may say in `[parameters]`, with defaults."""

    def run(self, context: Context, parameters: Any) -> None:
        """Measure, into `context.measured`."""
        ...


def kind_names() -> list[str]:
    """Return the kinds that there are, as scenario files write them."""
    return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(scenarios.__path__))


def kind_of(scenario: Scenario) -> Kind:
    """Return the module that runs a scenario.

    Raises:
        ScenarioError: There is none.
    """
    if scenario.kind not in kind_names():
        raise ScenarioError(
            f"scenario {scenario.name}: kind: there is no {scenario.kind!r}. Make it one of {', '.join(kind_names())}"
        )
    return cast("Kind", importlib.import_module(f"bench.scenarios.{scenario.kind.replace('-', '_')}"))
