"""kube-proxy on every node: watches Services and EndpointSlices, keeps its node's rules current while it runs.

Stands for cmd/kube-proxy and pkg/proxy's change trackers. Rules are made when somebody looks (a packet,
iptables-save), out of blocks that are kept per Service: a change costs the work of the Services it touches, as in
upstream's partial sync. When the proxy ends its rules stay in the kernel as they are, and grow old.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from k8s_core.api import Object
from k8s_core.client.informer import key_of
from k8s_core.limits import LARGE_CLUSTER_ENDPOINTS, PROXY_FULL_SYNC_PERIOD
from k8s_core.network import ipvs, nftables, proxy, serviceports
from k8s_core.network.nftables_walk import Ruleset
from k8s_core.network.proxy import Block
from k8s_core.network.proxy_config import Config, ConfigError
from k8s_core.network.serviceports import Endpoint, Node, ServicePort
from k8s_core.network.tables import BUILT_IN, Tables, without_proxy
from k8s_core.shell.fs import FileError
from k8s_core.shell.sockets import Request, Response

if TYPE_CHECKING:
    from k8s_core.client import Client
    from k8s_core.network.packets import Backend, Host
    from k8s_core.shell.process import Process

CANARY = "KUBE-PROXY-CANARY"
"""A chain by whose absence kube-proxy notices that somebody cleared its rules."""
HEALTH_PORT, METRICS_PORT = 10256, 10249
ZONE = "topology.kubernetes.io/zone"
NO_LOCAL = "has no local endpoints"
JSON = {"Content-Type": "application/json", "X-Content-Type-Options": "nosniff"}
Known = list[tuple[ServicePort, list[Endpoint]]]


class ServiceTracker:
    """What all proxies know: every Service's ports with their endpoints. One copy serves all nodes."""

    def __init__(self, client: "Client", service_cidr: str) -> None:
        self.service_cidr = service_cidr
        self.services = client.informer("services")
        self.slices = client.informer("endpointslices.discovery.k8s.io")
        self.nodes = client.informer("nodes")
        self.slices.index("service", lambda piece: [_owner(piece)])
        self.version = 0
        self.endpoints = 0
        self.known: dict[str, Known] = {}
        self.changed: dict[str, int] = {}
        """Service -> the version in which it changed last."""
        self._dirty: set[str] = set(self.services.items)
        self.services.on(self._service, lambda old, new: self._service(new), self._service)
        self.slices.on(self._slice, self._slice_updated, self._slice)
        self.nodes.on(self._node, lambda old, new: self._node(new) if _place(old) != _place(new) else None)

    def _service(self, service: Object) -> None:
        self._dirty.add(key_of(service))

    def _slice(self, piece: Object) -> None:
        self._dirty.add(_owner(piece))

    def _slice_updated(self, old: Object, new: Object) -> None:
        self._dirty |= {_owner(old), _owner(new)}

    def _node(self, node: Object) -> None:
        self.version += 1  # its own proxy will write all rules again

    def refresh(self) -> int:
        """Take in what changed; gives the version."""
        changed = []
        for key in self._dirty:
            before = self.known.pop(key, [])
            service = self.services.get_key(key)
            if service is not None and (ports := serviceports.service_ports(service)):
                every = serviceports.endpoints(self.slices.by_index("service", key))
                self.known[key] = [(p, every.get((p.name.partition(":")[2], p.protocol), [])) for p in ports]
            now = self.known.get(key, [])
            self.endpoints += sum(len(e) for _, e in now) - sum(len(e) for _, e in before)
            changed += [key] if now != before else []
        if self._dirty:
            self._dirty.clear()
            self.known = dict(sorted(self.known.items(), key=lambda item: item[0].split("/")))
        if changed:
            self.version += 1
            self.changed |= dict.fromkeys(changed, self.version)
        return self.version


def _place(node: Object) -> tuple[str, str]:
    """What rules depend on of a node: its zone and its range of Pod addresses."""
    labels, spec = node["metadata"].get("labels") or {}, node.get("spec") or {}
    return labels.get(ZONE, ""), spec.get("podCIDR") or ""


def _owner(piece: Object) -> str:
    meta = piece["metadata"]
    return f"{meta['namespace']}/{(meta.get('labels') or {}).get(serviceports.SERVICE_NAME, '')}"


