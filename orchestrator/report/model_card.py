"""`model_card.md`: what a student is, where it comes from, how good it is and where it stops; for people and for hubs.

Text that comes from a configuration (names, classes, a command) is escaped: it can't start a table cell, a heading,
HTML or a spreadsheet formula.
"""

from __future__ import annotations

import re
from functools import cache

from jinja2 import Environment

from orchestrator.report.html import environment
from orchestrator.report.schema import Report, Score

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|!~$&])")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")


def render_model_card(report: Report) -> str:
    """Returns the model card as markdown."""
    focal = next(one for one in report.students if one.name == report.run.focal)
    return _environment().get_template("model_card.md.j2").render(r=report, focal=focal)


def markdown(value: object) -> str:
    """Text as one markdown cell or line: special signs escaped, control signs removed, no leading formula sign."""
    text = _SPECIAL.sub(r"\\\1", _CONTROL.sub(" ", str(value)))
    return f"&#{ord(text[0])};{text[1:]}" if text.startswith(("=", "+", "-", "@")) else text


def code(value: object) -> str:
    """Text inside a code span or block: no backticks, no line breaks."""
    return _CONTROL.sub(" ", str(value)).replace("`", "'")


def score(value: Score | None) -> str:
    """'92.7 ± 0.3 %'."""
    if value is None:
        return "–"
    spread = "" if value.std is None else f" ± {100 * value.std:.1f}"
    return f"{100 * value.mean:.1f}{spread} %"


@cache
def _environment() -> Environment:
    """The page's environment without HTML escaping, with markdown's instead."""
    found = environment().overlay(autoescape=False)
    found.filters = {**found.filters, "md": markdown, "code": code, "score": score}
    return found
