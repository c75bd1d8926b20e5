"""What a lab shows of the network: packets, flows, names, Services. Part of Lab (lab.py)."""

from collections.abc import Generator
from typing import Any, Protocol

from course.kernel import LabError
from course.output import Drawn, Output
from course.widgets import modes, packet
from course.widgets.names import LookupView
from course.widgets.packet import PacketView
from course.widgets.ports import PortsView
from course.widgets.services import ServiceView, story
from k8s_core.api.errors import StatusError
from k8s_core.cluster import Cluster
from k8s_core.network import ingress
from k8s_core.network.resolver import Config
from k8s_core.shell.commands.network import where
from k8s_core.shell.sockets import HTTP_REASONS, NetworkError, NetworkNamespace, Request

DNS_PORT = 53
ADD_ONS = {"ingress-nginx": ingress.MANIFEST}


class _Lab(Protocol):
    @property
    def cluster(self) -> Cluster: ...
    @property
    def began(self) -> float: ...
    def revisions(self) -> list[int]: ...


class Traffic:
    """Lab's methods about the network."""

    def packet(self: _Lab, source: str, address: str, port: int, *, everything: bool = False) -> PacketView:
        """Send one packet from a Pod ("web", or "namespace/web"), a node or "outside", and show its way."""
        return PacketView(_flows(self.cluster, source, address, port, 1)[0], everything=everything)

    def request(self: _Lab, source: str, url: str, *, at: str = "") -> PacketView:
        """Fetch a page from a Pod, a node or "outside", and show all that it took: names, rules, proxies, policies.

        `at` is the address to go to where the name of the URL stands in no DNS.
        """
        network, place = self.cluster.network, _place(self.cluster, source)
        host, port = where(url)
        path = "/" + url.rpartition("://")[2].partition("/")[2]
        with self.cluster.lock:
            asked, seen = len(network.dns.queries), len(network.flows)
            try:
                address = at or _finish(place.resolve(host))
                ask = Request("GET", path, {"Host": host, "User-Agent": "lab"})
                answer = _finish(place.http(address, port, ask))
                end = f"{answer.status} {HTTP_REASONS.get(answer.status, '')}"
            except NetworkError as error:
                end = f"{url}: {error.message}"
            queries = list(network.dns.queries)[asked:]
            found = [flow.data() for flow in list(network.flows)[seen:] if flow.port != DNS_PORT]
        whole = {"name": source, "destination": host, "port": port, "protocol": "http"}
        whole["result"] = "connected" if end[0].isdigit() else "failed"
        return PacketView(whole, told=packet.request_steps(queries, found, end))

    def install(self: _Lab, name: str) -> None:
        """Install what a new cluster lacks: "ingress-nginx"."""
        if name not in ADD_ONS:
            raise LabError(f'There is nothing "{name}" to install. There is: {", ".join(ADD_ONS)}.')
        self.cluster.install(ADD_ONS[name])
        self.cluster.settle()

    def flows(self: _Lab, source: str, address: str, port: int, count: int = 300) -> Drawn:
        """Open `count` connections, and show who answered how often."""
        found = _flows(self.cluster, source, address, port, count)
        return Drawn(packet.histogram(found), packet.bars(found))

    def modes(self: _Lab, service: str, *, namespace: str = "default") -> Output:
        """What kube-proxy would make of one Service in each of its modes: iptables, nftables and IPVS."""
        _service(self.cluster, service, namespace)
        with self.cluster.lock:
            client = self.cluster.client()
            found = (client.list("services"), client.list("endpointslices.discovery.k8s.io"))
            proxy = next(iter(self.cluster.network.proxies.values()))
            return Output(modes.text(*found, proxy.node(), f"{namespace}/{service}"))

    def lookup(self: _Lab, source: str, name: str) -> LookupView:
        """Look a name up from a Pod as its programs do, and show every query that this took."""
        network = self.cluster.network
        with self.cluster.lock:
            place = _place(self.cluster, source)
            asked = len(network.dns.queries)
            try:
                end = f"{name} is {_finish(network.resolver.address(place, name))}"
            except NetworkError as error:
                end = f"{name}: {error.message}"
            queries = list(network.dns.queries)[asked:]
        return LookupView(source, name, Config.parse(place.resolv_conf()), queries, end)

    def service(self: _Lab, name: str, *, namespace: str = "default") -> ServiceView:
        """A Service with its slices and Pods, live, and back through its history."""
        _service(self.cluster, name, namespace)

        def told(revision: int) -> dict[str, Any]:
            with self.cluster.lock:
                return story(self.cluster.history, name, namespace, revision, self.began)

        return ServiceView(name, self.revisions, told, self.cluster.advance)

    def ports(self: _Lab, name: str, *, namespace: str = "default") -> PortsView:
        """The three ports of a NodePort Service on one picture."""
        service = _service(self.cluster, name, namespace)
        port = service["spec"]["ports"][0]
        with self.cluster.lock:
            now = story(self.cluster.history, name, namespace, 0, self.began)
        pods = [
            (e["pod"] or "no Pod", f"{e['address']}:{piece['ports'].split()[0]}")
            for piece in now["slices"]
            for e in piece["endpoints"]
            if e["state"] == "ready"
        ]
        return PortsView(
            {
                "name": name,
                "address": service["spec"].get("clusterIP", ""),
                "nodePort": port.get("nodePort"),
                "port": port["port"],
                "targetPort": port.get("targetPort", port["port"]),
                "nodes": list(self.cluster.addresses.items()),
                "pods": pods,
            }
        )


def _finish(steps: Generator[Any, None, Any]) -> Any:
    """What a generator of waits ends with; time stands still meanwhile."""
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            return stop.value


def _place(cluster: Cluster, source: str) -> NetworkNamespace:
    place = cluster.network.place(source)
    if place is None:
        raise LabError(f'There is no running Pod and no node "{source}" to send from.')
    return place


def _flows(cluster: Cluster, source: str, address: str, port: int, count: int) -> list[dict[str, Any]]:
    with cluster.lock:
        place = _place(cluster, source)
        return [cluster.network.send(place, address, port).data() for _ in range(count)]


def _service(cluster: Cluster, name: str, namespace: str) -> dict[str, Any]:
    with cluster.lock:
        try:
            return cluster.client().get("services", name, namespace)
        except StatusError:
            raise LabError(f'There is no Service "{name}" in the namespace {namespace}.') from None
