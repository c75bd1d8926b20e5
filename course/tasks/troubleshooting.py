"""Chapter 19: troubleshooting. Twelve clusters in which one thing is broken, each in a namespace of its own.

The last three tasks break the cluster itself: DNS, a node, the control plane. Each has several ways to be broken, and
a learner gets one of them.
"""

import random
from typing import Any

from course.checks import Look, Points, Rule, Seen, contains, point
from course.tasks import Exercise, Values, breakages
from course.tasks.objects import deployment, many, of, on, ready, service

_NAMESPACES = ("image", "key", "memory", "spread", "deaf", "wall", "none", "claim", "robot", "names", "node", "plane")
"""Each task has a namespace; the value of that name is the namespace's."""
TOWNS = (
    *("aarhus", "bergen", "cadiz", "dover", "essen", "faro", "ghent", "hobart", "izmir", "jena", "kobe", "leeds"),
    *("malmo", "nantes", "oslo", "porto", "riga", "split", "turin", "umea", "vigo", "york"),
)
MOST_MEMORY = 512
"""Mi that a program which needs less than half of it may be given."""


def values(draw: random.Random) -> Values:
    """Names, numbers and faults that differ from learner to learner."""
    component, (right, wrong) = draw.choice(sorted(breakages.PLANE_FAULTS.items()))
    return Values(
        **dict(zip(_NAMESPACES, draw.sample(TOWNS, len(_NAMESPACES)), strict=True)),
        app=draw.choice(("shop", "blog", "forum")),
        db=draw.choice(("db", "store", "archive")),
        few=draw.randint(2, 4),
        misspelt=draw.choice(("ngnix:1.27", "nginx:1.72", "docker.io/nginx/nginx:latst")),
        shade=draw.choice(("umber", "ochre", "teal", "mauve")),
        need=draw.randint(90, 180),
        disk=draw.choice(("fast", "local", "plain")),
        place=draw.choice(("worker1", "worker2")),
        dns_fault=draw.choice(breakages.DNS_FAULTS),
        node_fault=draw.choice(breakages.NODE_FAULTS),
        component=component,
        plane_fault=f"sed -i 's#{right}#{wrong}#' {breakages.MANIFESTS}/{component}.yaml",
    )


_ANSWER = contains("Welcome to nginx")


# --- looking --------------------------------------------------------------------------------------------------------
def _ready(look: Look, app: str) -> list[Seen]:
    """The Deployment's Pods that are ready, and not about to go."""
    return [
        pod
        for pod in look.list("pods", f"app={app}")
        if ready(pod) and pod["metadata.ownerReferences[0].kind"] == "ReplicaSet"
    ]


def _says(look: Look, app: str) -> str:
    """The last line that a Pod of the app has printed."""
    pods = [pod["metadata.name"] for pod in _ready(look, app)]
    return (look.logs(pods[0]).strip().splitlines() or [""])[-1] if pods else ""


def _gets(look: Look, app: str, target: str) -> str:
    """What a Pod of the app gets when it asks now."""
    pods = [pod["metadata.name"] for pod in _ready(look, app)]
    return look.exec(pods[0], "main", "wget", "-T", "2", "-qO-", f"http://{target}") if pods else ""


def _asks(namespace: str, app: str, target: str) -> str:
    """The command that shows it."""
    return f"kubectl exec -n {namespace} deployment/{app} -- wget -T 2 -qO- http://{target}"


def _are_ready(pods: list[Seen], app: str, count: int, get: str, why: str, worth: int = 1) -> Points:
    yield point(f"{count} of {app} {'are' if count > 1 else 'is'} ready", len(pods), count, get, worth=worth, why=why)


def practice(see: Look, v: Values) -> Points:
    """In the lesson: a wish that no node can grant."""
    pods = [pod for pod in _ready(see, "practice") if "nginx" in str(pod["spec.containers[0].image"])]
    why = "Which rung is the first that is not reached? Who should take it, and what does it say?"
    yield from _are_ready(pods, "practice", 1, "kubectl describe pods -l app=practice", why)


