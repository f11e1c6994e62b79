"""What the house tests look at: the tracked and untracked-but-not-ignored files of the project, parsed once."""

from __future__ import annotations

import ast
import functools
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FLOORS = ("foundation", "teachers", "pipelines", "orchestrator")


@functools.cache
def files() -> tuple[str, ...]:
    """Paths relative to the root, sorted: what git tracks or would track. Without git, every file outside caches."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
        listed = done.stdout.splitlines()
    except (OSError, subprocess.CalledProcessError):
        hidden = (".venv", ".git", "__pycache__", ".work")
        listed = [
            path.relative_to(ROOT).as_posix()
            for path in ROOT.rglob("*")
            if path.is_file() and not any(part in hidden or part.endswith("_cache") for part in path.parts)
        ]
    return tuple(sorted({path for path in listed if (ROOT / path).is_file()}))


def python_files(*tops: str) -> list[str]:
    """Python files, all of them or those below the given top folders."""
    return [path for path in files() if path.endswith(".py") and (not tops or path.split("/")[0] in tops)]


@functools.cache
def tree(path: str) -> ast.Module:
    return ast.parse((ROOT / path).read_text(encoding="utf-8"), filename=path)


def dotted(node: ast.expr) -> str:
    """`a.b.c` of a name or attribute chain, '' for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        start = dotted(node.value)
        return f"{start}.{node.attr}" if start else f"?.{node.attr}"
    return ""
