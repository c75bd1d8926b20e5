"""Chapter 07: the kubelet. A static Pod, a back-off explained, a program that wakes slowly, a node that is silent."""

import random

from course.checks import Look, Points, Rule, one_of, point
from course.tasks import Exercise, Values, objects

_NOT_UP = "no Pod stays up yet"
NOTICED = 20
"""Seconds in which a hang must be noticed."""


def values(draw: random.Random) -> Values:
    """Names and numbers that differ from learner to learner."""
    end = draw.randint(4, 7)
    home, place = draw.sample(("worker1", "worker2"), 2)
    return Values(
        home=home,
        hermit=draw.choice(("hermit", "beacon", "warden")),
        role=draw.choice(("watch", "signal", "guard")),
        crash=draw.choice(("printer", "scanner", "mailer")),
        code=draw.randint(3, 60),
        file=draw.choice(("letters", "orders", "labels")),
        end=end,
        wait=min(10 * 2 ** (end - 2), 300),
        slow=draw.choice(("atlas", "ledger", "mirror")),
        boot=draw.randint(25, 45),
        pinned=draw.choice(("press", "mill", "kiln")),
        place=place,
        count=draw.randint(2, 3),
        broken=draw.choice(_FAULTS),
    )


_CONFIG = "/var/lib/kubelet/config.yaml"
_FAULTS = (
    f"sed -i 's#pki/ca.crt#pki/kubelet-ca.crt#' {_CONFIG}",
    f"sed -i 's/^kind: .*/kind: KubeletConfig/' {_CONFIG}",
    "mv /etc/kubernetes/kubelet.conf /etc/kubernetes/kubelet.conf.old",
)
"""What may be wrong with a node's kubelet; its log tells each."""
_MENDED = (
    f"sed -i -e 's#pki/kubelet-ca.crt#pki/ca.crt#' -e 's/^kind: .*/kind: KubeletConfiguration/' {_CONFIG}; "
    "[ -e /etc/kubernetes/kubelet.conf ] || mv /etc/kubernetes/kubelet.conf.old /etc/kubernetes/kubelet.conf; "
    "systemctl restart kubelet"
)


def asked(see: Look, v: Values) -> Points:
    pod = see.get("pods", "asked")
    probe = "spec.containers[0].readinessProbe"
    get = "kubectl get pod asked -o yaml"
    yield point("it is asked by HTTP, on port 80", pod[f"{probe}.httpGet.port"], 80, get)
    yield point("every 5 seconds", pod[f"{probe}.periodSeconds"] if pod[probe] else None, 5, get)
    yield point(
        "it is ready",
        objects.ready(pod) if pod[probe] else "it is not asked yet",
        True,
        "kubectl describe pod asked",
        why="A Pod is ready when the probe gets a yes: a code from 200 to 399.",
    )


def static(see: Look, v: Values) -> Points:
    name = f"{v.hermit}-{v.home}"
    pod = see.get("pods", name)
    get = f"kubectl get pod {name} -o yaml"
    others = [other for each in see.list("pods") if v.hermit in (other := str(each["metadata.name"]))]
    yield point(
        f"{name} runs on {v.home}",
        [pod["spec.nodeName"], pod["status.phase"]]
        if pod
        else f"no such Pod, but {', '.join(others)}"
        if others
        else None,
        Rule(f"{v.home}, Running", lambda value: value == [v.home, "Running"]),
        f"kubectl get pod {name} -o wide",
        why="The kubelet looks into /etc/kubernetes/manifests of its node, and puts the node's name behind the Pod's. "
        "What it cannot read it passes over.",
    )
    yield point(
        "it comes from a file of the node",
        pod["metadata.annotations"]["kubernetes.io/config.source"]
        if "kubernetes.io/config.source" in (pod["metadata.annotations"] or {})
        else "the apiserver"
        if pod
        else None,
        "file",
        get,
        why="What you send to the apiserver is an ordinary Pod. Without an apiserver it would not be there.",
    )
    yield point(
        f"it has the label role={v.role}",
        pod["metadata.labels.role"] if pod["spec.nodeName"] == v.home else None,
        v.role,
        f"kubectl get pod {name} --show-labels",
        why="The mirror Pod shows the labels that stand in the file.",
    )


def crash(see: Look, v: Values) -> Points:
    said = see.get("configmaps", "report")
    get = "kubectl get configmap report -o yaml"
    pod = f"kubectl get pod {v.crash} -o yaml"
    yield objects.answer(
        "code: with what its program ends",
        said["data.code"],
        v.code,
        pod,
        untold="another number",
        why="lastState.terminated of the container's status has the exit code of the run before.",
    )
    yield objects.answer(
        "file: what it misses",
        str(said["data.file"] or "").rsplit("/", 1)[-1],
        v.file,
        untold="another file",
        command=f"kubectl logs {v.crash} --previous",
        why="A program that fails mostly says why. Read the last line.",
    )
    yield objects.answer(
        f"wait: the seconds after end number {v.end}",
        said["data.wait"],
        one_of(str(v.wait), f"{v.wait}s"),
        get,
        untold="another number (count the ends)",
        why="None after the first end, 10 after the second. Then it doubles, up to 300.",
    )


