"""Real folders in a simulated file tree: a node's root, which a learner can open in an editor.

Promise: nothing outside the folder is ever read or written, whatever links are made in it and whenever. A link is
shown as a link and followed inside the tree by FileSystem. Every access to the real file system goes down from the top
folder by folder, each opened below the one before without following a link, so that no link that somebody puts there
meanwhile leads out; a file with a second (hard) link may lie outside, too, and is not opened. Left out: devices,
ownership.
"""

import os
import stat
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
        found = _status(self.path, self.top)
        return found.st_mode & 0o7777 if found else 0o644

    @mode.setter
    def mode(self, value: int) -> None:
        with self._open(os.O_RDONLY) as descriptor:
            os.fchmod(descriptor, value & 0o777 | 0o600)  # the owner is root, who may do all

    @property
    def mtime(self) -> float:
        found = _status(self.path, self.top)
        return found.st_mtime if found else 0.0

    @mtime.setter
    def mtime(self, value: float) -> None:
        with self._open(os.O_RDONLY) as descriptor:
            os.utime(descriptor, (value, value))

    @contextmanager
    def _open(self, flags: int) -> Iterator[int]:
        flags |= os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        with _folder(self.path.parent, self.top) as folder:
            descriptor = os.open(self.path.name, flags, 0o644, dir_fd=folder)
            try:
                found = os.fstat(descriptor)
                if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
                    raise FileError("Operation not permitted")
                yield descriptor
            finally:
                os.close(descriptor)

    def read(self) -> bytes:
        with self._open(os.O_RDONLY) as descriptor, open(descriptor, "rb", closefd=False) as stream:
            return stream.read(MAX_FILE)

    def write(self, data: bytes, *, append: bool = False) -> None:
        found = _status(self.path, self.top)
        before = found.st_size if found else 0
        grown = len(data) - (0 if append else before)
        if before + grown > MAX_FILE or not self.top.take(grown, made=found is None):
            raise FileError(NO_SPACE)
        with self._open(os.O_WRONLY | os.O_CREAT) as descriptor:
            if append:
                os.lseek(descriptor, 0, os.SEEK_END)
            else:
                os.ftruncate(descriptor, 0)
            os.write(descriptor, data)
            if self.top.clock:
                now = self.top.clock()
                os.utime(descriptor, (now, now))


class HostDirectory(Directory):
    """A real folder. `top` is the whole tree's; `full(made)` says whether its disk is, for data or for a new entry."""

    __slots__ = ("clock", "full", "held", "made", "path", "top")

    def __init__(
        self,
        path: Path,
        top: "HostDirectory | None" = None,
        full: Callable[[bool], bool] = lambda made: False,
        clock: Callable[[], float] | None = None,
    ) -> None:
        super().__init__()
        self.path = path if top else Path(os.path.realpath(path))
        self.top: HostDirectory = top or self
        self.full, self.clock = full, clock
        self.held = self.made = 0
        """Bytes and entries that were written into the whole tree: no script may fill the real disk."""

    def take(self, change: int, *, made: bool = False) -> bool:
        """Count what is about to be written; False if that is more than a tree or its disk may hold."""
        if self.full(made) or (change > 0 and self.held + change > TREE_LIMIT) or (made and self.made >= MAX_ENTRIES):
            return False
        self.held, self.made = self.held + change, self.made + made
        return True

    def get(self, name: str) -> Node | None:
        mounted = self.entries.get(name)
        if mounted is not None or "/" in name or name in (".", "..") or "\0" in name:
            return mounted
        found = _status(self.path / name, self.top)
        if found is None:
            return None
        if stat.S_ISLNK(found.st_mode):
            with _folder(self.path, self.top) as folder:
                return Link(os.readlink(name, dir_fd=folder))
        if stat.S_ISDIR(found.st_mode):
            return HostDirectory(self.path / name, self.top)
        return HostFile(self.path / name, self.top) if stat.S_ISREG(found.st_mode) else None

    def set(self, name: str, node: Node) -> None:
        there = self.get(name)
        with _folder(self.path, self.top) as folder:
            if isinstance(there, Link) or (isinstance(node, Link) and there is not None):
                os.unlink(name, dir_fd=folder)  # never write through a link: it may lead out of the folder
                there = None
            if isinstance(node, Directory | Link) and not self.top.take(0, made=there is None):
                raise FileError(NO_SPACE)
            if isinstance(node, Link):
                os.symlink(node.target, name, dir_fd=folder)
            elif isinstance(node, Directory) and not isinstance(there, Directory):
                os.mkdir(name, 0o755, dir_fd=folder)
        if isinstance(node, Directory):
            made = HostDirectory(self.path / name, self.top)
            for below in node.names():
                child = node.get(below)
                if child is not None:
                    made.set(below, child)
        elif isinstance(node, File):
            file = HostFile(self.path / name, self.top)
            file.write(node.read())
            file.mode = node.mode

    def mount_point(self, name: str, node: Node) -> None:
        if self.path == self.top.path:
            self.entries[name] = node
        elif self.get(name) is None:
            self.set(name, Directory() if isinstance(node, Directory) else File())

    def remove(self, name: str) -> None:
        found = _status(self.path / name, self.top)
        with _folder(self.path, self.top) as folder:
            if found and stat.S_ISDIR(found.st_mode):
                os.rmdir(name, dir_fd=folder)
            elif found:
                os.unlink(name, dir_fd=folder)
                self.top.held -= found.st_size
        self.top.made -= 1

    def names(self) -> list[str]:
        try:
            with _folder(self.path, self.top) as folder:
                real = set(os.listdir(folder))
        except FileError:
            real = set()
        return sorted(real | set(self.entries))

    def new_file(self, name: str, quota: Quota) -> File:
        if isinstance(self.get(name), Link):
            self.remove(name)
        file = HostFile(self.path / name, self.top)
        file.write(b"", append=True)
        return file


def same_place(left: Node, right: Node) -> bool:
    """Whether two nodes are the same real folder."""
    return isinstance(left, HostDirectory) and isinstance(right, HostDirectory) and left.path == right.path


@contextmanager
def _folder(path: Path, top: HostDirectory) -> Iterator[int]:
    """A real folder's descriptor; the real file system's refusals become FileError."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(top.path, flags)
        try:
            for name in path.relative_to(top.path).parts:
                below = os.open(name, flags, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = below
            yield descriptor
        finally:
            os.close(descriptor)
    except OSError as error:
        raise FileError(error.strerror or str(error)) from None
    except ValueError as error:
        raise FileError(str(error)) from None


def _status(path: Path, top: HostDirectory) -> os.stat_result | None:
    """What is at a path, not what a link there leads to; None if nothing is."""
    try:
        with _folder(path.parent, top) as folder:
            return os.stat(path.name, dir_fd=folder, follow_symlinks=False)
    except FileError:
        return None
