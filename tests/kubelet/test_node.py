"""The node itself: registration, status, leases, CSINode; static Pods and their mirrors; hollow nodes."""

from pathlib import Path

import pytest
from node_world import World

from k8s_core.kubelet.config import Config

MANIFEST = """
apiVersion: v1
kind: Pod
metadata: {name: static-web, labels: {role: myrole}}
spec:
  containers: [{name: c, image: nginx}]
"""


@pytest.fixture()
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_the_node(world: World) -> None:
    """Labels, capacity, conditions and events as a real kubelet's; Ready a second after the start."""
    node = world.client.get("nodes", "n1")
    status = node["status"]
    assert [(c["type"], c["status"], c["reason"]) for c in status["conditions"]] == [
        ("MemoryPressure", "False", "KubeletHasSufficientMemory"),
        ("DiskPressure", "False", "KubeletHasNoDiskPressure"),
        ("PIDPressure", "False", "KubeletHasSufficientPID"),
        ("Ready", "True", "KubeletReady"),
    ]
    assert status["capacity"]["cpu"] == "1" and status["allocatable"]["pods"] == "110"
    assert status["addresses"][0] == {"address": "10.0.0.5", "type": "InternalIP"}
    assert node["metadata"]["labels"]["kubernetes.io/hostname"] == "n1"
    events = [e for e in world.client.list("events", "default") if e["involvedObject"]["kind"] == "Node"]
    assert "Node n1 status is now: NodeReady" in [e["message"] for e in events]
    assert world.client.get("csinodes.storage.k8s.io", "n1")["spec"] == {"drivers": []}


def test_what_somebody_else_says_the_node_has(world: World) -> None:
    """An extended resource in the capacity can be asked for from the kubelet's next look on, until it goes."""
    for amount, left in (("4", "4"), (None, None)):
        change = {"status": {"capacity": {"example.com/dongle": amount}}}
        world.client.patch("nodes", "n1", "", change, subresource="status")
        world.loop.advance(11)
        status = world.client.get("nodes", "n1")["status"]
        assert [status[part].get("example.com/dongle") for part in ("capacity", "allocatable")] == [left, left]


def test_what_the_node_keeps_for_itself(world: World) -> None:
    """maxPods, kubeReserved and systemReserved of KubeletConfiguration, from the kubelet's next start on."""
    world.kubelet.stop()
    kept = (("cpu", "100m"), ("memory", "1Gi"), ("cpu", "150m"))
    world.kubelet.config = Config(max_pods=20, reserved=kept)
    world.kubelet.start()
    world.loop.advance(11)
    status = world.client.get("nodes", "n1")["status"]
    assert [status["capacity"][k] for k in ("cpu", "memory", "pods")] == ["1", "3840Mi", "20"]
    assert [status["allocatable"][k] for k in ("cpu", "memory", "pods")] == ["750m", "2816Mi", "20"]


def test_lease_and_heartbeat(world: World) -> None:
    """The lease is renewed every ten seconds, the status every five minutes when nothing changes."""
    lease = world.client.get("leases.coordination.k8s.io", "n1", "kube-node-lease")
    assert lease["spec"]["holderIdentity"] == "n1" and lease["spec"]["leaseDurationSeconds"] == 40
    node = world.client.get("nodes", "n1")
    world.loop.advance(60)
    later = world.client.get("leases.coordination.k8s.io", "n1", "kube-node-lease")
    assert later["spec"]["renewTime"] > lease["spec"]["renewTime"]
    assert world.client.get("nodes", "n1")["status"] == node["status"]
    world.loop.advance(300)
    ready = world.client.get("nodes", "n1")["status"]["conditions"][3]
    assert ready["lastHeartbeatTime"] > node["status"]["conditions"][3]["lastHeartbeatTime"]
    assert ready["lastTransitionTime"] == node["status"]["conditions"][3]["lastTransitionTime"]
    world.kubelet.stop()
    world.loop.advance(60)
    assert (
        world.client.get("leases.coordination.k8s.io", "n1", "kube-node-lease")["spec"]["renewTime"]
        <= later["spec"]["renewTime"][:11] + "99"
    )


def test_a_static_pod(world: World) -> None:
    """A manifest in the folder runs within 20 s, with a mirror that comes back when deleted."""
    folder = world.node_dir / "etc/kubernetes/manifests"
    folder.mkdir(parents=True)
    (folder / "web.yaml").write_text(MANIFEST)
    (folder / "broken.yaml").write_text("kind: [")
    world.loop.advance(25)
    mirror = world.pod("static-web-n1")
    annotations = mirror["metadata"]["annotations"]
    assert mirror["status"]["phase"] == "Running"
    assert annotations["kubernetes.io/config.source"] == "file"
    assert annotations["kubernetes.io/config.mirror"] == annotations["kubernetes.io/config.hash"]
    assert mirror["metadata"]["ownerReferences"][0]["kind"] == "Node"
    assert "start worker processes" in world.logs("static-web-n1")
    container = world.state("static-web-n1")["containerID"]
    world.delete("static-web-n1")
    world.loop.advance(3)
    again = world.pod("static-web-n1")
    assert again["metadata"]["uid"] != mirror["metadata"]["uid"]
    assert world.state("static-web-n1")["containerID"] == container
    (folder / "web.yaml").write_text(MANIFEST.replace("nginx", "httpd"))
    world.loop.advance(40)
    assert "httpd" in world.state("static-web-n1")["image"]
    (folder / "web.yaml").unlink()
    world.loop.advance(40)
    assert world.gone("static-web-n1") and not world.kubelet.workers


def test_a_hollow_node(tmp_path: Path) -> None:
    """With the fake runtime every image exists, everything is ready at once, nothing ends, no events are written."""
    world = World(tmp_path, kubeadm=False)
    world.run("x", "exit 1", image="nginx:doesnotexist")
    world.loop.advance(3)
    status = world.state("x")
    assert status["ready"] and "running" in status["state"] and status["image"] == "nginx:doesnotexist"
    assert status["containerID"].startswith("fakeRuntime://x_default_")
    world.loop.advance(60)
    assert world.phase("x") == "Running" and not world.events("x")
    world.delete("x")
    world.loop.advance(2)
    assert world.gone("x")
