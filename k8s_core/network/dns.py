"""CoreDNS: the cluster's names, answered by CoreDNS Pods as their Corefile says.

Stands for CoreDNS' plugins kubernetes, forward, hosts and rewrite (the Pods are coredns.py's); the schema of names is
Kubernetes' DNS-based service discovery 1.1. Queries come over the simulated network, so that a Service without
endpoints, a policy or a Pod that is gone stops names as in life. Left out: caching (answers are always current), and
asking servers that are Pods of the cluster themselves.
"""

import ipaddress
import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from k8s_core.api import Object
from k8s_core.limits import NETWORK_LOG_SIZE
from k8s_core.network.corefile import Directive, ServerBlock
from k8s_core.network.serviceports import SERVICE_NAME

if TYPE_CHECKING:
    from k8s_core.client import Client

UPSTREAM = "168.63.129.16"
"""The name server that nodes use; it knows nothing of the cluster."""
NOERROR, NXDOMAIN, SERVFAIL, REFUSED = "NOERROR", "NXDOMAIN", "SERVFAIL", "REFUSED"


@dataclass(slots=True)
class Query:
    """A question; names are written without their last dot. `source` is who asks."""

    name: str
    type: str = "A"
    source: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    name: str
    type: str
    data: str
    ttl: int = 30


@dataclass(slots=True)
class Answer:
    code: str = NOERROR
    records: list[Record] = field(default_factory=list)
    authoritative: bool = True
    zone: str = ""  # whose SOA comes with an answer without records
    additional: list[Record] = field(default_factory=list)

    def addresses(self) -> list[str]:
        return [r.data for r in self.records if r.type == "A"]


class Outside:
    """The rest of the Internet's names, as far as there are any."""

    def __init__(self) -> None:
        self.names = {
            "example.com": "93.184.215.14",
            "www.example.com": "93.184.215.14",
            "kubernetes.io": "15.197.167.90",
            "github.com": "140.82.121.4",
            "google.com": "142.250.185.78",
            "www.google.com": "142.250.185.100",
            "my.database.example.com": "198.51.100.20",
        }

    def answer(self, query: Query) -> Answer:
        address = self.names.get(query.name)
        if address is None:
            return Answer(NXDOMAIN, authoritative=False)
        records = [Record(query.name, "A", address, 300)] if query.type == "A" else []
        return Answer(NOERROR, records, authoritative=False)


