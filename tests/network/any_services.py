"""Services and EndpointSlices of every sort, drawn at random: what the judges of the rules are fed with."""

import random
from typing import Any

from k8s_core.api import Object

NODES = ("cp", "worker1", "worker2")
ZONES = ("zone-a", "zone-b")


def draw(seed: int, count: int = 6) -> tuple[list[Object], list[Object]]:
    """(Services, EndpointSlices) as the API would hand them out."""
    chance = random.Random(seed)
    services, slices = [], []
    for number in range(count):
        service = _service(chance, seed, number)
        services.append(service)
        slices += _slices(chance, service)
    return services, slices


def _service(chance: random.Random, seed: int, number: int) -> Object:
    address = f"10.96.{seed % 200}.{10 + number}"
    kind = chance.choice(("ClusterIP", "NodePort", "LoadBalancer"))
    protocols = chance.choice((["TCP"], ["UDP"], ["SCTP"], ["TCP", "UDP"], ["TCP", "TCP"]))
    spec: dict[str, Any] = {"type": kind, "clusterIP": address, "clusterIPs": [address], "ports": []}
    for index, protocol in enumerate(protocols):
        port = {"name": f"p{index}" if len(protocols) > 1 else "", "port": 80 + index, "protocol": protocol}
        if kind != "ClusterIP" and chance.random() < 0.9:
            port["nodePort"] = 30000 + number * 10 + index
        spec["ports"].append(port)
    if chance.random() < 0.3:
        spec["externalIPs"] = [f"198.51.100.{10 + number}", "2001:db8::9", f"198.51.101.{10 + number}"]
    if chance.random() < 0.3:
        seconds = chance.choice((1, 60, 10800, 86400))
        spec |= {"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": seconds}}}
    spec["internalTrafficPolicy"] = chance.choice(("Cluster", "Cluster", "Local"))
    if kind != "ClusterIP" or "externalIPs" in spec:
        spec["externalTrafficPolicy"] = chance.choice(("Cluster", "Local"))
    status: Object = {}
    if kind == "LoadBalancer":
        modes = (None, None, "VIP", "Proxy")
        ingress = [
            {"ip": f"192.0.2.{number * 4 + i}", **({"ipMode": mode} if (mode := chance.choice(modes)) else {})}
            for i in range(chance.randint(0, 2))
        ]
        status = {"loadBalancer": {"ingress": [*ingress, {"hostname": "lb.example.com"}]}}
        if spec["externalTrafficPolicy"] == "Local":
            spec["healthCheckNodePort"] = 32000 + number
        if chance.random() < 0.5:
            ranges = ["10.0.0.0/8", " 203.0.113.7/24", "1.2.3.4/32", "2001:db8::/32", "0.0.0.0/0"]
            spec["loadBalancerSourceRanges"] = chance.sample(ranges[: chance.choice((4, 4, 5))], 2)
    name = f"{chance.choice(('shop', 'db', 'a-rather-long-name-for-a-service'))}-{number}"
    return {"kind": "Service", "metadata": {"name": name, "namespace": f"ns{seed % 3}"}, "spec": spec, "status": status}


def _slices(chance: random.Random, service: Object) -> list[Object]:
    made = []
    for piece in range(chance.choice((0, 1, 1, 2))):
        hinted = chance.random() < 0.3
        endpoints = []
        for _ in range(chance.randint(0, 4)):
            node = chance.choice(NODES)
            terminating = chance.random() < 0.3
            ready = not terminating and chance.random() < 0.8
            conditions = {"ready": ready, "serving": ready or chance.random() < 0.6, "terminating": terminating}
            one: Object = {
                "addresses": [f"10.{32 + NODES.index(node)}.0.{chance.randint(2, 9)}"],
                "nodeName": node,
                "conditions": conditions if chance.random() < 0.9 else {},
            }
            if hinted:
                one["hints"] = {"forZones": [{"name": chance.choice(ZONES)}]}
                if chance.random() < 0.5:
                    one["hints"]["forNodes"] = [{"name": node}]
            endpoints.append(one)
        meta = service["metadata"]
        made.append(
            {
                "kind": "EndpointSlice",
                "metadata": {
                    "name": f"{meta['name']}-{piece}",
                    "namespace": meta["namespace"],
                    "labels": {"kubernetes.io/service-name": meta["name"]},
                },
                "addressType": "IPv4",
                "ports": [
                    {"name": p["name"], "port": 8080 + i, "protocol": p["protocol"]}
                    for i, p in enumerate(service["spec"]["ports"])
                ],
                "endpoints": endpoints,
            }
        )
    return made