def slow(see: Look, v: Values) -> Points:
    pods = [pod for pod in see.list("pods", f"app={v.slow}") if pod["metadata.ownerReferences[0].kind"] == "ReplicaSet"]
    steady = [pod for pod in pods if objects.ready(pod) and pod["status.containerStatuses[0].restartCount"] == 0]
    yield point(
        f"a Pod of {v.slow} is ready, and was never started again",
        [f"{pod['status.containerStatuses[0].restartCount']} restarts" for pod in pods if objects.ready(pod)]
        or "none is ready",
        Rule("one that is ready, with 0 restarts", lambda value: "0 restarts" in value),
        f"kubectl get pods -l app={v.slow}",
        worth=2,
        why=f"It needs {v.boot} seconds. Who kills it before, and after how many failures?",
    )
    container = steady[0]["spec.containers[0]"] if steady else {}
    probe = container.get("livenessProbe") or {}
    yield point(
        "its liveness is still asked",
        sorted(probe.keys() & {"httpGet", "tcpSocket", "exec", "grpc"}) if steady else _NOT_UP,
        Rule("httpGet", lambda value: value == ["httpGet"]),
        f"kubectl get deployment {v.slow} -o yaml",
        why="Without a liveness probe nobody notices when the program hangs.",
    )
    first = 0 if container.get("startupProbe") else max(probe.get("initialDelaySeconds", 0) - v.boot, 0)
    yield point(
        f"a hang is noticed within {NOTICED} seconds",
        first + probe.get("periodSeconds", 0) * probe.get("failureThreshold", 0)
        if probe
        else None
        if steady
        else _NOT_UP,
        Rule(f"at most {NOTICED}", lambda value: isinstance(value, int) and value <= NOTICED),
        f"kubectl get deployment {v.slow} -o yaml",
        why="That is periodSeconds times failureThreshold. Time to start belongs into a startup probe.",
    )


def dark(see: Look, v: Values) -> Points:
    pods = [pod for pod in see.list("pods", f"app={v.pinned}") if objects.ready(pod)]
    yield point(
        f"{v.count} Pods of {v.pinned} are ready on {v.place}",
        [pod["spec.nodeName"] for pod in pods] or "none is ready",
        Rule(f"{v.count} times {v.place}", lambda value: value == [v.place] * v.count),
        f"kubectl get pods -l app={v.pinned} -o wide",
        worth=3,
        why="Have the Pods a node? Then ask that node what its kubelet does, and read the kubelet's log.",
    )
    there = {pod["spec.nodeName"] for pod in pods} == {v.place}
    ready = str(see.get("nodes", v.place)["status.conditions[type=Ready].status"])
    yield point(
        f"{v.place} is Ready, and takes Pods",
        ready if there else f"{ready}, and no Pods there",
        "True",
        f"kubectl get node {v.place}",
        why="The machine is needed. Its kubelet must run, and the node must take Pods.",
    )


def _crash(v: Values) -> str:
    script = f"echo starting; sleep 2; echo cannot open /data/{v.file}: no such file; exit {v.code}"
    return objects.many(objects.pod(v.crash, "busybox", spec=objects.on(v.home), command=["sh", "-c", script]))


def _slow(v: Values) -> str:
    script = f"echo reading; sleep {v.boot}; echo ready; exec nginx -g 'daemon off;'"
    probe = {"httpGet": {"path": "/", "port": 80}, "periodSeconds": 5, "failureThreshold": 3}
    main: objects.Object = {"command": ["sh", "-c", script], "livenessProbe": probe, "readinessProbe": probe}
    return objects.many(objects.deployment(v.slow, 1, pod_spec=objects.on(v.home), **main))


def _pinned(v: Values) -> str:
    return objects.many(objects.deployment(v.pinned, v.count, pod_spec=objects.on(v.place)))


TASKS = {
    "asked": Exercise(asked, owns=("pods/asked",)),
    "static": Exercise(
        static, owns=("pods/{hermit}-{home}",), mended=(("{home}", "rm -f /etc/kubernetes/manifests/*"),)
    ),
    "crash": Exercise(crash, owns=("configmap/report", "pods/{crash}"), begin=_crash, age="1m"),
    "slow": Exercise(slow, owns=("deployment/{slow}", "pods/app={slow}"), begin=_slow),
    "dark": Exercise(
        dark,
        owns=("deployment/{pinned}", "pods/app={pinned}"),
        begin=_pinned,
        typed=(("{place}", "{broken}; systemctl restart kubelet"),),
        mended=(("{place}", _MENDED),),
    ),
}
