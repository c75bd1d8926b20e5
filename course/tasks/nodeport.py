"""Chapter 13: Services of type NodePort. Three ports, the client's own address, and a manifest that is refused."""

import random
from typing import Any

import yaml

from course.checks import Look, Points, Rule, contains, point, same_items
from course.tasks import Exercise, Values, objects

RANGE = (30000, 32767)


def values(draw: random.Random) -> Values:
    """Names and numbers that differ from learner to learner."""
    return Values(
        app=draw.choice(("tickets", "forms", "maps")),
        target=draw.choice((8081, 8089, 9090, 7070)),
        port=draw.choice((80, 8000, 8800)),
        nodeport=draw.randint(30100, 32700),
        visits=draw.choice(("visits", "tracker", "counter")),
        visitport=draw.randint(31000, 31900),
        note=draw.choice(("handover", "todo", "memo")),
        late=draw.choice(("menu", "prices", "hours")),
        caller=draw.choice(("caller", "visitor", "guest")),
    )


def _allowed(port: Any) -> bool:
    return isinstance(port, int) and RANGE[0] <= port <= RANGE[1]


def _answer(see: Look, v: Values, port: Any) -> str | None:
    """What a client reads at a node's port."""
    return see.exec(v.caller, "main", "wget", "-T", "2", "-qO-", f"http://10.0.0.5:{port}") if _allowed(port) else None


def ports(see: Look, v: Values) -> Points:
    service = see.get("services", v.app)
    get = f"kubectl get service {v.app} -o yaml"
    yield point(
        f"every node has the port {v.nodeport}",
        service["spec.ports[*].nodePort"],
        [v.nodeport],
        get,
        why="nodePort is for clients outside. It exists only with type: NodePort (or LoadBalancer).",
    )
    yield point(
        f"inside the cluster the port is {v.port}",
        service["spec.ports[*].port"],
        [v.port],
        get,
        why="port is the Service's own, at its cluster IP.",
    )
    yield point(
        "a node answers with the Pods' page",
        _answer(see, v, v.nodeport) if service else None,
        contains("served"),
        f"kubectl exec {v.caller} -- wget -T 2 -qO- http://10.0.0.5:{v.nodeport}",
        why="targetPort must be the port that the program listens on, and the selector must find the Pods.",
    )


def source(see: Look, v: Values) -> Points:
    service = see.get("services", v.visits)
    get = f"kubectl get service {v.visits} -o yaml"
    kept = service["spec.externalTrafficPolicy"] == "Local"
    yield point(
        "the Pods see the clients' own addresses",
        service["spec.externalTrafficPolicy"],
        "Local",
        get,
        why="With the policy Cluster a node may send a client to another node's Pod, and must put its own address in.",
    )
    yield point(
        f"the node port is still {v.visitport}",
        service["spec.ports[0].nodePort"] if kept else None,
        v.visitport,
        get,
        why="Change the Service in place. A new one gets another port unless you say which.",
    )
    ready = objects.endpoints(see, v.visits)
    nodes = {p["spec.nodeName"] for p in see.list("pods", f"app={v.visits}") if p["status.podIP"] in ready}
    yield point(
        "every worker answers",
        sorted(nodes) if kept else None,
        same_items(["worker1", "worker2"]),
        "kubectl get pods -o wide",
        why="With Local a node answers only if it has a Pod of its own.",
    )


def refused(see: Look, v: Values) -> Points:
    service = see.get("services", v.late)
    number = service["spec.ports[0].nodePort"]
    get = f"kubectl get service {v.late}"
    yield point(
        f"there is a Service {v.late} of the type NodePort",
        service["spec.type"],
        "NodePort",
        get,
        why="kubectl apply says why the manifest is refused.",
    )
    yield point(
        "its node port is allowed",
        number if service["spec.type"] == "NodePort" else None,
        Rule(f"a number from {RANGE[0]} to {RANGE[1]}", _allowed),
        get,
        why="Node ports are 30000 to 32767. The notes say 3000, and that is wrong.",
    )
    yield point(
        "a node answers there",
        _answer(see, v, number),
        contains("Welcome to nginx"),
        f"kubectl exec {v.caller} -- wget -T 2 -qO- http://10.0.0.5:NODEPORT",
        worth=2,
        why="Being accepted is not all. Does the selector find the Pods? kubectl get endpointslices",
    )


def gate(see: Look, v: Values) -> Points:
    service = see.get("services", "gate")
    get = "kubectl get service gate"
    yield point("a Service has the name gate", bool(service), True, get)
    yield point("its node port is 30100", service["spec.ports[0].nodePort"], 30100, get)
    yield point("it leads to Pods", bool(objects.endpoints(see, "gate")), True, "kubectl get endpointslices")


def _ports(v: Values) -> str:
    arguments = ["-text=served", f"-listen=:{v.target}"]
    ports = [{"containerPort": v.target}]
    pods = objects.deployment(v.app, 2, "hashicorp/http-echo", args=arguments, ports=ports)
    return objects.many(pods, objects.client(v.caller))


def _source(v: Values) -> str:
    spec = {"type": "NodePort", "selector": {"app": v.visits}, "ports": [{"port": 80, "nodePort": v.visitport}]}
    service = objects.of("v1", "Service", v.visits, spec=spec)
    spread = {"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "DoNotSchedule"}
    apart = [{**spread, "nodeTaintsPolicy": "Honor", "labelSelector": {"matchLabels": {"app": v.visits}}}]
    return objects.many(objects.deployment(v.visits, 2, pod_spec={"topologySpreadConstraints": apart}), service)


def _refused(v: Values) -> str:
    ports = [{"port": 80, "targetPort": 80, "nodePort": 3000}]
    manifest = objects.of(
        "v1", "Service", v.late, spec={"type": "NodePort", "selector": {"run": v.late}, "ports": ports}
    )
    data = {
        "note": f"Please open {v.late} on every node. The file is ready, just apply it.",
        "service.yaml": yaml.dump(manifest),
    }
    return objects.many(objects.config(v.note, data), objects.deployment(v.late, 2), objects.client(v.caller))


TASKS = {
    "gate": Exercise(gate),
    "ports": Exercise(ports, owns=("services/{app}", "deployments/{app}"), begin=_ports),
    "source": Exercise(source, owns=("services/{visits}", "deployments/{visits}"), begin=_source),
    "refused": Exercise(refused, owns=("services/{late}", "deployments/{late}", "configmaps/{note}"), begin=_refused),
}
