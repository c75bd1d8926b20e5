"""The file tree a process sees: directories, files, links and devices in memory, and real folders mounted into it.

Stands for the kernel's VFS. A volume is a Directory that several containers' trees hold under different names;
a hostPath is a HostDirectory (host_fs.py). Permissions are kept for `ls -l` and read-only mounts are enforced;
ownership is not.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Union

Node = Union["File", "Directory", "Link", "Device"]


class FileError(Exception):
    """A failed file operation; its text is the C library's (`No such file or directory`)."""


NOT_FOUND, IS_DIRECTORY, NOT_DIRECTORY = "No such file or directory", "Is a directory", "Not a directory"
EXISTS, READ_ONLY, NOT_EMPTY = "File exists", "Read-only file system", "Directory not empty"
BUSY = "Device or resource busy"
TOO_MANY_LINKS, NO_SPACE = "Too many levels of symbolic links", "No space left on device"
MAX_LINKS = 40
MAX_FILE = 4 << 20
"""A simulated file holds at most 4 MiB: a runaway script meets a full disk, not the real machine's memory."""


TREE_LIMIT = 64 << 20
"""Bytes that the files written through one tree may hold together."""


class Quota:
    """How much a tree's files hold, and how many there are. `full(made)` says whether the disk below has no room: for
    data, or for one more file."""

    __slots__ = ("files", "full", "used")

    def __init__(self) -> None:
        self.used = self.files = 0
        self.full: Callable[[bool], bool] = lambda made: False

    def take(self, change: int, files: int = 0) -> None:
        if (change > 0 and self.used + change > TREE_LIMIT) or (max(change, files) > 0 and self.full(files > 0)):
            raise FileError(NO_SPACE)
        self.used, self.files = self.used + change, self.files + files


class File:
    """A regular file; `read` may be given instead of data for a file that is made when looked at (/proc)."""

    __slots__ = ("_data", "_read", "mode", "mtime", "quota")

    def __init__(self, data: bytes = b"", *, mode: int = 0o644, read: Callable[[], bytes] | None = None) -> None:
        self._data, self._read, self.mode, self.mtime = data, read, mode, 0.0
        self.quota: Quota | None = None

    def read(self) -> bytes:
        return self._read() if self._read else self._data

    def write(self, data: bytes, *, append: bool = False) -> None:
        content = self.read() + data if append else data
        if len(content) > MAX_FILE:
            raise FileError(NO_SPACE)
        if self.quota:
            self.quota.take(len(content) - len(self._data))
        self._data, self._read = content, None

    def dropped(self) -> None:
        """It was removed from its directory."""
        if self.quota:
            self.quota.take(-len(self._data), -1)
            self.quota = None


class Link:
    """A symbolic link."""

    __slots__ = ("mode", "mtime", "target")

    def __init__(self, target: str) -> None:
        self.target, self.mode, self.mtime = target, 0o777, 0.0


class Device:
    """A character device (null, zero, stdin, stdout, stderr, tty) or a socket."""

    __slots__ = ("kind", "mode", "mtime")

    def __init__(self, kind: str) -> None:
        self.kind, self.mode, self.mtime = kind, 0o666, 0.0


class Directory:
    """A directory in memory."""

    __slots__ = ("entries", "mode", "mtime", "read_only", "tmpfs")

    def __init__(self, entries: dict[str, Node] | None = None, *, mode: int = 0o755) -> None:
        self.entries: dict[str, Node] = entries if entries is not None else {}
        self.mode, self.mtime, self.read_only, self.tmpfs = mode, 0.0, False, False

    def get(self, name: str) -> Node | None:
        return self.entries.get(name)

    def set(self, name: str, node: Node) -> None:
        self.entries[name] = node

    def remove(self, name: str) -> None:
        del self.entries[name]

    def mount_point(self, name: str, node: Node) -> None:
        """Something is mounted there."""
        self.set(name, node)

    def names(self) -> list[str]:
        return sorted(self.entries)

    def new_file(self, name: str, quota: Quota) -> File:
        """A new empty file under that name; it and what it holds count on `quota`."""
        quota.take(0, 1)
        self.entries[name] = file = File()
        file.quota = quota
        return file


class Listing(Directory):
    """A directory that is made when somebody looks; nothing can be written in it."""

    __slots__ = ("_look",)

    def __init__(self, look: Callable[[], Mapping[str, Node]]) -> None:
        super().__init__(mode=0o555)
        self._look = look

    def get(self, name: str) -> Node | None:
        return self._look().get(name)

    def names(self) -> list[str]:
        return sorted(self._look())

    def set(self, name: str, node: Node) -> None:
        raise FileError(READ_ONLY)

    def remove(self, name: str) -> None:
        raise FileError(READ_ONLY)

    def new_file(self, name: str, quota: Quota) -> File:
        raise FileError(READ_ONLY)


