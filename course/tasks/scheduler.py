"""Chapter 06: kube-scheduler. Foretell a decision, place Pods by wishes, bind Pods by a rule of one's own, mend one."""

import json
import random

from course.checks import Look, Points, Rule, Seen, point
from course.tasks import Exercise, Values, objects

_WIDE = "kubectl get pods -o wide"
_CPU, _MEMORY = 4000, 8
"""Millicores and Gi that each node of the paper cluster has."""
_SCHEDULER, _KEPT = "the scheduler", "the taint"
_COUNT = 4
"""Pods that wait for the learner's own scheduler."""


def values(draw: random.Random) -> Values:
    """Names and numbers that differ from learner to learner."""
    names = draw.sample(("amber", "birch", "cedar", "dune", "ember", "fjord"), 3)
    cpu, memory = draw.choice((600, 800, 1000)), draw.choice((1, 2))
    rows = {  # requested cpu, requested memory, cpu in use: use points the wrong way
        names[0]: (draw.choice((3600, 3500)), 1, draw.choice((100, 150))),
        names[1]: (draw.choice((800, 1000, 1200)), draw.choice((1, 2)), draw.choice((2900, 3100))),
        names[2]: (draw.choice((2000, 2200, 2400)), draw.choice((4, 5)), draw.choice((400, 600))),
    }
    order = draw.sample(names, 3)
    strong = draw.choice(("worker1", "worker2"))
    closed = draw.choice(("worker1", "worker2"))
    power = draw.choice(((6, 3), (8, 3), (7, 4), (9, 4)))
    return Values(
        cpu=cpu,
        memory=memory,
        **{f"row{i}": _row(name, *rows[name]) for i, name in enumerate(order, 1)},
        pod=draw.choice(("index", "ledger", "archive")),
        disk=draw.choice(("fast", "nvme", "ssd")),
        fast=_other(closed),
        guard=draw.choice(("watchman", "sentry", "lookout")),
        mine=draw.choice(("my-scheduler", "hand-scheduler", "own-scheduler")),
        team=draw.choice(("rower", "runner", "diver")),
        power1=power[0] if strong == "worker1" else power[1],
        power2=power[0] if strong == "worker2" else power[1],
        stuck=draw.choice(("billing", "payroll", "invoices")),
        closed=closed,
        need=draw.choice((150, 200, 250)),
    )


def _row(name: str, cpu: int, memory: int, used: int) -> str:
    return f"| {name} | {_CPU}m | {cpu}m | {used}m | {_MEMORY}Gi | {memory}Gi |"


def foretold(v: Values) -> tuple[str, str, int]:
    """(the node that is filtered out, the one that wins, its score), computed from the table as it is shown."""
    scores: dict[str, int] = {}
    refused = ""
    for row in (v.row1, v.row2, v.row3):
        name, _, cpu, _, _, memory = row.strip("| ").split(" | ")
        left = _left(_CPU, int(cpu[:-1]), v.cpu), _left(_MEMORY, int(memory[:-2]), v.memory)
        if min(left) < 0:
            refused = name
        else:
            scores[name] = sum(left) // 2
    best = max(scores, key=lambda name: scores[name])
    return refused, best, scores[best]


def _left(capacity: int, requested: int, more: int) -> int:
    """What would be left of a resource, in percent."""
    return (capacity - requested - more) * 100 // capacity


def _other(worker: str) -> str:
    return "worker2" if worker == "worker1" else "worker1"


def _place(pod: Seen) -> str:
    """The node of a ready Pod, or why there is none."""
    if objects.ready(pod):
        return str(pod["spec.nodeName"])
    return f"a Pod that is not ready: {pod['status.phase']}" if pod else "no such Pod"


def _bound(see: Look, pod: Seen) -> str:
    """Who gave the Pod its node: the scheduler, if it was made without one and got it later.

    A real cluster does not show its past; there a Pod with a node counts.
    """
    if not pod["spec.nodeName"]:
        return "nobody: it has no node" if pod else "nobody: there is no such Pod"
    past, whole = see.versions("pods", pod["metadata.name"])
    mine = [each for each in past if each["metadata.uid"] == pod["metadata.uid"]]
    return _SCHEDULER if not whole or (mine and not mine[0]["spec.nodeName"]) else "you, with nodeName"


