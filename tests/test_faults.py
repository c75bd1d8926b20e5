"""Faults: what breaks, what is seen of it, and that mending brings it back; all of it the same each time."""

from collections.abc import Iterator
from typing import Any

import pytest

from k8s_core.cluster import Cluster
from k8s_core.faults import NoSuchFault


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster() as made:
        made.loop.strict = True
        made.settle()
        yield made


def pod(cluster: Cluster, name: str, node: str = "", behaviour: str = "", **spec: Any) -> None:
    """Create a Pod with nginx and let it start."""
    where = {"nodeName": node} if node else {}
    containers = [{"name": "c", "image": "nginx"}]
    meta = {"name": name, "namespace": "default", "annotations": {"simulator/behaviour": behaviour}}
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {"containers": containers, **where, **spec}}
    cluster.client().create("pods", body)
    cluster.settle()


def ready(cluster: Cluster, node: str) -> tuple[str, str]:
    conditions = cluster.client().get("nodes", node)["status"]["conditions"]
    return next((c["status"], c["message"]) for c in conditions if c["type"] == "Ready")


def status(cluster: Cluster, name: str) -> Any:
    return cluster.client().get("pods", name, "default")["status"]


def test_a_node_without_power(cluster: Cluster) -> None:
    """It turns Unknown, its Pod is evicted after five minutes; with power back its Pods start anew."""
    pod(cluster, "web", "worker1")
    cluster.faults.node_down("worker1")
    cluster.advance(60)
    assert ready(cluster, "worker1") == ("Unknown", "Kubelet stopped posting node status.")
    assert "kube-proxy" not in cluster.node("worker1").run("ps -ef").output
    cluster.faults.node_up("worker1")
    cluster.advance(60)
    assert ready(cluster, "worker1")[0] == "True"
    container = status(cluster, "web")["containerStatuses"][0]
    assert (container["ready"], container["restartCount"]) == (True, 1)
    assert container["lastState"]["terminated"]["exitCode"] == 137
    events = [e["reason"] for e in cluster.client().list("events", "default") if e["involvedObject"]["name"] == "web"]
    assert "SandboxChanged" in events


def test_the_control_planes_node_without_power(cluster: Cluster) -> None:
    """Everything is away; with power back the kubelet starts the static Pods without an apiserver."""
    cluster.faults.node_down("cp")
    cluster.advance(30)
    state = cluster.apiserver.availability
    assert (state.running, cluster.scheduler.running, cluster.controller_manager.running) == (False, False, False)
    cluster.faults.node_up("cp")
    cluster.advance("5m")
    assert (state.running, cluster.scheduler.running, cluster.controller_manager.running) == (True, True, True)
    cluster.advance(60)
    assert [ready(cluster, node)[0] for node in cluster.addresses] == ["True"] * 3


def test_init_containers_run_again_in_a_new_sandbox(cluster: Cluster) -> None:
    """A Pod that begins anew begins with them."""
    init = [{"name": "first", "image": "busybox", "command": ["sh", "-c", "echo ran"]}]
    pod(cluster, "web", "worker1", initContainers=init)
    cluster.node("worker1").run("crictl stopp $(crictl pods -q --name web)")
    cluster.settle()
    found = status(cluster, "web")
    assert found["initContainerStatuses"][0]["restartCount"] == 1 and found["containerStatuses"][0]["ready"]


def test_a_pod_that_never_restarts_is_failed_by_a_lost_sandbox(cluster: Cluster) -> None:
    """restartPolicy Never: what was killed stays so."""
    pod(cluster, "web", "worker1", restartPolicy="Never")
    cluster.node("worker1").run("crictl stopp $(crictl pods -q --name web)")
    cluster.settle()
    assert status(cluster, "web")["phase"] == "Failed"


def test_a_component_killed_and_one_stopped(cluster: Cluster) -> None:
    """Killed it comes back by itself; stopped it stays away until it is started."""
    cluster.faults.kill("kube-scheduler")
    assert not cluster.scheduler.running
    cluster.advance(30)
    assert cluster.scheduler.running
    cluster.faults.stop("kube-controller-manager")
    cluster.advance("5m")
    assert not cluster.controller_manager.running
    cluster.faults.start("kube-controller-manager")
    cluster.settle()
    assert cluster.controller_manager.running


def test_a_cut_cable(cluster: Cluster) -> None:
    """The node is Unknown though all runs on it; the Pod cannot be reached, and later nothing has been restarted."""
    pod(cluster, "web", "worker1")
    address = status(cluster, "web")["podIP"]
    cluster.faults.cut("worker1")
    cluster.advance(60)
    assert ready(cluster, "worker1")[0] == "Unknown"
    assert "timed out" in cluster.node("cp").run(f"curl -m 3 http://{address}").output
    assert "dial tcp 10.0.0.4:6443: i/o timeout" in cluster.node("worker1").run("journalctl -u kubelet -n 5").output
    cluster.faults.reconnect("worker1")
    cluster.advance(60)
    assert (
        ready(cluster, "worker1")[0] == "True" and status(cluster, "web")["containerStatuses"][0]["restartCount"] == 0
    )


