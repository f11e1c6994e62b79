"""`make guards`: takes each guard out in turn, in a copy of the tree, and runs the test that must turn red.

A guard is a check or an order of steps whose removal would break a promise silently. A guard whose test stays green is
a promise nobody holds; a cut that no longer applies is a failure, too. The table goes to docs/guards.md.
The list itself is `guards_list.py`; how a cut is made is `patching.py`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from benchmarks import harness
from benchmarks.patching import Cut, CutError, apply

ROOT = Path(__file__).resolve().parents[1]
_SECONDS_PER_TEST = 300
_TESTS_FAILED = 1  # pytest's exit code for "ran, and some failed"; any other means that nothing was shown


@dataclass(frozen=True)
class Guard:
    """One guard: what it holds, how it is taken out, and the test that notices.

    `test` is a pytest node id, or several separated by blanks.
    """

    id: str
    holds: str
    cut: Cut
    test: str


@dataclass(frozen=True)
class Verdict:
    guard: Guard
    red: bool
    why: str


def copy_tree(root: Path, target: Path) -> None:
    """Copies what git tracks or would track; no caches, no environments, no build results."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60, check=True)
    for name in listed.stdout.splitlines():
        if (root / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, target / name)


def run_tests(tree: Path, tests: Sequence[str]) -> tuple[int, str]:
    """Runs tests of a copied tree against that copy; returns pytest's exit code (-1: no result) and its last words."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--no-header", *tests]
    # The copy comes first on the path, also in subprocesses, so that an installed raydistill isn't what is tested.
    env = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(command, cwd=tree, env=env, capture_output=True, text=True, timeout=_SECONDS_PER_TEST)
    except subprocess.TimeoutExpired:
        return -1, f"no result within {_SECONDS_PER_TEST} s"
    words = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return done.returncode, (words or done.stdout.splitlines() or ["no output"])[-1]


def try_guard(guard: Guard, root: Path) -> Verdict:
    """Takes the guard out of a fresh copy and runs its test."""
    with tempfile.TemporaryDirectory(prefix="guard-") as folder:
        tree = Path(folder)
        copy_tree(root, tree)
        target = tree / guard.cut.path
        try:
            target.write_text(apply(target.read_text(encoding="utf-8"), guard.cut), encoding="utf-8")
        except (CutError, OSError) as error:
            return Verdict(guard, False, f"the cut does not apply: {error}")
        code, words = run_tests(tree, guard.test.split())
    if code == _TESTS_FAILED:
        return Verdict(guard, True, words)
    return Verdict(guard, False, f"stayed green: {words}" if code == 0 else f"pytest ended with {code}: {words}")


def try_all(guards: Sequence[Guard], root: Path, jobs: int) -> list[Verdict]:
    """All guards, after a check that their tests are green as long as nothing is taken out."""
    with tempfile.TemporaryDirectory(prefix="guard-") as folder:
        copy_tree(root, Path(folder))
        tests = sorted({test for guard in guards for test in guard.test.split()})
        code, words = run_tests(Path(folder), tests)
    if code != 0:
        return [Verdict(guard, False, f"red before anything was taken out: {words}") for guard in guards]
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        verdicts = []
        for verdict in pool.map(lambda guard: try_guard(guard, root), guards):
            harness.say(f"{'red' if verdict.red else 'NOT SHOWN':10} {verdict.guard.id}: {verdict.why}")
            verdicts.append(verdict)
    return verdicts


def page(verdicts: Sequence[Verdict]) -> str:
    """The text of docs/guards.md."""
    lines = [
        "# Guards",
        "",
        "Made by `make guards`: each guard below is taken out of a copy of the code, one at a time, and the named test",
        "is run. A guard belongs here when taking it out would break a promise without anybody noticing at once.",
        "",
        f"{sum(verdict.red for verdict in verdicts)} of {len(verdicts)} turned their test red.",
        "",
        "| guard | where | what it holds | test that turns red |",
        "|---|---|---|---|",
    ]
    for verdict in verdicts:
        guard = verdict.guard
        place = f"`{guard.cut.path}` `{guard.cut.function}`"
        tests = " ".join(f"`{test.removeprefix('tests/')}`" for test in guard.test.split())
        lines.append(
            f"| {guard.id} | {place} | {guard.holds} | {tests if verdict.red else '**' + verdict.why + '**'} |"
        )
    return "\n".join(lines) + "\n"


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--only", default="", help="take out only guards whose id contains this text; writes no page")
    parser.add_argument("--jobs", type=int, default=2, help="copies at work at a time")


def _measure(options: argparse.Namespace) -> list[harness.Row]:
    from benchmarks.guards_list import GUARDS

    chosen = [guard for guard in GUARDS if options.only in guard.id]
    verdicts = try_all(chosen, ROOT, options.jobs)
    if not options.only:
        (ROOT / "docs" / "guards.md").write_text(page(verdicts), encoding="utf-8")
    return [
        harness.Row(verdict.guard.id, verdict.guard.holds, float(verdict.red), "red", gate="== 1")
        for verdict in verdicts
    ]


main = harness.command("guards", _measure, arguments=_arguments)

if __name__ == "__main__":
    raise SystemExit(main())
