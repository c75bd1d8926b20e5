"""Chapter 18: errata. Claims decided by experiment, a manifest of the notes put right, an adoption that the notes
deny, and a program that was set up by the notes."""

import ipaddress
import random

from course.checks import Look, Points, Rule, contains, point, present, same_items
from course.checks.rules import show
from course.tasks import Exercise, Values, objects

_PAIRS: tuple[tuple[str, tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]], ...] = (
    (
        "node ports",
        (
            ("A Service can have the node port {high}.", "kubectl create service nodeport t --tcp=80 --node-port=..."),
            ("A NodePort Service has a cluster IP, too.", "kubectl create service nodeport t --tcp=80"),
        ),
        (
            ("A Service can have the node port {low}.", "kubectl create service nodeport t --tcp=80 --node-port=..."),
            (
                "A NodePort Service answers only on those nodes that run one of its Pods.",
                'lab.flows("outside", NODE, PORT)',
            ),
        ),
    ),
    (
        "what is behind a Service",
        (
            (
                "A Service without a selector has no EndpointSlice until somebody makes one.",
                "kubectl get endpointslices",
            ),
            ("A Pod that is not ready gets no traffic from its Service.", "kubectl get endpointslices -o yaml"),
        ),
        (
            (
                "A Service without a selector has all Pods of its namespace as endpoints.",
                "kubectl get endpointslices",
            ),
            (
                "A Service without `targetPort` sends to the first port that its Pods have.",
                "kubectl get service t -o yaml",
            ),
        ),
    ),
    (
        "names",
        (
            (
                "From the namespace {ns}, the name `web.default` finds the Service `web` of the namespace default.",
                'lab.lookup("{ns}/POD", "web.default")',
            ),
            ("There is a namespace `kube-node-lease` from the beginning.", "kubectl get namespaces"),
        ),
        (
            (
                "From the namespace {ns}, the name `web` finds the Service `web` of the namespace default.",
                'lab.lookup("{ns}/POD", "web")',
            ),
            (
                "The full name of a Service ends in `.service.cluster.local`.",
                'lab.lookup("POD", "NAME.default.service.cluster.local")',
            ),
        ),
    ),
    (
        "the control plane",
        (
            (
                "While kube-scheduler is stopped, a new Pod can still be made.",
                'lab.stop("kube-scheduler"), then kubectl run',
            ),
            (
                "While the kubelet of its node is stopped, a Pod's log cannot be read.",
                'lab.stop("kubelet worker1"), then kubectl logs',
            ),
        ),
        (
            (
                "While all kubelets are stopped, `kubectl get --raw /version` gets no answer.",
                'lab.stop("kubelet worker1") and so on, then kubectl get --raw /version',
            ),
            (
                "While kube-controller-manager is stopped, a Deployment still replaces its Pods.",
                'lab.stop("kube-controller-manager"), then kubectl delete pod',
            ),
        ),
    ),
    (
        "objects",
        (
            ("`kubectl apply -f` of a file that has not changed does no harm.", "kubectl apply -f FILE, twice"),
            (
                "A ReplicationController adopts a running Pod that has its labels and no owner.",
                "kubectl get pod -o yaml, metadata.ownerReferences",
            ),
        ),
        (
            ("`kubectl create -f` of a file can be repeated as well as `apply -f`.", "kubectl create -f FILE, twice"),
            ("Each kind of object needs a `spec`.", "kubectl create configmap t, and kubectl get configmap t -o yaml"),
        ),
    ),
)
"""(subject, what is true of it, what is not), each claim with the experiment that decides it."""
_ANOTHER = Rule("another verdict on one of the two, or on both", lambda value: False)


