"""etcd: ours beside the real one. Speed with one client on the loopback, and the long forms of what the tests prove.

100,000 operations each of v3 and v2 against the real etcd, 10,000 of users and members, 1,000 histories under faults,
1,000 crash points.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aetcd.rpc import rpc_pb2

from benchmarks import etcd_load
from k8s_core.clock import Loop
from k8s_core.etcd.service import Service
from k8s_core.etcd.store import Store

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/etcd"))

Figure = tuple[str, float, float, str, bool]
OPERATIONS, SECONDS = 100_000, 5.0
EXAMPLES, STEPS, SEEDS, POINTS, KILLS = 2_000, 50, 1_000, 1_000, 20


def _rate(call: Callable[[int], Any]) -> float:
    """Calls a second."""
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < SECONDS:
        for _ in range(50):
            call(count)
            count += 1
    return count / (time.perf_counter() - began)


def _put(number: int) -> Any:
    return rpc_pb2.PutRequest(key=b"key%06d" % (number % 1000), value=b"x" * 256)


def _get(number: int) -> Any:
    return rpc_pb2.RangeRequest(key=b"key%06d" % (number % 1000))


def speed() -> list[Figure]:
    """Puts and gets a second, through the wire and in process, beside the real etcd in the same run."""
    from servers import Client, real_etcd  # noqa: PLC0415  they stand with the tests

    loop = Loop()
    service = Service(Store(loop), loop)
    figures: list[Figure] = []
    command = [sys.executable, "-m", "k8s_core", "etcd", "--listen-client-urls", "http://127.0.0.1:0"]
    with (
        tempfile.TemporaryDirectory() as folder,
        real_etcd(Path(folder)) as address,
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process,
    ):
        assert process.stdout
        url = process.stdout.readline().split()[-1].removeprefix("http://")
        ours = Client(url)
        real = Client(address)
        for name, method, request in (("puts", "Put", _put), ("gets", "Range", _get)):
            beside = _rate(lambda n: real.call(method, request(n)))  # noqa: B023
            wire = _rate(lambda n: ours.call(method, request(n)))  # noqa: B023
            own = method.lower()
            inside = _rate(lambda n: service.call(own, request(n)))  # noqa: B023
            figures.append((f"{name} through the wire, the real etcd's beside", wire, beside, "a second", True))
            figures.append((f"{name} in process", inside, beside, "a second", True))
        beside = etcd_load.load(address)
        busy = etcd_load.load(url)
        figures.append(("writes of 64 writers with 300 watches, all told", busy, beside, "a second", True))
        for client in (ours, real):
            client.close()
        process.terminate()
    return figures


def long_forms() -> list[Figure]:
    """Each raises at the first difference."""
    import crashes  # noqa: PLC0415
    import differential  # noqa: PLC0415
    import differential_admin  # noqa: PLC0415
    import differential_v2  # noqa: PLC0415
    import linear  # noqa: PLC0415
    from servers import real_etcd  # noqa: PLC0415

    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with real_etcd(folder / "v3") as address:
            compared = differential.run(address, EXAMPLES, STEPS, derandomize=False)
            figures.append(("v3 operations compared, no difference", compared, OPERATIONS, "", True))
        with real_etcd(folder / "v2", "--enable-v2") as address:
            compared = differential_v2.run(address, OPERATIONS, seed=int(time.time()))
            figures.append(("v2 operations compared, no difference", compared, OPERATIONS, "", True))
        for seed in range(10):
            with real_etcd(folder / f"admin{seed}", "--bcrypt-cost", "4") as address:
                compared = differential_admin.run(address, OPERATIONS // 100, seed=seed)
        figures.append(("admin operations compared, no difference", compared * 10, OPERATIONS // 10, "", True))
        sum(linear.run(seed) for seed in range(SEEDS))
        figures.append(("histories under faults, all linearizable", SEEDS, SEEDS, "", True))
        answered = etcd_load.kills(folder / "kills", KILLS)
        figures.append((f"writes answered, none lost in {KILLS} kill -9", answered, 1_000, "", True))
        survived = crashes.run(folder / "crashes", POINTS, seed=int(time.time()))
        figures.append(("crash points, nothing answered lost", survived, POINTS, "", True))
    return figures


def etcd() -> list[Figure]:
    return speed() + long_forms()
