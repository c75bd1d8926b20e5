"""Chapter 12: Services of type ClusterIP. A port by its name, no selector, headless, and one that leads nowhere."""

import random

from course.checks import Look, Points, Seen, contains, point, same_items
from course.tasks import Exercise, Values, objects

_CLIENT = "busybox"


def values(draw: random.Random) -> Values:
    """Names and numbers that differ from learner to learner."""
    return Values(
        api=draw.choice(("api", "gate", "front")),
        portname=draw.choice(("web", "main", "serve")),
        number=draw.choice((8081, 8089, 9090, 7070)),
        port=draw.choice((80, 8000, 8800)),
        outside=draw.choice(("printer", "mainframe", "scanner")),
        address=f"192.168.{draw.randint(10, 99)}.{draw.randint(10, 99)}",
        theirs=draw.choice((9100, 3270, 5000)),
        members=draw.choice(("members", "peers", "group")),
        caller=draw.choice(("caller", "visitor", "guest")),
        lost=draw.choice(("orders", "billing", "search")),
        tier=draw.choice(("backend", "middle", "core")),
    )


def _slices(see: Look, service: str) -> list[Seen]:
    return see.list("endpointslices.discovery.k8s.io", f"kubernetes.io/service-name={service}")


def _addresses(see: Look, service: str, *, ready: bool = True) -> list[str]:
    found = [each for piece in _slices(see, service) for each in piece["endpoints"] or []]
    return [a for e in found if not ready or e.get("conditions", {}).get("ready") is not False for a in e["addresses"]]


def _ask(v: Values, url: str) -> tuple[str, ...]:
    return (v.caller, "main", "wget", "-T", "2", "-qO-", url)


def named(see: Look, v: Values) -> Points:
    service = see.get("services", v.api)
    get = f"kubectl get service {v.api} -o yaml"
    url = f"http://{v.api}:{v.port}"
    yield point(
        f"a Service {v.api} has the port {v.port}",
        service["spec.ports[*].port"],
        [v.port],
        get,
        why="port is the Service's own. The Pods' port is another field.",
    )
    yield point(
        "it uses the name of the Pods' port",
        service["spec.ports[0].targetPort"],
        v.portname,
        get,
        why="targetPort takes a number or a name. A name stays right when the number changes.",
    )
    yield point(
        "it answers",
        see.exec(*_ask(v, url)) if service else None,
        contains("served"),
        f"kubectl exec {v.caller} -- wget -T 2 -qO- {url}",
        why="The selector must find the Pods. kubectl get endpointslices shows whether it does.",
    )


def outside(see: Look, v: Values) -> Points:
    service = see.get("services", v.outside)
    get = f"kubectl get service {v.outside} -o yaml"
    slices = f"kubectl get endpointslices -l kubernetes.io/service-name={v.outside} -o yaml"
    yield point(
        f"a Service {v.outside} has the port 80 and an address",
        bool(service["spec.clusterIP"]) and service["spec.clusterIP"] != "None" and service["spec.ports[*].port"],
        [80],
        get,
        why="An ordinary Service of the type ClusterIP, with a port of its own.",
    )
    yield point(
        "it has no selector",
        "none" if service and not service["spec.selector"] else service["spec.selector"],
        "none",
        get,
        why="With a selector a controller writes the list, and yours would not be alone.",
    )
    yield point(
        f"it leads to {v.address}, port {v.theirs}",
        [(a, p["port"]) for s in _slices(see, v.outside) for p in s["ports"] or [] for e in s["endpoints"] or []
         for a in e["addresses"]],
        [(v.address, v.theirs)],
        slices,
        why="An EndpointSlice belongs to a Service by its label kubernetes.io/service-name.",
    )  # fmt: skip


def headless(see: Look, v: Values) -> Points:
    service = see.get("services", v.members)
    pods = [p["status.podIP"] for p in see.list("pods", f"app={v.members}") if p["status.podIP"]]
    name = f"{v.members}.default.svc.cluster.local"
    answer = see.exec(v.caller, "main", "nslookup", name) if service else ""
    yield point(
        "the Service has no address of its own",
        service["spec.clusterIP"],
        "None",
        f"kubectl get service {v.members}",
        why="clusterIP: None makes a Service headless. It cannot be changed later: delete the old one first.",
    )
    yield point(
        "its name stands for all its Pods",
        [a for a in pods if a in answer],
        same_items(pods) if pods else contains("the Pods' addresses"),
        f"kubectl exec {v.caller} -- nslookup {name}",
        worth=2,
        why="The selector must find the Pods, and they must be ready.",
    )


def lost(see: Look, v: Values) -> Points:
    url = f"http://{v.lost}"
    pods = [p["status.podIP"] for p in see.list("pods") if str(p["metadata.name"]).startswith(f"{v.lost}-")]
    addresses = _addresses(see, v.lost)
    yield point(
        f"{v.caller} gets an answer from {v.lost}",
        see.exec(*_ask(v, url)),
        contains("Welcome to nginx"),
        f"kubectl exec {v.caller} -- wget -T 2 -qO- {url}",
        worth=2,
        why="Ask for the endpoints first. None of them? Compare the Service's selector with the Pods' labels.",
    )
    yield point(
        "it leads to the Deployment's two Pods",
        [a for a in addresses if a in pods],
        same_items(pods) if len(pods) == 2 else contains("two Pods"),
        f"kubectl get endpointslices -l kubernetes.io/service-name={v.lost}",
        why="Both Pods of the Deployment should get clients, and nothing else.",
    )
    yield point(
        "the port is right, too",
        see.get("services", v.lost)["spec.ports[0].targetPort"] if addresses else None,
        80,
        f"kubectl get service {v.lost} -o yaml",
        why="Two things were wrong. Endpoints alone do not help if nobody listens on that port.",
    )


def first_service(see: Look, v: Values) -> Points:
    service = see.get("services", "door")
    get = "kubectl get service door"
    yield point("a Service has the name door", bool(service), True, get)
    yield point("its port is 80", service["spec.ports[0].port"], 80, get)
    yield point(
        "it leads to the Pods of the Deployment shop",
        service["spec.selector"],
        {"app": "shop"},
        f"{get} -o yaml",
        why="kubectl expose takes the selector of what it exposes.",
    )


def _named(v: Values) -> str:
    ports = [{"name": v.portname, "containerPort": v.number}]
    arguments = ["-text=served", f"-listen=:{v.number}"]
    pods = objects.deployment(v.api, 2, "hashicorp/http-echo", args=arguments, ports=ports)
    return objects.many(pods, objects.client(v.caller))


def _lost(v: Values) -> str:
    pods = objects.deployment(v.lost, 2)
    for labels in (pods["spec"]["selector"]["matchLabels"], pods["spec"]["template"]["metadata"]["labels"]):
        labels["tier"] = v.tier
    service = objects.service(v.lost, 80, 8080)
    service["spec"]["selector"] = {"app": v.lost, "tier": f"{v.tier}s"}
    return objects.many(pods, service, objects.client(v.caller))


def _headless(v: Values) -> str:
    return objects.many(objects.deployment(v.members, 3), objects.service(v.members), objects.client(v.caller))


TASKS = {
    "first-service": Exercise(first_service),
    "named": Exercise(named, owns=("services/{api}", "deployments/{api}"), begin=_named),
    "outside": Exercise(outside, owns=("services/{outside}", "endpointslices/{outside}-1")),
    "headless": Exercise(
        headless,
        owns=("services/{members}", "deployments/{members}"),
        begin=_headless,
    ),
    "lost": Exercise(lost, owns=("services/{lost}", "deployments/{lost}"), begin=_lost),
}
