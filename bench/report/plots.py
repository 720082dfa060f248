"""Plots of a scenario's figures, drawn by matplotlib into SVG that stands in the page itself."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterator, Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Any, Literal, Self, cast

import msgspec

from bench.report import palette
from bench.results import Role, ScenarioResult, Series, Timeline
from bench.table import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SIZE = (5.4, 3.3)
"""Inches: narrow, so that the letters stay readable on a phone."""

_ENOUGH = 100
"""Values without which a distribution is only noise."""

_FEW_DECADES = 2.5
_SHORTENED = 10_000

_PLAIN = {Role.FLOOR, Role.IDLE}


class Plot(msgspec.Struct, frozen=True):
    """One drawing."""

    title: str
    svg: str


def can_plot() -> bool:
    """Tell whether matplotlib is there (extra `bench`)."""
    import importlib.util

    return importlib.util.find_spec("matplotlib") is not None


def plots_of(result: ScenarioResult) -> Iterator[Plot]:
    """Yield the plots that a scenario's figures allow. Needs matplotlib."""
    series = result.measured.series
    for metric, unit in dict.fromkeys((one.metric, one.unit) for one in series if one.unit):
        same = [one for one in series if (one.metric, one.unit) == (metric, unit)]
        shapes = [one for one in same if _has_shape(one)]
        if len({one.agents for one in same}) > 2:
            yield _cost(metric, unit, same)
        elif any(one.role is Role.OURS for one in shapes):
            yield _histogram(metric, unit, shapes)
        if _is_comparison(same):
            yield _side_by_side(metric, unit, same)
    for timeline in result.measured.timelines:
        yield _timeline(timeline)


def _has_shape(series: Series) -> bool:
    """Tell whether a distribution says something."""
    return bool(series.histogram) and series.distribution is not None and series.distribution.count >= _ENOUGH


def _is_comparison(series: Sequence[Series]) -> bool:
    """Tell whether others than our floor are among them, or several commands."""
    roles = {one.role for one in series}
    return (
        Role.PEER in roles or Role.BASELINE in roles or (len(series) > 2 and all(one.agents is None for one in series))
    )


def _cost(metric: str, unit: str, series: Sequence[Series]) -> Plot:
    """Draw cost over the number of agents, each round a dot, the medians a line; floors are dashed."""
    with _Drawing(f"{metric} over agents") as drawing:
        axes, colours = drawing.axes, cycle(palette.SERIES)
        variants = list(dict.fromkeys(one.variant for one in series if one.role not in _PLAIN))
        colour_of = dict(zip(variants, colours, strict=False))
        for variant in dict.fromkeys(one.variant for one in series):
            points = sorted((one for one in series if one.variant == variant), key=lambda one: one.agents or 0)
            plain = points[0].role in _PLAIN
            colour = colour_of.get(variant.removeprefix("floor, "), palette.FLOOR)
            style = "--" if plain else ":" if points[0].role is Role.PEER else "-"
            agents = [one.agents or 0 for one in points]
            axes.plot(agents, [one.median for one in points], style, color=colour, label=variant, marker="o", ms=3.5)
            for one in points:
                axes.plot([one.agents or 0] * len(one.samples), one.samples, ".", color=colour, alpha=0.5, ms=3)
        axes.set(xlabel="agents", ylabel=f"{metric} ({unit})")
        drawing.make_log("x", "y")
        drawing.legend()
        return drawing.plot()


def _histogram(metric: str, unit: str, series: Sequence[Series]) -> Plot:
    """Draw the share of values per bucket, on a log axis."""
    with _Drawing(f"{metric}: distribution") as drawing:
        axes, colours = drawing.axes, cycle(palette.SERIES)
        for one in series:
            buckets = one.histogram or []
            total = sum(bucket.count for bucket in buckets) or 1
            edges = [bucket.low for bucket in buckets] + [buckets[-1].high]
            colour = palette.FLOOR if one.role in _PLAIN else next(colours)
            style = "--" if one.role in _PLAIN else "-"
            shares = [100 * bucket.count / total for bucket in buckets]
            axes.stairs(shares, edges, color=colour, label=_label(one, series), linestyle=style, linewidth=1.5)
        axes.set(xlabel=f"{metric} ({unit})", ylabel="share of values (%)")
        drawing.make_log("x")
        drawing.legend()
        return drawing.plot()