class KubeProxy:
    """One node's proxy."""

    def __init__(self, tracker: Callable[[], ServiceTracker], host: "Host", config: Config) -> None:
        self._tracker, self.host, self.config = tracker, host, config
        self.running = False
        self.syncs: list[tuple[float, int]] = []
        """When rules were made, and of how many Services: all at the start, then those that changed."""
        self._tables: Tables = without_proxy()
        self._version, self._full_at = -1, host.now()
        self._blocks: dict[str, list[tuple[str, Block]]] = {}
        self._node = Node(host.name, host.address)
        self._process: Process | None = None
        self._health: dict[int, str] = {}  # health check node port -> Service
        host.load = self.tables

    def begin(self, process: "Process") -> str:
        """Start in a container, as its --config says; gives the reason if that cannot be read."""
        path = next((w.partition("=")[2] for w in process.argv if w.startswith("--config=")), "")
        try:
            self.config = Config.parse(process.fs.read(path).decode(errors="replace")) if path else self.config
        except ConfigError as error:
            return str(error)
        except FileError:
            return f"failed to load config file: open {path}: no such file or directory"
        self.host.backend = None  # what another mode has left is cleaned up
        self.start(process)
        process.at_exit.append(self.stop)
        for port in (HEALTH_PORT, METRICS_PORT):
            process.machine.network.listen(port, process, self._page, http=True)
        return ""

    def _page(self, request: Request) -> Response:
        """--healthz-bind-address and --metrics-bind-address."""
        path, kind = request.path.partition("?")[0], {"Content-Type": "text/plain; charset=utf-8"}
        if path in ("/healthz", "/livez"):
            now = datetime.fromtimestamp(self.host.now(), UTC).isoformat().replace("+00:00", "Z")
            eligible = {"nodeEligible": self._eligible()} if path == "/healthz" else {}
            family = {"lastUpdated": now, "healthy": True}
            body = {"lastUpdated": now, "currentTime": now, **eligible, "healthy": True, "status": {"IPv4": family}}
            status = 200 if all(eligible.values()) else 503
            return Response(status, json.dumps(body, separators=(",", ":")).encode(), JSON)
        if path == "/proxyMode":
            return Response(200, self.config.mode.encode(), kind)
        if path == "/metrics":
            return Response(200, self._metrics().encode(), kind)
        return Response(404, b"404 page not found\n", kind)

    def _metrics(self) -> str:
        """How many rules are kube-proxy's own (without the jumps to them), and how many Services have no Pod here."""
        tables = self.tables()
        rules = {t: sum(len(r) for c, r in tables[t].items() if c not in BUILT_IN) for t in ("filter", "nat")}
        chains = {"external": "KUBE-EXTERNAL-SERVICES", "internal": "KUBE-SERVICES"}
        lacking = {
            policy: len({r.split('"')[1] for r in tables["filter"].get(chain, ()) if NO_LOCAL in r})
            for policy, chain in chains.items()
        }
        text = ""
        for name, label, counts in (("iptables", "table", rules), ("no_local_endpoints", "traffic_policy", lacking)):
            metric = f"kubeproxy_sync_proxy_rules_{name}_total"
            lines = [f'{metric}{{ip_family="IPv4",{label}="{key}"}} {count}\n' for key, count in counts.items()]
            text += f"# TYPE {metric} gauge\n{''.join(lines)}"
        return text

    def _eligible(self) -> bool:
        """Whether balancers may still send here: not on a node that is going away."""
        node = self._tracker().nodes.get(self.host.name)
        taints = ((node or {}).get("spec") or {}).get("taints") or ()
        leaving = any(t["key"] == "ToBeDeletedByClusterAutoscaler" for t in taints)
        return node is not None and "deletionTimestamp" not in node["metadata"] and not leaving

    def start(self, process: "Process | None" = None) -> None:
        """Begin; `process` holds the health check ports."""
        self.running, self._version, self._process, self._health = True, -1, process, {}

    def stop(self) -> None:
        """End; the rules stay."""
        self.tables()
        self.running = False

    def flush(self) -> None:
        """The node is off: when it starts anew, no rules are there until the proxy makes them."""
        self._tables, self._version, self.host.backend = without_proxy(), -1, None

    def tables(self) -> Tables:
        """The node's rules now."""
        if not self.running:
            return self._tables
        if any(e.action == "-X" and e.chain == CANARY for e in self.host.edits):
            self._version = -1
        if self._tracker().refresh() != self._version or self.host.now() - self._full_at > PROXY_FULL_SYNC_PERIOD:
            self._sync()
        return self._tables

    def node(self) -> Node:
        """The node as the API shows it now."""
        found = self._tracker().nodes.get(self.host.name) or {"metadata": {}}
        zone, cidr = _place(found)
        bridge = cidr.rsplit(".", 1)[0] + ".1" if cidr else ""
        return Node(self.host.name, self.host.address, zone, cidr, bridge)

    def _sync(self) -> None:
        tracker = self._tracker()
        comments = tracker.endpoints <= LARGE_CLUSTER_ENDPOINTS  # rules that are not written anew stay as they are
        node = self.node()
        stale_by_age = self.host.now() - self._full_at > PROXY_FULL_SYNC_PERIOD
        full = stale_by_age or self._version < 0 or node != self._node
        self._node = node
        if full:
            self._blocks, self._full_at = {}, self.host.now()
        self.host.renewed(full=full)
        stale = [key for key in tracker.known if key not in self._blocks or tracker.changed[key] > self._version]
        for key in stale:
            self._blocks[key] = [
                (port.name, proxy.block(port, every, node, self.config, comments=comments))
                for port, every in tracker.known[key]
            ]
        self._version = tracker.version
        if self.config.mode == "iptables":
            blocks = {name: block for key in tracker.known for name, block in self._blocks[key]}
            self._tables = proxy.tables(blocks, node, self.config)
        else:
            self._tables, self.host.backend = without_proxy(), self._backend(node)
        self._forget_stale_flows([known for key in stale for known in tracker.known[key]])
        self._health_checks(
            {p.health_check_port: k for k, n in tracker.known.items() for p, _ in n if p.health_check_port}
        )
        self.syncs.append((self.host.now(), len(stale)))
        del self.syncs[:-100]

    def _backend(self, node: Node) -> "Backend":
        """What packets meet in the other modes."""
        tracker = self._tracker()
        known = [each for ports in tracker.known.values() for each in ports]
        if self.config.mode == "nftables":
            return Ruleset(nftables.assemble(known, node, self.config, [tracker.service_cidr]))
        before = self.host.backend if isinstance(self.host.backend, ipvs.Balancer) else None
        return ipvs.Balancer(ipvs.assemble(known, node, self.config), node, self.config, before)

    def _forget_stale_flows(self, changed: Known) -> None:
        """UDP has no end: a flow that is remembered to an endpoint which serves no more would lead there for ever."""
        fronts: dict[tuple[str, int], set[str]] = {}
        for port, every in changed:
            serving = {e.text for e in every if e.ready or e.falling_back}
            if port.protocol == "udp" and serving:  # without any, new packets are refused as they are
                addresses = (port.address, *port.external_addresses, *port.balancer_addresses)
                fronts |= dict.fromkeys([(a, port.port) for a in addresses], serving)
                fronts |= {("", port.node_port): serving} if port.node_port else {}
        for key, entry in list(self.host.tracked.items() if fronts else ()):
            protocol, _, _, address, number = entry.original
            own = ("", number) if self.host.owns(address) else (address, number)
            real = f"{entry.translated[3]}:{entry.translated[4]}"
            if protocol == "udp" and real not in fronts.get(own, {real}):
                del self.host.tracked[key]

    def _health_checks(self, wanted: dict[int, str]) -> None:
        """Listen on the healthCheckNodePorts: 200 if this node has an endpoint of the Service, 503 if not."""
        process = self._process
        if process is None:
            return
        network = process.machine.network
        for port in set(self._health) - set(wanted):
            network.close(port, process)
        for port in set(wanted) - set(self._health):
            network.listen(port, process, lambda request, port=port: self._health_answer(port), http=True)
        self._health = wanted

    def _health_answer(self, port: int) -> Response:
        namespace, _, name = self._health.get(port, "/").partition("/")
        known = self._tracker().known.get(f"{namespace}/{name}", [])
        count = len({e.address for _, every in known for e in every if e.node == self.host.name and e.ready})
        body = {"service": {"namespace": namespace, "name": name}, "localEndpoints": count, "serviceProxyHealthy": True}
        headers = {**JSON, "X-Load-Balancing-Endpoint-Weight": str(count)}
        return Response(200 if count else 503, json.dumps(body, indent="\t").encode(), headers)