def image(see: Look, v: Values) -> Points:
    pods, get = _ready(Look(see.source, v.image), v.app), f"kubectl get pods -n {v.image}"
    yield from _are_ready(
        pods, v.app, v.few, get, "What does the kubelet say that it cannot do? It is an event of the Pod.", 2
    )
    yield point(
        "they run nginx",
        sorted({str(pod["spec.containers[0].image"]).split("/")[-1].split(":")[0] for pod in pods}),
        ["nginx"],
        f"{get} -o wide",
        why="Another program is no repair.",
    )


def key(see: Look, v: Values) -> Points:
    look = Look(see.source, v.key)
    pods = _ready(look, v.app)
    yield from _are_ready(pods, v.app, 1, f"kubectl describe pods -n {v.key}", "Why was the container not created?")
    yield point(
        f"it paints in {v.shade}",
        _says(look, v.app),
        contains(v.shade),
        f"kubectl logs -n {v.key} deployment/{v.app}",
        why="It shall have what stands in the ConfigMap. To start without it is not enough.",
    )
    yield point(
        "who else reads the ConfigMap finds what was there",
        look.get("configmaps", "settings")["data.colour"] if pods else None,
        v.shade,
        f"kubectl get configmap settings -n {v.key} -o yaml",
        why="Others rely on that key. Mend the one that asks for a wrong one.",
    )


def memory(see: Look, v: Values) -> Points:
    pods = _ready(Look(see.source, v.memory), v.app)
    steady = [pod for pod in pods if pod["status.containerStatuses[0].restartCount"] == 0]
    get = f"kubectl get pods -n {v.memory}"
    yield from _are_ready(
        steady, v.app, 1, get, "How did the last run end? Reason and exit code say who ended it.", worth=2
    )
    limit = str(steady[0]["spec.containers[0].resources.limits.memory"] or "") if steady else None
    yield point(
        f"it has a limit of {MOST_MEMORY}Mi at most",
        limit,
        Rule(f"from {v.need}Mi to {MOST_MEMORY}Mi", lambda value: _mebibytes(value) <= MOST_MEMORY),
        f"kubectl get deployment {v.app} -n {v.memory} -o yaml",
        why="Without a limit, or with far too much, it takes from all others when it leaks.",
    )


def _mebibytes(text: Any) -> float:
    """ "200Mi" or "1Gi" as a number of Mi; endless for what is no limit."""
    units = {"Mi": 1.0, "Gi": 1024.0, "M": 1e6 / 2**20, "G": 1e9 / 2**20, "Ki": 1 / 1024, "k": 1000 / 2**20, "": 2**-20}
    number = str(text or "").rstrip("KMGik")
    unit = str(text or "")[len(number) :]
    return float(number) * units[unit] if number.isdigit() and unit in units else float("inf")


def spread(see: Look, v: Values) -> Points:
    pods = _ready(Look(see.source, v.spread), v.app)
    yield from _are_ready(
        pods,
        v.app,
        3,
        f"kubectl get pods -n {v.spread} -o wide",
        "Which node objects to the third, and to what?",
        worth=2,
    )
    yield point(
        "both workers have one",
        sorted({str(pod["spec.nodeName"]) for pod in pods}) if len(pods) == 3 else None,
        contains("worker1", "worker2"),
        f"kubectl get pods -n {v.spread} -o wide",
        why="If a machine fails, one must be left.",
    )
    yield point(
        "cp is kept free as before",
        [taint["key"].split("/")[-1] for taint in see.get("nodes", "cp")["spec.taints"] or []]
        if len(pods) == 3
        else None,
        contains("control-plane"),
        "kubectl describe node cp",
        why="The taint was not the mistake.",
    )


def deaf(see: Look, v: Values) -> Points:
    look = Look(see.source, v.deaf)
    pods = _ready(look, v.db)
    asked = [pod for pod in pods if pod["spec.containers[0].readinessProbe"]]
    get = f"kubectl describe pods -n {v.deaf} -l app={v.db}"
    yield from _are_ready(pods, v.db, 2, get, "They run, and they are not ready. Who says so?")
    yield point(
        "they are asked before work is sent to them",
        len(asked),
        2,
        f"kubectl get deployment {v.db} -n {v.deaf} -o yaml",
        why="The probe asked for the wrong thing. Without one, work is sent to what cannot do it yet.",
    )
    yield point(
        "who asks gets an answer",
        _gets(look, "asker", v.db),
        _ANSWER,
        _asks(v.deaf, "asker", v.db),
        worth=2,
        why="Is there an endpoint? With which port? Compare it with the one at which the program listens.",
    )