def _kept(see: Look, node: str, key: str, there: bool) -> str:
    """Whether the node still has the taint; before the Pod is there, that is no merit."""
    has = key in [taint["key"] for taint in see.get("nodes", node)["spec.taints"] or []]
    return (_KEPT if has else "no taint") + ("" if there else ", but the Pod is not there yet")


def number(wanted: int) -> Rule:
    """The text of this whole number."""
    return Rule(str(wanted), lambda value: isinstance(value, str) and value.strip() == str(wanted))


def there(see: Look, v: Values) -> Points:
    pod = see.get("pods", "picky")
    yield point("the Pod picky runs on worker2", _place(pod), "worker2", "kubectl get pod picky -o wide")
    yield point(
        "the scheduler has put it there",
        _bound(see, pod),
        _SCHEDULER,
        "kubectl describe pod picky",
        why="Leave nodeName out.",
    )


def predict(see: Look, v: Values) -> Points:
    said = see.get("configmaps", "forecast")
    refused, winner, score = foretold(v)
    get = "kubectl get configmap forecast -o yaml"
    yield objects.answer(
        "refused: the node that is filtered out",
        said["data.refused"],
        refused,
        get,
        untold="another node",
        why="What counts is allocatable less requested. What is in use just now, the scheduler does not know.",
    )
    yield objects.answer(
        "winner: the node with the higher score",
        said["data.winner"],
        winner,
        get,
        untold="another node",
        why="LeastAllocated likes the node of which most is left, counted by requests.",
    )
    yield objects.answer(
        "score: what NodeResourcesFit gives the winner",
        said["data.score"],
        number(score),
        get,
        untold="another number",
        why="The new Pod counts, too. Percent left of cpu, percent left of memory, each rounded down; then their mean, "
        "rounded down.",
    )


def place(see: Look, v: Values) -> Points:
    pod = see.get("pods", v.pod)
    get = f"kubectl get pod {v.pod} -o wide"
    wished = json.dumps([pod["spec.nodeSelector"], pod["spec.affinity.nodeAffinity"]])
    chance = _bound(see, pod) == _SCHEDULER and f'"{v.disk}"' not in wished
    yield point(
        f"the Pod {v.pod} runs on the node with the label disk={v.disk}, because it asks for that",
        _place(pod) + (", by chance: the Pod does not ask for the label" if chance else ""),
        v.fast,
        get,
        worth=2,
        why="kubectl get nodes -L disk shows which that is. A wish must say the label's key and value exactly.",
    )
    yield point(
        "the scheduler has put it there",
        _bound(see, pod),
        _SCHEDULER,
        f"kubectl describe pod {v.pod}",
        why="A Pod with nodeName never meets the scheduler: nobody asks whether it fits. Say what the node must have.",
    )


def guard(see: Look, v: Values) -> Points:
    pod = see.get("pods", v.guard)
    get = f"kubectl get pod {v.guard} -o wide"
    yield point(
        f"the Pod {v.guard} runs on cp",
        _place(pod),
        "cp",
        get,
        worth=2,
        why="It needs two things: a toleration lets it in, and a selector or an affinity brings it there.",
    )
    yield point(
        "the scheduler has put it there",
        _bound(see, pod),
        _SCHEDULER,
        f"kubectl describe pod {v.guard}",
        why="A Pod with nodeName goes past the scheduler. Leave it out.",
    )
    yield point(
        "cp still has its taint",
        _kept(see, "cp", "node-role.kubernetes.io/control-plane", _place(pod) == "cp"),
        _KEPT,
        "kubectl describe node cp",
        why="Without it every Pod may come. The Pod has to tolerate it instead.",
    )


def _rule(v: Values) -> dict[str, str]:
    """Where the learner's own rule puts each Pod."""
    power, found = {"worker1": v.power1, "worker2": v.power2}, dict[str, str]()
    for name in _team(v):
        score = {node: power[node] - 2 * list(found.values()).count(node) for node in power}
        found[name] = max(score, key=lambda node: score[node])
    return found


def _team(v: Values) -> list[str]:
    return [f"{v.team}-{number}" for number in range(1, _COUNT + 1)]


