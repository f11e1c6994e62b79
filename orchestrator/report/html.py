"""`report.html`: one file that needs nothing else. No script, no request, everything escaped.

The template holds the words and the order, `report.css` the looks, `figures` the drawings. Numbers are formatted here
and nowhere else.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from orchestrator.report import figures
from orchestrator.report.compare import Measure
from orchestrator.report.findings import percent, points
from orchestrator.report.schema import Report

_TEMPLATES = Path(__file__).parent


def render_html(report: Report, config: str) -> str:
    """Returns the page. `config` is the resolved configuration as YAML text."""
    measure: Measure = report.run.compared_by
    controls = tuple(report.controls.values())
    focal = next(one for one in report.students if one.name == report.run.focal)
    weights = {one.name: one.weight for one in report.teachers if one.weight is not None}
    drawings = {
        "bars": figures.accuracy_bars(report.students, controls, measure),
        "intervals": figures.intervals(report.comparisons, frozenset(report.controls)) if report.comparisons else "",
        "history": figures.search_history(report.search) if report.search and report.search.history else "",
        "weights": figures.weight_bars(weights) if weights else "",
        "calibration": figures.reliability(report.calibration) if report.calibration else "",
    }
    page = environment().get_template("report.html.j2")
    css = (_TEMPLATES / "report.css").read_text(encoding="utf-8")
    return page.render(
        r=report,
        focal=focal,
        config=config,
        css=Markup(css),
        figures={name: Markup(svg) for name, svg in drawings.items()},
    )


@cache
def environment() -> Environment:
    """The templates' environment: autoescape on, an unknown name is an error."""
    found = Environment(
        loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    found.filters |= {
        "percent": lambda value: "–" if value is None else percent(value),
        "pct": lambda value: "–" if value is None else f"{100 * value:.1f}",
        "points": lambda value: "–" if value is None else points(value),
        "number": number,
        "count": lambda value: "–" if value is None else f"{value:,}".replace(",", "\u202f"),
        "size": size,
        "duration": duration,
        "times": times,
        "shade": shade,
        "short": lambda value: value[:12],
        "breaks": breaks,
    }
    return found


def number(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else f"{value:.{digits}f}".replace("-", "\u2212")


def times(value: float | None) -> str:
    """A ratio for people: '7.1×'."""
    if value is None:
        return "–"
    return f"{value:,.1f}×" if value < 100 else f"{value:,.0f}×"


def breaks(value: str) -> Markup:
    """A long name with places where a line may end; the parts are escaped."""
    return Markup("<wbr>").join(re.split(r"(?<=[:_./-])", value))


def size(value: int | None) -> str:
    """Bytes for people: '7.1 KiB'."""
    if value is None:
        return "–"
    amount = float(value)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024 or unit == "GiB":
            break
        amount /= 1024
    return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"


def duration(seconds: float | None) -> str:
    """Seconds for people: '3.2 µs', '1.4 ms', '12.0 s', '2 min 05 s'."""
    if seconds is None:
        return "–"
    if seconds >= 60:
        return f"{int(seconds // 60)} min {int(seconds % 60):02d} s"
    for unit, scale in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        if seconds * scale >= 1 or unit == "µs":
            break
    return f"{seconds * scale:.1f} {unit}"


def shade(value: float | None, low: float = 0.0) -> Any:
    """The style of a heat map's cell for a fraction: how much of the main colour is mixed into the page's."""
    if value is None:
        return Markup('class="none"')
    strength = max(0.0, min(1.0, (value - low) / (1.0 - low)))
    return Markup(f'class="{"deep" if strength > 0.6 else "pale"}" style="--fill: {100 * strength:.0f}%"')
