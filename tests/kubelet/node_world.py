"""A world for kubelet tests: an apiserver, its controllers, and one node with a kubelet; no scheduler."""

from pathlib import Path
from typing import Any

import yaml

from k8s_core.api import Object
from k8s_core.api.errors import StatusError
from k8s_core.cluster import Cluster
from k8s_core.kubelet.kubelet import Kubelet
from k8s_core.streams import Session, Stream


class World:
    """One node, n1."""

    def __init__(self, folder: Path, *, kubeadm: bool = True, seed: int = 0) -> None:
        controllers = ("node-ipam-controller", "*")  # the node's Pods get addresses of its own range
        self.cluster = Cluster(
            nodes=("n1",),
            profile="bare",
            seed=seed,
            kubelets=False,
            scheduler=False,
            root=folder,
            controllers=controllers,
        )
        self.cluster.loop.strict = True
        self.loop = self.cluster.loop
        self.client = self.cluster.client()
        self.node_dir = folder / "node"
        self.node_dir.mkdir(exist_ok=True)
        node_client = self.cluster.client("system:node:n1", groups=("system:nodes",), agent="kubelet")
        self.kubelet = Kubelet(node_client, "n1", "10.0.0.5", self.node_dir, kubeadm=kubeadm)
        self.kubelet.start()
        self.loop.advance(2)

    def create(self, text: str | Object) -> Object:
        obj: Any = yaml.safe_load(text) if isinstance(text, str) else text
        meta = obj.setdefault("metadata", {})
        meta.setdefault("namespace", "default")
        kind = obj.setdefault("kind", "Pod")
        obj.setdefault("apiVersion", "v1")
        if kind == "Pod":
            obj["spec"].setdefault("nodeName", "n1")
        plural = {"Pod": "pods", "ConfigMap": "configmaps", "Secret": "secrets", "Service": "services"}[kind]
        made = self.client.create(plural, obj, meta["namespace"])
        self.loop.run_ready()
        return made

    def run(self, name: str, command: str = "", *, image: str = "busybox", **spec: Any) -> Object:
        """Create a Pod of one container `c` that runs `sh -c command`."""
        container: Object = {"name": "c", "image": image, **spec.pop("container", {})}
        if command:
            container["command"] = ["sh", "-c", command]
        return self.create({"metadata": {"name": name}, "spec": {"containers": [container], **spec}})

    def pod(self, name: str) -> Object:
        return self.client.get("pods", name, "default")

    def gone(self, name: str) -> bool:
        try:
            self.pod(name)
        except StatusError:
            return True
        return False

    def phase(self, name: str) -> str:
        return str(self.pod(name)["status"]["phase"])

    def state(self, name: str, index: int = 0, kind: str = "containerStatuses") -> Object:
        status: Object = self.pod(name)["status"][kind][index]
        return status

    def waiting(self, name: str) -> str:
        return str(self.state(name)["state"].get("waiting", {}).get("reason", ""))

    def condition(self, name: str, kind: str) -> Object:
        found: Object = next(c for c in self.pod(name)["status"]["conditions"] if c["type"] == kind)
        return found

    def events(self, name: str) -> list[tuple[str, str]]:
        """(reason, message) of a Pod's events, in the order they first happened."""
        found = [e for e in self.client.list("events", "default") if e["involvedObject"]["name"] == name]
        return [(e["reason"], e["message"]) for e in sorted(found, key=lambda e: int(e["metadata"]["resourceVersion"]))]

    def delete(self, name: str, grace: int | None = None) -> None:
        self.client.delete("pods", name, "default", grace_seconds=grace)
        self.loop.run_ready()

    def logs(self, name: str, container: str = "c", **options: Any) -> str:
        return read(self.kubelet.server.container_logs("default", name, container, **options))

    def exec(
        self, name: str, *command: str, stdin: bytes | None = None, tty: bool = False, seconds: float = 1
    ) -> "Outcome":
        session = self.kubelet.server.exec("default", name, "c", list(command), stdin=stdin is not None, tty=tty)
        outcome = Outcome(session)
        if stdin is not None:
            session.write(stdin)
            if not tty:
                session.close_stdin()
        self.loop.advance(seconds)
        return outcome


class Outcome:
    """What came out of a session."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.out, self.err = "", ""
        self.code: int | None = None
        self.message = ""
        session.subscribe(self._output, self._exit)

    def _output(self, channel: int, data: bytes) -> None:
        if channel == 1:
            self.out += data.decode()
        else:
            self.err += data.decode()

    def _exit(self, code: int, message: str) -> None:
        self.code, self.message = code, message


def read(stream: Stream) -> str:
    """What a stream has to say so far."""
    pieces: list[bytes] = []
    stream.subscribe(pieces.append, lambda: None)
    return b"".join(pieces).decode()