class Server:
    """What every CoreDNS Pod knows of the cluster, and its plugins."""

    def __init__(self, client: "Client", outside: Outside) -> None:
        self.loop, self.outside = client.loop, outside
        self.services = client.informer("services")
        self.slices = client.informer("endpointslices.discovery.k8s.io")
        self.namespaces = client.informer("namespaces")
        self.pods = client.informer("pods")
        self.services.index("address", _addresses_of)
        self.slices.index("service", _owner)
        self.slices.index("address", lambda piece: {a for e in piece["endpoints"] or () for a in e["addresses"]})
        self.queries: deque[dict[str, Any]] = deque(maxlen=NETWORK_LOG_SIZE)

    # --- plugins, in the order of CoreDNS's plugin.cfg --------------------------------------------------------
    def answer(
        self, blocks: list[ServerBlock], query: Query, depth: int = 0, *, upstream: Sequence[str] = (UPSTREAM,)
    ) -> Answer:
        """The answer that a server with these blocks gives; `upstream` is what its own resolv.conf names."""
        query = Query(query.name.rstrip(".").lower(), query.type, query.source)
        block = block_for(blocks, query.name)
        if block is None or depth > 7:
            return Answer(REFUSED if block is None else SERVFAIL, authoritative=False)
        asked = query.name
        for rule in (p for p in block.plugins if p.name == "rewrite"):
            query.name = _rewrite(rule, query.name)
        result = self._plugins(block, query, upstream)
        if query.name != asked:  # the answer is for the name that was asked
            result.records = [
                Record(asked, r.type, r.data, r.ttl) if r.name == query.name else r for r in result.records
            ]
        alias = result.records[-1] if result.records else None
        if alias and alias.type == "CNAME" and query.type != "CNAME":
            rest = self.answer(blocks, Query(alias.data, query.type, query.source), depth + 1, upstream=upstream)
            result.records += rest.records
        return result

    def _plugins(self, block: ServerBlock, query: Query, upstream: Sequence[str]) -> Answer:
        hosts = block.plugin("hosts")
        if hosts:
            found = [line[0] for line in hosts.block if query.name in (n.lower() for n in line[1:])]
            if found and query.type in ("A", "AAAA"):
                return Answer(NOERROR, [Record(query.name, "A", a, 3600) for a in found if query.type == "A"])
            if hosts.options("fallthrough") is None:
                return Answer(NXDOMAIN)
        kubernetes = block.plugin("kubernetes")
        if kubernetes:
            zones = [z.rstrip(".").lower() for z in kubernetes.arguments] or block.zones
            zone = next((z for z in zones if query.name == z or query.name.endswith("." + z)), None)
            if zone is not None:
                found_answer = self._kubernetes(kubernetes, zone, query)
                through = kubernetes.options("fallthrough")
                if found_answer is None and (through is None or (through and zone not in through)):
                    return Answer(NXDOMAIN, zone=zone)
                if found_answer is not None:
                    return found_answer
        forward = block.plugin("forward")
        if forward:
            targets = [t.partition("://")[2] or t for t in forward.arguments[1:]]
            servers = [s for t in targets for s in (upstream if t.startswith("/") else [t.partition(":")[0]])]
            return self.outside.answer(query) if any(map(_answers, servers)) else Answer(SERVFAIL, authoritative=False)
        return Answer(REFUSED, authoritative=False)

    # --- the kubernetes plugin ------------------------------------------------------------------------------
    def _kubernetes(self, plugin: Directive, zone: str, query: Query) -> Answer | None:
        """The answer out of the cluster's objects; None when there is no such name."""
        if zone.endswith((".arpa", "arpa")):
            return self._reverse(plugin, query)
        ttl = int((plugin.options("ttl") or ["5"])[0])
        labels = query.name[: -len(zone)].rstrip(".").split(".") if query.name != zone else []
        empty = Answer(NOERROR, zone=zone)
        if not labels or labels in (["svc"], ["pod"]):
            return empty
        if labels == ["dns-version"]:
            return Answer(NOERROR, [Record(query.name, "TXT", '"1.1.0"', ttl)]) if query.type == "TXT" else empty
        if labels[-1] == "pod" and len(labels) in (2, 3):
            return self._pod(plugin, labels, query, ttl, empty)
        if labels[-1] != "svc" or len(labels) > 5:
            return None
        namespace = labels[-2]
        exposed = plugin.options("namespaces")
        if self.namespaces.get(namespace) is None or (exposed and namespace not in exposed):
            return None
        if len(labels) == 2:
            return empty
        service = self.services.get(labels[-3], namespace)
        if service is None:
            return None
        base = f"{labels[-3]}.{namespace}.svc.{zone}"
        rest = labels[:-3]
        if service["spec"].get("type") == "ExternalName":
            if rest:
                return None
            return Answer(NOERROR, [Record(query.name, "CNAME", service["spec"]["externalName"].rstrip("."), ttl)])
        found = list(self._members(service, rest, by_pod=plugin.options("endpoint_pod_names") is not None))
        if not found:
            return None  # also a headless Service while none of its Pods is ready
        answer = Answer(NOERROR, zone=zone)
        if query.type in ("A", "AAAA"):
            wanted = dict.fromkeys(m[1] for m in found if (":" in m[1]) == (query.type == "AAAA"))
            answer.records = [Record(query.name, query.type, a, ttl) for a in wanted]
        elif query.type == "SRV":
            found = [m for m in found if ":" not in m[1]] or found
            weight = 100 // len(found) if len(found) <= 100 else 1
            for host, address, port in found:
                target = f"{host}.{base}" if host else base
                answer.records.append(Record(query.name, "SRV", f"0 {weight} {port} {target}.", ttl))
                answer.additional.append(Record(target, "AAAA" if ":" in address else "A", address, ttl))
            answer.additional = list(dict.fromkeys(answer.additional))
        return answer

    def _members(self, service: Object, rest: list[str], *, by_pod: bool = False) -> Iterator[tuple[str, str, int]]:
        """(host name or "", address, port) of what a name below a Service stands for."""
        name, protocol, host = "", "", ""
        if len(rest) == 2:
            if not (rest[0].startswith("_") and rest[1].startswith("_")):
                return
            name, protocol = rest[0][1:], rest[1][1:]
        elif len(rest) == 1:
            host = rest[0]

        def fits(port: Object) -> bool:
            return not name or ((port.get("name") or "") == name and port.get("protocol", "TCP").lower() == protocol)

        spec = service["spec"]
        addresses = [a for a in spec.get("clusterIPs") or [spec.get("clusterIP")] if a and a != "None"]
        if addresses:
            if not host:
                yield from (("", a, p["port"]) for a in addresses for p in spec.get("ports") or () if fits(p))
            return
        for each, ports in self._endpoints(service):
            label = each.get("hostname") or each["addresses"][0].replace(".", "-").replace(":", "-")
            if by_pod and not each.get("hostname"):
                label = (each.get("targetRef") or {}).get("name") or label
            if host and host != label:
                continue
            for port in ports or [{"port": 0}]:
                if fits(port):
                    yield label, each["addresses"][0], port.get("port") or 0

    def _endpoints(self, service: Object) -> list[tuple[Object, list[Object]]]:
        """The ready endpoints of a Service with their slice's ports."""
        meta = service["metadata"]
        pieces = self.slices.by_index("service", f"{meta['namespace']}/{meta['name']}")
        return [
            (e, piece.get("ports") or [])
            for piece in pieces
            for e in piece.get("endpoints") or ()
            if (e.get("conditions") or {}).get("ready") is not False
        ]

    def _pod(self, plugin: Directive, labels: list[str], query: Query, ttl: int, empty: Answer) -> Answer | None:
        mode = (plugin.options("pods") or ["disabled"])[0]
        if mode == "disabled" or self.namespaces.get(labels[-2]) is None:
            return None
        if len(labels) == 2:
            return empty
        address = labels[0].replace("-", ".")
        if not re.fullmatch(r"\d+(\.\d+){3}", address):
            return None
        if mode == "verified" and not any(
            p.get("status", {}).get("podIP") == address for p in self.pods.list(labels[-2])
        ):
            return None
        return Answer(NOERROR, [Record(query.name, "A", address, ttl)]) if query.type == "A" else empty

    def _reverse(self, plugin: Directive, query: Query) -> Answer | None:
        address = ".".join(reversed(query.name.removesuffix(".in-addr.arpa").split(".")))
        zone = (plugin.arguments or ["cluster.local"])[0]
        names = [_dotted(s, zone) for s in self.services.by_index("address", address)]
        if not names:
            for piece in self.slices.by_index("address", address):
                service = (piece["metadata"].get("labels") or {}).get(SERVICE_NAME, "")
                for each in piece["endpoints"] or ():
                    if address in each["addresses"] and service:
                        host = each.get("hostname") or address.replace(".", "-")
                        names.append(f"{host}.{service}.{piece['metadata']['namespace']}.svc.{zone}")
        if not names:
            return None
        records = [Record(query.name, "PTR", f"{name}.") for name in sorted(names)]
        return Answer(NOERROR, records if query.type == "PTR" else [])


