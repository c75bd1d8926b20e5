"""A member that outlives its process: a write-ahead log with checksums, and snapshots that let it begin anew.

Stands for etcd's wal and snap packages. Promises: what was answered is on disk before it is answered; after a crash at
any byte, everything answered is there again and revisions never go back. A record is its length, a CRC-32 of all
records before it and itself (etcd's rolling checksum), and what was agreed on: the method's name and its request. The
last record may be torn, by a crash while it was written; it was not answered, so it is cut off. Any other damage is
refused. A segment begins with the number of the snapshot it follows. `fsync=False` survives a killed process, not a
power cut.
"""

import os
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from google.protobuf import message_factory

from k8s_core.etcd import state
from k8s_core.etcd.service import METHODS, Service
from k8s_core.etcd.store import EtcdError
from k8s_core.etcd.tree import TreeError
from k8s_core.etcd.v2 import KeyRequest

Message = Any
SNAPSHOT_COUNT = 10_000  # --snapshot-count, as kubeadm sets it
HEADER = struct.Struct(">II")  # length, rolling CRC
MAX_RECORD = 64 * 1024 * 1024
_CLASSES: dict[str, Any] = {}


def message_class(name: str) -> Any:
    """The request class of a v3 method, by our name of it."""
    if not _CLASSES:
        _CLASSES.update({ours: message_factory.GetMessageClass(m.input_type) for ours, m in METHODS.values()})
    return _CLASSES[name]


def _record(name: str, request: Message) -> bytes:
    return name.encode() + b"\0" + bytes(request.SerializeToString())


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

    def append(self, *bodies: bytes) -> None:
        """Write records; when this returns they are safe. OSError leaves the segment as it was."""
        if self._file is None:
            self._file = self._open(self.path)
        crc, records = self.crc, []
        for body in bodies:
            crc = zlib.crc32(body, crc)
            records.append(HEADER.pack(len(body), crc) + body)
        end = self.path.stat().st_size
        try:
            self._file.write(b"".join(records))
            if self.fsync:
                os.fsync(self._file.fileno())
        except OSError:
            os.truncate(self.path, end)
            raise
        self.crc = crc

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
        snapshot_count: int = SNAPSHOT_COUNT,
        opened: Callable[[Path], BinaryIO] | None = None,
    ):
        self.service, self.folder, self.fsync, self.snapshot_count = service, folder, fsync, snapshot_count
        self._opened = opened
        folder.mkdir(parents=True, exist_ok=True)
        self.count = 0
        """Records since the last snapshot."""
        self.number = self._restore()
        self.log = Log(self._segment(self.number), fsync=fsync, opened=opened)
        for body in self.log.read():
            self._replay(body)
            self.count += 1
        service.propose, service.propose_v2, service.flush = self.propose, self.propose_v2, self.flush

    def propose(self, name: str, request: Message) -> Message:
        """Write down, then do. What fails when it is done fails in the same way when it is played again."""
        self.flush()
        self.log.append(_record(name, request))
        self.count += 1
        response = self.service.apply(name, request)
        self._snapshot_if_full()
        return response

    def propose_v2(self, request: KeyRequest) -> Any:
        """The same for a write to the v2 tree."""
        self.flush()
        self.log.append(b"v2\0" + request.dump())
        self.count += 1
        return self.service.apply_v2(request)

    def flush(self) -> None:
        """The same for all that is pending: many clients' writes cost one trip to the disk."""
        batch, self.service.pending = self.service.pending, []
        if not batch:
            return
        self.log.append(*(_record(name, request) for name, request, _ in batch))
        self.count += len(batch)
        for name, request, done in batch:
            try:
                done(self.service.answer(name, request))
            except EtcdError as error:
                done(error)
        self._snapshot_if_full()

    def _snapshot_if_full(self) -> None:
        if self.count >= self.snapshot_count:
            self.snapshot()

    def snapshot(self) -> None:
        """Write the whole state down and begin a new segment; the old ones are no longer needed."""
        number = self.number + 1
        target = self._snapshot(number)
        part = target.with_suffix(".part")
        with part.open("wb") as file:
            file.write(state.dump(self.service))
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
        self.log.close()
        old, self.number, self.count = self.number, number, 0
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
        state.load(self.service, self._snapshot(numbers[0]).read_bytes())
        return numbers[0]

    def _replay(self, body: bytes) -> None:
        name, _, data = body.partition(b"\0")
        try:
            if name == b"v2":
                self.service.apply_v2(KeyRequest.load(data))
            else:
                self.service.apply(name.decode(), message_class(name.decode()).FromString(data))
        except (EtcdError, TreeError):
            pass  # it failed then, too
