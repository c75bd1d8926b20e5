"""What a Pod's status says, made from what the kubelet knows of its containers.

Stands for pkg/kubelet/kubelet_pods.go (generateAPIPodStatus, getPhase) and pkg/kubelet/status/generate.go. Pure
functions: state in, status out; the worker decides when to write it.
"""

from datetime import UTC, datetime
from functools import lru_cache

from k8s_core.api import Object
from k8s_core.kubelet.container import EXITED, RUNNING, Container
from k8s_core.kubelet.container_state import ContainerState

OWN_CONDITIONS = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")


def stamp(seconds: float) -> str:
    """A metav1.Time."""
    return _stamp(int(seconds))


@lru_cache(4096)
def _stamp(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def restartable(container: Object) -> bool:
    """Whether an init container is a sidecar."""
    return container.get("restartPolicy") == "Always"


def restarts(container: Object, spec: Object, exit_code: int) -> bool:
    """Whether a container of a Pod that has ended so is started again: by its rules, its policy, or the Pod's."""
    for rule in container.get("restartPolicyRules") or ():
        codes = rule.get("exitCodes") or {}
        if (exit_code in (codes.get("values") or ())) == (codes.get("operator") == "In"):
            return bool(rule["action"] == "Restart")
    policy = container.get("restartPolicy") or spec.get("restartPolicy", "Always")
    return bool(policy == "Always" or (policy == "OnFailure" and exit_code))


def terminated(container: Container, runtime: str) -> Object:
    """ContainerStateTerminated of a run that has ended."""
    state: Object = {
        "containerID": f"{runtime}://{container.id}",
        "exitCode": container.exit_code,
        "finishedAt": stamp(container.finished),
        "reason": container.reason,
        "startedAt": stamp(container.started),
    }
    if container.message:
        state["message"] = container.message
    return state


def container_status(spec: Object, state: ContainerState, *, fake: bool, initializing: bool, is_init: bool) -> Object:
    """The entry of one container in containerStatuses."""
    runtime = "fakeRuntime" if fake else "containerd"
    current = state.current
    status: Object = {"name": spec["name"], "restartCount": state.restarts, "lastState": {}}
    if state.previous:
        status["lastState"] = {"terminated": terminated(state.previous, runtime)}
    if current:
        image = current.config.image
        status["containerID"] = f"{runtime}://{current.id}"
        status["image"] = image.reference if fake else image.name
        status["imageID"] = image.reference if fake else image.id
    else:
        status["image"], status["imageID"] = spec["image"], ""
    if current and current.state == RUNNING:
        status["state"] = {"running": {"startedAt": stamp(current.started)}}
    elif current and current.state == EXITED:
        ended = terminated(current, runtime)
        if state.waiting:
            status["state"], status["lastState"] = {"waiting": waiting(*state.waiting)}, {"terminated": ended}
        else:
            status["state"] = {"terminated": ended}
    else:
        default = ("PodInitializing", "") if initializing else ("ContainerCreating", "")
        status["state"] = {"waiting": waiting(*(state.waiting or default))}
    running = bool(current and current.state == RUNNING)
    if fake:
        status["ready"] = True  # kubemark's prober manager says so of every container
    elif is_init and not restartable(spec):
        status["ready"] = bool(current and current.state == EXITED and current.exit_code == 0)
        status["started"] = running
    else:
        status["ready"], status["started"] = running and state.ready, running and state.started
    if current:
        status["resources"] = resources = dict(current.config.resources)
        if resources.get("requests"):
            status["allocatedResources"] = resources["requests"]
        if not fake and current.machine:
            groups = sorted({current.machine.gid, *current.config.groups})
            status["user"] = {
                "linux": {"gid": current.machine.gid, "supplementalGroups": groups, "uid": current.machine.uid}
            }
    mounts = [_mount(m) for m in spec.get("volumeMounts") or ()]
    if mounts:
        status["volumeMounts"] = mounts
    return status


def waiting(reason: str, message: str = "") -> Object:
    return {"message": message, "reason": reason} if message else {"reason": reason}


def _mount(mount: Object) -> Object:
    shown: Object = {"mountPath": mount["mountPath"], "name": mount["name"]}
    if mount.get("readOnly"):
        shown |= {"readOnly": True, "recursiveReadOnly": "Disabled"}
    return shown


def phase(spec: Object, inits: list[Object], mains: list[Object], *, terminal: bool) -> str:
    """The Pod's phase. `terminal`: its containers will not be started again, whatever the policy says."""
    pending = failed = 0
    hopeless = False
    for container, status in zip(spec.get("initContainers") or (), inits, strict=False):
        state, last = status["state"], status["lastState"].get("terminated")
        ended = state.get("terminated") or (last if "waiting" in state else None)
        if restartable(container):
            pending += int("waiting" in state and not last)
        elif "running" in state:
            pending += 1
        elif ended and ended["exitCode"]:
            failed += 1
            hopeless = hopeless or not restarts(container, spec, ended["exitCode"])
        else:
            pending += int("terminated" not in state)
    if hopeless:
        return "Failed"
    pending += failed
    count = {"running": 0, "waiting": 0, "stopped": 0, "succeeded": 0, "again": 0}
    for container, status in zip(spec["containers"], mains, strict=False):
        ended = status["state"].get("terminated") or (
            status["lastState"].get("terminated") if "waiting" in status["state"] else None
        )
        if "running" in status["state"]:
            count["running"] += 1
        elif ended:
            count["stopped"] += 1
            count["succeeded"] += int(ended["exitCode"] == 0)
            count["again"] += int(restarts(container, spec, ended["exitCode"]))
        else:
            count["waiting"] += 1
    if pending and not (count["running"] or count["stopped"]):
        return "Failed" if terminal else "Pending"
    if count["waiting"]:
        return "Failed" if terminal and not count["running"] else "Pending"
    if count["running"]:
        return "Running"
    if count["stopped"]:
        if count["again"] and not terminal:
            return "Running"
        return "Succeeded" if count["stopped"] == count["succeeded"] else "Failed"
    return "Pending"


def conditions(
    pod: Object,
    old: list[Object],
    inits: list[Object],
    mains: list[Object],
    *,
    phase: str,
    has_sandbox: bool,
    now: str,
) -> list[Object]:
    """The kubelet's conditions in its order, then those of others."""
    spec = pod["spec"]
    init_ready = _initialized(spec, inits, mains, phase)
    containers_ready = _containers_ready(spec, inits, mains, phase)
    ready = containers_ready
    if ready[0] == "True":
        known = {c["type"]: c["status"] for c in old}
        problems = []
        for gate in spec.get("readinessGates") or ():
            kind = gate["conditionType"]
            if kind not in known:
                problems.append(f'corresponding condition of pod readiness gate "{kind}" does not exist.')
            elif known[kind] != "True":
                problems.append(f'the status of pod readiness gate "{kind}" is not "True", but {known[kind]}')
        if problems:
            ready = ("False", "ReadinessGatesNotReady", ", ".join(problems))
    wanted = {
        "PodReadyToStartContainers": ("True" if has_sandbox else "False", "", ""),
        "Initialized": init_ready,
        "Ready": ready,
        "ContainersReady": containers_ready,
        "PodScheduled": ("True", "", ""),
    }
    generation = pod["metadata"].get("generation")
    before = {condition["type"]: condition for condition in old}
    result = []
    for kind, (status, reason, message) in wanted.items():
        was = before.get(kind)
        since = was["lastTransitionTime"] if was and was["status"] == status else now
        condition: Object = {"type": kind, "status": status, "lastProbeTime": None, "lastTransitionTime": since}
        if generation:
            condition["observedGeneration"] = generation
        if reason:
            condition["reason"] = reason
        if message:
            condition["message"] = message
        result.append(condition)
    return result + [c for c in old if c["type"] not in wanted]


Verdict = tuple[str, str, str]


def _names(names: list[str]) -> str:
    return "[" + " ".join(names) + "]"


def _initialized(spec: Object, inits: list[Object], mains: list[Object], phase: str) -> Verdict:
    containers = spec.get("initContainers") or []
    if phase == "Succeeded":
        return "True", "PodCompleted", ""
    if any("running" in s["state"] or "terminated" in s["state"] or s["lastState"] for s in mains):
        return "True", "", ""
    incomplete = [
        c["name"]
        for c, s in zip(containers, inits, strict=False)
        if not (s.get("started", "running" in s["state"]) if restartable(c) else s["ready"])
    ]
    if incomplete:
        return "False", "ContainersNotInitialized", f"containers with incomplete status: {_names(incomplete)}"
    return "True", "", ""


def _containers_ready(spec: Object, inits: list[Object], mains: list[Object], phase: str) -> Verdict:
    if phase == "Succeeded":
        return "False", "PodCompleted", ""
    if phase == "Failed":
        return "False", "PodFailed", ""
    sidecars = [s for c, s in zip(spec.get("initContainers") or (), inits, strict=False) if restartable(c)]
    unready = [s["name"] for s in (*sidecars, *mains) if not s["ready"]]
    if unready:
        return "False", "ContainersNotReady", f"containers with unready status: {_names(unready)}"
    return "True", "", ""