def _answers(server: str) -> bool:
    """Whether a name server outside the cluster is there: the nodes' own, and those of the Internet."""
    try:
        return server == UPSTREAM or ipaddress.ip_address(server).is_global
    except ValueError:
        return False


def block_for(blocks: list[ServerBlock], name: str) -> ServerBlock | None:
    """The server block whose zone fits a name best."""
    best = max(blocks, key=lambda b: b.serves(name), default=None)
    return best if best and best.serves(name) >= 0 else None


def _rewrite(rule: Directive, name: str) -> str:
    """`rewrite [stop] name [exact|suffix|prefix] FROM TO`."""
    words = [w for w in rule.arguments if w not in ("stop", "continue", "answer", "auto")]
    if words[:1] != ["name"]:
        return name
    kind, (old, new) = ("exact", words[1:3]) if len(words) == 3 else (words[1], words[2:4])
    old, new = old.rstrip("."), new.rstrip(".")
    if kind == "exact" and name == old:
        return new
    if kind == "suffix" and name.endswith(old):
        return name.removesuffix(old) + new
    if kind == "prefix" and name.startswith(old):
        return new + name.removeprefix(old)
    return name


def _addresses_of(service: Object) -> list[str]:
    spec = service["spec"]
    return [a for a in spec.get("clusterIPs") or [spec.get("clusterIP", "")] if a and a != "None"]


def _owner(piece: Object) -> list[str]:
    meta = piece["metadata"]
    return [f"{meta['namespace']}/{(meta.get('labels') or {}).get(SERVICE_NAME, '')}"]


def _dotted(service: Object, zone: str) -> str:
    return f"{service['metadata']['name']}.{service['metadata']['namespace']}.svc.{zone}"