class FileSystem:
    """One process's view: a root directory and what is mounted in it. Paths are absolute or against cwd."""

    def __init__(self, root: Directory, clock: Callable[[], float]) -> None:
        self.root, self.clock = root, clock
        self.quota = Quota()
        self.mounts: dict[str, tuple[Node, bool]] = {}  # path -> (node, read-only)

    def mount(self, path: str, node: Node, *, read_only: bool = False) -> None:
        path = normalize(path)
        if path != "/":
            parent = self.make_directories(path.rsplit("/", 1)[0] or "/")
            name = path.rsplit("/", 1)[1]
            parent.mount_point(name, node)
        self.mounts[path] = (node, read_only)

    def lookup(self, path: str, cwd: str = "/", *, follow: bool = True) -> Node | None:
        """The node at a path, or None."""
        try:
            return self._walk(path, cwd, follow)[0]
        except FileError:
            return None

    def resolve(self, path: str, cwd: str = "/", *, follow: bool = True) -> tuple[Node, str]:
        """The node and its real path; raises FileError."""
        node, real = self._walk(path, cwd, follow)
        if node is None:
            raise FileError(NOT_FOUND)
        return node, real

    def _walk(self, path: str, cwd: str, follow: bool) -> tuple[Node | None, str]:
        todo = [p for p in (path if path.startswith("/") else f"{cwd}/{path}").split("/") if p and p != "."][::-1]
        stack: list[tuple[str, Node]] = [("", self.root)]
        links = 0
        while todo:
            name = todo.pop()
            here = stack[-1][1]
            if name == "..":
                if len(stack) > 1:
                    stack.pop()
                continue
            if not isinstance(here, Directory):
                raise FileError(NOT_DIRECTORY)
            mounted = self.mounts.get("/".join(n for n, _ in stack) + "/" + name) if self.mounts else None
            node = mounted[0] if mounted else here.get(name)
            if node is None:
                if todo:
                    raise FileError(NOT_FOUND)
                return None, "/".join(n for n, _ in stack) + "/" + name
            if isinstance(node, Link) and (todo or follow):
                links += 1
                if links > MAX_LINKS:
                    raise FileError(TOO_MANY_LINKS)
                todo.extend(p for p in reversed(node.target.split("/")) if p and p != ".")
                if node.target.startswith("/"):
                    del stack[1:]
                continue
            stack.append((name, node))
        return stack[-1][1], "/".join(n for n, _ in stack) or "/"

    def parent(self, path: str, cwd: str = "/") -> tuple[Directory, str]:
        """The writable directory that holds (or would hold) a path, and the last name."""
        absolute = normalize(path, cwd)
        folder, _, name = absolute.rpartition("/")
        node, real = self.resolve(folder or "/")
        if not isinstance(node, Directory):
            raise FileError(NOT_DIRECTORY)
        self._check_writable(f"{real.rstrip('/')}/{name}")
        return node, name

    def _check_writable(self, path: str) -> None:
        best, read_only = "", False
        for mounted, (_, ro) in self.mounts.items():
            if len(mounted) > len(best) and (path == mounted or path.startswith(mounted.rstrip("/") + "/")):
                best, read_only = mounted, ro
        if read_only:
            raise FileError(READ_ONLY)

    def read(self, path: str, cwd: str = "/") -> bytes:
        node, _ = self.resolve(path, cwd)
        if isinstance(node, Directory):
            raise FileError(IS_DIRECTORY)
        return node.read() if isinstance(node, File) else b""

    def open_write(self, path: str, cwd: str = "/", *, truncate: bool = True) -> File | Device:
        """The file to write to, made if it is not there."""
        node, real = self._walk(path, cwd, True)
        if isinstance(node, Directory):
            raise FileError(IS_DIRECTORY)
        if isinstance(node, Device):
            return node
        folder, name = self.parent(real)
        if node is None:
            node = folder.new_file(name, self.quota)
        assert isinstance(node, File)
        if truncate:
            node.write(b"")
        node.mtime = folder.mtime = self.clock()
        return node

    def write(self, path: str, data: bytes, cwd: str = "/", *, append: bool = False) -> None:
        file = self.open_write(path, cwd, truncate=False)
        if isinstance(file, File):
            file.write(data, append=append)

    def make_directory(self, path: str, cwd: str = "/") -> Directory:
        folder, name = self.parent(path, cwd)
        if not name or folder.get(name) is not None:
            raise FileError(EXISTS)
        folder.set(name, Directory())
        made = folder.get(name)
        assert isinstance(made, Directory)
        made.mtime = folder.mtime = self.clock()
        return made

    def make_directories(self, path: str, cwd: str = "/") -> Directory:
        """mkdir -p."""
        walked, node = "", self.root
        for name in normalize(path, cwd).split("/")[1:]:
            if not name:
                continue
            walked += "/" + name
            found = self.lookup(walked)
            if found is None:
                node = self.make_directory(walked)
            elif isinstance(found, Directory):
                node = found
            else:
                raise FileError(EXISTS)
        return node

    def remove(self, path: str, cwd: str = "/", *, recursive: bool = False) -> None:
        folder, name = self.parent(path, cwd)
        node = folder.get(name)
        if node is None:
            raise FileError(NOT_FOUND)
        if isinstance(node, Directory):
            if node.names() and not recursive:
                raise FileError(NOT_EMPTY)
            for child in node.names():
                self.remove(f"{normalize(path, cwd)}/{child}", recursive=True)
        if normalize(path, cwd) in self.mounts:
            raise FileError(BUSY)
        folder.remove(name)
        if isinstance(node, File):
            node.dropped()
        folder.mtime = self.clock()

    def move(self, here: str, there: str) -> None:
        """Let what has one absolute path have the other (rename)."""
        folder, name = self.parent(here)
        node = folder.get(name)
        if node is None:
            raise FileError(NOT_FOUND)
        if there.startswith(f"{here}/"):
            raise FileError("Invalid argument")
        if there == here:
            return
        if here in self.mounts:
            raise FileError(BUSY)
        target, new = self.parent(there)
        if type(folder) is type(target) is Directory:
            target.set(new, node)
            folder.remove(name)
            folder.mtime = target.mtime = self.clock()
        else:  # between a real folder and another: it is copied
            self.copy(node, there)
            self.remove(here, recursive=True)

    def copy(self, node: Node, path: str, cwd: str = "/") -> None:
        """Put a copy of a node, and of all that is below it now, under a path."""
        for place, each in list(_below(node, path)):  # all is known before it changes: it may be copied into itself
            if isinstance(each, Directory):
                self.make_directories(place, cwd)
            elif isinstance(each, Link):
                self.place(place, each, cwd)
            else:
                made = self.open_write(place, cwd)
                if isinstance(made, File):
                    made.write(each.read() if isinstance(each, File) else b"")
                    made.mode = each.mode

    def place(self, path: str, node: Node, cwd: str = "/") -> None:
        """Put a node under a path."""
        folder, name = self.parent(path, cwd)
        folder.set(name, node)
        folder.mtime = self.clock()

    def walk(self, path: str) -> Iterator[tuple[str, Node]]:
        """Every path below (and with) a path, depth first, in name order; links are not followed."""
        node = self.lookup(path, follow=False)
        if node is None:
            return
        yield path, node
        if isinstance(node, Directory):
            for name in node.names():
                yield from self.walk(f"{path.rstrip('/')}/{name}")


