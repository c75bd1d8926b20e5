"""Print what was measured on this machine beside what it should be; nothing here fails, slow machines only print so.

    python -m benchmarks                 start, https, scheduling, fuzz, network, etcd
    python -m benchmarks scheduling      one of them

`start`: a fresh process imports the engine and boots three nodes until all are Ready. `https`: one client with a
kept-alive connection and a client certificate creates and reads ConfigMaps. `scheduling`: Deployments on many nodes
until every Pod is bound, without kubelets. `fuzz`: ten thousand requests made up from the served OpenAPI, each of
which must be answered as promised (fuzz.py). `network`: connections and look-ups, and kube-proxy's rules (network.py).
`etcd`: speed beside the real etcd, and what tests/etcd proves at full length (etcd.py).
"""

import base64
import gc
import http.client
import json
import os
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import yaml

from benchmarks.etcd import etcd
from benchmarks.fuzz import measure
from benchmarks.network import network

Figure = tuple[str, float, float, str, bool]
"""What, measured, wanted, unit, whether more is better."""


def show(figures: list[Figure]) -> None:
    for what, measured, wanted, unit, more in figures:
        ratio = measured / wanted if more else wanted / measured
        bound = "at least" if more else "at most"
        print(f"  {what:<44} {measured:>9.2f} {unit:<8} ({bound} {wanted:g}: {ratio:.2f} of it)")


START = """
import resource, time
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
print(imported - began, booted - imported, settled - booted,
      resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
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


def connect(kubeconfig: Path) -> http.client.HTTPSConnection:
    """A connection as the kubeconfig's user."""
    config = yaml.safe_load(kubeconfig.read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    context = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
    with tempfile.NamedTemporaryFile() as pair:
        for part in ("client-certificate-data", "client-key-data"):
            pair.write(base64.b64decode(user[part]))
        pair.flush()
        context.load_cert_chain(pair.name)
    host, _, port = cluster["server"].removeprefix("https://").partition(":")
    return http.client.HTTPSConnection(host, int(port), context=context)


def call(connection: http.client.HTTPSConnection, method: str, path: str, body: object = None) -> None:
    data = None if body is None else json.dumps(body)
    connection.request(method, path, data, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    text = answer.read()
    assert answer.status < 300, text


def timed(times: int, action: Callable[[int], None]) -> list[float]:
    """Milliseconds of each call."""
    found = []
    for index in range(times):
        began = time.perf_counter()
        action(index)
        found.append((time.perf_counter() - began) * 1000)
    return found


def https() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        kubeconfig = Path(folder, "config")
        server = subprocess.Popen(
            [sys.executable, "-m", "k8s_core", "serve", "--secure-port", "0", "--write-kubeconfig", str(kubeconfig)],
            stdout=subprocess.PIPE,
            env={**os.environ},
            text=True,
        )
        assert server.stdout is not None
        server.stdout.readline()
        try:
            connection = connect(kubeconfig)
            path = "/api/v1/namespaces/default/configmaps"

            def create(index: int) -> None:
                body = {
                    "apiVersion": "v1",
                    "kind": "ConfigMap",
                    "metadata": {"name": f"c{index}"},
                    "data": {"k": "v"},
                }
                call(connection, "POST", path, body)

            time.sleep(2)  # let the boot's own work end
            creates = timed(600, create)
            reads = timed(600, lambda index: call(connection, "GET", f"{path}/c{index}"))
            lists = timed(20, lambda index: call(connection, "GET", path))
        finally:
            server.terminate()
            server.wait()
    return [
        ("create, median", statistics.median(creates), 2.0, "ms", False),
        ("create, 99th percentile", statistics.quantiles(creates, n=100)[98], 10.0, "ms", False),
        ("get, median", statistics.median(reads), 1.0, "ms", False),
        ("list of 600, median", statistics.median(lists), 30.0, "ms", False),
        ("creates by one client", 1000 / statistics.mean(creates), 300, "a second", True),
    ]


NODES, DEPLOYMENTS, REPLICAS = 200, 4, 250


def scheduling() -> list[Figure]:
    from k8s_core.cluster import Cluster  # noqa: PLC0415  the other benchmarks do without

    cluster = Cluster(nodes=("cp",), profile="bare", kubelets=False)
    client = cluster.client()
    for index in range(NODES):
        amounts = {"cpu": "16", "memory": "64Gi", "pods": "110"}
        node = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": f"n{index}", "labels": {"kubernetes.io/hostname": f"n{index}"}},
            "status": {
                "allocatable": amounts,
                "capacity": amounts,
                "conditions": [{"type": "Ready", "status": "True"}],
            },
        }
        client.create("nodes", node)
    cluster.loop.run_ready()
    for node in client.list("nodes"):  # nobody is there to say that they are ready
        client.patch("nodes", node["metadata"]["name"], "", {"spec": {"taints": None}})
    cluster.loop.run_ready()
    gc.collect()
    began = time.perf_counter()
    for index in range(DEPLOYMENTS):
        labels = {"app": f"d{index}"}
        resources = {"requests": {"cpu": "100m", "memory": "64Mi"}}
        template = {
            "metadata": {"labels": labels},
            "spec": {"containers": [{"name": "c", "image": "nginx", "resources": resources}]},
        }
        deployment = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": f"d{index}", "namespace": "default"},
            "spec": {"replicas": REPLICAS, "selector": {"matchLabels": labels}, "template": template},
        }
        client.create("deployments.apps", deployment)
    cluster.loop.run_ready()
    took = time.perf_counter() - began
    bound = sum(1 for pod in client.list("pods", "default") if pod["spec"].get("nodeName"))
    cluster.stop()
    assert bound == DEPLOYMENTS * REPLICAS, f"{bound} bound"
    return [(f"{bound} Pods created and bound on {NODES} nodes", bound / took, 1000, "a second", True)]


def fuzz() -> list[Figure]:
    sent, seconds, codes = measure()
    print(f"  {sent} made-up requests, no broken promise; answers by status: {dict(sorted(codes.items()))}")
    return [("made-up requests", sent / seconds, 10, "a second", True)]


BENCHMARKS: dict[str, Callable[[], list[Figure]]] = {
    "start": start,
    "https": https,
    "scheduling": scheduling,
    "fuzz": fuzz,
    "network": network,
    "etcd": etcd,
}


def main() -> None:
    for name in sys.argv[1:] or BENCHMARKS:
        print(name)
        show(BENCHMARKS[name]())


if __name__ == "__main__":
    main()
