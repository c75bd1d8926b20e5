"""A small cluster with Pods and Services for the network's tests, made once a file."""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

from k8s_core.api import Object
from k8s_core.cluster import Cluster
from k8s_core.network.packets import Flow
from k8s_core.shell.sockets import NetworkNamespace


class World:
    """`world.send("box", "10.96.0.12", 5432)`: a flow from a Pod, a node or "outside"."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster, self.client, self.network = cluster, cluster.client(), cluster.network

    def pod(self, name: str, image: str = "nginx", node: str = "worker1", **more: Any) -> None:
        labels = more.pop("labels", {"app": name})
        container: Object = {"name": "c", "image": image, **more}
        self.client.create(
            "pods",
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": name, "namespace": "default", "labels": labels},
                "spec": {"nodeName": node, "containers": [container], "terminationGracePeriodSeconds": 0},
            },
        )

    def service(self, name: str, ports: list[Object] | None = None, **spec: Any) -> Object:
        """Create a Service with clusterIP etc. as given."""
        meta = {"name": name, "namespace": spec.pop("namespace", "default")}
        return self.client.create(
            "services",
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": meta,
                "spec": {"ports": ports or [{"name": "http", "port": 80}], **spec},
            },
        )

    def namespace(self, where: str) -> NetworkNamespace:
        network = self.network
        if where == "outside":
            return network.outside
        if where in network.hosts:
            return network.namespaces[network.hosts[where].address]
        return next(n for n in network.namespaces.values() if n.pod == where)

    def address(self, pod: str) -> str:
        return self.namespace(pod).address

    def send(self, source: str, address: str, port: int, protocol: str = "tcp", source_port: int = 0) -> Flow:
        return self.network.send(self.namespace(source), address, port, protocol, source_port)

    def shell(self, pod: str, command: str, *, seconds: float = 20.0) -> str:
        """What a command prints in a Pod's first container ("box", or "kube-system/kube-proxy-x"), errors included."""
        namespace, _, name = pod.rpartition("/")
        found = self.client.get("pods", name, namespace or "default")
        container = found["spec"]["containers"][0]["name"]
        server = self.cluster.kubelets[found["spec"]["nodeName"]].server
        session = server.exec(namespace or "default", name, container, ["sh", "-c", command], stdin=False, tty=False)
        printed: list[bytes] = []
        session.subscribe(lambda channel, data: printed.append(data), lambda code, message: None)
        self.cluster.advance(seconds)
        return b"".join(printed).decode()

    def proxy(self, node: str) -> str:
        """The kube-proxy Pod of a node."""
        pods = self.client.list("pods", "kube-system")
        names = [p["metadata"]["name"] for p in pods if p["spec"].get("nodeName") == node]
        return "kube-system/" + next(name for name in names if name.startswith("kube-proxy"))

    def run(self, steps: Generator[Any, None, Any]) -> Any:
        """The value of a generator of waits."""
        while True:
            try:
                next(steps)
            except StopIteration as stop:
                return stop.value


@contextmanager
def small_cluster() -> Iterator[World]:
    """Three nodes; "box" and "web-1" on worker1, "web-2" and "web-3" on worker2, Service web with node port 30080."""
    cluster = Cluster()
    cluster.loop.strict = True
    world = World(cluster)
    cluster.settle()
    world.pod("box", "busybox", command=["sleep", "1000000"])
    for number in (1, 2, 3):
        world.pod(f"web-{number}", node="worker1" if number == 1 else "worker2", labels={"app": "web"})
    world.service("web", [{"name": "http", "port": 80, "nodePort": 30080}], type="NodePort", clusterIP="10.96.0.20",
                  selector={"app": "web"})  # fmt: skip
    cluster.settle()
    yield world
    mutated = cluster.apiserver.registry.storage.mutated()
    cluster.stop()
    assert not mutated