def wall(see: Look, v: Values) -> Points:
    look = Look(see.source, v.wall)
    got = _gets(look, "asker", v.db)
    yield point(
        "asker gets an answer",
        got,
        _ANSWER,
        _asks(v.wall, "asker", v.db),
        worth=2,
        why=f"Service, endpoints and Pods of {v.db} are right. What stands between?",
    )
    yield point(
        "stranger still gets none",
        _gets(look, "stranger", v.db) if _ANSWER.holds(got) else None,
        contains("timed out"),
        _asks(v.wall, "stranger", v.db),
        worth=2,
        why="The wall is wanted. It needs a door, not a hole.",
    )


def none(see: Look, v: Values) -> Points:
    look = Look(see.source, v.none)
    pods = _ready(look, v.app)
    yield from _are_ready(
        pods,
        v.app,
        v.few,
        f"kubectl get events -n {v.none}",
        "Who makes the Pods, and what was it told when it tried?",
        2,
    )
    yield point(
        "their share is as large as before",
        look.get("resourcequotas", "share")["spec.hard"] if len(pods) == v.few else None,
        breakages.SHARE,
        f"kubectl describe quota -n {v.none}",
        why="The quota belongs to somebody else.",
    )


def claim(see: Look, v: Values) -> Points:
    look = Look(see.source, v.claim)
    pods = _ready(look, v.db)
    names = {str(each["persistentVolumeClaim.claimName"]) for pod in pods for each in map(Seen, pod["spec.volumes"])}
    bound = [each for each in look.list("persistentvolumeclaims") if each["metadata.name"] in names]
    get = f"kubectl get pvc,pods -n {v.claim}"
    yield from _are_ready(pods, v.db, 1, get, "What does its Pod wait for? And what does that wait for?", 2)
    yield point(
        "its data lie on a volume that was claimed",
        [each["status.phase"] for each in bound],
        ["Bound"],
        get,
        worth=2,
        why="Without a claim the data go with the Pod. A claim's class cannot be changed; the claim can be made anew.",
    )


def robot(see: Look, v: Values) -> Points:
    look, who = Look(see.source, v.robot), f"system:serviceaccount:{v.robot}:robot"
    get = f"kubectl auth can-i list pods --as={who} -n {v.robot}"
    may = look.may(who, "list", "pods")
    yield point(
        "robot may list the Pods of its namespace",
        may,
        "yes",
        get,
        worth=2,
        why="Two things must be right: what the role allows, and whom the binding names.",
    )
    others = {
        "delete them": look.may(who, "delete", "pods"),
        "read Secrets": look.may(who, "get", "secrets"),
        "list Pods elsewhere": Look(see.source, "default").may(who, "list", "pods"),
    }
    yield point(
        "and no more than that",
        [what for what, answer in others.items() if answer == "yes"] or ("no more" if may == "yes" else None),
        "no more",
        f"kubectl auth can-i --list --as={who} -n {v.robot}",
        worth=2,
        why="Give what is needed, where it is needed.",
    )


def names(see: Look, v: Values) -> Points:
    look = Look(see.source, v.names)
    asker = [pod["metadata.name"] for pod in _ready(look, "asker")][:1]
    name = f"{v.db}.{v.names}.svc.cluster.local"
    answer = look.exec(asker[0], "main", "nslookup", name) if asker else ""
    address = look.get("services", v.db)["spec.clusterIP"] or "nothing"
    yield point(
        f"the name of {v.db} leads to its address",
        answer,
        contains(address),
        f"kubectl exec -n {v.names} deployment/asker -- nslookup {name}",
        worth=3,
        why="Pods behind a Service in kube-system answer names. Are they there, found, and told the right domain?",
    )
    yield point(
        "asker gets an answer again",
        look.exec(asker[0], "main", "sh", "-c", f"{breakages.ONCE}") if asker else "",
        contains("got it"),
        f"kubectl exec -n {v.names} deployment/asker -- sh -c '{breakages.ONCE}'",
    )


