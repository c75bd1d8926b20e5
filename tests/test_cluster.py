"""The whole cluster: it boots, it is the same for the same seed, its past can be read, it ends cleanly."""

import subprocess
import sys

import pytest

from k8s_core.api import Object
from k8s_core.cluster import Cluster
from tests.conftest import MakeCluster


def deployment(name: str, replicas: int, image: str = "nginx") -> Object:
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "c", "image": image}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template},
    }


def ready(obj: Object) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in obj.get("status", {}).get("conditions", ()))


def a_day_at_work(cluster: Cluster) -> None:
    """Roll something out, change it, lose a Pod, clean up."""
    client = cluster.client()
    client.create("deployments.apps", deployment("web", 3))
    cluster.settle()
    client.patch("deployments.apps", "web", "default", {"spec": {"replicas": 5}})
    cluster.advance("1m")
    client.delete("pods", client.list("pods", "default")[0]["metadata"]["name"], "default")
    cluster.settle()


def test_all_nodes_and_system_pods_come_up(make_cluster: MakeCluster) -> None:
    """A fresh cluster settles with three ready nodes and every Pod of kube-system running."""
    cluster = make_cluster()
    cluster.settle()
    client = cluster.client()
    assert [node["metadata"]["name"] for node in client.list("nodes") if ready(node)] == ["cp", "worker1", "worker2"]
    system = client.list("pods", "kube-system")
    names = {pod["metadata"]["name"] for pod in system}
    assert {"etcd-cp", "kube-apiserver-cp", "kube-controller-manager-cp", "kube-scheduler-cp"} <= names
    assert all(ready(pod) for pod in system)


def test_a_deployment_runs_on_the_workers(make_cluster: MakeCluster) -> None:
    """The way from a Deployment to running Pods goes through every component; the control plane's taint holds."""
    cluster = make_cluster()
    cluster.settle()
    cluster.client().create("deployments.apps", deployment("web", 4))
    cluster.settle()
    pods = cluster.client().list("pods", "default")
    assert len(pods) == 4 and all(ready(pod) for pod in pods)
    assert {pod["spec"]["nodeName"] for pod in pods} == {"worker1", "worker2"}
    assert cluster.client().get("deployments.apps", "web", "default")["status"]["availableReplicas"] == 4


@pytest.mark.parametrize("profile", ["kubeadm", "bare"])
def test_the_same_seed_gives_the_same_history(make_cluster: MakeCluster, profile: str) -> None:
    """Same seed and same requests: every event of etcd equal, byte for byte; another seed gives another history."""
    histories = []
    for seed in (7, 7, 8):
        cluster = make_cluster(seed=seed, profile=profile)
        a_day_at_work(cluster)
        histories.append(list(cluster.etcd.events_since(1)))
    assert histories[0] == histories[1] != histories[2]


def test_the_past_can_be_looked_at(make_cluster: MakeCluster) -> None:
    """At any revision the objects are what they were then, and each change has its time."""
    cluster = make_cluster(profile="bare")
    cluster.settle()
    before, then = cluster.etcd.revision, cluster.loop.now
    cluster.advance(1)
    a_day_at_work(cluster)
    assert cluster.history.objects("pods", before) == []
    assert len(cluster.history.objects("pods")) == 5
    assert cluster.history.revision_at(then) == before
    phases = [
        d["status"].get("readyReplicas", 0) for d in cluster.history.versions("deployments.apps", "web", "default")
    ]
    assert phases[0] == 0 and max(phases) == 5
    times = [moment.time for moment in cluster.history.changes(before)]
    assert times == sorted(times) and times[-1] <= cluster.loop.now


def test_nothing_is_left_when_it_stops() -> None:
    """After stop the loop has nothing to do but time-outs of etcd's leases, and the nodes' folders are gone."""
    cluster = Cluster()
    root = cluster.root
    assert root.exists()
    cluster.stop()
    before = cluster.etcd.revision
    cluster.loop.advance(300)
    assert cluster.etcd.revision == before and not root.exists()


def test_what_learners_do_not_need_is_not_loaded() -> None:
    """Importing and booting a cluster loads no web server, so that it starts quickly."""
    code = "import sys; from k8s_core.cluster import Cluster; Cluster().stop(); print('aiohttp' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
