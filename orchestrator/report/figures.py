"""The report's drawings: matplotlib to inline SVG that follows the page's light or dark colours.

matplotlib knows no CSS, so figures are drawn in stand-in colours that are replaced by CSS variables afterwards.
Text is drawn as paths, so that nothing shifts or overlaps on a machine with other fonts. The same numbers give the
same bytes: fixed hash salt, no dates. Heat maps are HTML tables (see the template), which stay readable at any width.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from orchestrator.report.compare import Measure, score_of
from orchestrator.report.schema import Calibration, Comparison, HistoryPoint, SearchReport, StudentReport

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Stand-ins; each must be a colour that nothing else in a figure uses.
INK, MUTED, GRID, MAIN, SOFT, GOOD, BAD, PAPER = (
    "#101112", "#606162", "#d0d1d2", "#2050c1", "#90a0b1", "#108041", "#c03021", "#fdfcfb",
)  # fmt: skip
_VARIABLES = {
    INK: "--ink", MUTED: "--muted", GRID: "--grid", MAIN: "--main", SOFT: "--soft", GOOD: "--good", BAD: "--bad",
    PAPER: "--paper",
}  # fmt: skip
_STYLE: dict[Any, Any] = {
    "svg.hashsalt": "raydistill",
    "svg.fonttype": "path",
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "text.parse_math": False,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": GRID,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.grid": True,
    "axes.unicode_minus": True,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": INK,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
}
_WIDTH = 8.4  # inches


def accuracy_bars(students: tuple[StudentReport, ...], controls: tuple[StudentReport, ...], measure: Measure) -> str:
    """Mean score of each student as a bar, its spread over seeds as a line, each seed as a dot; best on top."""
    rows = sorted((*students, *controls), key=lambda one: score_of(one, measure).mean)
    with _figure(0.34 * len(rows) + 0.8) as (figure, axes):
        for place, student in enumerate(rows):
            score = score_of(student, measure)
            axes.barh(place, 100 * score.mean, height=0.62, color=_colour(student), alpha=_strength(student), lw=0)
            if score.std:
                axes.errorbar(100 * score.mean, place, xerr=100 * score.std, color=INK, lw=1.3, capsize=3)
            dots = [100 * value for value in score.per_seed]
            axes.scatter(dots, [place] * len(dots), s=15, color=PAPER, edgecolors=INK, linewidths=0.9, zorder=3)
            edge = 100 * max(score.mean + (score.std or 0.0), *score.per_seed)
            axes.annotate(f"{100 * score.mean:.1f}", (edge, place), (7, 0), textcoords="offset points", va="center")
        axes.set_yticks(range(len(rows)), [_label(student) for student in rows])
        axes.set_xlim(0, 108)
        axes.set_xticks(range(0, 101, 20))
        axes.set_ylim(-0.6, len(rows) - 0.4)
        axes.grid(axis="y", visible=False)
        axes.set_xlabel("test accuracy, %" if measure == "accuracy" else "agreement with the teachers' plain mean, %")
        return _svg(figure, "bars", "Scores of all students with each seed and the spread over seeds")


def intervals(comparisons: tuple[Comparison, ...], controls: frozenset[str]) -> str:
    """Paired differences with their 95 % intervals; crossing zero means: no difference shown."""
    rows = list(reversed(comparisons))
    with _figure(0.36 * len(rows) + 0.8) as (figure, axes):
        axes.axvline(0, color=INK, lw=1)
        for place, found in enumerate(rows):
            colour = {"better": GOOD, "worse": BAD}.get(found.verdict, MUTED)
            if found.b in controls and found.verdict != "better":
                colour = BAD
            if found.low is not None and found.high is not None:
                ends = [100 * found.low, 100 * found.high]
                axes.plot(ends, [place, place], color=colour, lw=2.4, solid_capstyle="round")
            dots = [100 * value for value in found.per_seed]
            axes.scatter(dots, [place] * len(dots), s=11, color=SOFT, zorder=3, lw=0)
            axes.scatter([100 * found.difference], [place], s=38, color=colour, zorder=4, lw=0)
        axes.set_yticks(range(len(rows)), [f"minus {_short(found.b)}" for found in rows])
        axes.set_ylim(-0.6, len(rows) - 0.4)
        axes.grid(axis="y", visible=False)
        axes.margins(x=0.06)
        axes.set_xlabel("difference in points")
        return _svg(figure, "intervals", "Differences to each rival with 95 % intervals")


def search_history(search: SearchReport) -> str:
    """Score of each trial in the order in which they ended, the best so far as a line, enqueued points marked."""
    with _figure(2.9) as (figure, axes):
        kinds = (("stopped early", MUTED, "x"), ("sampled", SOFT, "o"), ("enqueued baseline", MAIN, "D"))
        for label, colour, marker in kinds:
            found = [
                (index, point.score)
                for index, point in enumerate(search.history, 1)
                if point.score is not None and _kind(point) == label
            ]
            if found:
                x, y = zip(*found, strict=True)
                width = 1.2 if marker == "x" else 0
                axes.scatter(x, y, s=22, color=colour, marker=marker, lw=width, label=label, zorder=3)
        best = [(index, point.best) for index, point in enumerate(search.history, 1) if point.best is not None]
        if best:
            axes.step(*zip(*best, strict=True), where="post", color=GOOD, lw=1.8, label="best so far")
        axes.spines["left"].set_visible(True)
        axes.set_xlabel("trial, in the order of finishing")
        axes.set_ylabel("score on held-out rows")
        axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=4, borderaxespad=0.2, handletextpad=0.4)
        return _svg(figure, "history", "Scores of all trials and the best so far")


def weight_bars(weights: dict[str, float]) -> str:
    """The chosen weight of each teacher, against equal weights."""
    names = list(reversed(weights))
    with _figure(0.34 * len(names) + 0.8) as (figure, axes):
        values = [100 * weights[name] for name in names]
        axes.barh(range(len(names)), values, height=0.62, color=MAIN, lw=0)
        equal = 100 / len(names)
        axes.axvline(equal, color=MUTED, lw=1.1, ls=(0, (4, 3)))
        for place, value in enumerate(values):
            axes.annotate(f"{value:.1f}", (value, place), (6, 0), textcoords="offset points", va="center")
        axes.set_yticks(range(len(names)), [_short(name) for name in names])
        axes.set_xlim(0, max(*values, equal) * 1.14)
        axes.set_ylim(-0.6, len(names) - 0.4)
        axes.grid(axis="y", visible=False)
        axes.set_xlabel("weight, % (dashed: equal weights)")
        return _svg(figure, "weights", "Chosen weight of each teacher")


def reliability(found: tuple[Calibration, ...]) -> str:
    """Accuracy against confidence, one small panel per student; on the diagonal confidence is honest."""
    from matplotlib.figure import Figure

    with _style():
        figure = Figure(figsize=(_WIDTH, 3.0), layout="constrained")
        panels = figure.subplots(1, len(found), sharey=True, squeeze=False)[0]
        for axes, one in zip(panels, found, strict=True):
            axes.plot([0, 100], [0, 100], color=MUTED, lw=1, ls=(0, (4, 3)))
            filled = [
                (100 * b.confidence, 100 * b.accuracy, b.count)
                for b in one.bins
                if b.confidence is not None and b.accuracy is not None
            ]
            most = max(count for _, _, count in filled)
            axes.plot([x for x, _, _ in filled], [y for _, y, _ in filled], color=MAIN, lw=1.4)
            sizes = [12 + 60 * count / most for _, _, count in filled]
            axes.scatter([x for x, _, _ in filled], [y for _, y, _ in filled], s=sizes, color=MAIN, lw=0, zorder=3)
            axes.set_title(f"{_short(one.name)}   ECE {100 * one.ece:.1f} %", fontsize=9.5, color=INK, loc="left")
            axes.set_xlim(0, 102)
            axes.set_ylim(0, 102)
            axes.set_xticks(range(0, 101, 25))
            axes.set_yticks(range(0, 101, 25))
            axes.set_xlabel("confidence, %")
        panels[0].set_ylabel("accuracy, %")
        return _svg(figure, "calibration", "Reliability: accuracy against confidence")


@contextmanager
def _style() -> Iterator[None]:
    import matplotlib

    with matplotlib.rc_context(_STYLE):
        yield


@contextmanager
def _figure(height: float) -> Iterator[tuple[Figure, Axes]]:
    from matplotlib.figure import Figure as NewFigure

    with _style():
        figure = NewFigure(figsize=(_WIDTH, height), layout="constrained")
        yield figure, figure.subplots()


def _kind(point: HistoryPoint) -> str:
    if point.name is not None:
        return "enqueued baseline"
    return "sampled" if point.status == "done" else "stopped early"


def _colour(student: StudentReport) -> str:
    return {"searched": MAIN, "control": BAD}.get(student.kind, SOFT)


def _strength(student: StudentReport) -> float:
    return 0.45 if student.reference or student.kind == "control" else 1.0


def _label(student: StudentReport) -> str:
    note = " (reference)" if student.reference else " (control)" if student.kind == "control" else ""
    return f"{_short(student.name)}{note}"


def _short(name: str, limit: int = 34) -> str:
    shown = "".join(sign if sign.isprintable() else "?" for sign in name)
    return shown if len(shown) <= limit else f"{shown[: limit - 1]}…"


def _svg(figure: Figure, prefix: str, title: str) -> str:
    """The figure as an inline `<svg>`: no prolog, no metadata, ids of its own, colours as CSS variables."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<!--.*?-->\n?", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="', f'id="{prefix}-', text)
    text = re.sub(r'href="#', f'href="#{prefix}-', text)
    text = re.sub(r"url\(#", f"url(#{prefix}-", text)
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, f"var({variable})")
    text = re.sub(r'<svg([^>]*?) width="[^"]*"', r"<svg\1", text, count=1)
    text = re.sub(r'<svg([^>]*?) height="[^"]*"', r"<svg\1", text, count=1)
    return text.replace("<svg", f'<svg role="img" aria-label="{title}"', 1).strip()
