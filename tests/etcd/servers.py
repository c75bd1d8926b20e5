"""The real etcd as a process, and clients that talk to it and to ours in the same words."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import grpc
from aetcd.rpc import rpc_pb2, rpc_pb2_grpc

BIN = Path(sys.executable).parent
ETCD, ETCDCTL = BIN / "etcd", BIN / "etcdctl"
STARTUP = 60.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def real_etcd(folder: Path, *flags: str, name: str = "default") -> Iterator[str]:
    """A fresh etcd 3.5 in `folder`; gives its client address."""
    port, peer = free_port(), free_port()
    url, peer_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{peer}"
    command = [
        str(ETCD), "--data-dir", str(folder / "real"), "--listen-client-urls", url, "--advertise-client-urls", url,
        "--listen-peer-urls", peer_url, "--initial-advertise-peer-urls", peer_url,
        "--initial-cluster", f"{name}={peer_url}", "--unsafe-no-fsync", "--log-level", "error", *flags,
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        _until_open(port, process)
        _until_settled(url)
        yield url.removeprefix("http://")
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextlib.contextmanager
def our_etcd(*flags: str) -> Iterator[str]:
    """Ours as a process; gives its first client address."""
    command = [sys.executable, "-m", "k8s_core", "etcd", "--listen-client-urls", "http://127.0.0.1:0", *flags]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield process.stdout.readline().split()[-1].partition("://")[2]
        finally:
            process.kill()


def _until_open(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + STARTUP
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)  # a process to come up: the one thing here that nobody tells us of
    raise RuntimeError("the real etcd did not start")


def _until_settled(url: str) -> None:
    """After its port is open etcd still writes its cluster's version, which counts in v2's index."""
    deadline = time.monotonic() + STARTUP
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/version", timeout=STARTUP) as answer:
            if json.load(answer)["etcdcluster"] != "not_decided":
                return
        time.sleep(0.02)  # as above
    raise RuntimeError("the real etcd does not know its version")


class Client:
    """One connection, one method for each of v3's, an error as (code, message)."""

    def __init__(self, address: str, options: Sequence[tuple[str, int]] = ()):
        self.channel = grpc.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1), *options])
        grpc.channel_ready_future(self.channel).result(STARTUP)
        self.stubs = [
            getattr(rpc_pb2_grpc, f"{name}Stub")(self.channel)
            for name in ("KV", "Lease", "Cluster", "Maintenance", "Auth")
        ]
        self.watches = rpc_pb2_grpc.WatchStub(self.channel)

    def call(self, method: str, request: Any) -> Any:
        """The answer, or (code, message)."""
        stub = next(stub for stub in self.stubs if hasattr(stub, method))
        try:
            return getattr(stub, method)(request, timeout=20)
        except grpc.RpcError as error:
            return error.code().name, error.details()  # type: ignore[attr-defined]

    def close(self) -> None:
        self.channel.close()


__all__ = ["ETCDCTL", "Client", "free_port", "our_etcd", "real_etcd", "rpc_pb2"]