def _below(node: Node, path: str) -> Iterator[tuple[str, Node]]:
    """The same without what is mounted below."""
    yield path, node
    if isinstance(node, Directory):
        for name in node.names():
            child = node.get(name)
            if child is not None:
                yield from _below(child, f"{path.rstrip('/')}/{name}")


def normalize(path: str, cwd: str = "/") -> str:
    """An absolute path without `.`, `..` and doubled slashes (links are not looked at)."""
    parts: list[str] = []
    for part in (path if path.startswith("/") else f"{cwd}/{path}").split("/"):
        if part == "..":
            del parts[-1:]
        elif part and part != ".":
            parts.append(part)
    return "/" + "/".join(parts)


def tree(files: dict[str, str | bytes]) -> Directory:
    """A directory from {path: content}; a path that ends with / makes an empty directory, "-> x" content a link."""
    root = Directory()
    fs = FileSystem(root, lambda: 0.0)
    for path, content in files.items():
        if path.endswith("/"):
            fs.make_directories(path)
            continue
        folder = fs.make_directories(path.rsplit("/", 1)[0] or "/")
        name = path.rsplit("/", 1)[1]
        if isinstance(content, str) and content.startswith("-> "):
            folder.set(name, Link(content[3:]))
        else:
            folder.set(name, File(content.encode() if isinstance(content, str) else content))
    return root
