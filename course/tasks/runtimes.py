"""Chapter 02: container runtimes. Containers by their ids, the tool for each job, a kubelet without a runtime."""

import random

from course.checks import Look, Points, Rule, point
from course.tasks import Exercise, Values, objects

JOBS = {
    "On a node with CRI-O you want to see which containers run": "crictl",
    "The apiserver does not answer, and you want the log of its container on the node": "crictl",
    "You want the log of a Pod, and all is well with the cluster": "kubectl",
    "On a node with containerd you want to try out an image, with `run` and `--rm`, beside Kubernetes": "nerdctl",
    "On a node with containerd you want to build an image from a Dockerfile": "nerdctl",
    "You want to see which namespaces containerd itself has": "ctr",
    "On your own machine, where dockerd runs, you want to see its containers": "docker",
}
"""The tool for the job; `docker` where Docker's own containers are meant."""
_SOCKET, _OLD = "unix:///run/containerd/containerd.sock", "unix:///var/run/dockershim.sock"
_FLAGS = "/var/lib/kubelet/kubeadm-flags.env"
_LEAST = 10
"""So many letters of an id are enough."""


def values(draw: random.Random) -> Values:
    """Names and numbers that differ from learner to learner."""
    first, second = draw.sample(("front", "cache", "queue", "mirror"), 2)
    place, other = draw.sample(("worker1", "worker2"), 2)
    return Values(
        pod=draw.choice(("kiosk", "studio", "depot")),
        first=first,
        second=second,
        place=place,
        stray=draw.choice(("nomad", "drifter", "pilgrim")),
        **{f"job{number}": text for number, text in enumerate(_jobs(draw), 1)},
        lost=other,
        wish=draw.choice(("press", "mill", "kiln")),
    )


def _jobs(draw: random.Random) -> list[str]:
    """Three jobs for three different tools."""
    tools = draw.sample(sorted(set(JOBS.values())), 3)
    return [draw.choice([job for job, tool in JOBS.items() if tool == each]) for each in tools]


def restarted(see: Look, v: Values) -> Points:
    pod = see.get("pods", "duo")
    helper = pod["status.containerStatuses[name=helper]"] or {}
    yield point(
        "the container helper was ended, and the kubelet has started it again",
        helper.get("restartCount", 0) if pod else None,
        Rule("at least 1 restart", lambda value: isinstance(value, int) and value > 0),
        "kubectl get pod duo -o yaml",
        why="crictl stop ends a container by its id. The kubelet sees it within a second.",
    )


def ids(see: Look, v: Values) -> Points:
    said = see.get("configmaps", "ids")
    pod = see.get("pods", v.pod)
    for name in (v.first, v.second):
        whole = str(pod[f"status.containerStatuses[name={name}].containerID"] or "").rpartition("/")[2]
        yield objects.answer(
            f"{name}: its id",
            str(said[f"data.{name}"] or "").rpartition("/")[2],
            Rule("", lambda value, whole=whole: len(value) >= _LEAST and whole.startswith(value)),  # type: ignore[misc]
            f"kubectl get pod {v.pod} -o yaml",
            untold=f"the id of that container, its first {_LEAST} letters or more",
            why="crictl ps --pod lists the containers of one Pod. A container that was started again has a new id.",
        )
    yield objects.answer(
        "stray: the container that belongs to no Pod",
        said["data.stray"],
        v.stray,
        "kubectl get configmap ids -o yaml",
        untold="another name",
        why="CRI does not show it, and it is not in the namespace k8s.io. Where else does containerd keep containers?",
    )


def tools(see: Look, v: Values) -> Points:
    yield from objects.choices(
        see.get("configmaps", "tools"),
        {"first": v.job1, "second": v.job2, "third": v.job3},
        JOBS,
        "kubectl get configmap tools -o yaml",
        why="Whom do you have to ask: the apiserver, any CRI runtime, containerd itself, or dockerd?",
        untold="another tool (try it on a node)",
    )


def socket(see: Look, v: Values) -> Points:
    places = [pod["spec.nodeName"] for pod in see.list("pods", f"app={v.wish}") if objects.ready(pod)]
    yield point(
        f"a Pod of {v.wish} is ready on {v.lost}",
        places or "none is ready",
        Rule(v.lost, lambda value: value == [v.lost]),
        f"kubectl get pods -l app={v.wish} -o wide",
        worth=2,
        why="The Pod has its node. Why does nobody start it there? Read the log of that node's kubelet.",
    )
    node = see.get("nodes", v.lost)
    status, runtime = node["status.conditions[type=Ready].status"], node["status.nodeInfo.containerRuntimeVersion"]
    yield point(
        f"{v.lost} is Ready, with containerd, and the Pod is there",
        [status, str(runtime or "no runtime").partition(":")[0], *(set(places) or ["no Pod"])],
        ["True", "containerd", v.lost],
        f"kubectl get node {v.lost} -o wide",
        worth=2,
        why="A kubelet without a runtime does not start. It must know the socket that containerd answers at.",
    )


def _kiosk(v: Values) -> str:
    containers = [
        {"name": v.first, "image": "nginx"},
        {"name": v.second, "image": "busybox", "command": ["sleep", "86400"]},
    ]
    return objects.many(objects.pod(v.pod, spec={**objects.on(v.place), "containers": containers}))


TASKS = {
    "restarted": Exercise(restarted),
    "ids": Exercise(
        ids,
        owns=("configmap/ids", "pods/{pod}"),
        begin=_kiosk,
        typed=(("{place}", "nerdctl inspect {stray} || nerdctl run -d --name {stray} nginx"),),
    ),
    "tools": Exercise(tools, owns=("configmap/tools",)),
    "socket": Exercise(
        socket,
        owns=("deployment/{wish}", "pods/app={wish}"),
        begin=lambda v: objects.many(objects.deployment(v.wish, 1, pod_spec=objects.on(v.lost))),
        typed=(("{lost}", f"sed -i s,{_SOCKET},{_OLD}, {_FLAGS}; systemctl restart kubelet"),),
        mended=(("{lost}", f"sed -i s,{_OLD},{_SOCKET}, {_FLAGS}; systemctl restart kubelet"),),
    ),
}
