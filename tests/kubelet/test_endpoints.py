"""A kubelet's own pages, through the apiserver's nodes/proxy."""

from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from k8s_core.api import Object
from k8s_core.apiserver.request import Request, User
from k8s_core.cluster import Cluster


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster(token_users={"admin": User("ann", ("system:masters",)), "jane": User("jane")}) as made:
        made.settle()
        limits: Object = {"limits": {"memory": "64Mi"}}
        script = "echo one; echo two; dd if=/dev/zero of=/f bs=1000 count=3 2>/dev/null; sleep 1000"
        container = {"name": "c", "image": "busybox", "command": ["sh", "-c", script], "resources": limits}
        spec = {"nodeName": "worker1", "containers": [container]}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "default"}, "spec": spec}
        made.client().create("pods", pod)
        made.settle()
        yield made


def get(cluster: Cluster, path: str, *, node: str = "worker1", token: str = "admin") -> tuple[int, str, bytes]:
    """Status, type and body of an answer."""
    whole, _, query = f"/api/v1/nodes/{node}/proxy/{path}".partition("?")
    asked = {key: [value] for key, _, value in (each.partition("=") for each in query.split("&")) if key}
    answer = cluster.apiserver.handle(Request("GET", whole, asked, {"authorization": f"Bearer {token}"}))
    body = answer.body if answer.body is not None else orjson.dumps(answer.object)
    return answer.code, answer.content_type, body


def data(cluster: Cluster, path: str) -> Any:
    code, kind, body = get(cluster, path)
    assert (code, kind) == (200, "application/json")
    return orjson.loads(body)


def test_health_and_pods(cluster: Cluster) -> None:
    """That it runs, and what."""
    assert get(cluster, "healthz")[::2] == (200, b"ok")
    assert get(cluster, "healthz", node="worker1:10250")[::2] == (200, b"ok")
    pods = {pod["metadata"]["name"]: pod for pod in data(cluster, "pods")["items"]}
    assert pods["p"]["status"]["phase"] == "Running"
    assert "p" in [pod["metadata"]["name"] for pod in data(cluster, "runningpods/")["items"]]
    assert get(cluster, "nothing")[::2] == (404, b"404 page not found\n")


def test_the_configuration_as_it_is_in_force(cluster: Cluster) -> None:
    """What the file says, and defaults for what it leaves out."""
    found = data(cluster, "configz")["kubeletconfig"]
    assert (found["clusterDomain"], found["maxPods"], found["syncFrequency"]) == ("cluster.local", 110, "1m0s")
    assert found["evictionHard"]["memory.available"] == "100Mi"
    assert found["authentication"]["webhook"] == {"cacheTTL": "0s", "enabled": True}


def test_the_summary_of_what_is_used(cluster: Cluster) -> None:
    """The node's figures and each Pod's, containers' one by one."""
    found = data(cluster, "stats/summary")
    node = found["node"]
    assert node["nodeName"] == "worker1"
    assert node["fs"]["capacityBytes"] - node["fs"]["availableBytes"] == node["fs"]["usedBytes"]
    assert node["rlimit"]["curproc"] > 0
    (pod,) = [each for each in found["pods"] if each["podRef"]["name"] == "p"]
    (container,) = pod["containers"]
    assert (container["name"], container["rootfs"]["usedBytes"], container["rootfs"]["inodesUsed"]) == ("c", 3000, 1)
    assert container["memory"]["workingSetBytes"] == pod["memory"]["workingSetBytes"] > 0
    assert pod["process_stats"]["process_count"] == 2


def test_metrics(cluster: Cluster) -> None:
    """In Prometheus' text."""
    text = get(cluster, "metrics")[2].decode()
    assert 'kubelet_node_name{node="worker1"} 1\n' in text
    text = get(cluster, "metrics/resource")[2].decode()
    assert 'container_memory_working_set_bytes{container="c",namespace="default",pod="p"} ' in text
    assert text.endswith("resource_scrape_error 0\n")


def test_logs(cluster: Cluster) -> None:
    """A container's, whole or its end; and the files of the node's /var/log."""
    assert get(cluster, "containerLogs/default/p/c")[2] == b"one\ntwo\n"
    assert get(cluster, "containerLogs/default/p/c?tailLines=1")[2] == b"two\n"
    assert get(cluster, "containerLogs/default/p/d")[::2] == (404, b'container "d" not found in pod "p"\n')
    assert b'<a href="pods/">pods/</a>\n' in get(cluster, "logs/")[2]
    assert get(cluster, "logs/../../etc/hostname")[0] == 404


def test_who_may_ask_and_who_answers(cluster: Cluster) -> None:
    """nodes/proxy is a right of its own; a kubelet that is stopped answers nobody."""
    code, _, body = get(cluster, "pods", token="jane")
    assert code == 403
    assert 'cannot get resource \\"nodes/proxy\\"' in body.decode()
    assert get(cluster, "pods", node="none")[0] == 404
    cluster.faults.stop_kubelet("worker2")
    code, _, body = get(cluster, "pods", node="worker2")
    assert code == 500
    assert (
        'Get \\"https://10.0.0.6:10250/pods\\": dial tcp 10.0.0.6:10250: connect: connection refused' in body.decode()
    )
    cluster.faults.start_kubelet("worker2")
