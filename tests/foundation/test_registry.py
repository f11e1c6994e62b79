from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from foundation import registry
from foundation.errors import PluginError

ROOT = Path(__file__).resolve().parents[2]
GUEST = 'KIND = "method"\nLOADED = []\n\nclass Options:\n    """Options of a guest."""\n\ndef loss():\n    return 42\n'


@pytest.fixture(autouse=True)
def clean_registry() -> Iterator[None]:
    guests, modules = dict(registry._guests), dict(registry._modules)
    yield
    for name, kept in (("_guests", guests), ("_modules", modules)):
        current = getattr(registry, name)
        current.clear()
        current.update(kept)


def write(folder: Path, name: str, text: str = GUEST) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("kind", sorted(registry.ROOMS))
def test_listing_a_room_imports_none_of_its_plugins(kind: str) -> None:
    code = f"""
import sys
from foundation import registry
names = registry.names({kind!r})
room = registry.ROOMS[{kind!r}]
loaded = [n for n in names if room + '.' + n in sys.modules]
assert not loaded, loaded
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_a_guest_is_listed_loaded_once_and_known_by_its_file(tmp_path: Path) -> None:
    path = write(tmp_path, "my_loss.py")
    guest = registry.add_guest_file(path)
    assert guest.kind == "method" and guest.name == "my_loss"
    assert "my_loss" in registry.names("method")
    module = registry.load("method", "my_loss")
    assert module.loss() == 42
    assert registry.load("method", "my_loss") is module
    assert registry.origin("method", "my_loss") == str(path)


def test_a_guest_runs_in_a_fresh_process_without_its_file(tmp_path: Path) -> None:
    path = write(tmp_path, "my_loss.py")
    registry.add_guest_file(path)
    (tmp_path / "guests.pickle").write_bytes(pickle.dumps(registry.guests()))
    path.unlink()
    code = """
import pickle, sys
from foundation import registry
registry.install(pickle.load(open(sys.argv[1], "rb")))
print(registry.load("method", "my_loss").loss())
"""
    command = [sys.executable, "-c", code, str(tmp_path / "guests.pickle")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "42", done.stderr


def test_installing_the_same_guest_twice_is_fine_but_another_of_its_name_is_not(tmp_path: Path) -> None:
    registry.add_guest_file(write(tmp_path, "my_loss.py"))
    registry.add_guest_file(write(tmp_path, "my_loss.py"))
    with pytest.raises(PluginError, match="exists already"):
        registry.add_guest_file(write(tmp_path, "my_loss.py", GUEST + "# changed\n"))


def test_a_guest_cannot_take_the_place_of_a_builtin(tmp_path: Path) -> None:
    taken = registry.names("method")
    if not taken:
        pytest.skip("no built-in methods")
    with pytest.raises(PluginError, match="exists already"):
        registry.add_guest_file(write(tmp_path, f"{taken[0]}.py"))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("my_loss.py", "x = 1\n", "say its kind"),
        ("my_loss.py", 'KIND = "magic"\n', "Unknown kind"),
        ("My-Loss.py", GUEST, "plain lower-case"),
        ("missing.py", None, "can't be read"),
    ],
)
def test_a_file_that_is_no_plugin_is_refused(tmp_path: Path, name: str, text: str | None, message: str) -> None:
    path = tmp_path / name if text is None else write(tmp_path, name, text)
    with pytest.raises(PluginError, match=message):
        registry.add_guest_file(path)


def test_a_guest_that_fails_names_its_file_and_leaves_nothing(tmp_path: Path) -> None:
    path = write(tmp_path, "broken.py", 'KIND = "method"\nraise RuntimeError("boom")\n')
    registry.add_guest_file(path)
    with pytest.raises(PluginError, match="failed while it was loaded") as caught:
        registry.load("method", "broken")
    assert caught.value.where == str(path)
    assert "boom" in str(caught.value)
    assert "raydistill_guest_method_broken" not in sys.modules


def test_an_unknown_name_suggests_the_nearest(tmp_path: Path) -> None:
    registry.add_guest_file(write(tmp_path, "my_loss.py"))
    with pytest.raises(PluginError) as caught:
        registry.load("method", "my_los")
    assert "did you mean 'my_loss'" in str(caught.value)


def test_an_unknown_kind_lists_the_known_ones() -> None:
    with pytest.raises(PluginError, match="Unknown kind") as caught:
        registry.names("magic")
    assert "weighting" in str(caught.value)


def test_a_name_is_never_used_as_a_path() -> None:
    for name in ("../errors", "os", "foundation.errors", "__init__", "a/b"):
        with pytest.raises(PluginError):
            registry.load("method", name)


def test_the_digest_of_a_guest_follows_its_source(tmp_path: Path) -> None:
    first = registry.Guest("method", "a", "x.py", "1")
    assert first.digest != registry.Guest("method", "a", "x.py", "2").digest
    assert first.digest == registry.Guest("method", "b", "y.py", "1").digest
