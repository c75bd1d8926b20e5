"""The control plane is its static Pods: break a manifest and the component is gone, mend it and it is back."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from k8s_core.api.errors import StatusError
from k8s_core.cluster import Cluster

MANIFESTS = "/etc/kubernetes/manifests"


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster() as made:
        made.loop.strict = True
        made.settle()
        yield made


def typed(cluster: Cluster, command: str) -> str:
    return cluster.node("cp").run(command).output


def running(cluster: Cluster) -> tuple[bool, bool, bool]:
    """Whether the apiserver, the controller manager and the scheduler run."""
    return cluster.apiserver.availability.running, cluster.controller_manager.running, cluster.scheduler.running


def restarts(cluster: Cluster, pod: str) -> int:
    status = cluster.client().get("pods", pod, "kube-system")["status"]
    return int(status["containerStatuses"][0]["restartCount"])


def test_without_its_manifest_the_scheduler_is_gone(cluster: Cluster) -> None:
    """Neither its process nor its mirror Pod is left; a Pod stays Pending until the manifest is back."""
    typed(cluster, f"mv {MANIFESTS}/kube-scheduler.yaml /root/")
    cluster.settle()
    assert running(cluster) == (True, True, False)
    assert "kube-scheduler" not in typed(cluster, "crictl pods; ps -ef | grep -v grep")
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "default"}}
    cluster.client().create("pods", {**pod, "spec": {"containers": [{"name": "c", "image": "nginx"}]}})
    cluster.settle()
    assert cluster.client().get("pods", "p", "default")["status"]["phase"] == "Pending"
    typed(cluster, f"mv /root/kube-scheduler.yaml {MANIFESTS}/")
    cluster.settle()
    assert running(cluster) == (True, True, True)
    assert cluster.client().get("pods", "p", "default")["status"]["phase"] == "Running"


def test_a_manifest_that_is_no_yaml_takes_the_component_down(cluster: Cluster) -> None:
    """The kubelet says in its log which file and which line it is."""
    typed(cluster, f"sed -i 's/^spec:/spec/' {MANIFESTS}/kube-controller-manager.yaml")
    cluster.advance(30)
    assert running(cluster) == (True, False, True)
    log = typed(cluster, "journalctl -u kubelet")
    assert f'path="{MANIFESTS}/kube-controller-manager.yaml"' in log and "yaml: line " in log
    typed(cluster, f"sed -i 's/^spec$/spec:/' {MANIFESTS}/kube-controller-manager.yaml")
    cluster.settle()
    assert running(cluster) == (True, True, True)


def test_controllers_are_those_of_the_manifest(cluster: Cluster) -> None:
    """--controllers=*,-job-controller starts all but one; a name that does not exist ends the process."""
    manager, path = cluster.controller_manager, f"{MANIFESTS}/kube-controller-manager.yaml"
    before = set(manager.controllers)
    typed(cluster, f"sed -i 's/--controllers=[*]/--controllers=*,-job-controller/' {path}")
    cluster.settle()
    assert set(manager.controllers) == before - {"job-controller"}
    typed(cluster, f"sed -i 's/-job-controller/nonsense/' {path}")
    cluster.advance(60)
    assert not manager.running
    logs = typed(cluster, "crictl logs $(crictl ps -a -q --name kube-controller | head -1)")
    assert 'Error: "nonsense" is not in the list of known controllers' in logs
    typed(cluster, f"sed -i 's/,nonsense//' {path}")
    cluster.settle()
    assert set(manager.controllers) == before


def test_an_edit_in_the_folder_is_seen_within_twenty_seconds(cluster: Cluster) -> None:
    """As when it is made in an editor: the kubelet looks into the folder at its own pace."""
    path = Path(cluster.root / "nodes/cp/etc/kubernetes/manifests/kube-scheduler.yaml")
    text = path.read_text()
    path.unlink()
    cluster.advance(21)
    assert not cluster.scheduler.running
    path.write_text(text)
    cluster.advance(25)
    assert cluster.scheduler.running


def test_a_wrong_flag_is_said_in_the_container_log(cluster: Cluster) -> None:
    """The process ends at once, the Pod is in CrashLoopBackOff."""
    typed(cluster, f"sed -i 's/--leader-elect=true/--leader-elected=true/' {MANIFESTS}/kube-scheduler.yaml")
    cluster.advance(30)
    assert "Error: unknown flag: --leader-elected\n" in typed(
        cluster, "crictl logs $(crictl ps -a -q --name kube-scheduler | head -1)"
    )
    waiting = cluster.client().get("pods", "kube-scheduler-cp", "kube-system")["status"]["containerStatuses"][0][
        "state"
    ]
    assert waiting["waiting"]["reason"] == "CrashLoopBackOff"


def test_a_killed_apiserver_comes_back(cluster: Cluster) -> None:
    """While it is away everybody is refused; then its Pod shows a restart."""
    typed(cluster, "pkill -9 kube-apiserver")
    assert not cluster.apiserver.availability.running
    with pytest.raises(StatusError, match=r"dial tcp 10[.]0[.]0[.]4:6443: connect: connection refused"):
        cluster.client().list("pods")
    assert typed(cluster, "kubectl get nodes") == (
        "The connection to the server 10.0.0.4:6443 was refused - did you specify the right host or port?\n"
    )
    cluster.advance(60)
    assert running(cluster) == (True, True, True) and restarts(cluster, "kube-apiserver-cp") == 1


def test_kinds_can_be_defined_after_the_apiserver_came_back(cluster: Cluster) -> None:
    """The server's own watches go on when it is started anew: a definition is served, and gone with its object."""
    cluster.faults.kill("kube-apiserver")
    cluster.advance("1m")
    shape = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    served = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": shape}}
    names = {"kind": "Boat", "plural": "boats", "singular": "boat"}
    spec = {"group": "example.com", "names": names, "scope": "Cluster", "versions": [served]}
    kind, version = "CustomResourceDefinition", "apiextensions.k8s.io/v1"
    definition = {"apiVersion": version, "kind": kind, "metadata": {"name": "boats.example.com"}, "spec": spec}
    client = cluster.client()
    client.create("customresourcedefinitions.apiextensions.k8s.io", definition)
    cluster.settle()
    client.create("boats.example.com", {"apiVersion": "example.com/v1", "kind": "Boat", "metadata": {"name": "b"}})
    client.delete("customresourcedefinitions.apiextensions.k8s.io", "boats.example.com")
    cluster.settle()
    assert cluster.apiserver.resources.find("boats.example.com") is None


