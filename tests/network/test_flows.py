"""flows.yaml: where packets to a Service end, in each of kube-proxy's modes."""

import random
from pathlib import Path
from typing import Any

import pytest
import yaml

from k8s_core.api import Object
from k8s_core.network import ipvs, nftables
from k8s_core.network.nftables_walk import Ruleset
from k8s_core.network.packets import Host, Packet
from k8s_core.network.proxy import ruleset
from k8s_core.network.proxy_config import Config
from k8s_core.network.serviceports import Node
from k8s_core.network.tables import without_proxy
from tests.network.test_proxy import service, slices

CASES = yaml.safe_load((Path(__file__).parent / "flows.yaml").read_text())
NODE = Node("cp", "10.0.0.4", "zone-a", "10.32.0.0/24", "10.32.0.1")
SOURCES = {"pod": "10.32.0.9", "pod2": "10.32.1.9", "node": "10.0.0.4", "out": "203.0.113.7", "lan": "192.168.7.7"}
TRIES = 60
"""So often is a flow tried to see all endpoints that chance may choose."""


def endpoint(text: str) -> Object:
    address, node, *words = text.split()
    serving = not {"unready", "gone"} & set(words)
    conditions = {"ready": serving and "ending" not in words, "serving": serving}
    made: Object = {"addresses": [address], "nodeName": node, "conditions": conditions}
    conditions["terminating"] = bool({"ending", "gone"} & set(words))
    for word, field in (("zone=", "forZones"), ("for=", "forNodes")):
        names = [{"name": w.removeprefix(word)} for w in words if w.startswith(word)]
        made |= {"hints": {**made.get("hints", {}), field: names}} if names else {}
    return made


def machine(case: dict[str, Any], mode: str) -> Host:
    """Node cp with the rules that kube-proxy makes of the case."""
    ports = [{"name": "p", "port": 80, "nodePort": 30080}]
    ports[0] |= {} if "type" in case.get("service", {}) else {"nodePort": 0}
    one = service("a", **{"ports": ports, **case.get("service", {})})
    ingress = [dict(zip(("ip", "ipMode"), text.split(), strict=False)) for text in case.get("balancer", ())]
    one["status"] = {"loadBalancer": {"ingress": ingress}}
    objects = [one], [slices("a", *map(endpoint, case.get("endpoints", ())))]
    config = Config(mode=mode, **{k: tuple(v) if isinstance(v, list) else v for k, v in case.get("config", {}).items()})
    host = Host("cp", "10.0.0.4", lambda: 1000.0, random.Random(5))
    host.addresses.add(NODE.bridge)
    host.interface = lambda address: "cni0" if address.startswith("10.32.0.") else "eth0"
    tables = ruleset(*objects, NODE, config) if mode == "iptables" else without_proxy()
    host.load = lambda: tables
    if mode == "nftables":
        host.backend = Ruleset(nftables.table(*objects, NODE, config))
    elif mode == "ipvs":
        host.backend = ipvs.Balancer(ipvs.servers(*objects, NODE, config), NODE, config)
    return host


def end(host: Host, source: str, address: str, port: int) -> tuple[str, str]:
    """Where one packet ends, and " masq" if its source is replaced."""
    packet = Packet("127.0.0.1" if address.startswith("127.") else source, 40000, address, port)
    begins = host.owns(source)
    verdict = host.pass_hook("OUTPUT" if begins else "PREROUTING", "nat", packet, [])
    ends = host.owns(packet.destination)
    for hook in ("OUTPUT",) * begins + ("INPUT",) * ends + ("FORWARD",) * (not begins and not ends):
        if verdict not in ("DROP", "REJECT"):
            verdict = host.pass_hook(hook, "filter", packet, [])
    if verdict in ("DROP", "REJECT"):
        return verdict, ""
    if not packet.translated:
        return "-", ""
    return packet.destination, " masq" if host.pass_hook("POSTROUTING", "nat", packet, []) == "MASQUERADE" else ""


@pytest.mark.parametrize("mode", ["iptables", "nftables", "ipvs"])
@pytest.mark.parametrize("case", CASES, ids=[case["what"].replace(" ", "-") for case in CASES])
def test_packets_end_where_they_should(case: dict[str, Any], mode: str) -> None:
    """Every flow of the case meets the endpoints it should, all of them and no other, as whoever it should be."""
    for flow, expected in case["flows"].items():
        source, _, destination = flow.partition(" ")
        address, _, port = destination.partition(":")
        host = machine(case, mode)
        found = {end(host, SOURCES[source], address, int(port)) for _ in range(TRIES)}
        wanted = str(expected[mode] if isinstance(expected, dict) else expected)
        if wanted.startswith("one of "):
            assert len(found) == 1, (flow, found)
            assert next(iter(found))[0] in wanted.split()
        else:
            said = " ".join(sorted(place for place, _ in found)) + "".join({masked for _, masked in found})
            assert said == wanted, flow
