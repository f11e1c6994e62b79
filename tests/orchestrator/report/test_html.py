"""The page: nothing runs, nothing is requested, nothing a user named becomes markup."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from orchestrator.report.build import build_report
from orchestrator.report.gather import gather
from orchestrator.report.html import duration, render_html, shade, size, times

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
CSP = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


class Page(HTMLParser):
    """Collects tags, attributes, texts and ids of a page and checks that tags close in order."""

    VOID = frozenset({"meta", "br", "wbr", "img", "link", "input", "hr"})

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def page_of(run_dir: Path) -> str:
    data = gather(run_dir)
    return render_html(build_report(data), data.inputs.config)


@pytest.fixture(scope="module")
def html(fixed_run: Path) -> str:
    return page_of(fixed_run)


def harmless(text: str) -> Page:
    page = Page(text)
    assert not page.open
    assert not {"script", "iframe", "object", "embed", "link", "base", "form", "img", "image", "a"} & set(page.tags)
    for tag, name, value in page.attributes:
        assert not name.startswith("on"), (tag, name)
        if name in ("href", "xlink:href", "src", "action", "style") and "url(" not in value and name != "style":
            assert value.startswith("#"), (tag, name, value)
        assert not re.search(r"url\((?!#)", value), (tag, name, value)
        if not name.startswith("xmlns"):
            assert "://" not in value and not value.lower().startswith(("//", "javascript:")), (tag, name, value)
    rest = re.sub(r'xmlns(:\w+)?="[^"]*"', "", text)
    assert not re.search(r"https?:", rest) and "@import" not in rest
    return page


def test_nothing_runs_and_nothing_is_requested(html: str, unlabelled_run: Path) -> None:
    for text in (html, page_of(unlabelled_run)):
        page = harmless(text)
        assert ("meta", "content", CSP) in page.attributes
        assert text.index("Content-Security-Policy") < text.index("<style>")


def test_every_part_is_there(html: str) -> None:
    page = Page(html)
    assert page.tags.count("svg") == 5
    text = " ".join(" ".join(page.texts).split())
    for wanted in (
        "searched",
        "Is the difference real?",
        "What was chosen",
        "What the teachers know",
        "Calibration",
        "Agreement between teachers",
        "What it costs",
        "Where it comes from",
        "Time per stage",
        "Versions",
        "raydistill run examples/digits/trust.yaml",
        "torch",
        "shuffled_teacher",
        "What it costs",
    ):
        assert wanted in text, wanted
    assert html.count('class="heat"') == 2


def test_ids_are_unique_and_references_resolve(html: str) -> None:
    ids = [value for _, name, value in Page(html).attributes if name == "id"]
    assert len(ids) == len(set(ids))
    used = set(re.findall(r"url\(#([^)]+)\)", html)) | set(re.findall(r'href="#([^"]+)"', html))
    assert used and used <= set(ids)


def test_the_configuration_is_text(html: str) -> None:
    assert "&lt;b&gt;not bold&lt;/b&gt;" in html and "<b>not bold" not in html


def test_names_are_inert(run_dir: Path) -> None:
    for name in ("context.json", "teachers.json"):
        path = run_dir / name
        value = json.loads(path.read_text())
        if name == "context.json":
            value |= {"name": EVIL, "command": EVIL, "versions": {EVIL: EVIL}, "test": EVIL, "student": EVIL}
            value["classes"][0] = EVIL
        else:
            for teacher in value["teachers"]:
                teacher["classes"] = [EVIL if one == "0" else one for one in teacher["classes"]]
                teacher["fingerprint"] = EVIL
        path.write_text(json.dumps(value))
    (run_dir / "config.yaml").write_text(f"# {EVIL} {{{{ 7 * 191 }}}}\n")
    search = json.loads((run_dir / "search.json").read_text())
    (run_dir / "search.json").write_text(json.dumps({**search, "metric": EVIL, "rows": EVIL}))
    text = page_of(run_dir)
    page = harmless(text)
    assert any(EVIL in one for one in page.texts), "the name is shown, as text"
    assert "1337" not in text


def test_student_names_are_inert_in_drawings(run_dir: Path) -> None:
    roster = json.loads((run_dir / "roster.json").read_text())
    for one in roster["students"]:
        if one["name"] == "oracle":
            one["name"] = "$\\frac{$ <b>&\n\x1b[31m"
            source = run_dir / "predictions/students/oracle"
            from orchestrator.report.predictions import path_of

            target = path_of(run_dir, "students", one["name"], 0).parent
            source.rename(target)
    (run_dir / "roster.json").write_text(json.dumps(roster))
    harmless(page_of(run_dir))


def test_the_same_run_gives_the_same_page(fixed_run: Path, html: str) -> None:
    assert page_of(fixed_run) == html
    assert not re.search(r"20\d\d-\d\d-\d\d", html)


def test_it_follows_light_and_dark(html: str) -> None:
    assert "prefers-color-scheme: dark" in html
    svg = html[html.index("<svg") : html.index("</svg>")]
    assert "var(--ink)" in svg and "var(--main)" in svg
    assert not re.search(r"(fill|stroke): #(?!fff)[0-9a-f]{6}", svg)


def test_a_run_without_search_or_weights_still_has_a_page(run_dir: Path) -> None:
    (run_dir / "search.json").unlink()
    (run_dir / "trials.jsonl").unlink()
    roster = json.loads((run_dir / "roster.json").read_text())
    for one in roster["students"]:
        one["weights"] = {}
    (run_dir / "roster.json").write_text(json.dumps(roster))
    harmless(page_of(run_dir))


def test_building_and_drawing_take_under_five_seconds_in_a_fresh_process(run_dir: Path) -> None:
    code = "import sys,time; from pathlib import Path; t=time.process_time(); "
    code += "from orchestrator.report.build import write_report; "
    code += (
        "write_report(Path(sys.argv[1])); print(time.process_time()-t, 'torch' in sys.modules, 'ray' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(run_dir)], capture_output=True, text=True, check=True, timeout=120
    )
    seconds, torch, ray = done.stdout.split()
    assert float(seconds) < 5.0 and (torch, ray) == ("False", "False")


def test_numbers_for_people() -> None:
    assert [size(n) for n in (None, 12, 7_270, 3 << 20)] == ["–", "12 B", "7.1 KiB", "3.0 MiB"]
    assert [duration(s) for s in (None, 3.2e-6, 1.4e-3, 12.0, 125.0)] == [
        "–",
        "3.2 µs",
        "1.4 ms",
        "12.0 s",
        "2 min 05 s",
    ]
    assert [times(x) for x in (None, 7.12, 1234.0)] == ["–", "7.1×", "1,234×"]
    assert "none" in shade(None) and "deep" in shade(0.9) and "pale" in shade(0.2)
