"""The network between Pods, nodes and the world outside: what every connection of the cluster goes through.

Stands for the nodes' kernels, the network plugin and the wires. It is the Fabric of sockets.py: `send` takes a
connection's first packet from node to node through the real rule lists (packets.py), past NetworkPolicies, to the
program that answers, and keeps every step in `log`. How a connection can end:

| result | because |
|---|---|
| connected | somebody listens where the rules lead |
| refused | nobody listens on that port of the Pod or node; or the Service has no endpoints anywhere (REJECT) |
| timeout | a rule drops it: a Local policy without a Pod here, a source range, a hand-made rule, a chain's policy; |
| | a NetworkPolicy forbids it; no rule takes a Service's address (wrong port, no proxy here, never renewed rules); |
| | the node is down; nobody outside knows a way |
| unreachable | the address belongs to a node's Pod range but no Pod has it (any more) |

Left out: packets after the first, lost packets, bandwidth, IPv6.
"""

import hashlib
import random
from collections import deque
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

from k8s_core.limits import NETWORK_LOG_SIZE, POD_CIDR, SERVICE_CIDR
from k8s_core.network import coredns, ingress
from k8s_core.network.dns import Outside, Server
from k8s_core.network.kube_proxy import KubeProxy, ServiceTracker
from k8s_core.network.loadbalancer import LoadBalancerProvider
from k8s_core.network.packets import Flow, Host, Packet, Step
from k8s_core.network.policy import Policies
from k8s_core.network.portmap import HostPort, close_ports, open_ports
from k8s_core.network.proxy_config import Config
from k8s_core.network.resolver import Resolver
from k8s_core.network.rules import network as subnet
from k8s_core.network.rules import number
from k8s_core.shell.pipes import Wait
from k8s_core.shell.sockets import NetworkError, NetworkNamespace, Reached

if TYPE_CHECKING:
    from k8s_core.client import Client
    from k8s_core.clock import Loop
    from k8s_core.shell.process import Process

OUTSIDE_ADDRESS = "203.0.113.7"
"""A machine on the Internet: where the learner's browser would be."""
HOPS = 6
FIRST_PORT, LAST_PORT = 32768, 60999  # net.ipv4.ip_local_port_range
ERRORS = {"refused": "Connection refused", "timeout": "Connection timed out", "unreachable": "No route to host"}


