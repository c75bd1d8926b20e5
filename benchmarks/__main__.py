"""Print what was measured on this machine beside what it should be; nothing here fails, slow machines only print so.

    python -m benchmarks                 start, https, scheduling, held, waiting, fuzz, network, etcd, grading
    python -m benchmarks scheduling      one of them

`start`: a fresh process imports the engine and boots three nodes until all are Ready. `https`: one client with a
kept-alive connection and a client certificate creates and reads ConfigMaps. `scheduling` and `held`: large clusters
(scale.py). `waiting`: what a learner waits while kubectl does (waiting.py). `fuzz`: ten thousand requests made up from
the served OpenAPI, each of which must be answered as promised (fuzz.py). `network`: connections and look-ups, and
kube-proxy's rules (network.py). `etcd`: speed beside the real etcd, and what tests/etcd proves at length (etcd.py).
`grading`: a submission on four ways, and a class of two hundred whose grader is killed twice (grading.py).
"""

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

from benchmarks.etcd import etcd
from benchmarks.fuzz import measure
from benchmarks.grading import grading_figures
from benchmarks.network import network
from benchmarks.scale import held, scheduling
from benchmarks.waiting import waiting
from benchmarks.wire import server

Figure = tuple[str, float, float, str, bool]
"""What, measured, wanted, unit, whether more is better."""


def show(figures: list[Figure]) -> None:
    for what, measured, wanted, unit, more in figures:
        ratio = measured / wanted if more else wanted / measured
        bound = "at least" if more else "at most"
        print(f"  {what:<44} {measured:>9.2f} {unit:<8} ({bound} {wanted:g}: {ratio:.2f} of it)")


START = """
import time
began = time.perf_counter()
from k8s_core.cluster import Cluster
imported = time.perf_counter()
cluster = Cluster()
client = cluster.client()
def ready():
    nodes = client.list("nodes")
    return len(nodes) == 3 and all(
        any(c["type"] == "Ready" and c["status"] == "True" for c in n["status"].get("conditions", ())) for n in nodes)
while not ready():
    cluster.advance(1)
booted = time.perf_counter()
cluster.settle()
settled = time.perf_counter()
import psutil  # a child's ru_maxrss would begin with its parent's
print(imported - began, booted - imported, settled - booted, psutil.Process().memory_info().rss / 2**20)
"""


def start() -> list[Figure]:
    runs = []
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", START], capture_output=True, text=True, check=True)
        runs.append([float(word) for word in done.stdout.split()])
    imported, booted, settled, memory = (min(column) for column in zip(*runs, strict=True))
    return [
        ("import", imported, 0.5, "s", False),
        ("Cluster() until all nodes are Ready", booted, 0.5, "s", False),
        ("both", imported + booted, 1.0, "s", False),
        ("then until the add-ons run", settled, 1.0, "s", False),
        ("memory", memory, 150, "MB", False),
    ]


def timed(times: int, action: Callable[[int], None]) -> list[float]:
    """Milliseconds of each call."""
    found = []
    for index in range(times):
        began = time.perf_counter()
        action(index)
        found.append((time.perf_counter() - began) * 1000)
    return found


def https() -> list[Figure]:
    path = "/api/v1/namespaces/default/configmaps"
    with server() as at:

        def create(index: int) -> None:
            metadata = {"name": f"c{index}"}
            at.read("POST", path, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"k": "v"}})

        time.sleep(2)  # let the boot's own work end
        creates = timed(600, create)
        reads = timed(600, lambda index: at.read("GET", f"{path}/c{index}"))
        lists = timed(20, lambda index: at.read("GET", path))
    return [
        ("create, median", statistics.median(creates), 2.0, "ms", False),
        ("create, 99th percentile", statistics.quantiles(creates, n=100)[98], 10.0, "ms", False),
        ("get, median", statistics.median(reads), 1.0, "ms", False),
        ("list of 600, median", statistics.median(lists), 30.0, "ms", False),
        ("creates by one client", 1000 / statistics.mean(creates), 300, "a second", True),
    ]


def fuzz() -> list[Figure]:
    sent, seconds, codes = measure()
    print(f"  {sent} made-up requests, no broken promise; answers by status: {dict(sorted(codes.items()))}")
    return [("made-up requests", sent / seconds, 10, "a second", True)]


BENCHMARKS: dict[str, Callable[[], list[Figure]]] = {
    "start": start,
    "https": https,
    "scheduling": scheduling,
    "held": held,
    "waiting": waiting,
    "fuzz": fuzz,
    "network": network,
    "etcd": etcd,
    "grading": grading_figures,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure; without names, everything.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    names = parser.parse_args().names
    if unknown := [name for name in names if name not in BENCHMARKS]:
        parser.error(f"unknown: {', '.join(unknown)}; there are: {', '.join(BENCHMARKS)}")
    for name in names or BENCHMARKS:
        print(name)
        show(BENCHMARKS[name]())


if __name__ == "__main__":
    main()