def test_kubelet_and_runtime(cluster: Cluster) -> None:
    """Each of the services alone."""
    cluster.faults.stop_runtime("worker1")
    cluster.advance(15)
    assert ready(cluster, "worker1") == ("False", "container runtime is down")
    cluster.faults.start_runtime("worker1")
    cluster.faults.stop_kubelet("worker2")
    cluster.advance(60)
    assert ready(cluster, "worker1")[0] == "True" and ready(cluster, "worker2")[0] == "Unknown"
    cluster.faults.start_kubelet("worker2")
    cluster.settle()
    assert ready(cluster, "worker2")[0] == "True"


def test_disks(cluster: Cluster) -> None:
    """A full one refuses writes and is reported; on a slow one an image takes its time."""
    cluster.faults.fill_disk("worker1")
    assert "No space left on device" in cluster.node("worker1").run("echo x > /tmp/f").output
    cluster.advance(15)
    taints = cluster.client().get("nodes", "worker1")["spec"].get("taints") or []
    assert "node.kubernetes.io/disk-pressure" in [t["key"] for t in taints]
    cluster.faults.fill_disk("worker1", full=False)
    cluster.faults.slow_disk("worker2", 20)
    before = cluster.loop.now
    pod(cluster, "slow", "worker2")
    assert cluster.loop.now - before > 20 and status(cluster, "slow")["phase"] == "Running"


def test_lost_packets(cluster: Cluster) -> None:
    """All or some of the connections; the same ones for the same seed."""
    pod(cluster, "web", "worker1")
    address = status(cluster, "web")["podIP"]
    ask = f"for i in $(seq 20); do curl -s -m 1 -o /dev/null http://{address} && echo ok; done | grep -c ok"
    cluster.faults.lose_packets("worker1", 0.5)
    got = int(cluster.node("cp").run(ask).output)
    assert 0 < got < 20
    cluster.faults.lose_packets("worker1", 0)
    assert cluster.node("cp").run(ask).output == "20\n"


def test_a_clock_that_jumps(cluster: Cluster) -> None:
    """Every lease is late at once; nodes are ready again a moment later."""
    before = cluster.loop.now
    cluster.faults.jump(3600)
    assert cluster.loop.now - before >= 3600
    cluster.advance(60)
    assert [ready(cluster, node)[0] for node in cluster.addresses] == ["True"] * 3


def test_a_running_program_changes_its_behaviour(cluster: Cluster) -> None:
    """From one moment to the next it crashes."""
    pod(cluster, "web", "worker1")
    cluster.faults.behave("default/web", "crash-after=5s, exit-code=7")
    cluster.advance(10)
    assert status(cluster, "web")["containerStatuses"][0]["lastState"]["terminated"]["exitCode"] == 7


def test_a_graceful_shutdown(cluster: Cluster) -> None:
    """With shutdownGracePeriod the kubelet ends its Pods before the power goes."""
    path = "/var/lib/kubelet/config.yaml"
    script = (
        f"sed -i 's/^shutdownGracePeriod: 0s/shutdownGracePeriod: 30s/; s/CriticalPods: 0s/CriticalPods: 10s/' {path}"
    )
    cluster.node("worker1").run(f"{script}; systemctl restart kubelet")
    cluster.settle()
    pod(cluster, "web", "worker1")
    cluster.faults.shut_down("worker1")
    cluster.advance(5)
    found = status(cluster, "web")
    assert (found["phase"], found["reason"]) == ("Failed", "Terminated")
    assert found["message"] == "Pod was terminated in response to imminent node shutdown."
    assert ready(cluster, "worker1") == ("False", "node is shutting down")


def test_faults_are_in_the_log_and_in_history(cluster: Cluster) -> None:
    """With their times; and an Event tells of each."""
    cluster.faults.stop_kubelet("worker1")
    cluster.faults.start_kubelet("worker1")
    assert [(f.what, f.target, f.mended) for f in cluster.faults.log] == [
        ("KubeletStopped", "worker1", False),
        ("KubeletStarted", "worker1", True),
    ]
    told = [
        m.new["reason"]
        for m in cluster.history.changes(resource="events")
        if m.new and m.new["source"].get("component") == "faults"
    ]
    assert told == ["KubeletStopped", "KubeletStarted"]


def test_what_does_not_exist_cannot_fail(cluster: Cluster) -> None:
    """The error names what there is."""
    with pytest.raises(NoSuchFault, match="There are: kube-apiserver"):
        cluster.faults.kill("kube-proxy")
    with pytest.raises(NoSuchFault, match="There are: cp, worker1, worker2"):
        cluster.faults.node_down("worker9")
    with pytest.raises(NoSuchFault, match="no running container"):
        cluster.faults.behave("default/none", "cpu=1")


def test_the_same_faults_give_the_same_history() -> None:
    """Byte for byte, with the same seed."""

    def once() -> bytes:
        with Cluster(seed=3) as made:
            made.settle()
            pod(made, "web", "worker1")
            made.faults.node_down("worker1")
            made.advance(90)
            made.faults.node_up("worker1")
            made.faults.kill("kube-apiserver")
            made.advance(120)
            return b"".join(kv.key + kv.value for kv in made.etcd.live() if b"/pki" not in kv.key)

    assert once() == once()
