"""A member that outlives its process: a write-ahead log with checksums, and snapshots that let it begin anew.

Stands for etcd's wal and snap packages. Promises: what was answered is on disk before it is answered; after a crash at
any byte, everything answered is there again and revisions never go back. A record is its length, a CRC-32 of all
records before it and itself (etcd's rolling checksum), and what was agreed on: the method's name and its request. The
last record may be torn, by a crash while it was written; it was not answered, so it is cut off. Any other damage is
refused. A segment begins with the number of the snapshot it follows. `fsync=False` survives a killed process, not a
power cut.
"""

import contextlib
import os
import struct
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from google.protobuf import message_factory

from k8s_core.etcd import state
from k8s_core.etcd.service import METHODS, Done, Service
from k8s_core.etcd.store import EtcdError
from k8s_core.etcd.tree_hub import TreeError
from k8s_core.etcd.v2 import KeyRequest
from k8s_core.limits import ETCD_SNAPSHOT_COUNT

Message = Any
HEADER = struct.Struct(">II")  # length, rolling CRC
MAX_RECORD = 64 * 1024 * 1024
_CLASSES: dict[str, Any] = {}


def message_class(name: str) -> Any:
    """The request class of a v3 method, by our name of it."""
    if not _CLASSES:
        _CLASSES.update({ours: message_factory.GetMessageClass(m.input_type) for ours, m in METHODS.values()})
    return _CLASSES[name]


def _sync(file: int) -> None:
    try:
        os.fsync(file)
    finally:
        os.close(file)


Waiting = tuple[str, Message, Done]
"""A write and who wants its answer."""


def encode(name: str, request: Message) -> bytes:
    """A write for a log: of API 3 its message, of API 2 ("v2") its fields."""
    return bytes(request.dump() if name == "v2" else request.SerializeToString())


def decode(name: str, data: bytes) -> Message:
    return KeyRequest.load(data) if name == "v2" else message_class(name).FromString(data)


def _record(name: str, request: Message) -> bytes:
    return name.encode() + b"\0" + encode(name, request)


class Damaged(EtcdError):
    """The data directory holds what cannot be read."""

    def __init__(self, text: str):
        super().__init__("DATA_LOSS", text)


class Log:
    """One segment, open for appending."""

    def __init__(self, path: Path, *, fsync: bool = True, opened: Callable[[Path], BinaryIO] | None = None):
        self.path, self.fsync = path, fsync
        self.crc = 0
        self._open = opened or (lambda where: where.open("ab", buffering=0))
        self._file: BinaryIO | None = None

    def read(self) -> Iterator[bytes]:
        """Every whole record; a torn last one is cut off. Damaged if the damage is not at the end."""
        data = self.path.read_bytes() if self.path.exists() else b""
        at = 0
        while at + HEADER.size <= len(data):
            length, crc = HEADER.unpack_from(data, at)
            body = data[at + HEADER.size : at + HEADER.size + length]
            if len(body) < length:
                break
            if length > MAX_RECORD or zlib.crc32(body, self.crc) != crc:
                if at + HEADER.size + length >= len(data):
                    break  # the last record, written in part
                raise Damaged(f"wal: crc mismatch in {self.path.name} at byte {at}")
            self.crc = crc
            at += HEADER.size + length
            yield body
        if at < len(data):
            with self.path.open("r+b") as file:
                file.truncate(at)

    @property
    def size(self) -> int:
        """Bytes written."""
        return self._file.tell() if self._file else 0

    def append(self, *bodies: bytes) -> None:
        """Write records; when this returns they are safe. OSError leaves the segment as it was."""
        try:
            if sync := self.write(*bodies):
                sync()
        except OSError:
            self.take_back()
            raise

    def write(self, *bodies: bytes) -> Callable[[], None] | None:
        """Write records; they are safe when what this returns was called."""
        if self._file is None:
            self._file = self._open(self.path)
        self._before = self._file.tell(), self.crc
        records = []
        for body in bodies:
            self.crc = zlib.crc32(body, self.crc)
            records.append(HEADER.pack(len(body), self.crc) + body)
        self._file.write(b"".join(records))
        return partial(_sync, os.dup(self._file.fileno())) if self.fsync else None

    def take_back(self) -> None:
        """Undo the last write, which the disk did not take."""
        end, self.crc = self._before
        if self._file:
            self._file.truncate(end)

    def close(self) -> None:
        if self._file:
            self._file.close()
            self._file = None


