"""Real folders in a simulated file tree: a node's root, which a learner can open in an editor.

Promise: nothing outside the folder is ever read or written, whatever links are made in it and whenever. A link is
shown as a link and followed inside the tree by FileSystem; every access to the real file system makes sure that no
part of the way is a link, and opens without following one. Left out: hard links, devices, ownership.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from k8s_core.shell.fs import MAX_FILE, NO_SPACE, TREE_LIMIT, Directory, File, FileError, Link, Node, Quota

MAX_ENTRIES = 10_000
"""Files, folders and links that may be made in one tree."""


class HostFile(File):
    """A real file below a HostDirectory."""

    __slots__ = ("path", "top")

    def __init__(self, path: Path, top: "HostDirectory") -> None:
        self.path, self.top, self.quota = path, top, None

    @property  # here the real file system keeps it
    def mode(self) -> int:
        try:
            return self.path.lstat().st_mode & 0o7777
        except OSError:
            return 0o644

    @mode.setter
    def mode(self, value: int) -> None:
        with _host_errors(), self._open(os.O_RDONLY) as descriptor:
            os.fchmod(descriptor, value & 0o777 | 0o600)  # the owner is root, who may do all

    @property
    def mtime(self) -> float:
        try:
            return self.path.lstat().st_mtime
        except OSError:
            return 0.0

    @mtime.setter
    def mtime(self, value: float) -> None:
        with _host_errors(), self._open(os.O_RDONLY) as descriptor:
            os.utime(descriptor, (value, value))

    @contextmanager
    def _open(self, flags: int) -> Iterator[int]:
        _no_links(self.path.parent, self.top)
        descriptor = os.open(self.path, flags | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, 0o644)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def read(self) -> bytes:
        with _host_errors(), self._open(os.O_RDONLY) as descriptor, open(descriptor, "rb", closefd=False) as stream:
            return stream.read(MAX_FILE)

    def write(self, data: bytes, *, append: bool = False) -> None:
        with _host_errors():
            before = self.path.lstat().st_size if self.path.exists() else 0
            grown = len(data) - (0 if append else before)
            if before + grown > MAX_FILE or self.top.full() or not self.top.take(grown, made=not self.path.exists()):
                raise FileError(NO_SPACE)
            how = os.O_APPEND if append else os.O_TRUNC
            with self._open(os.O_WRONLY | os.O_CREAT | how) as descriptor:
                os.write(descriptor, data)
                if self.top.clock:
                    now = self.top.clock()
                    os.utime(descriptor, (now, now))


class HostDirectory(Directory):
    """A real folder. `top` is the whole tree's; `full` says whether its disk is."""

    __slots__ = ("clock", "full", "held", "made", "path", "top")

    def __init__(
        self,
        path: Path,
        top: "HostDirectory | None" = None,
        full: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] | None = None,
    ) -> None:
        super().__init__()
        self.path = path if top else Path(os.path.realpath(path))
        self.top: HostDirectory = top or self
        self.full, self.clock = full, clock
        self.held = self.made = 0
        """Bytes and entries that were written into the whole tree: no script may fill the real disk."""

    def take(self, change: int, *, made: bool = False) -> bool:
        """Count what is about to be written; False if that is more than a tree may hold."""
        if (change > 0 and self.held + change > TREE_LIMIT) or (made and self.made >= MAX_ENTRIES):
            return False
        self.held, self.made = self.held + change, self.made + made
        return True

    def get(self, name: str) -> Node | None:
        mounted = self.entries.get(name)
        if mounted is not None or "/" in name or name in (".", "..") or "\0" in name:
            return mounted
        path = self.path / name
        with _host_errors():
            _no_links(self.path, self.top)
            if path.is_symlink():
                return Link(str(path.readlink()))
            if path.is_dir():
                return HostDirectory(path, self.top)
            return HostFile(path, self.top) if path.is_file() else None

    def set(self, name: str, node: Node) -> None:
        path = self.path / name
        with _host_errors():
            _no_links(self.path, self.top)
            if path.is_symlink() or isinstance(node, Link):
                path.unlink(missing_ok=True)  # never write through a link: it may lead out of the folder
            if isinstance(node, Directory):
                self._set_directory(path, node)
            elif isinstance(node, File):
                file = HostFile(path, self.top)
                file.write(node.read())
                file.mode = node.mode
            elif isinstance(node, Link):
                if not self.top.take(0, made=True):
                    raise FileError(NO_SPACE)
                path.symlink_to(node.target)

    def _set_directory(self, path: Path, node: Directory) -> None:
        if not self.top.take(0, made=not path.exists()):
            raise FileError(NO_SPACE)
        path.mkdir(exist_ok=True)
        made = HostDirectory(path, self.top)
        for name in node.names():
            child = node.get(name)
            if child is not None:
                made.set(name, child)

    def mount_point(self, name: str, node: Node) -> None:
        if self.path == self.top.path:
            self.entries[name] = node
        elif self.get(name) is None:
            self.set(name, Directory() if isinstance(node, Directory) else File())

    def remove(self, name: str) -> None:
        path = self.path / name
        with _host_errors():
            _no_links(self.path, self.top)
            if path.is_dir() and not path.is_symlink():
                path.rmdir()
            else:
                self.top.held -= path.lstat().st_size
                path.unlink(missing_ok=True)
            self.top.made -= 1

    def names(self) -> list[str]:
        with _host_errors():
            _no_links(self.path, self.top)
            real = {p.name for p in self.path.iterdir()} if self.path.is_dir() else set()
        return sorted(real | set(self.entries))

    def new_file(self, name: str, quota: Quota) -> File:
        path = self.path / name
        with _host_errors():
            _no_links(self.path, self.top)
            if path.is_symlink():
                path.unlink()
            file = HostFile(path, self.top)
            file.write(b"", append=True)
            return file


def same_place(left: Node, right: Node) -> bool:
    """Whether two nodes are the same real folder."""
    return isinstance(left, HostDirectory) and isinstance(right, HostDirectory) and left.path == right.path


def _no_links(folder: Path, top: HostDirectory) -> None:
    """Raise unless a folder is below the top and the way to it has no links (somebody may have put one there)."""
    real = os.path.realpath(folder)
    if real != str(folder) or not (real == str(top.path) or real.startswith(f"{top.path}{os.sep}")):
        raise FileError("No such file or directory")


@contextmanager
def _host_errors() -> Iterator[None]:
    """The real file system's refusals, as any other."""
    try:
        yield
    except OSError as error:
        raise FileError(error.strerror or str(error)) from None
    except ValueError as error:
        raise FileError(str(error)) from None