class Network:
    """`client(user)` makes the clients that kube-proxy, CoreDNS and the network plugin use."""

    def __init__(
        self,
        loop: "Loop",
        seed: int,
        client: Callable[[str], "Client"],
        *,
        pod_cidr: str = POD_CIDR,
        service_cidr: str = SERVICE_CIDR,
    ) -> None:
        self.loop, self._client, self.pod_cidr = loop, client, pod_cidr
        self.random = random.Random(f"network {seed}")
        """Chance of its own: flows do not change what else happens."""
        self.namespaces: dict[str, NetworkNamespace] = {}
        self.hosts: dict[str, Host] = {}
        self.proxies: dict[str, KubeProxy] = {}
        self.loss: dict[str, float] = {}
        """Node -> the share of packets that get lost there."""
        self.outside = NetworkNamespace(OUTSIDE_ADDRESS, self, hostname="laptop", quiet=False)
        self.attach(self.outside)
        self.flows: deque[Flow] = deque(maxlen=NETWORK_LOG_SIZE)
        self.resolver = Resolver(self)
        self.internet = Outside()
        self.balance: Callable[[str, int, str], str | None] = lambda address, port, protocol: None
        """Which node a load balancer hands a connection to its address to; a provider puts itself here."""
        self.because: Step | None = None
        """Why the next connection is opened: a proxy puts this before it goes on to a Pod."""
        self._proxy_user = "system:kube-proxy"
        self._tracker: ServiceTracker | None = None
        self._policies: Policies | None = None
        self._dns: Server | None = None
        self._provider: LoadBalancerProvider | None = None
        self._source_port = FIRST_PORT
        self._service_cidr = service_cidr
        self._pod_range, self._service_range = subnet(pod_cidr), subnet(service_cidr)

    # --- what is connected ----------------------------------------------------------------------------------
    def attach(self, namespace: NetworkNamespace) -> None:
        self.namespaces[namespace.address] = namespace
        if namespace.node and not namespace.pod:
            host = Host(namespace.node, namespace.address, lambda: self.loop.now, self.random)
            host.interface = lambda address: self._interface(host, address)
            self.hosts[namespace.node] = host
            self.proxies[namespace.node] = KubeProxy(lambda: self.tracker, host, Config(cluster_cidr=self.pod_cidr))
        elif namespace.host_ports:
            ports = [HostPort(*each) for each in namespace.host_ports]
            node = self.proxies[namespace.node].node()
            open_ports(self.hosts[namespace.node], _sandbox(namespace), namespace.address, node.pod_cidr, ports)

    def detach(self, namespace: NetworkNamespace) -> None:
        if self.namespaces.get(namespace.address) is namespace:
            del self.namespaces[namespace.address]
        if namespace.host_ports:
            close_ports(self.hosts[namespace.node], _sandbox(namespace))

    def power_off(self, node: str) -> None:
        """A node's kernel goes, and with it all rules and memory of connections."""
        host, proxy = self.hosts[node], self.proxies[node]
        host.up = False
        for memory in (host.tracked, host.recent, host.edits, host.policies, host.counts):
            memory.clear()
        proxy.flush()

    @property
    def tracker(self) -> ServiceTracker:
        if self._tracker is None:
            self._tracker = ServiceTracker(self._client(self._proxy_user), self._service_cidr)
        return self._tracker

    @property
    def policies(self) -> Policies:
        if self._policies is None:
            self._policies = Policies(self._client(""), self.pod_of)
        return self._policies

    @property
    def dns(self) -> Server:
        """What CoreDNS knows; it answers through whichever CoreDNS Pod a query reaches."""
        if self._dns is None:
            self._dns = Server(self._client("system:serviceaccount:kube-system:coredns"), self.internet)
        return self._dns

    def begin(self, name: str, process: "Process") -> str:
        """A kube-proxy, CoreDNS or Ingress controller has started in a container; gives the reason if it cannot."""
        namespace: NetworkNamespace = process.machine.network
        if name == "kube-proxy" and namespace.node in self.proxies:
            self._proxy_user = "system:serviceaccount:kube-system:kube-proxy"  # it runs in a Pod
            return self.proxies[namespace.node].begin(process)
        if name == "ingress-nginx":
            found = ingress.begin(process, self, self._client(self._account(namespace)))
            return found if isinstance(found, str) else ""
        return coredns.begin(self.dns, process) if name == "coredns" else ""

    def _account(self, namespace: NetworkNamespace) -> str:
        """The user that programs in a Pod are to the apiserver."""
        pod = self._client("").get("pods", namespace.pod, namespace.pod_namespace)
        account = pod["spec"].get("serviceAccountName", "default")
        return f"system:serviceaccount:{namespace.pod_namespace}:{account}"

    def place(self, name: str) -> NetworkNamespace | None:
        """Where a Pod ("name" in default, or "namespace/name"), a node or "outside" is in the network."""
        if name == "outside" or name in self.hosts:
            return self.outside if name == "outside" else self.namespaces[self.hosts[name].address]
        namespace, _, pod = name.rpartition("/")
        wanted = (namespace or "default", pod)
        return next((n for n in self.namespaces.values() if n.pod and (n.pod_namespace, n.pod) == wanted), None)

    def pod_of(self, address: str) -> str:
        """ "namespace/name" of the Pod that has an address, or ""."""
        found = self.namespaces.get(address)
        return f"{found.pod_namespace}/{found.pod}" if found and found.pod else ""

    def lookup(self, source: NetworkNamespace, name: str) -> Generator[Wait, None, str]:
        return (yield from self.resolver.address(source, name))

    @property
    def log(self) -> list[dict[str, Any]]:
        """Every connection that was tried, oldest first, as plain data."""
        return [flow.data() for flow in self.flows]

    @property
    def provider(self) -> LoadBalancerProvider:
        """The provider of load balancers; it does nothing until it is started."""
        if self._provider is None:
            self._provider = LoadBalancerProvider(self._client(""), self)
        return self._provider

    # --- connections ----------------------------------------------------------------------------------------
    def connect(self, source: NetworkNamespace, address: str, port: int, protocol: str = "tcp") -> Reached:
        flow = self.send(source, address, port, protocol)
        if flow.result != "connected":
            raise NetworkError(flow.result, ERRORS[flow.result], address)
        return Reached(self.namespaces[flow.answered_by], flow.answered_port, flow.seen_from)

    def send(
        self, source: NetworkNamespace, address: str, port: int, protocol: str = "tcp", source_port: int = 0
    ) -> Flow:
        """Take a connection's first packet its whole way; a `source_port` used before means the same connection."""
        if not source_port:
            self._source_port = source_port = FIRST_PORT if self._source_port > LAST_PORT else self._source_port + 1
        flow = Flow(self.loop.now, source.address, address, port, protocol)
        flow.name = f"{source.pod_namespace}/{source.pod}" if source.pod else source.node or "outside"
        if self.because:
            flow.steps.append(self.because)
            self.because = None
        own = "127.0.0.1" if address.startswith("127.") else source.address
        packet = Packet(own, source_port, address, port, protocol)
        host = self.hosts.get(source.node) if source.node else self._entrance(packet)
        if host is None:
            self._end(flow, packet, ("timeout", f"nothing outside knows a way to {address}"))
        else:
            self._travel(flow, packet, host, source)
        if not source.quiet:
            self.flows.append(flow)
        return flow

    def _entrance(self, packet: Packet) -> Host | None:
        """The node at which a packet from outside comes in."""
        namespace = self.namespaces.get(packet.destination)
        if namespace is not None:
            return self.hosts.get(namespace.node) if not namespace.pod else None
        name = self.balance(packet.destination, packet.destination_port, packet.protocol)
        if name is None and self._external(packet.destination):
            name = self.random.choice(sorted(self.hosts))
        return self.hosts.get(name or "")

    def _external(self, address: str) -> bool:
        """Whether some Service claims the address as an external one: its owner routes it to the nodes."""
        self.tracker.refresh()
        return any(address in port.external_addresses for known in self.tracker.known.values() for port, _ in known)

    def _travel(self, flow: Flow, packet: Packet, host: Host, source: NetworkNamespace) -> None:
        from_node = source.node == host.name and not source.pod
        from_pod = bool(source.pod)
        for hop in range(HOPS):
            if self.loss.get(host.name) and self.random.random() < self.loss[host.name]:
                return self._end(flow, packet, ("timeout", f"lost on the way to or from {host.name}"))
            if not host.up:
                return self._end(flow, packet, ("timeout", f"node {host.name} does not answer"))
            first = from_node and hop == 0
            original = packet.connection
            known = host.known(original)
            packet.mark, packet.translated = 0, False
            packet.state = "ESTABLISHED" if known else "NEW"
            verdict = ""
            if known:
                _, packet.source, packet.source_port, packet.destination, packet.destination_port = known.translated
                packet.translated = True
                flow.steps.append((host.name, "conntrack", "", "", "known connection", str(packet)))
            else:
                verdict = host.pass_hook("OUTPUT" if first else "PREROUTING", "nat", packet, flow.steps)
            mine = host.owns(packet.destination)
            for hook in ("OUTPUT",) * first + ("INPUT",) * mine + ("FORWARD",) * (not first and not mine):
                if verdict not in ("DROP", "REJECT"):
                    verdict = host.pass_hook(hook, "filter", packet, flow.steps)
            if verdict in ("DROP", "REJECT"):
                why = f"rule in {flow.steps[-1][2]} on {host.name}: {flow.steps[-1][3]}"
                return self._end(flow, packet, ("timeout" if verdict == "DROP" else "refused", why))
            if from_pod and hop == 0:
                passed, why = self._may("Egress", flow.name, packet.destination, packet, host, flow)
                if not passed:
                    return self._end(flow, packet, ("timeout", why))
            if mine:
                host.remember(original, packet.connection)
                return self._arrive(flow, packet, self.namespaces[host.address])
            target = self.namespaces.get(packet.destination)
            if not known:
                masquerade = host.pass_hook("POSTROUTING", "nat", packet, flow.steps) == "MASQUERADE"
                beyond = target is None or not target.pod
                if masquerade or (from_pod and hop == 0 and beyond and not self._in_range(packet.destination)):
                    packet.source = self._leaving_as(host, target)
                    packet.source_port = self.random.randint(1024, 65535)  # --random-fully
                    by = "kube-proxy's" if masquerade else "the network plugin's"
                    flow.steps.append((host.name, "POSTROUTING", "", by, "source address replaced", str(packet)))
                host.remember(original, packet.connection)
            if target is None or not target.node:
                return self._end(flow, packet, self._beyond(packet))
            if target.node == host.name:
                passed, why = self._may("Ingress", self.pod_of(target.address), packet.source, packet, host, flow)
                if not passed:
                    return self._end(flow, packet, ("timeout", why))
                return self._arrive(flow, packet, target)
            next_host = self.hosts.get(target.node)
            if next_host is None:
                return self._end(flow, packet, ("timeout", f"node {target.node} is not there"))
            flow.steps.append((host.name, "wire", "", "", f"to {next_host.name}", str(packet)))
            host = next_host
        return self._end(flow, packet, ("timeout", "the packet goes round in circles"))

    def hops(self, source: NetworkNamespace, address: str) -> list[str]:
        """The routers that a packet to an address passes, the address last; "" where nobody answers."""
        target, host = self.namespaces.get(address), self.hosts.get(source.node)
        node = self.tracker.nodes.get(source.node)
        base = ((node or {}).get("spec") or {}).get("podCIDR", "").rsplit(".", 1)[0]
        first = [f"{base}.1"] if source.pod and base else []
        if target is None:
            return [*first, "", "", ""]
        if host and target.pod and target.node != source.node:
            there = self.tracker.nodes.get(target.node)
            overlay = ((there or {}).get("spec") or {}).get("podCIDR", "").rsplit(".", 1)[0]
            return [*first, f"{overlay}.0", address]
        return [*first, address]

    def _interface(self, host: Host, address: str) -> str:
        """By which of a node's interfaces an address is reached: none, the Pods' bridge, the overlay or the wire."""
        if host.owns(address):
            return ""
        target = self.namespaces.get(address)
        return "eth0" if target is None or not target.pod else "cni0" if target.node == host.name else "flannel.1"

    def _in_range(self, address: str) -> bool:
        base, mask = self._pod_range
        return number(address) & mask == base

    def _leaving_as(self, host: Host, target: NetworkNamespace | None) -> str:
        """The address of the interface a packet leaves by: the Pods' bridge, the overlay, or the node's own."""
        if target is None or not target.pod:
            return host.address
        node = self.tracker.nodes.get(host.name)
        base = (node["spec"].get("podCIDR") if node else "") or ""
        if not base:
            return host.address
        return base.rsplit(".", 1)[0] + (".1" if target.node == host.name else ".0")

    def _may(self, direction: str, pod: str, peer: str, packet: Packet, host: Host, flow: Flow) -> tuple[bool, str]:
        node = peer == host.address or (peer.endswith((".0", ".1")) and self._in_range(peer))
        if not pod or "/" not in pod or node:
            return True, ""
        passed, why = self.policies.verdict(direction, pod, peer, packet.destination_port, packet.protocol)
        if why:
            flow.steps.append((host.name, "policy", direction, why, "ACCEPT" if passed else "DROP", str(packet)))
        return passed, why

    def _arrive(self, flow: Flow, packet: Packet, target: NetworkNamespace) -> None:
        flow.answered_by, flow.answered_port = target.address, packet.destination_port
        flow.seen_from = packet.source
        if packet.protocol != "icmp" and (packet.protocol, packet.destination_port) not in target.listeners:
            where = self.pod_of(target.address) or target.node
            port = f"{packet.destination_port}" + ("" if packet.protocol == "tcp" else f" ({packet.protocol})")
            self._end(flow, packet, ("refused", f"nothing listens on port {port} of {where}"))
        else:
            self._end(flow, packet, ("connected", ""))

    def _end(self, flow: Flow, packet: Packet, ending: tuple[str, str]) -> None:
        flow.result, flow.reason = ending

    def _beyond(self, packet: Packet) -> tuple[str, str]:
        """What becomes of a packet that no node takes."""
        address = packet.destination
        base, mask = self._service_range
        if number(address) & mask == base:
            return "timeout", f"no rule takes {address}:{packet.destination_port}, and nobody has that address"
        if self._in_range(address):
            return "unreachable", f"no Pod has the address {address}"
        return "timeout", f"there is no way to {address}"


def _sandbox(namespace: NetworkNamespace) -> str:
    """What the rules of a Pod's host ports call it."""
    return hashlib.sha256(f"{namespace.pod_namespace}/{namespace.pod} {namespace.address}".encode()).hexdigest()
