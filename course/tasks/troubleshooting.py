"""Chapter 19: troubleshooting. Twelve clusters in which one thing is broken, each in a namespace of its own.

The last three tasks break the cluster itself: DNS, a node, the control plane. Each has several ways to be broken, and
a learner gets one of them.
"""

import random
from typing import Any

from course.checks import Look, Points, Rule, Seen, contains, point
from course.tasks import Exercise, Values
from course.tasks.objects import Object, config, deployment, many, namespace, of, on, ready, service, within

_NAMESPACES = (
    "image",
    "key",
    "memory",
    "spread",
    "deaf",
    "wall",
    "none",
    "claim",
    "robot",
    "names",
    "node",
    "plane",
)
"""Each task has a namespace; the value of that name is the namespace's."""
TOWNS = (
    *("aarhus", "bergen", "cadiz", "dover", "essen", "faro", "ghent", "hobart", "izmir", "jena", "kobe", "leeds"),
    *("malmo", "nantes", "oslo", "porto", "riga", "split", "turin", "umea", "vigo", "york"),
)
MOST_MEMORY = 512
"""Mi that a program which needs less than half of it may be given."""

# --- what may be broken in the cluster itself -----------------------------------------------------------------------
_DNS = "kubectl -n kube-system"
_COREFILE = (
    f"{_DNS} get configmap coredns -o yaml | sed 's/kubernetes {{0}} /kubernetes {{1}} /' | {_DNS} replace -f -; "
    f"{_DNS} delete pods -l k8s-app=kube-dns"
)
_DNS_FAULTS = (
    f"{_DNS} scale deployment coredns --replicas=0",
    f"{_DNS} set selector service kube-dns k8s-app=coredns",
    _COREFILE.format("cluster.local", "cluster.locale"),
)
_DNS_MENDED = (
    f"{_DNS} scale deployment coredns --replicas=2; {_DNS} set selector service kube-dns k8s-app=kube-dns; "
    + _COREFILE.format("cluster.locale", "cluster.local")
)
_NODE_FAULTS = (
    "systemctl disable --now containerd",
    "systemctl disable --now kubelet",
    "sed -i 's#pki/ca.crt#pki/ca.cert#' /var/lib/kubelet/config.yaml; systemctl restart kubelet",
    "sed -i 's/:6443/:6444/' /etc/kubernetes/kubelet.conf; systemctl restart kubelet",
)
_NODE_MENDED = (
    "sed -i 's#pki/ca.cert#pki/ca.crt#' /var/lib/kubelet/config.yaml; "
    "sed -i 's/:6444/:6443/' /etc/kubernetes/kubelet.conf; "
    "systemctl enable --now containerd; systemctl enable kubelet; systemctl restart kubelet"
)
_MANIFESTS = "/etc/kubernetes/manifests"
_PLANE_FAULTS = {
    "kube-scheduler": ("- kube-scheduler$", "- kube-schedular"),
    "kube-controller-manager": ("--kubeconfig=.*", "--kubeconfig=/etc/kubernetes/controller-manager.config"),
}
_PLANE_MENDED = (
    f"sed -i 's/- kube-schedular$/- kube-scheduler/' {_MANIFESTS}/kube-scheduler.yaml; "
    f"sed -i 's/manager.config/manager.conf/' {_MANIFESTS}/kube-controller-manager.yaml"
)


def values(draw: random.Random) -> Values:
    """Names, numbers and faults that differ from learner to learner."""
    component, (right, wrong) = draw.choice(sorted(_PLANE_FAULTS.items()))
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
        dns_fault=draw.choice(_DNS_FAULTS),
        node_fault=draw.choice(_NODE_FAULTS),
        component=component,
        plane_fault=f"sed -i 's#{right}#{wrong}#' {_MANIFESTS}/{component}.yaml",
    )


_ONCE = "wget -T 2 -qO- http://$TARGET > /dev/null && echo got it || echo no answer"
_ASK = f"while true; do {_ONCE}; sleep 20; done"
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
        _SHARE,
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
        look.exec(asker[0], "main", "sh", "-c", f"{_ONCE}") if asker else "",
        contains("got it"),
        f"kubectl exec -n {v.names} deployment/asker -- sh -c '{_ONCE}'",
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


# --- beginnings -----------------------------------------------------------------------------------------------------
_SHARE = {"requests.cpu": "500m", "requests.memory": "1Gi"}


def _asker(target: str, name: str = "asker", **labels: str) -> Object:
    command, env = ["sh", "-c", _ASK], [{"name": "TARGET", "value": target}]
    made = deployment(name, 1, "busybox", command=command, env=env)
    made["spec"]["template"]["metadata"]["labels"].update(labels)
    return made


def _begin(space: str, *objects: Object) -> str:
    return many(namespace(space), *within(space, *objects))


def _key(v: Values) -> str:
    reference = {"configMapKeyRef": {"name": "settings", "key": "color"}}
    program = deployment(
        v.app,
        1,
        "busybox",
        command=["sh", "-c", "echo painting in $COLOUR; exec sleep 86400"],
        env=[{"name": "COLOUR", "valueFrom": reference}],
    )
    return _begin(v.key, config("settings", {"colour": v.shade}), program)