def test_a_wrong_etcd_address_takes_all_down_and_mending_it_brings_all_back(cluster: Cluster) -> None:
    """The apiserver gives up after 20 seconds; the others lose their lease, and come back after their back-off."""
    typed(cluster, f"sed -i 's/127.0.0.1:2379/127.0.0.1:2399/' {MANIFESTS}/kube-apiserver.yaml")
    cluster.advance(60)
    assert running(cluster) == (False, False, False)
    log = typed(cluster, "crictl logs $(crictl ps -a -q --name kube-apiserver | tail -1)")
    assert "dial tcp 127.0.0.1:2399: connect: connection refused" in log
    assert log.endswith("error creating storage factory: context deadline exceeded\n")
    log = typed(cluster, "crictl logs $(crictl ps -a -q --name kube-scheduler | head -1)")
    assert "unable to load configmap based request-header-client-ca-file" in log
    typed(cluster, f"sed -i 's/127.0.0.1:2399/127.0.0.1:2379/' {MANIFESTS}/kube-apiserver.yaml")
    cluster.advance("5m")
    assert running(cluster) == (True, True, True)
    nodes = cluster.client().list("nodes")
    assert [c["status"] for n in nodes for c in n["status"]["conditions"] if c["type"] == "Ready"] == ["True"] * 3


