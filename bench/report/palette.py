"""Colours of the page and its plots, in light and dark. Plots are drawn in placeholders that become CSS variables, so
that one drawing serves both.
"""

from __future__ import annotations

import re

INK = "#000101"
"""Placeholder of text and axes."""

GRID = "#000202"
"""Placeholder of grid lines."""

FLOOR = "#000303"
"""Placeholder of floors and of what is idle."""

SHADE = "#000404"
"""Placeholder of areas behind a plot."""

SERIES = ("#000505", "#000606", "#000707", "#000808", "#000909", "#000a0a")
"""Placeholders of what is compared, in order."""

_VARIABLES = {
    INK: "ink",
    GRID: "grid",
    FLOOR: "floor",
    SHADE: "shade",
    **{one: f"s{at}" for at, one in enumerate(SERIES, 1)},
}

LIGHT = {
    "paper": "#ffffff",
    "ink": "#1c2128",
    "soft": "#57606a",
    "grid": "#d8dee4",
    "floor": "#6e7781",
    "shade": "#f3d9a4",
    "good": "#176f2c",
    "bad": "#b42318",
    "open": "#7a5b00",
    "s1": "#0b5cd6",
    "s2": "#b35900",
    "s3": "#187a56",
    "s4": "#a02c8c",
    "s5": "#5b4bc4",
    "s6": "#8a6d00",
}
"""For light schemes: variable → colour."""

DARK = {
    "paper": "#14181d",
    "ink": "#e6e9ed",
    "soft": "#a0a8b2",
    "grid": "#363d46",
    "floor": "#959da7",
    "shade": "#574618",
    "good": "#5bd07f",
    "bad": "#ff8f84",
    "open": "#e8c15c",
    "s1": "#78aaff",
    "s2": "#ffae5c",
    "s3": "#57d3a0",
    "s4": "#f08bdc",
    "s5": "#b1a5ff",
    "s6": "#e3cc62",
}
"""For dark schemes."""


def with_variables(svg: str) -> str:
    """Return a drawing with its placeholders replaced by CSS variables."""
    return re.sub("|".join(_VARIABLES), lambda found: f"var(--{_VARIABLES[found[0]]})", svg)


def css() -> str:
    """Return the variables of both schemes."""

    def block(colours: dict[str, str]) -> str:
        return "".join(f"--{name}:{colour};" for name, colour in colours.items())

    return f":root{{color-scheme:light dark;{block(LIGHT)}}}@media(prefers-color-scheme:dark){{:root{{{block(DARK)}}}}}"
