"""etcd under what a busy kube-apiserver does to it: many guarded writers, hundreds of watches, and kill -9.

`load` counts writes a second and checks that every watch was told every write; `kills` checks that nothing answered
is lost.
"""

import asyncio
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import grpc
from aetcd.rpc import rpc_pb2

SECONDS = 5.0


async def _load(address: str, writers: int, watchers: int, size: int) -> tuple[float, int, int]:
    """(writes a second, writes, events that the watches were told)."""
    channel = grpc.aio.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)])
    txn, watch = channel.unary_unary("/etcdserverpb.KV/Txn"), channel.stream_stream("/etcdserverpb.Watch/Watch")
    written, told, readers = [0], [0], []

    async def read(call: Any) -> None:
        while (answer := await call.read()) is not grpc.aio.EOF:
            told[0] += len(rpc_pb2.WatchResponse.FromString(answer).events)

    async def follow(number: int) -> None:
        call = watch(metadata=[("hasleader", "true")])
        start, end = b"/registry/r%03d/" % number, b"/registry/r%03d0" % number
        create = rpc_pb2.WatchCreateRequest(key=start, range_end=end, prev_kv=True, progress_notify=True)
        await call.write(rpc_pb2.WatchRequest(create_request=create).SerializeToString())
        await call.read()
        readers.append(asyncio.create_task(read(call)))

    async def write(number: int, until: float) -> None:
        key, revision = b"/registry/r%03d/x%d" % (number % max(watchers, 1), number), 0
        while time.perf_counter() < until:
            put = rpc_pb2.RequestOp(request_put=rpc_pb2.PutRequest(key=key, value=b"x" * size))
            guard = rpc_pb2.Compare(key=key, target=2, result=0, mod_revision=revision)
            read = rpc_pb2.RequestOp(request_range=rpc_pb2.RangeRequest(key=key))
            asked = rpc_pb2.TxnRequest(compare=[guard], success=[put], failure=[read])
            answer = rpc_pb2.TxnResponse.FromString(await txn(asked.SerializeToString()))
            if answer.succeeded:
                revision, written[0] = answer.header.revision, written[0] + 1
            else:
                revision = answer.responses[0].response_range.kvs[0].mod_revision

    await asyncio.gather(*(follow(number) for number in range(watchers)))
    began = time.perf_counter()
    await asyncio.gather(*(write(number, began + SECONDS) for number in range(writers)))
    rate = written[0] / (time.perf_counter() - began)
    for _ in range(100):
        if told[0] >= written[0]:
            break
        await asyncio.sleep(0.1)
    for reader in readers:
        reader.cancel()
    await channel.close()
    return rate, written[0], told[0]


def load(address: str, writers: int = 64, watchers: int = 300, size: int = 1000) -> float:
    """Writes a second with that many writers and watches; AssertionError if a watch was not told something."""
    rate, written, told = asyncio.run(_load(address, writers, watchers, size))
    assert written == told, f"{written} written, {told} told"
    return rate


def kills(folder: Path, times: int, writers: int = 16) -> int:
    """Kill a member under load that often; AssertionError if what it answered is not there. How much was answered."""
    from servers import Client  # noqa: PLC0415  it stands with the tests

    answered: dict[bytes, int] = {}
    newest = [0]
    command = [sys.executable, "-m", "k8s_core", "etcd", "--listen-client-urls", "http://127.0.0.1:0"]
    for _ in range(times + 1):
        process = subprocess.Popen([*command, "--data-dir", str(folder)], stdout=subprocess.PIPE, text=True)
        assert process.stdout
        client = Client(process.stdout.readline().split()[-1].removeprefix("http://"))
        found = client.call("Range", rpc_pb2.RangeRequest(key=b"\0", range_end=b"\0"))
        there = {kv.key: int(kv.value) for kv in found.kvs}
        assert found.header.revision >= newest[0], "revisions went back"
        assert all(there[key] >= value for key, value in answered.items()), "something answered is lost"

        def write(name: int, client: Client = client) -> None:
            key = b"k%d" % name
            while True:
                value = answered.get(key, 0) + 1
                answer = client.call("Put", rpc_pb2.PutRequest(key=key, value=b"%d" % value))
                if isinstance(answer, tuple):
                    return
                answered[key], newest[0] = value, max(newest[0], answer.header.revision)

        threads = [threading.Thread(target=write, args=(name,)) for name in range(writers)]
        for thread in threads:
            thread.start()
        time.sleep(random.uniform(0.3, 1.5))
        process.send_signal(signal.SIGKILL)
        process.wait()
        for thread in threads:
            thread.join()
        client.close()
    return sum(answered.values())
