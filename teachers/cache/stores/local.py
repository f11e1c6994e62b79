"""Objects as files below one folder.

Writing is temp file in the same folder, write, fsync, link(2) to the final name (which fails when it exists, where
rename would overwrite), unlink, fsync of the folder: after a crash at any byte an object is there whole or not at
all. Where links don't exist the final name is created with O_EXCL and written in place; a crash may then leave a
partial object, which no digest matches. Temp files start with '.tmp-' and are ignored by everything here.
"""

from __future__ import annotations

import errno
import mmap
import os
import re
import secrets
import stat as stat_module
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from foundation.errors import CorruptionError, StorageError, StorageFullError
from teachers.cache.crash import crash_after_bytes, crash_now, crash_point
from teachers.cache.store import Blob, Stat

_SEGMENT = re.compile(r"[a-z0-9][a-z0-9._-]{0,200}\Z")
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV, errno.EINVAL)


def open_store(location: str, options: dict[str, Any]) -> LocalStore:
    """Opens the folder `location`; it's created with the first object."""
    return LocalStore(location)


class LocalStore:
    """See the contract in `teachers.cache.store`. Picklable: it holds no open file."""

    def __init__(self, location: str) -> None:
        self.location = os.path.realpath(location)

    def fetch(self, name: str) -> Blob | None:
        with _plain_words(path := self._path(name)), _opened(path) as fd:
            if fd is None:
                return None
            stat = _regular(fd, path)
            parts = []
            while part := os.read(fd, 16 << 20):
                parts.append(part)
            return Blob(memoryview(parts[0] if len(parts) == 1 else b"".join(parts)), stat)

    def open_map(self, name: str) -> Blob | None:
        with _plain_words(path := self._path(name)), _opened(path) as fd:
            if fd is None:
                return None
            stat = _regular(fd, path)
            if stat.size == 0:  # an empty file can't be mapped
                return Blob(memoryview(b""), stat)
            return Blob(memoryview(mmap.mmap(fd, 0, access=mmap.ACCESS_READ)), stat)

    def put_if_absent(self, name: str, data: bytes) -> bool:
        path = self._path(name)
        folder = os.path.dirname(path)
        short = name.split("/")[-2] if name.count("/") >= 3 else ""
        with _plain_words(path, len(data)):
            if os.path.lexists(path):
                return False
            _make_folders(folder)
            temp = os.path.join(folder, f".tmp-{os.getpid()}-{secrets.token_hex(8)}")
            try:
                _write(temp, data, short, in_place=False)
                won = _link(temp, path)
                if won is None:
                    won = _write_in_place(path, data, short)
                crash_point(f"put.{short}.linked")
            finally:
                _unlink(temp)
            crash_point(f"put.{short}.unlinked")
            _sync_folder(folder)
            crash_point(f"put.{short}.done")
            return won

    def list(self, folder: str) -> list[str]:
        path = self._path(folder) if folder else self.location
        with _plain_words(path):
            try:
                return sorted(name for name in os.listdir(path) if not name.startswith("."))
            except FileNotFoundError:
                return []

    def stat(self, name: str) -> Stat | None:
        with _plain_words(path := self._path(name)):
            try:
                found = os.lstat(path)
            except FileNotFoundError:
                return None
            return Stat(found.st_size, found.st_mtime_ns, found.st_ino)

    def move(self, name: str, to: str) -> bool:
        source, target = self._path(name), self._path(to)
        with _plain_words(source):
            _make_folders(os.path.dirname(target))
            try:
                os.rename(source, target)  # target names carry a random part, so nothing is overwritten
            except FileNotFoundError:
                return False
            _sync_folder(os.path.dirname(target))
            _sync_folder(os.path.dirname(source))
            return True

    def delete(self, name: str) -> None:
        with _plain_words(path := self._path(name)):
            _unlink(path)

    def _path(self, name: str) -> str:
        segments = name.split("/")
        if not all(_SEGMENT.match(segment) for segment in segments):
            raise StorageError("This is not a name of the cache's own making.", found=repr(name), where=self.location)
        folder = os.path.join(self.location, *segments[:-1])
        if os.path.realpath(folder) != folder:
            raise StorageError("A link leads out of the place where the cache keeps its objects.", where=folder)
        return os.path.join(folder, segments[-1])


def _write(path: str, data: bytes, short: str, *, in_place: bool) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    try:
        crash_point(f"put.{short}.opened")
        limit = crash_after_bytes(short, in_place=in_place)
        rest = memoryview(data)[:limit]
        while rest:
            rest = rest[os.write(fd, rest) :]
        if limit is not None:
            os.fsync(fd)
            crash_now()
        crash_point(f"put.{short}.written")
        os.fsync(fd)
        crash_point(f"put.{short}.synced")
    finally:
        os.close(fd)


def _link(temp: str, path: str) -> bool | None:
    """True: now there; False: the name is taken; None: links don't exist here."""
    try:
        os.link(temp, path)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno in _NO_LINKS:
            return None
        raise
    return True


def _write_in_place(path: str, data: bytes, short: str) -> bool:
    try:
        _write(path, data, short, in_place=True)
    except FileExistsError:
        return False
    except OSError:
        _unlink(path)  # ours: O_EXCL created it
        raise
    return True


def _make_folders(path: str) -> None:
    if os.path.isdir(path):
        return
    parent = os.path.dirname(path)
    _make_folders(parent)
    try:
        os.mkdir(path)
    except FileExistsError:
        return
    _sync_folder(parent)


def _sync_folder(path: str) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


@contextmanager
def _opened(path: str) -> Iterator[int | None]:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        yield None
        return
    try:
        yield fd
    finally:
        os.close(fd)


def _regular(fd: int, path: str) -> Stat:
    found = os.fstat(fd)
    if not stat_module.S_ISREG(found.st_mode):
        raise CorruptionError("A stored object is not a plain file.", where=path)
    return Stat(found.st_size, found.st_mtime_ns, found.st_ino)


@contextmanager
def _plain_words(path: str, needed: int = 0) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise StorageFullError(
                "There is no space left to write this object.",
                expected=f"{needed} bytes",
                found=f"{_free_bytes(path)} bytes free ({error.strerror})",
                where=path,
                next_step="free some space (or raise the quota) and run the same command again; nothing is lost",
            ) from error
        if error.errno == errno.ELOOP:
            raise CorruptionError("A stored object is a link; links are not followed.", where=path) from error
        raise StorageError("The disk refused an operation.", found=error.strerror, where=path) from error


def _free_bytes(path: str) -> int:
    while path and not os.path.isdir(path):
        path = os.path.dirname(path)
    try:
        found = os.statvfs(path)
    except OSError:
        return 0
    return found.f_bavail * found.f_frsize