def pilot(see: Look, v: Values) -> Points:
    pods = [see.get("pods", name) for name in _team(v)]
    places = {pod["metadata.name"]: pod["spec.nodeName"] for pod in pods if pod["spec.nodeName"]}
    yield point(
        "all four Pods have a node",
        len(places),
        _COUNT,
        _WIDE,
        why=f"Nobody but you answers to the name {v.mine}. A node is given by a Binding.",
    )
    rule = _rule(v)
    wrong = next((name for name in rule if places.get(name) != rule[name]), "")
    yield point(
        "each is where the rule puts it",
        f"{wrong} on {places.get(wrong, 'no node')}" if wrong else "all four",
        Rule(f"another node for {wrong}" if wrong else "all four", lambda value: not wrong),
        _WIDE,
        worth=3,
        why="One Pod after another: filter, then score with the Pods that are already there, then bind.",
    )
    deleted = any(not each for name in _team(v) for each in see.versions("pods", name)[0])
    same = all(pod["spec.schedulerName"] == v.mine for pod in pods) and not deleted
    bound = "no Pod has a node yet" if not places else "the same Pods" if same else "other Pods"
    yield point(
        "they were bound, not made again",
        bound,
        "the same Pods",
        "kubectl get pods -o custom-columns=POD:.metadata.name,SCHEDULER:.spec.schedulerName,NODE:.spec.nodeName",
        why=f"The Pods wait for the scheduler {v.mine}, and were made without a node. A Binding gives them one.",
    )


def stuck(see: Look, v: Values) -> Points:
    pods = [pod for pod in see.list("pods", f"app={v.stuck}") if objects.ready(pod)]
    yield point(
        f"a Pod of {v.stuck} is ready on {v.closed}",
        [pod["spec.nodeName"] for pod in pods] or "none is ready",
        Rule(v.closed, lambda value: value == [v.closed]),
        f"kubectl describe pods -l app={v.stuck}",
        worth=2,
        why="FailedScheduling counts each reason: how many nodes it turned away. One reason gone, look again.",
    )
    yield point(
        f"{v.closed} is still kept for it",
        _kept(see, v.closed, "dedicated", bool(pods)),
        _KEPT,
        f"kubectl describe node {v.closed}",
        why="The taint keeps other Pods away. It is not the taint that is wrong: the Pod lacks the toleration.",
    )
    yield point(
        "it asks for as much cpu as was measured",
        pods[0]["spec.containers[0].resources.requests.cpu"] if pods else "no Pod of it is ready yet",
        f"{v.need}m",
        f"kubectl get deployment {v.stuck} -o yaml",
        why="An annotation says what was measured. A thousand millicores, 1000m, are one core.",
    )


def _waiting(v: Values) -> str:
    pods = [objects.pod(name, spec={"schedulerName": v.mine}) for name in _team(v)]
    for pod in pods:
        pod["metadata"]["labels"] = {"team": v.team}
    return objects.many(*pods)


def _stuck(v: Values) -> str:
    resources = {"requests": {"cpu": str(v.need), "memory": "64Mi"}}
    made = objects.deployment(v.stuck, 1, pod_spec=objects.on(v.closed), resources=resources)
    made["metadata"]["annotations"] = {"measured": f"{v.need} millicores, 64 MiB"}
    return objects.many(made)


def _inventory(v: Values) -> str:
    """What somebody wrote down about the machines."""
    data = {v.fast: f"a disk of the kind {v.disk}", v.closed: "a slow disk"}
    return objects.many(objects.config("inventory", data))


TASKS = {
    "there": Exercise(there, owns=("pods/picky",)),
    "predict": Exercise(predict, owns=("configmap/forecast",)),
    "place": Exercise(
        place,
        owns=("pods/{pod}", "configmap/inventory"),
        begin=_inventory,
        then=("label node {fast} disk={disk} --overwrite",),
    ),
    "guard": Exercise(
        guard,
        owns=("pods/{guard}",),
        mended=(("cp", "kubectl taint node cp node-role.kubernetes.io/control-plane=:NoSchedule --overwrite"),),
    ),
    "pilot": Exercise(
        pilot,
        owns=tuple(f"pods/{{team}}-{number}" for number in range(1, _COUNT + 1)),
        begin=_waiting,
        then=(
            "label node cp power=9 --overwrite",
            "label node worker1 power={power1} --overwrite",
            "label node worker2 power={power2} --overwrite",
        ),
    ),
    "stuck": Exercise(
        stuck,
        owns=("deployment/{stuck}",),
        begin=_stuck,
        then=("taint node {closed} dedicated={stuck}:NoSchedule --overwrite",),
    ),
}
