"""From the learner's machine into the cluster: port-forward, the apiserver's proxy, a node port on a real port."""

import http.client
import os
import subprocess
import sys
import urllib.request
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from k8s_core.apiserver.spdy import DICTIONARY
from k8s_core.cluster import Cluster

KUBECTL = Path(sys.executable).parent / "kubectl"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cluster, dict[str, str]]]:
    """A cluster behind its door, with Pod web and NodePort Service web, and kubectl's environment."""
    folder = tmp_path_factory.mktemp("bridge")
    with Cluster(clock="elastic", root=folder / "cluster") as cluster:
        cluster.settle()
        door = cluster.serve()
        (folder / "config").write_text(cluster.pki.kubeconfig("admin", door.url))
        env = {**os.environ, "KUBECONFIG": str(folder / "config"), "HOME": str(folder)}
        for command in ("run web --image=nginx --port=80", "expose pod web --type=NodePort",
                        "wait --for=condition=Ready pod/web --timeout=60s"):  # fmt: skip
            subprocess.run([KUBECTL, *command.split()], env=env, check=True, capture_output=True)
        yield cluster, env


def test_the_dictionary_is_spdys() -> None:
    """Header blocks are compressed with SPDY/3's dictionary, known by its checksum."""
    assert (len(DICTIONARY), zlib.adler32(DICTIONARY)) == (1423, 0xE3C6A7C2)


def test_kubectl_port_forward_reaches_the_program(served: tuple[Cluster, dict[str, str]]) -> None:
    """The real kubectl forwards to a Pod: pages come, twice over; a port nobody listens on is reported."""
    _, env = served
    forward = subprocess.Popen(
        [KUBECTL, "port-forward", "pod/web", ":80", ":81"], env=env, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert forward.stdout and forward.stderr
        ports = []
        while len(ports) < 2:
            line = forward.stdout.readline()
            if "127.0.0.1" in line:
                ports.append(line.split(":")[1].split(" ")[0])
        for _ in range(2):
            with urllib.request.urlopen(f"http://127.0.0.1:{ports[0]}/", timeout=20) as answer:
                assert b"Welcome to nginx" in answer.read()
        with pytest.raises(OSError):
            urllib.request.urlopen(f"http://127.0.0.1:{ports[1]}/", timeout=20)
        assert "connect: connection refused" in forward.stderr.readline()
    finally:
        forward.kill()
        forward.communicate()


def test_the_apiserver_proxies_to_services_and_pods(served: tuple[Cluster, dict[str, str]]) -> None:
    """kubectl get --raw .../proxy/ gives a Service's and a Pod's page, or says why not."""
    _, env = served

    def raw(path: str) -> subprocess.CompletedProcess[str]:
        path = f"/api/v1/namespaces/default/{path}/proxy/"
        return subprocess.run([KUBECTL, "get", "--raw", path], env=env, text=True, capture_output=True, check=False)

    assert "Welcome to nginx" in raw("services/web").stdout
    assert "Welcome to nginx" in raw("pods/web:80").stdout
    assert "connect: connection refused" in raw("pods/web:81").stderr
    assert 'no service port "99" found for service "web"' in raw("services/web:99").stderr


def test_serve_opens_node_ports_and_gives_balancers(tmp_path: Path) -> None:
    """serve --expose, --load-balancer and --cluster-cidr: a page on a real port, an EXTERNAL-IP, Pods elsewhere."""
    config = tmp_path / "config"
    flags = ["--secure-port=0", f"--write-kubeconfig={config}", "--expose=30080", "--load-balancer", "--ingress"]
    command = [sys.executable, "-m", "k8s_core", "serve", *flags, "--cluster-cidr=10.64.0.0/12"]
    process = subprocess.Popen(command, text=True, stdout=subprocess.PIPE)
    try:
        assert process.stdout
        process.stdout.readline()
        url = process.stdout.readline().split(" on ")[1].strip()
        env = {**os.environ, "KUBECONFIG": str(config), "HOME": str(tmp_path)}

        def kubectl(line: str) -> str:
            done = subprocess.run([KUBECTL, *line.split()], env=env, text=True, capture_output=True, check=True)
            return done.stdout

        probe = '"readinessProbe":{"tcpSocket":{"port":80},"periodSeconds":1}'
        spec = f'{{"spec":{{"containers":[{{"name":"web","image":"nginx",{probe}}}]}}}}'
        kubectl(f"run web --image=nginx --port=80 --overrides={spec}")
        kubectl("create service nodeport web --tcp=80 --node-port=30080")
        kubectl("set selector service web run=web")
        kubectl("create service loadbalancer ball --tcp=80")
        ready = "--for=jsonpath={.endpoints[*].conditions.ready}=true endpointslice -l kubernetes.io/service-name=web"
        kubectl(f"wait {ready} --timeout=60s")

        def page() -> bytes:
            try:
                with urllib.request.urlopen(url, timeout=20) as answer:
                    return bytes(answer.read())
            except (OSError, http.client.HTTPException):
                return b""

        tries = (
            page() or kubectl("get nodes").encode() for _ in range(20)
        )  # a kube-proxy hears of Pods a moment later
        assert any(b"Welcome to nginx" in each for each in tries)
        assert kubectl("get pod web -o jsonpath={.status.podIP}").startswith("10.64.")
        kubectl("wait --for=jsonpath={.status.loadBalancer.ingress} service/ball --timeout=60s")
        assert "nginx" in kubectl("get ingressclass")
        rules = kubectl("exec -n kube-system ds/kube-proxy -- iptables-save -t nat")
        assert "! -s 10.64.0.0/12" in rules
    finally:
        process.terminate()
        process.communicate()


def test_a_node_port_on_a_real_port(served: tuple[Cluster, dict[str, str]]) -> None:
    """cluster.expose binds a node's port to the loopback; the flow comes from outside and is recorded."""
    cluster, _ = served
    port = cluster.client().get("services", "web", "default")["spec"]["ports"][0]["nodePort"]
    with urllib.request.urlopen(cluster.expose(port, node="worker2"), timeout=20) as answer:
        assert b"Welcome to nginx" in answer.read()
    flow = [f for f in cluster.network.flows if f.port == port][-1]
    assert (flow.name, flow.result, flow.destination) == ("outside", "connected", cluster.addresses["worker2"])