def _memory(v: Values) -> str:
    size = {"memory": "64Mi"}
    program = deployment(v.app, 1, resources={"requests": size, "limits": size})
    behaviour = f"memory={v.need}Mi, log=I hold {v.need}Mi"
    program["spec"]["template"]["metadata"]["annotations"] = {"simulator/behaviour": behaviour}
    return _begin(v.memory, program)


def _spread(v: Values) -> str:
    apart = {"labelSelector": {"matchLabels": {"app": v.app}}, "topologyKey": "kubernetes.io/hostname"}
    affinity = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [apart]}}
    return _begin(v.spread, deployment(v.app, 3, pod_spec={"affinity": affinity}))


def _deaf(v: Values) -> str:
    probe = {"httpGet": {"path": "/healthz", "port": 80}, "periodSeconds": 5}
    return _begin(v.deaf, deployment(v.db, 2, readinessProbe=probe), service(v.db, target=8080), _asker(v.db))


def _wall(v: Values) -> str:
    door = {"from": [{"podSelector": {"matchLabels": {"role": "front"}}}]}
    spec = {"podSelector": {"matchLabels": {"app": v.db}}, "ingress": [door]}
    policy = of("networking.k8s.io/v1", "NetworkPolicy", v.db, spec=spec)
    askers = _asker(v.db, role="frontend"), _asker(v.db, "stranger")
    return _begin(v.wall, deployment(v.db, 1), service(v.db), policy, *askers)


def _claim(v: Values) -> str:
    stores = of("storage.k8s.io/v1", "StorageClass", v.disk, provisioner="rancher.io/local-path")
    stores["volumeBindingMode"] = "WaitForFirstConsumer"
    spec: Object = {"storageClassName": f"{v.disk}-disk", "accessModes": ["ReadWriteOnce"]}
    spec["resources"] = {"requests": {"storage": "1Gi"}}
    volume = {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}
    program = deployment(v.db, 1, pod_spec={"volumes": [volume]}, volumeMounts=[{"name": "data", "mountPath": "/data"}])
    return many(
        namespace(v.claim), stores, *within(v.claim, of("v1", "PersistentVolumeClaim", "data", spec=spec), program)
    )


def _robot(v: Values) -> str:
    rules = [{"apiGroups": [""], "resources": ["pod"], "verbs": ["get", "list"]}]
    group = "rbac.authorization.k8s.io"
    binding = {
        "roleRef": {"apiGroup": group, "kind": "Role", "name": "reader"},
        "subjects": [{"kind": "ServiceAccount", "name": "robot", "namespace": "default"}],
    }
    return _begin(
        v.robot,
        of("v1", "ServiceAccount", "robot"),
        of(f"{group}/v1", "Role", "reader", rules=rules),
        of(f"{group}/v1", "RoleBinding", "reader", **binding),
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
        begin=lambda v: _begin(v.image, deployment(v.app, v.few, v.misspelt)),
    ),
    "key": Exercise(key, owns=("namespaces/{key}",), begin=_key),
    "memory": Exercise(memory, owns=("namespaces/{memory}",), begin=_memory, age="1m"),
    "spread": Exercise(
        spread,
        owns=("namespaces/{spread}",),
        begin=_spread,
        mended=(("cp", "kubectl taint node cp node-role.kubernetes.io/control-plane:NoSchedule --overwrite"),),
    ),
    "deaf": Exercise(deaf, owns=("namespaces/{deaf}",), begin=_deaf, age="30s"),
    "wall": Exercise(wall, owns=("namespaces/{wall}",), begin=_wall, age="30s"),
    "none": Exercise(
        none,
        owns=("namespaces/{none}",),
        begin=lambda v: _begin(
            v.none, of("v1", "ResourceQuota", "share", spec={"hard": _SHARE}), deployment(v.app, v.few)
        ),
    ),
    "claim": Exercise(
        claim, owns=("namespaces/{claim}", "storageclasses/{disk}", "storageclasses/{disk}-disk"), begin=_claim
    ),
    "robot": Exercise(robot, owns=("namespaces/{robot}",), begin=_robot),
    "names": Exercise(
        names,
        owns=("namespaces/{names}",),
        begin=lambda v: _begin(v.names, deployment(v.db, 1), service(v.db), _asker(v.db)),
        typed=(("cp", "{dns_fault}"),),
        mended=(("cp", _DNS_MENDED),),
        age="1m",
    ),
    "node": Exercise(
        node,
        owns=("namespaces/{node}",),
        begin=lambda v: _begin(v.node, deployment(v.app, v.few, pod_spec=on(v.place))),
        typed=(("{place}", "{node_fault}"),),
        mended=(("{place}", _NODE_MENDED),),
        age="1m",
    ),
    "plane": Exercise(
        plane,
        owns=("namespaces/{plane}",),
        begin=lambda v: _begin(v.plane, deployment(v.app, v.few)),
        typed=(("cp", "{plane_fault}; sleep 30"),),
        mended=(("cp", f"{_PLANE_MENDED}; sleep 40"),),
    ),
}
