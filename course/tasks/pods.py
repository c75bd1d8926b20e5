"""Chapter 09: Pods. Four mandatory fields, a helper container, init containers, and a Pod that crashes."""

import random
from typing import Any

from course.checks import Look, Points, Rule, Seen, contains, point, present, same_items
from course.status import pod_status
from course.tasks import Exercise, Values, objects

_APPS = (
    # the Pod's name, the variable it wants, the variable's value
    ("orders", "DB_HOST", "db.shop.internal"),
    ("mailer", "SMTP_HOST", "smtp.post.internal"),
    ("search", "INDEX_HOST", "index.data.internal"),
    ("billing", "LEDGER_HOST", "ledger.bank.internal"),
)
_INIT = (("fetch", "unpack"), ("migrate", "seed"), ("clone", "build"), ("render", "verify"))


def values(draw: random.Random) -> Values:
    """Names and images that differ from learner to learner."""
    first, second = draw.choice(_INIT)
    broken, setting, address = draw.choice(_APPS)
    return Values(
        pod=draw.choice(("front", "shop", "portal", "desk")),
        container=draw.choice(("server", "main", "site")),
        image=draw.choice(("nginx:1.27", "nginx:1.28", "httpd:2.4", "redis:7.4")),
        key=draw.choice(("tier", "team", "stage")),
        value=draw.choice(("blue", "green", "amber", "violet")),
        pair=draw.choice(("pair", "duo", "twins")),
        word=draw.choice(("heron", "otter", "badger", "lynx", "marten")) + str(draw.randint(10, 99)),
        batch=draw.choice(("batch", "import", "nightly")),
        first=first,
        second=second,
        broken=broken,
        setting=setting,
        address=address,
    )


def fields(see: Look, v: Values) -> Points:
    pod = see.get("pods", v.pod)
    get = f"kubectl get pod {v.pod}"
    yield point(
        "the Pod runs",
        _status(pod),
        "Running",
        get,
        why="Its name stands in metadata.name, and it belongs in the namespace default.",
    )
    yield point(
        "its container has the right name",
        pod["spec.containers[*].name"],
        [v.container],
        f"{get} -o jsonpath='{{.spec.containers[*].name}}'",
        why="kubectl run names the container like the Pod. A manifest may name it as it likes.",
    )
    yield point(
        "its container has the right image",
        pod["spec.containers[*].image"],
        [v.image],
        f"{get} -o jsonpath='{{.spec.containers[*].image}}'",
        why="Without a tag an image means :latest, which is another image tomorrow.",
    )
    yield point(
        f"it has the label {v.key}",
        pod[f"metadata.labels[{v.key}]"],
        v.value,
        f"{get} --show-labels",
        why="Labels stand under metadata.labels. Annotations look alike, but nothing can select them.",
    )


def sidecar(see: Look, v: Values) -> Points:
    pod = see.get("pods", v.pair)
    get = f"kubectl get pod {v.pair}"
    exec_ = f"kubectl exec {v.pair} -c helper -- wget -qO- http://localhost"
    running = [s["name"] for s in pod["status.containerStatuses"] or [] if s.get("state", {}).get("running")]
    page = see.exec(v.pair, "helper", "wget", "-qO-", "http://localhost") if pod else None
    yield point(
        "one Pod has the containers web and helper",
        pod["spec.containers[*].name"],
        same_items(["web", "helper"]),
        f"{get} -o jsonpath='{{.spec.containers[*].name}}'",
        why="Two Pods share nothing. Two containers of one Pod share its network and its volumes.",
    )
    yield point(
        "both containers run",
        running,
        same_items(["web", "helper"]),
        get,
        why="A container lives as long as its first process. busybox without a command that stays ends at once.",
    )
    yield point(
        "helper reaches web at localhost",
        page,
        contains("html") if page and "html" in page else contains(v.word),
        exec_,
        why="The containers of a Pod have one network: what listens in one is at localhost for the other.",
    )
    yield point(
        "the page that web serves is the one that helper wrote",
        page,
        contains(v.word),
        exec_,
        why="Both containers must mount the same volume: web at /usr/share/nginx/html, helper where it writes.",
    )


