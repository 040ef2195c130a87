"""A backtest as one HTML page with a plot over time; alert texts are escaped, no script runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from importlib import resources
from typing import NamedTuple

from jinja2 import Environment, StrictUndefined

from orchestrator.authoring.backtest.report import Backtest, Day

_environment = Environment(
    autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)
_WIDTH, _HEIGHT = 960, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 40, 40, 16, 28
_MOST_LABELS = 10


class Bar(NamedTuple):
    """The alerts of one day."""

    x: float
    y: float
    width: float
    height: float
    title: str


class Series(NamedTuple):
    """One count over the days; `kind` is its style."""

    kind: str
    points: str
    dots: tuple[tuple[float, float], ...]


class Label(NamedTuple):
    """A text in the plot."""

    x: float
    y: float
    text: str
    anchor: str


@dataclass(frozen=True, slots=True)
class Plot:
    """The plot; days without alerts keep their place in it."""

    days: tuple[Day, ...]
    bars: tuple[Bar, ...]
    lines: tuple[Series, ...]
    labels: tuple[Label, ...]
    width: int = _WIDTH
    height: int = _HEIGHT


def render_backtest(found: Backtest) -> str:
    """Return the page as HTML."""
    template = _environment.from_string(
        resources.files("orchestrator.authoring.backtest").joinpath("page.html").read_text("utf-8")
    )
    return template.render(found=found, plot=make_plot(found.days))


def make_plot(days: Sequence[Day]) -> Plot:
    """Lay out the plot of these days."""
    every = _every(days)
    if not every:
        return Plot((), (), (), ())
    width = (_WIDTH - _LEFT - _RIGHT) / len(every)
    most_alerts = max(1, *(day.alerts for day in every))
    most_changes = max(
        1, *(max(day.contained_then, day.contained_now, day.asked_now) for day in every)
    )
    bars = []
    for number, day in enumerate(every):
        top = _up(day.alerts, most_alerts)
        title = (
            f"{day.day}: {day.alerts} alerts, contained {day.contained_then} then, "
            f"{day.contained_now} by the draft"
        )
        bars.append(
            Bar(
                round(_LEFT + number * width, 1),
                top,
                round(width * 0.9, 1),
                round(_HEIGHT - _BOTTOM - top, 1),
                title,
            )
        )
    lines = [
        _line("then", [day.contained_then for day in every], most_changes, width),
        _line("now", [day.contained_now for day in every], most_changes, width),
        _line("asked", [day.asked_now for day in every], most_changes, width),
    ]
    return Plot(
        tuple(days),
        tuple(bars),
        tuple(lines),
        tuple(_labels(every, width, most_alerts, most_changes)),
    )


def _every(days: Sequence[Day]) -> list[Day]:
    """Return the days with those between them."""
    if not days:
        return []
    known = {day.day: day for day in days}
    first, last = date.fromisoformat(days[0].day), date.fromisoformat(days[-1].day)
    names = [
        (first + timedelta(days=number)).isoformat() for number in range((last - first).days + 1)
    ]
    return [known.get(name) or Day(day=name) for name in names]


def _up(count: int, most: int) -> float:
    return round(_HEIGHT - _BOTTOM - (_HEIGHT - _BOTTOM - _TOP) * count / most, 1)


def _line(kind: str, counts: Sequence[int], most: int, width: float) -> Series:
    dots = tuple(
        (round(_LEFT + (number + 0.45) * width, 1), _up(count, most))
        for number, count in enumerate(counts)
    )
    return Series(kind, " ".join(f"{x},{y}" for x, y in dots), dots)


def _labels(days: Sequence[Day], width: float, most_alerts: int, most_changes: int) -> list[Label]:
    step = -(-len(days) // _MOST_LABELS)
    found = [
        Label(round(_LEFT + (number + 0.45) * width, 1), _HEIGHT - 8, day.day[5:], "middle")
        for number, day in enumerate(days)
        if number % step == 0
    ]
    for count, most, x, anchor in (
        (most_changes, most_changes, _LEFT - 6, "end"),
        (most_alerts, most_alerts, _WIDTH - _RIGHT + 6, "start"),
        (0, 1, _LEFT - 6, "end"),
        (0, 1, _WIDTH - _RIGHT + 6, "start"),
    ):
        found.append(Label(x, _up(count, most) + 4, str(count), anchor))
    return found
