"""The files of the dashboard: every state has a shape and colours that can be seen."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

from openclaw_actors import State

PAGE = files("openclaw_actors.gateway") / "page"
STYLE = (PAGE / "style.css").read_text()
MARKUP = (PAGE / "index.html").read_text()

SHAPES = dict(re.findall(r'<symbol id="s-([a-z]+)"[^>]*>(.*?)</symbol>', MARKUP))
COLOURS = {
    name: (light, dark) for name, light, dark in re.findall(r"--([a-z]+): light-dark\((#\w{6}), (#\w{6})\)", STYLE)
}


def luminance(colour: str) -> float:
    """Return the relative luminance of a colour (WCAG 2.2)."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_every_state_has_a_shape_of_its_own() -> None:
    """No two states differ by their colour alone."""
    shapes = [SHAPES[state.value] for state in State]
    assert all(shapes)
    assert len(set(shapes)) == len(State)
    assert all(f".c-{state.value} {{" in STYLE for state in State)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_words_and_shapes_can_be_read_on_their_ground(scheme: int) -> None:
    """4.5 for words and 3 for shapes, which stand beside their names (WCAG 2.2, 1.4.3 and 1.4.11); what is missing may
    be faint.
    """
    for ground in ("ground", "raised"):
        under = COLOURS[ground][scheme]
        for name in ("text", "faint", *(state.value for state in State if state is not State.MISSING)):
            assert contrast(COLOURS[name][scheme], under) >= 4.5, (name, ground)


def test_nothing_comes_from_elsewhere_and_no_script_or_style_is_in_the_markup() -> None:
    """It works offline, and the policy that forbids scripts in pages doesn't forbid its own."""
    for one in PAGE.iterdir():
        text = one.read_text().replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|@import|//[a-z]+\.[a-z]", text), one.name
    assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son[a-z]+=", MARKUP)
    for one in PAGE.iterdir():
        assert "innerHTML" not in one.read_text(), one.name