def init(see: Look, v: Values) -> Points:
    pod = see.get("pods", v.batch)
    get = f"kubectl get pod {v.batch}"
    yield point(
        "two init containers stand in the right order",
        pod["spec.initContainers[*].name"],
        [v.first, v.second],
        f"{get} -o jsonpath='{{.spec.initContainers[*].name}}'",
        why="Init containers run one after another, in the order of the list.",
    )
    ended = pod["status.initContainerStatuses[*].state.terminated.reason"] or []
    yield point(
        "both have ended well",
        ended,
        ["Completed", "Completed"],
        f"kubectl describe pod {v.batch}",
        why="The next container starts only when the one before has ended with exit code 0.",
    )
    main = pod["status.containerStatuses[name=main].state.running.startedAt"]
    yield point(
        "then main runs",
        main if len(ended) == 2 else None,  # main alone, with nothing before it, is not the task
        present,
        get,
        why="The container main starts after the last init container and must stay.",
    )


def crash(see: Look, v: Values) -> Points:
    pod = see.get("pods", v.broken)
    get = f"kubectl get pod {v.broken}"
    status = _status(pod)
    up = status == "Running" and all(s.get("ready") for s in pod["status.containerStatuses"] or [])

    def once_up(observed: Any) -> Any:
        return observed if up else f"the Pod does not run: {status or 'there is none'}"

    yield point(
        "the Pod runs and stays up",
        "Running" if up else status,
        "Running",
        get,
        worth=2,
        why="The status is a symptom. What the container said before it died is the cause: kubectl logs --previous.",
    )
    yield point(
        f"its program has its setting {v.setting}",
        once_up(pod[f"spec.containers[0].env[name={v.setting}].value"]),
        v.address,
        f"{get} -o jsonpath='{{.spec.containers[0].env}}'",
        why="The program's last words tell which setting it misses, and its value.",
    )
    yield point(
        "it is still the same program",
        once_up(pod["spec.containers[0].command"]),
        _broken(v)["spec"]["containers"][0]["command"],
        f"{get} -o jsonpath='{{.spec.containers[0].command}}'",
        why="A Pod that does something else is not repaired. Give the program what it asks for.",
    )


def _status(pod: Seen) -> str | None:
    return pod_status(pod.object) if pod else None


def _broken(v: Values) -> dict[str, Any]:
    script = (
        f'echo "{v.broken} starts"; '
        f'if [ -z "${v.setting}" ]; then echo "fatal: {v.setting} is not set (use {v.address})" >&2; exit 1; fi; '
        f'echo "using ${v.setting}"; sleep 86400'
    )
    return objects.pod(v.broken, "busybox:1.37", name="app", command=["sh", "-c", script])


def first_pod(see: Look, v: Values) -> Points:
    mine = next(iter(see.list("pods", "app=mine")), Seen(None))
    get = "kubectl get pods -l app=mine"
    yield point(
        "a Pod has the label app=mine",
        mine["metadata.name"],
        Rule("a Pod, of any name", bool),
        get,
        why="A label is a key and a value under metadata.labels. Nothing here has it yet.",
    )
    yield point("it runs the image nginx", mine["spec.containers[*].image"], ["nginx"], f"{get} -o wide")
    yield point("it runs", _status(mine), "Running", get)


TASKS = {
    "first-pod": Exercise(first_pod),
    "fields": Exercise(fields, owns=("pods/{pod}",)),
    "sidecar": Exercise(sidecar, owns=("pods/{pair}",)),
    "init": Exercise(init, owns=("pods/{batch}",)),
    "crash": Exercise(crash, owns=("pods/{broken}",), begin=lambda v: objects.many(_broken(v))),
}