def values(draw: random.Random) -> Values:
    """Names, numbers and claims that differ from learner to learner."""
    near, far = draw.sample(("red", "north", "delta", "harbour"), 2)
    found = Values(
        ns=draw.choice(("green", "blue", "amber")),
        low=draw.choice((3000, 3100, 8080, 9000, 29999)),
        high=draw.randint(30100, 32700),
        inner=draw.choice(("ledger", "stock", "orders")),
        address=str(ipaddress.IPv4Address("10.96.0.0") + 256 * draw.randint(20, 200) + draw.randint(2, 250)),
        elder=draw.choice(("elder", "veteran", "senior")),
        stray=draw.choice(("stray", "orphan", "loner")),
        many=draw.randint(2, 4),
        near=near,
        far=far,
        db=draw.choice(("db", "store", "archive")),
        asker=draw.choice(("asker", "reporter", "clerk")),
    )
    # One pair with two false claims, the others with one of each: who guesses the same everywhere is wrong.
    both_false = draw.randrange(len(_PAIRS))
    claims = []
    for number, (_, right, wrong) in enumerate(_PAIRS):
        pair = [(*claim, False) for claim in wrong]
        if number != both_false:
            pair = [(*draw.choice(right), True), (*draw.choice(wrong), False)]
        draw.shuffle(pair)
        claims += [(f"{number + 1}{letter}", *claim) for letter, claim in zip("ab", pair, strict=True)]
    found.claims = "\n".join(f"- `{key}` {_with(text, found)}" for key, text, _, _ in claims)
    found.verdicts = {key: truth for key, _, _, truth in claims}
    found.experiments = {key: _with(how, found) for key, _, how, _ in claims}
    return found


def _with(text: str, v: Values) -> str:
    return text.format(ns=v.ns, low=v.low, high=v.high)


# --- verdicts: two on each subject, a point if both are right ------------------------------------------------------
def verdicts(see: Look, v: Values) -> Points:
    told = see.get("configmaps", "verdicts")
    for number, (subject, _, _) in enumerate(_PAIRS, 1):
        keys = [f"{number}a", f"{number}b"]
        said = [str(told[f"data.{key}"] or "nothing").strip().lower() for key in keys]
        right = said == ["true" if v.verdicts[key] else "false" for key in keys]
        yield point(
            f"{' and '.join(keys)}, about {subject}",
            show(said),
            show(said) if right else _ANOTHER,
            "kubectl get configmap verdicts -o jsonpath='{.data}'",
            why=f"Try both. {keys[0]}: {v.experiments[keys[0]]}. {keys[1]}: {v.experiments[keys[1]]}.",
        )


# --- inside: the notes' example for ClusterIP, put right -----------------------------------------------------------
def inside(see: Look, v: Values) -> Points:
    service = see.get("services", v.inner)
    get = f"kubectl get service {v.inner}"
    yield point(
        "its type is ClusterIP",
        service["spec.type"],
        "ClusterIP",
        get,
        why="The type in the manifest decides. Without that line it is ClusterIP.",
    )
    yield point(
        f"its address is {v.address}",
        service["spec.clusterIP"],
        v.address,
        get,
        why="A clusterIP is given when a Service is made, from the cluster's own range, and never changes.",
    )
    page = see.exec("inner-client", "main", "wget", "-T", "2", "-qO-", f"http://{v.address}")
    yield point(
        f"the Pods of {v.inner} answer there",
        page,
        contains("Welcome to nginx"),
        f"kubectl exec inner-client -- wget -T 2 -qO- http://{v.address}",
        worth=2,
        why="The selector must be the Pods' label, and targetPort the port at which their program listens (nginx: 80).",
    )


def _inside(v: Values) -> str:
    return objects.many(objects.deployment(v.inner, 2), objects.client("inner-client"))


# --- elder: a ReplicationController that counts a Pod which it has not made -----------------------------------------
def elder(see: Look, v: Values) -> Points:
    controller, pod = see.get("replicationcontrollers", v.elder), see.get("pods", v.stray)
    owners = [(each["kind"], each["name"]) for each in pod["metadata.ownerReferences"] or []]
    adopted = owners == [("ReplicationController", v.elder)]
    yield point(
        f"{v.elder} has {v.many} Pods that are ready",
        controller["status.readyReplicas"],
        v.many,
        f"kubectl get replicationcontroller {v.elder}",
        why="kind ReplicationController, apiVersion v1. Its selector is a plain map of labels.",
    )
    yield point(
        f"{v.stray} is one of them",
        [f"{kind} {name}" for kind, name in owners],
        [f"ReplicationController {v.elder}"],
        f"kubectl get pod {v.stray} -o jsonpath='{{.metadata.ownerReferences}}'",
        why="It adopts Pods that its selector matches and that nobody else owns. Which labels has the Pod?",
        worth=2,
    )
    past, _ = see.versions("pods", v.stray)
    born = {each["metadata.uid"] for each in past if each} | ({pod["metadata.uid"]} if pod else set())
    yield point(
        "it is the same Pod as before",
        ("the same" if len(born) == 1 else "another") if adopted else "it is not adopted",
        "the same",
        f"kubectl get pod {v.stray}",
        why=f'A Pod that was deleted and made again is another one. lab.reset("elder") gives {v.stray} back.',
    )