class Durable:
    """Keeps a Service's writes in `folder`. Make it before the service is used; it brings back what is there."""

    def __init__(
        self,
        service: Service,
        folder: Path,
        *,
        fsync: bool = True,
        snapshot_count: int = ETCD_SNAPSHOT_COUNT,
        opened: Callable[[Path], BinaryIO] | None = None,
    ):
        self.service, self.folder, self.fsync, self.snapshot_count = service, folder, fsync, snapshot_count
        self._opened = opened
        folder.mkdir(parents=True, exist_ok=True)
        self.count = 0
        """Records since the last snapshot."""
        self._size = 0
        """Bytes of that snapshot."""
        self.number = self._restore()
        self.log = Log(self._segment(self.number), fsync=fsync, opened=opened)
        for body in self.log.read():
            self._replay(body)
            self.count += 1
        self._added: list[Waiting] = []
        self._written: list[Waiting] = []
        service.propose, service.journal = self.propose, self

    def propose(self, name: str, request: Message) -> Message:
        """Write down, then do. What fails when it is done fails in the same way when it is played again."""
        self._catch_up()
        self.log.append(_record(name, request))
        self.count += 1
        response = self.service.apply(name, request)
        self._snapshot_if_full()
        return response

    # --- many at once ---------------------------------------------------------------------------------------
    def add(self, name: str, request: Message, done: Done) -> None:
        self._added.append((name, request, done))

    def write(self) -> Callable[[], None] | None:
        self._written, self._added = self._added, []
        return self.log.write(*(_record(name, request) for name, request, _ in self._written))

    def settle(self, error: OSError | None = None) -> bool:
        batch, self._written = self._written, []
        if error and batch:
            self.log.take_back()
        for name, request, done in batch:
            try:
                if error:
                    raise EtcdError("UNAVAILABLE", f"wal: {error}")
                self.count += 1
                done(self.service.answer(name, request))
            except EtcdError as refused:
                done(refused)
        self._snapshot_if_full()
        return bool(self._added)

    def _catch_up(self) -> None:
        """What is in the log already, or was to go there, comes before what is proposed now."""
        if self._written:
            self.log.append()
            self.settle()
        if self._added:
            if sync := self.write():
                sync()
            self.settle()

    def _snapshot_if_full(self) -> None:
        """A large state is not written anew before as much has been logged: else that would be most of the work."""
        if self.count >= self.snapshot_count and self.log.size >= self._size:
            self.snapshot()

    def snapshot(self) -> None:
        """Write the whole state down and begin a new segment; the old ones are no longer needed."""
        number = self.number + 1
        target, data = self._snapshot(number), state.dump(self.service)
        part = target.with_suffix(".part")
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
        self.log.close()
        old, self.number, self.count, self._size = self.number, number, 0, len(data)
        self.log = Log(self._segment(number), fsync=self.fsync, opened=self._opened)
        for path in (self._segment(old), self._snapshot(old)):
            path.unlink(missing_ok=True)

    def close(self) -> None:
        self.log.close()

    def _segment(self, number: int) -> Path:
        return self.folder / f"{number:016x}.wal"

    def _snapshot(self, number: int) -> Path:
        return self.folder / f"{number:016x}.snap"

    def _restore(self) -> int:
        """Load the newest snapshot; its number, 0 if there is none."""
        for path in self.folder.glob("*.part"):
            path.unlink()
        numbers = sorted((int(path.stem, 16) for path in self.folder.glob("*.snap")), reverse=True)
        if not numbers:
            return 0
        for path in (*self.folder.glob("*.snap"), *self.folder.glob("*.wal")):
            if int(path.stem, 16) < numbers[0]:
                path.unlink()  # a crash came between the new snapshot and this
        data = self._snapshot(numbers[0]).read_bytes()
        self._size = len(data)
        state.load(self.service, data)
        return numbers[0]

    def _replay(self, body: bytes) -> None:
        name, _, data = body.partition(b"\0")
        with contextlib.suppress(EtcdError, TreeError):  # it failed then, too
            self.service.apply(name.decode(), decode(name.decode(), data))
