"""Chapter 14: Services of type LoadBalancer. What is inside one, who may come, and an address that cannot be."""

import random

import yaml

from course.checks import Look, Points, contains, point, same_items
from course.tasks import Exercise, Values, objects


def values(draw: random.Random) -> Values:
    """Names and numbers that differ from learner to learner."""
    return Values(
        edge=draw.choice(("edge", "border", "rim")),
        shop=draw.choice(("shop", "store", "market")),
        port=draw.choice((80, 8000, 8800)),
        range=draw.choice(("198.51.100.0/24", "203.0.113.64/26", "192.0.2.0/25")),
        note=draw.choice(("handover", "todo", "memo")),
        late=draw.choice(("menu", "prices", "hours")),
        caller=draw.choice(("caller", "visitor", "guest")),
    )


def nested(see: Look, v: Values) -> Points:
    told = see.get("configmaps", f"{v.edge}-parts")
    service = see.get("services", v.edge)
    get = f"kubectl get service {v.edge} -o yaml"
    yield point(
        "its address inside the cluster",
        told["data.inside"],
        service["spec.clusterIP"],
        get,
        why="A LoadBalancer Service is a ClusterIP Service, too.",
    )
    yield point(
        "its port on every node",
        told["data.node"],
        str(service["spec.ports[0].nodePort"]),
        get,
        why="And it is a NodePort Service. In the list it stands behind the colon.",
    )
    yield point(
        "who must write its external address",
        str(told["data.who"] or "").lower().replace("_", "-"),
        contains("provider"),
        f"kubectl get configmap {v.edge}-parts -o yaml",
        why="Neither you nor the apiserver. Something that provides balancers must watch for it.",
    )


def ranges(see: Look, v: Values) -> Points:
    service = see.get("services", v.shop)
    get = f"kubectl get service {v.shop} -o yaml"
    yield point(
        f"a Service {v.shop} asks for a balancer",
        service["spec.type"],
        "LoadBalancer",
        get,
        why="type: LoadBalancer. That it stays pending here is no mistake of yours.",
    )
    yield point(
        f"its port is {v.port}, and it leads to the Pods' port 80",
        [service["spec.ports[0].port"], service["spec.ports[0].targetPort"], service["spec.selector"]],
        [v.port, 80, {"app": v.shop}],
        get,
        why="port, targetPort and the selector are as in every other Service.",
    )
    yield point(
        f"only {v.range} may come",
        service["spec.loadBalancerSourceRanges"],
        same_items([v.range]),
        get,
        why="loadBalancerSourceRanges is a list of networks.",
    )


def outside(see: Look, v: Values) -> Points:
    service = see.get("services", v.late)
    url = f"http://{v.late}"
    yield point(
        f"there is a Service {v.late} of the type LoadBalancer",
        service["spec.type"],
        "LoadBalancer",
        f"kubectl get service {v.late}",
        why="kubectl apply says why the manifest is refused.",
    )
    yield point(
        "it has an address of this cluster",
        str(service["spec.clusterIP"] or ""),
        contains("10."),
        f"kubectl get service {v.late}",
        why="Leave clusterIP out, and a free one is chosen. The range here is 10.96.0.0/12.",
    )
    yield point(
        "it answers",
        see.exec(v.caller, "main", "wget", "-T", "2", "-qO-", url) if service else None,
        contains("Welcome to nginx"),
        f"kubectl exec {v.caller} -- wget -T 2 -qO- {url}",
        worth=2,
        why="Being accepted is not all. On which port do the Pods listen, and what does targetPort say?",
    )


def balanced(see: Look, v: Values) -> Points:
    service = see.get("services", "front")
    get = "kubectl get service front"
    yield point("a Service front asks for a balancer", service["spec.type"], "LoadBalancer", get)
    yield point("it has got an address", bool(service["status.loadBalancer.ingress[0].ip"]), True, get)


def _nested(v: Values) -> str:
    spec = {"type": "LoadBalancer", "selector": {"app": v.edge}, "ports": [{"port": 443, "targetPort": 80}]}
    return objects.many(objects.of("v1", "Service", v.edge, spec=spec))


def _outside(v: Values) -> str:
    manifest = objects.service(v.late, 80, 9376)
    manifest["spec"] = {"type": "LoadBalancer", "clusterIP": "10.0.171.239", **manifest["spec"]}
    manifest["status"] = {"loadBalancer": {"ingress": [{"ip": "192.0.2.127"}]}}
    data = {"note": f"{v.late} needs a balancer. Found this on the web.", "service.yaml": yaml.dump(manifest)}
    return objects.many(objects.config(v.note, data), objects.deployment(v.late, 2), objects.client(v.caller))


TASKS = {
    "balanced": Exercise(balanced),
    "nested": Exercise(nested, owns=("configmaps/{edge}-parts", "services/{edge}"), begin=_nested),
    "ranges": Exercise(
        ranges,
        owns=("services/{shop}", "deployments/{shop}"),
        begin=lambda v: objects.many(objects.deployment(v.shop, 2)),
    ),
    "outside": Exercise(outside, owns=("services/{late}", "deployments/{late}", "configmaps/{note}"), begin=_outside),
}