def _elder(v: Values) -> str:
    pod = objects.pod(v.stray)
    pod["metadata"]["labels"] = {"run": v.stray}
    return objects.many(pod)


# --- doctrine (break and fix): set up by the notes ------------------------------------------------------------------
def doctrine(see: Look, v: Values) -> Points:
    near, far = Look(see.source, v.near), Look(see.source, v.far)
    asker = near.get("deployments.apps", v.asker)
    pods = [p["metadata.name"] for p in near.list("pods", f"app={v.asker}") if not p["metadata.deletionTimestamp"]]
    log = near.logs(pods[0]).strip().splitlines() if pods else []
    addresses = [p["status.podIP"] for p in far.list("pods", f"app={v.db}")]
    behind = objects.endpoints(far, v.db)
    yield point(
        f"behind the Service {v.db} are its two Pods",
        behind,
        same_items(addresses) if addresses else present,
        f"kubectl get endpointslices -n {v.far}",
        why="A Service finds Pods by its selector. Without one it has no endpoints.",
    )
    target = asker["spec.template.spec.containers[0].env[name=TARGET].value"]
    host = str(target or "").removeprefix("http://").split("/")[0]
    reached = near.exec(pods[0], "main", "wget", "-T", "2", "-qO-", f"http://{host}") if pods and host else ""
    yield point(
        f"the address that {v.asker} was given works",
        reached,
        contains("Welcome to nginx"),
        f"kubectl exec -n {v.near} deployment/{v.asker} -- wget -T 2 -qO- http://{host}",
        worth=2,
        why="Name and port. The name is SERVICE.NAMESPACE.svc.cluster.local, and the Pods' nginx listens at port 80.",
    )
    yield point(
        f"{v.asker} says so",
        log[-1:],
        ["got it"],
        f"kubectl logs -n {v.near} deployment/{v.asker} --tail=1",
        why="What the program itself prints is the last word.",
    )


_ASK = "while true; do wget -T 2 -qO- http://$TARGET > /dev/null && echo got it || echo no answer; sleep 5; done"


def _doctrine(v: Values) -> str:
    service = objects.service(v.db, 80, 9376)
    del service["spec"]["selector"]
    env = [{"name": "TARGET", "value": f"{v.db}.{v.far}.service.cluster.local"}]
    asker = objects.deployment(v.asker, 1, "busybox", env=env, command=["sh", "-c", _ASK])
    spaces = (objects.namespace(v.near), objects.namespace(v.far))
    return objects.many(
        *spaces, *objects.within(v.far, objects.deployment(v.db, 2), service), *objects.within(v.near, asker)
    )


def own_verdict(see: Look, v: Values) -> Points:
    told = see.get("configmaps", "verdict")
    get = "kubectl get configmap verdict -o yaml"
    owner = "kubectl get pods -o custom-columns='POD:.metadata.name,OWNER:.metadata.ownerReferences[0].kind'"
    yield point("there is a verdict", told["data.claim"], "false", get, why="A Deployment owns something else.")
    yield point("and the owner", told["data.owner"], "ReplicaSet", owner, why="Each Pod says who owns it.")


TASKS = {
    "own-verdict": Exercise(own_verdict),
    "verdicts": Exercise(verdicts, owns=("configmaps/verdicts",)),
    "inside": Exercise(inside, owns=("services/{inner}", "deployments/{inner}", "pods/inner-client"), begin=_inside),
    "elder": Exercise(elder, owns=("replicationcontrollers/{elder}", "pods/{stray}"), begin=_elder),
    "doctrine": Exercise(doctrine, owns=("namespaces/{near}", "namespaces/{far}"), begin=_doctrine),
}
