"""Chapter 08: kube-proxy. Odds in a chain, a packet's end, clients that stay, and a node whose rules grow old."""

import random
from typing import Any

from course.checks import Look, Points, Rule, Seen, contains, point
from course.tasks import Exercise, Values, objects
from k8s_core.network.proxy import chain_name

_RULES = "kubectl exec -n kube-system ds/kube-proxy -- iptables-save -t nat"


def values(draw: random.Random) -> Values:
    """Names and numbers that differ from learner to learner."""
    count = draw.randint(4, 7)
    return Values(
        ring=draw.choice(("ring", "round", "circle")),
        count=count,
        nth=draw.randint(2, count - 2),
        ledger=draw.choice(("ledger", "vault", "journal")),
        port=draw.choice((7000, 7100, 8200, 9300)),
        cart=draw.choice(("cart", "basket", "trolley")),
        minutes=draw.choice((10, 15, 20, 45)),
        node=draw.choice(("worker1", "worker2")),
        desk=draw.choice(("desk", "office", "lobby")),
        caller=draw.choice(("caller", "visitor", "guest")),
    )


def _number(text: Any) -> float | None:
    """0.25, 25%, 25 % or 1/4 as a number."""
    words = str(text or "").replace(" ", "").replace(",", ".")
    try:
        if words.endswith("%"):
            return float(words[:-1]) / 100
        above, _, below = words.partition("/")
        return float(above) / float(below or 1)
    except (ValueError, ZeroDivisionError):
        return None


def _about(expected: float) -> Rule:
    def holds(observed: Any) -> bool:
        number = _number(observed)
        return number is not None and abs(number - expected) < 0.006

    return Rule(f"about {expected:.4f}", holds)


def odds(see: Look, v: Values) -> Points:
    told = see.get("configmaps", f"{v.ring}-odds")
    get = f"kubectl get configmap {v.ring}-odds -o yaml"
    rules = f"{_RULES} | grep default/{v.ring}"
    yield point(
        "the probability in the first rule",
        told["data.first"],
        _about(1 / v.count),
        rules,
        why="The first rule sees every connection and takes its Pod's share.",
    )
    yield point(
        f"the probability in rule {v.nth}",
        told["data.nth"],
        _about(1 / (v.count - v.nth + 1)),
        rules,
        why="A rule sees only what the rules before it left over, so the number that it carries grows.",
    )
    yield point(
        "the share of all connections that its Pod gets",
        told["data.share"],
        _about(1 / v.count),
        get,
        why="What reaches the rule, times its probability: every Pod gets the same share.",
    )


def trace(see: Look, v: Values) -> Points:
    told = see.get("configmaps", f"{v.ledger}-trace")
    pod = see.get("pods", v.ledger)
    target = f"{pod['status.podIP']}:{v.port}"
    rules = f"{_RULES} | grep default/{v.ledger}"
    yield point(
        "where the packet is sent in the end",
        told["data.target"],
        target,
        rules,
        why="The DNAT rule says it: the Pod's address and the port that its program listens on (targetPort).",
    )
    yield point(
        "the chain that decides it",
        told["data.chain"],
        chain_name("KUBE-SEP-", f"default/{v.ledger}", "tcp", target),
        rules,
        why="KUBE-SVC chains choose an endpoint. The chain of the endpoint, KUBE-SEP, changes the destination.",
    )


def sticky(see: Look, v: Values) -> Points:
    service = see.get("services", v.cart)
    get = f"kubectl get service {v.cart} -o yaml"
    yield point(
        "a client comes back to the same Pod",
        service["spec.sessionAffinity"],
        "ClientIP",
        get,
        why="Without session affinity chance decides for each connection anew.",
    )
    yield point(
        "for as long as asked",
        service["spec.sessionAffinityConfig.clientIP.timeoutSeconds"],
        v.minutes * 60,
        get,
        why="The time stands in seconds in sessionAffinityConfig. Without it it is three hours.",
    )
    yield point(
        "the Service still leads to its Pods",
        len(objects.endpoints(see, v.cart)) if service["spec.sessionAffinity"] == "ClientIP" else None,
        2,
        f"kubectl get endpointslices -l kubernetes.io/service-name={v.cart}",
        why="Change the Service that is there, not its selector or its Pods.",
    )