def node(see: Look, v: Values) -> Points:
    pods = [pod for pod in _ready(Look(see.source, v.node), v.app) if pod["spec.nodeName"] == v.place]
    get = f"kubectl get pods -n {v.node} -o wide"
    yield from _are_ready(
        pods,
        f"{v.app} on {v.place}",
        v.few,
        get,
        "Ask the machine: which services does it need, and what do their logs say?",
        3,
    )
    yield point(
        f"{v.place} is Ready",
        see.get("nodes", v.place)["status.conditions[type=Ready].status"] if pods else None,
        "True",
        f"kubectl get node {v.place}",
    )


def plane(see: Look, v: Values) -> Points:
    pods = _ready(Look(see.source, v.plane), v.app)
    get = f"kubectl get deployments,replicasets,pods -n {v.plane}"
    yield from _are_ready(pods, v.app, v.few, get, "Which step was the last one that was taken? Who takes the next?", 2)
    mirror = Look(see.source, "kube-system").get("pods", f"{v.component}-cp")
    yield point(
        "the control plane is whole again",
        mirror["status.conditions[type=Ready].status"] if pods else None,
        "True",
        "kubectl get pods -n kube-system",
        worth=2,
        why="What you make by hand runs, but the next Deployment will wait again. Its manifest lies on the node cp.",
    )


TASKS = {
    "practice": Exercise(
        practice,
        owns=("deployments/practice",),
        begin=lambda v: many(deployment("practice", 1, resources={"requests": {"cpu": "4"}})),
    ),
    "image": Exercise(
        image,
        owns=("namespaces/{image}",),
        begin=lambda v: breakages.begin(v.image, deployment(v.app, v.few, v.misspelt)),
    ),
    "key": Exercise(key, owns=("namespaces/{key}",), begin=breakages.key),
    "memory": Exercise(memory, owns=("namespaces/{memory}",), begin=breakages.memory, age="1m"),
    "spread": Exercise(
        spread,
        owns=("namespaces/{spread}",),
        begin=breakages.spread,
        mended=(("cp", "kubectl taint node cp node-role.kubernetes.io/control-plane:NoSchedule --overwrite"),),
    ),
    "deaf": Exercise(deaf, owns=("namespaces/{deaf}",), begin=breakages.deaf, age="30s"),
    "wall": Exercise(wall, owns=("namespaces/{wall}",), begin=breakages.wall, age="30s"),
    "none": Exercise(
        none,
        owns=("namespaces/{none}",),
        begin=lambda v: breakages.begin(
            v.none, of("v1", "ResourceQuota", "share", spec={"hard": breakages.SHARE}), deployment(v.app, v.few)
        ),
    ),
    "claim": Exercise(
        claim, owns=("namespaces/{claim}", "storageclasses/{disk}", "storageclasses/{disk}-disk"), begin=breakages.claim
    ),
    "robot": Exercise(robot, owns=("namespaces/{robot}",), begin=breakages.robot),
    "names": Exercise(
        names,
        owns=("namespaces/{names}",),
        begin=lambda v: breakages.begin(v.names, deployment(v.db, 1), service(v.db), breakages.asker(v.db)),
        typed=(("cp", "{dns_fault}"),),
        mended=(("cp", breakages.DNS_MENDED),),
        age="1m",
    ),
    "node": Exercise(
        node,
        owns=("namespaces/{node}",),
        begin=lambda v: breakages.begin(v.node, deployment(v.app, v.few, pod_spec=on(v.place))),
        typed=(("{place}", "{node_fault}"),),
        mended=(("{place}", breakages.NODE_MENDED),),
        age="1m",
    ),
    "plane": Exercise(
        plane,
        owns=("namespaces/{plane}",),
        begin=lambda v: breakages.begin(v.plane, deployment(v.app, v.few)),
        typed=(("cp", "{plane_fault}; sleep 30"),),
        mended=(("cp", f"{breakages.PLANE_MENDED}; sleep 40"),),
    ),
}
