"""Chapter 15: namespaces and names. Count look-ups, a name across namespaces, a quota."""

import random

from course.checks import Look, Points, contains, point, same_items
from course.tasks import Exercise, Values, objects


def values(draw: random.Random) -> Values:
    """Names and numbers that differ from learner to learner."""
    team, other = draw.sample(("red", "north", "delta", "harbour"), 2)
    return Values(
        asker=draw.choice(("asker", "client", "seeker")),
        api=draw.choice(("api", "gate", "front")),
        team=team,
        other=other,
        shop=draw.choice(("shop", "store", "market")),
        pods=draw.randint(3, 9),
    )


def count(see: Look, v: Values) -> Points:
    told = see.get("configmaps", f"{v.asker}-count")
    get = f"kubectl get configmap {v.asker}-count -o yaml"
    resolv = f"kubectl exec {v.asker} -- cat /etc/resolv.conf"
    yield objects.answer(
        f"{v.api} is found at once",
        told["data.first"],
        1,
        resolv,
        untold="another number (count them)",
        why="The first domain of the search list is the Pod's own namespace.",
    )
    yield objects.answer(
        f"{v.api}.{v.team} takes one more",
        told["data.second"],
        2,
        resolv,
        untold="another number (count them)",
        why="First NAME.default.svc.cluster.local is tried, which does not exist, then NAME.svc.cluster.local.",
    )
    yield objects.answer(
        "example.com takes the whole list",
        told["data.third"],
        4,
        get,
        untold="another number (count them)",
        why="It has one dot, fewer than five. So all three domains are tried before the name as it is.",
    )


def across(see: Look, v: Values) -> Points:
    asked = f"kubectl exec {v.asker} -- wget -T 2 -qO- http://{v.shop}"
    page = see.exec(v.asker, "main", "wget", "-T", "2", "-qO-", f"http://{v.shop}")
    works = "Welcome to nginx" in page
    there = Look(see.source, v.other)
    found = [p["metadata.name"] for p in there.list("pods", f"app={v.shop}")]
    yield point(
        f"{v.asker} gets a page from http://{v.shop}",
        page,
        contains("Welcome to nginx"),
        asked,
        worth=2,
        why="The name must exist in the Pod's own namespace, or be an alias there.",
    )
    yield point(
        f"the name leads to the namespace {v.other}",
        _leads_to(see, v) if works else None,
        f"{v.shop}.{v.other}",
        f"kubectl get service {v.shop} -o yaml",
        why="Another shop with the same name is not the one that was asked for.",
    )
    yield point(
        f"in {v.other} all is as it was",
        [there.get("services", v.shop)["spec.type"], len(found)] if works else None,
        ["ClusterIP", 1],
        f"kubectl get all -n {v.other}",
        why="Nothing in that namespace may change.",
    )


def _leads_to(see: Look, v: Values) -> str:
    """SERVICE.NAMESPACE that the name stands for: by an alias, or by the addresses behind it."""
    service, there = see.get("services", v.shop), Look(see.source, v.other)
    target = str(service["spec.externalName"] or "").rstrip(".").removesuffix(".svc.cluster.local")
    if target:
        return target
    known = {p["status.podIP"] for p in there.list("pods", f"app={v.shop}")}
    known.add(there.get("services", v.shop)["spec.clusterIP"])
    slices = see.list("endpointslices.discovery.k8s.io", f"kubernetes.io/service-name={v.shop}")
    addresses = {a for s in slices for e in s["endpoints"] or [] for a in e["addresses"]}
    return f"{v.shop}.{v.other}" if addresses and addresses <= known else "something else"


def quota(see: Look, v: Values) -> Points:
    there = Look(see.source, v.team)
    found = [q["spec.hard"] or {} for q in there.list("resourcequotas")]
    get = f"kubectl get quota -n {v.team}"
    limits = [str(hard.get("pods") or hard.get("count/pods")) for hard in found if "pods" in str(sorted(hard))]
    yield point(
        "a quota limits the number of Pods",
        bool(limits),
        True,
        get,
        why=f"A ResourceQuota in the namespace {v.team}, with pods under spec.hard. A LimitRange is for each Pod.",
    )
    yield point(
        f"to {v.pods}",
        limits,
        same_items([str(v.pods)]),
        get,
        worth=2,
        why="The smallest of all quotas counts.",
    )


def own_namespace(see: Look, v: Values) -> Points:
    pod = Look(see.source, "mine").get("pods", "web")
    get = "kubectl get pod web -n mine"
    yield point("the namespace mine has a Pod web", bool(pod), True, get, why="-n mine says which namespace.")
    yield point("it runs", pod["status.phase"], "Running", get)


def _count(v: Values) -> str:
    api = objects.service(v.api)
    return objects.many(objects.client(v.asker), api, objects.namespace(v.team), *objects.within(v.team, api))


def _across(v: Values) -> str:
    shop = objects.within(v.other, objects.deployment(v.shop, 1), objects.service(v.shop))
    return objects.many(objects.client(v.asker), objects.namespace(v.other), *shop)


TASKS = {
    "own-namespace": Exercise(own_namespace),
    "count": Exercise(count, owns=("configmaps/{asker}-count",), begin=_count),
    "across": Exercise(across, owns=("services/{shop}", "namespaces/{other}"), begin=_across),
    "quota": Exercise(quota, owns=("namespaces/{team}",), begin=lambda v: objects.many(objects.namespace(v.team))),
}