def stale(see: Look, v: Values) -> Points:
    page = see.exec(v.caller, "main", "wget", "-T", "2", "-qO-", f"http://{v.desk}")
    asked = f"kubectl exec {v.caller} -- wget -T 2 -qO- http://{v.desk}"
    proxies = [p for p in _system(see) if p["spec.nodeName"] == v.node]
    yield point(
        f"{v.caller} reaches {v.desk}",
        page,
        contains("Welcome to nginx"),
        asked,
        worth=2,
        why="The Service answers from other nodes. So look for what is different on the node of this Pod.",
    )
    yield point(
        f"what makes Services work runs on {v.node}",
        [p["status.phase"] for p in proxies],
        ["Running"],
        "kubectl get pods -n kube-system -l k8s-app=kube-proxy -o wide",
        why="Rules that nobody renews grow old. The DaemonSet says on which nodes its Pods may run.",
    )
    yield point(
        "and on every other node",
        len([p for p in _system(see) if p["status.phase"] == "Running"]) if proxies else None,
        3,
        "kubectl get daemonset kube-proxy -n kube-system",
        why="One Pod for each node. Mend the DaemonSet, do not put another one beside it.",
    )


def _system(see: Look) -> list[Seen]:
    return Look(see.source, "kube-system").list("pods", "k8s-app=kube-proxy")


def first_rule(see: Look, v: Values) -> Points:
    service = see.get("services", "mine")
    get = "kubectl get service mine"
    yield point("a Service has the name mine", bool(service), True, get)
    yield point(
        "its address is 10.96.7.7",
        service["spec.clusterIP"],
        "10.96.7.7",
        get,
        why="A clusterIP can be asked for when a Service is made, and never changed.",
    )
    yield point("its port is 80", service["spec.ports[0].port"], 80, get)


def _ledger(v: Values) -> str:
    pod = objects.pod(v.ledger, "hashicorp/http-echo", args=["-text=paid", f"-listen=:{v.port}"])
    return objects.many(pod, objects.service(v.ledger, 80, v.port))


def _stale(v: Values) -> str:
    caller = objects.client(v.caller, nodeName=v.node)
    return objects.many(caller, objects.deployment(v.desk, 2))


_AFFINITY = (
    '{"spec":{"template":{"spec":{"affinity":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":'
    '{"nodeSelectorTerms":[{"matchExpressions":[{"key":"kubernetes.io/hostname","operator":"NotIn","values":["{node}"]}'
    "]}]}}}}}}}"
)
TASKS = {
    "first-rule": Exercise(first_rule),
    "odds": Exercise(
        odds,
        owns=("configmaps/{ring}-odds", "services/{ring}", "deployments/{ring}"),
        begin=lambda v: objects.many(objects.deployment(v.ring, v.count), objects.service(v.ring)),
    ),
    "trace": Exercise(trace, owns=("configmaps/{ledger}-trace", "services/{ledger}", "pods/{ledger}"), begin=_ledger),
    "sticky": Exercise(
        sticky,
        owns=("services/{cart}", "deployments/{cart}"),
        begin=lambda v: objects.many(objects.deployment(v.cart, 2), objects.service(v.cart)),
    ),
    "stale": Exercise(
        stale,
        owns=("services/{desk}", "deployments/{desk}", "pods/{caller}"),
        begin=_stale,
        then=(
            f"patch daemonset kube-proxy -n kube-system -p '{_AFFINITY}'",
            "expose deployment {desk} --port=80",
        ),
    ),
}