def _side_by_side(metric: str, unit: str, series: Sequence[Series]) -> Plot:
    """Draw medians as bars on a log axis, fastest first."""
    rows = sorted(series, key=lambda one: one.median, reverse=True)
    with _Drawing(f"{metric}, side by side", height=0.9 + 0.36 * len(rows)) as drawing:
        axes = drawing.axes
        low = min(one.median for one in rows) / 3
        for at, one in enumerate(rows):
            colour = palette.FLOOR if one.role in _PLAIN else palette.SERIES[0 if one.role is Role.OURS else 1]
            axes.barh(at, one.median - low, left=low, color=colour, height=0.62)
            axes.text(one.median * 1.12, at, number(one.median), va="center", color=palette.INK, fontsize=9)
        axes.set_yticks(range(len(rows)), [_label(one, rows) for one in rows])
        axes.set(xlabel=f"{unit}, median", xlim=(low, max(one.median for one in rows) * 6))
        drawing.make_log("x")
        axes.grid(visible=False, axis="y")
        return drawing.plot()


def _timeline(timeline: Timeline) -> Plot:
    """Draw gaps over time, with the load behind them."""
    with _Drawing(f"event-loop gaps: {timeline.variant}") as drawing:
        axes = drawing.axes
        for at, (low, high) in enumerate(timeline.load):
            axes.axvspan(low, high, color=palette.SHADE, alpha=0.55, lw=0, label="load" if at == 0 else None)
        times, gaps = zip(*timeline.points, strict=True)
        axes.vlines(times, 0, gaps, color=palette.SERIES[0], linewidth=0.8, label="tick late by")
        axes.set(xlabel="seconds", ylabel="ms")
        axes.set_ylim(0, max(2.0, max(gaps) * 1.1))
        axes.margins(x=0)
        drawing.legend()
        return drawing.plot()


def _short(value: float) -> str:
    """Return a power of ten as an axis has room for it: 0.1, 1, 1000, 10k, 1M."""
    for size, letter in ((1_000_000, "M"), (1_000, "k")):
        if value >= max(size, _SHORTENED):
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def _label(one: Series, among: Sequence[Series]) -> str:
    """Return a series' variant, with its agents where another one has others."""
    if len({other.agents for other in among}) > 1 and one.agents is not None:
        return f"{one.variant}, {one.agents:,}"
    return one.variant


class _Drawing:
    """A figure with one pair of axes in the page's colours; closed with the `with`."""

    def __init__(self, title: str, height: float = _SIZE[1]) -> None:
        self._title = title
        self._height = height

    def __enter__(self) -> Self:
        import matplotlib
        from matplotlib.figure import Figure

        ink, grid = palette.INK, palette.GRID
        style = {
            "svg.fonttype": "none",
            "svg.hashsalt": self._title,
            "font.family": "sans-serif",
            "font.size": 11,
            **dict.fromkeys(("text.color", "axes.labelcolor", "xtick.color", "ytick.color"), ink),
            **dict.fromkeys(("axes.edgecolor", "grid.color"), grid),
            "axes.spines.top": False,
            "axes.spines.right": False,
        }
        self._context = matplotlib.rc_context(cast("Any", style))
        self._context.__enter__()
        self._figure = Figure(figsize=(_SIZE[0], self._height), layout="constrained")
        self.axes: Axes = self._figure.add_subplot()
        self.axes.grid(visible=True, color=grid, linewidth=0.7)
        self.axes.set_axisbelow(True)
        self.axes.patch.set_visible(False)
        return self

    def __exit__(self, *_error: object) -> None:
        self._context.__exit__(None, None, None)

    def make_log(self, *names: Literal["x", "y"]) -> None:
        """Make axes logarithmic, with plain numbers: each power of ten, or some between them where there are few."""
        from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

        for name in names:
            self.axes.set(**{f"{name}scale": "log"})
            axis, (low, high) = getattr(self.axes, f"{name}axis"), getattr(self.axes, f"get_{name}lim")()
            decades = math.log10(high / low)
            axis.set_major_locator(LogLocator(subs=(1, 2, 5) if decades < _FEW_DECADES else (1,)))
            axis.set_major_formatter(FuncFormatter(lambda value, _at: _short(value)))
            axis.set_minor_formatter(NullFormatter())

    def legend(self) -> None:
        """Say which line is which, below the axes."""
        self._figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=9)

    def plot(self) -> Plot:
        """Return what was drawn."""
        self._figure.patch.set_visible(False)
        file = io.StringIO()
        metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        self._figure.savefig(file, format="svg", metadata=metadata)
        text = file.getvalue()
        return Plot(self._title, palette.with_variables(text[text.index("<svg") :]))


def with_own_ids(svg: str, prefix: str) -> str:
    """Return a drawing whose ids are no other drawing's."""
    return re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{prefix}", svg)
