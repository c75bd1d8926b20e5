"""Large clusters over HTTPS: how fast Pods get their nodes, and what many of them cost.

`scheduling`: a thousand nodes, ten Deployments of 500 replicas, until every Pod is bound. `held`: five thousand nodes
with thirty thousand Pods, how much memory they take and how long lists of them need. Nodes are objects without
kubelets, as in Kubernetes' own scheduler_perf, so that the control plane is measured and nothing else.
"""

import json
import statistics
import time
from typing import Any

from benchmarks.wire import Server, server

DEPLOYMENTS, REPLICAS = 10, 500
# Nobody renews the nodes' leases: they must be Ready because they say so.
BARE = (
    *("--profile", "bare", "--no-kubelet", "--clock", "wall"),
    *("--controllers", "*,-node-lifecycle-controller", "--disable-admission-plugins", "TaintNodesByCondition"),
)


def add_nodes(at: Server, count: int) -> None:
    """Nodes that are Ready and have room for 110 Pods each."""
    amounts = {"cpu": "16", "memory": "64Gi", "pods": "110"}
    for index in range(count):
        name = f"n{index:04}"
        ready = {"type": "Ready", "status": "True", "reason": "KubeletReady"}
        status = {"allocatable": amounts, "capacity": amounts, "conditions": [ready]}
        labels = {"kubernetes.io/hostname": name, "topology.kubernetes.io/zone": f"z{index % 3}"}
        at.read("POST", "/api/v1/nodes", _object("v1", "Node", {"name": name, "labels": labels}, status=status))


def scheduling() -> list[tuple[str, float, float, str, bool]]:
    with server(*BARE) as at:
        add_nodes(at, 1000)
        began, used = time.perf_counter(), at.processor()
        for index in range(DEPLOYMENTS):
            body = _deployment(f"d{index}", REPLICAS)
            at.read("POST", "/apis/apps/v1/namespaces/default/deployments", body)
        while not _all_bound(at):
            time.sleep(0.2)
        took, used = time.perf_counter() - began, at.processor() - used
        pods = DEPLOYMENTS * REPLICAS
        return [
            (f"{pods} Pods created and bound on 1000 nodes", pods / took, 1000, "a second", True),
            ("the same by the server's processor time", pods / used, 1000, "a second", True),
            ("memory with them", at.memory(), 1000, "MB", False),
        ]


def held() -> list[tuple[str, float, float, str, bool]]:
    with server(*BARE) as at:
        add_nodes(at, 5000)
        for index in range(60):
            at.read("POST", "/apis/apps/v1/namespaces/default/deployments", _deployment(f"d{index}", REPLICAS))
        while not _all_bound(at, 60 * REPLICAS):
            time.sleep(0.5)
        began = time.perf_counter()
        text = at.read("GET", "/api/v1/pods?resourceVersion=0")
        whole = time.perf_counter() - began
        assert len(json.loads(text)["items"]) == 60 * REPLICAS
        page, some = _median(at, "/api/v1/pods?limit=500")
        assert len(json.loads(some)["items"]) == 500
        one, _ = _median(at, "/api/v1/pods?fieldSelector=spec.nodeName%3Dn0007")
        return [
            ("list of 30000 Pods on 5000 nodes", whole, 5.0, "s", False),
            ("a page of 500 of them, median", page, 0.1, "s", False),
            ("the Pods of one node, median", one, 0.1, "s", False),
            ("memory with them", at.memory(), 3000, "MB", False),
        ]


def _median(at: Server, path: str) -> tuple[float, bytes]:
    """Seconds that the middle one of nine equal requests takes, and an answer."""
    times = []
    for _ in range(9):
        began = time.perf_counter()
        answer = at.read("GET", path)
        times.append(time.perf_counter() - began)
    return statistics.median(times), answer


def _all_bound(at: Server, pods: int = DEPLOYMENTS * REPLICAS) -> bool:
    """Whether all Pods are there, and none without a node; asked in a way that costs little."""
    sets = at.call("GET", "/apis/apps/v1/namespaces/default/replicasets")["items"]
    if sum(each.get("status", {}).get("replicas", 0) for each in sets) < pods:
        return False
    return not at.call("GET", "/api/v1/namespaces/default/pods?limit=1&fieldSelector=spec.nodeName%3D")["items"]


def _deployment(name: str, replicas: int) -> dict[str, Any]:
    labels = {"app": name}
    resources = {"requests": {"cpu": "100m", "memory": "64Mi"}}
    pod = {
        "metadata": {"labels": labels},
        "spec": {"containers": [{"name": "c", "image": "nginx", "resources": resources}]},
    }
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": pod}
    return _object("apps/v1", "Deployment", {"name": name}, spec=spec)


def _object(version: str, kind: str, metadata: dict[str, Any], **parts: Any) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **parts}