def test_without_etcd_the_apiserver_answers_as_a_real_one(cluster: Cluster) -> None:
    """First errors in the words of etcd's client, then it is killed for failing its liveness probe."""
    typed(cluster, f"sed -i 's,etcd/server.crt,etcd/wrong.crt,' {MANIFESTS}/etcd.yaml")
    cluster.advance(10)
    assert typed(cluster, "kubectl get nodes") == (
        'Error from server: rpc error: code = Unavailable desc = connection error: desc = "transport: Error while '
        'dialing: dial tcp 127.0.0.1:2379: connect: connection refused"\n'
    )
    assert "[-]etcd failed: reason withheld" in typed(cluster, "curl -sk https://cp:6443/livez")
    log = typed(cluster, "crictl logs $(crictl ps -a -q --name etcd | head -1)")
    assert "open /etc/kubernetes/pki/etcd/wrong.crt: no such file or directory" in log
    cluster.advance(120)
    assert running(cluster) == (False, False, False)
    assert "was refused" in typed(cluster, "kubectl get nodes")
    typed(cluster, f"sed -i 's,etcd/wrong.crt,etcd/server.crt,' {MANIFESTS}/etcd.yaml")
    cluster.advance("10m")
    assert running(cluster) == (True, True, True)
    assert re.search("^worker1 +Ready", typed(cluster, "kubectl get nodes"), re.M)


def test_curl_trusts_whom_it_is_told_to(cluster: Cluster) -> None:
    """ca.crt is the authority to trust; without it curl refuses, and the client's certificate says who asks."""
    pki = "/etc/kubernetes/pki"
    assert '"gitVersion"' in typed(cluster, f"curl -s --cacert {pki}/ca.crt https://cp:6443/version")
    assert cluster.node("cp").run("curl -s https://cp:6443/version").code == 60
    assert cluster.node("cp").run(f"curl -s --cacert {pki}/etcd/ca.crt https://cp:6443/version").code == 60
    identity = f"--cert {pki}/apiserver-kubelet-client.crt --key {pki}/apiserver-kubelet-client.key"
    answer = typed(cluster, f"curl -s --cacert {pki}/ca.crt {identity} https://cp:6443/api/v1/namespaces/default")
    assert '"name": "default"' in answer
    anonymous = typed(cluster, f"curl -s --cacert {pki}/ca.crt https://cp:6443/api/v1/namespaces/default")
    assert 'User \\"system:anonymous\\" cannot get resource' in anonymous


def test_a_pod_reaches_the_apiserver_with_its_token(cluster: Cluster) -> None:
    """Through the Service kubernetes, as a ServiceAccount that may not list Pods."""
    script = (
        "cd /var/run/secrets/kubernetes.io/serviceaccount; "
        'curl -s --cacert ca.crt -H "Authorization: Bearer $(cat token)" https://kubernetes.default.svc/api/v1/pods'
    )
    container = {"name": "c", "image": "curlimages/curl", "command": ["sh", "-c", script]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "asks", "namespace": "default"}}
    cluster.client().create("pods", {**pod, "spec": {"restartPolicy": "Never", "containers": [container]}})
    cluster.settle()
    log = typed(cluster, "kubectl logs asks")
    assert 'User \\"system:serviceaccount:default:default\\" cannot list resource' in log


def test_new_apiserver_flags_are_taken_in(cluster: Cluster) -> None:
    """--authorization-mode in the manifest decides after the restart."""
    asked = "kubectl --kubeconfig /etc/kubernetes/scheduler.conf get secrets -A"
    assert "Forbidden" in typed(cluster, asked)
    typed(
        cluster,
        f"sed -i 's/-mode=Node,RBAC/-mode=AlwaysAllow/' {MANIFESTS}/kube-apiserver.yaml",
    )
    cluster.advance(60)
    assert "Forbidden" not in typed(cluster, asked)
    typed(cluster, f"sed -i 's/=AlwaysAllow/=Sometimes/' {MANIFESTS}/kube-apiserver.yaml")
    cluster.advance(60)
    assert not cluster.apiserver.availability.running
    log = typed(cluster, "crictl logs $(crictl ps -a -q --name kube-apiserver | head -1)")
    assert 'authorization-mode "Sometimes" is not a valid mode' in log
