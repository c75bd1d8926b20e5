"""The objects that tasks begin with, each kind written once, and what checks ask of them again and again."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from course.checks import Look, Point, Rule, Seen, point

Object = dict[str, Any]


def of(version: str, kind: str, name: str, **fields: Any) -> Object:
    """An object with a name; `fields` stand beside its metadata."""
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, **fields}


def pod(called: str, image: str = "nginx", *, spec: Object | None = None, **container: Any) -> Object:
    """A Pod with the label app. It has one container, `main`, unless its `spec` brings others."""
    made = of("v1", "Pod", called, spec={"containers": [{"name": "main", "image": image, **container}], **(spec or {})})
    made["metadata"]["labels"] = {"app": called}
    return made


def deployment(
    name: str, replicas: int, image: str = "nginx", *, pod_spec: Object | None = None, **container: Any
) -> Object:
    """A Deployment of such Pods."""
    template = pod(name, image, spec=pod_spec, **container)
    labels = template["metadata"]["labels"]
    spec = {
        "replicas": replicas,
        "selector": {"matchLabels": dict(labels)},
        "template": {"metadata": {"labels": dict(labels)}, "spec": template["spec"]},
    }
    made = of("apps/v1", "Deployment", name, spec=spec)
    made["metadata"]["labels"] = dict(labels)
    return made


def service(name: str, port: int = 80, target: int = 80) -> Object:
    """A Service for the Pods with the label app."""
    return of("v1", "Service", name, spec={"selector": {"app": name}, "ports": [{"port": port, "targetPort": target}]})


def config(name: str, data: dict[str, str]) -> Object:
    return of("v1", "ConfigMap", name, data=data)


def client(name: str, **spec: Any) -> Object:
    """A Pod that waits to be asked for something."""
    return pod(name, "busybox", spec=spec, command=["sleep", "86400"])


def namespace(name: str) -> Object:
    return of("v1", "Namespace", name)


def within(namespace: str, *objects: Object) -> list[Object]:
    """The same objects in a namespace."""
    return [{**each, "metadata": {**each["metadata"], "namespace": namespace}} for each in objects]


def many(*objects: Object) -> str:
    """Objects as the manifest that a task begins with."""
    return json.dumps(objects[0] if len(objects) == 1 else {"apiVersion": "v1", "kind": "List", "items": objects})


def on(node: str) -> Object:
    """The part of a Pod's spec that brings it to a node."""
    return {"nodeSelector": {"kubernetes.io/hostname": node}}


def owner(thing: Seen) -> str:
    """Whom it belongs to, as "ReplicaSet web", or "nobody"."""
    found = thing["metadata.ownerReferences[0]"]
    return f"{found['kind']} {found['name']}" if found else "nobody"


def ready(pod: Seen) -> bool:
    """Whether a Pod is ready and is not about to go."""
    return pod["status.conditions[type=Ready].status"] == "True" and not pod["metadata.deletionTimestamp"]


def endpoints(see: Look, service: str) -> list[str]:
    """The addresses behind a Service that are ready."""
    slices = see.list("endpointslices.discovery.k8s.io", f"kubernetes.io/service-name={service}")
    found = [each for piece in slices for each in piece["endpoints"] or []]
    return [a for each in found if each.get("conditions", {}).get("ready") for a in each["addresses"]]


def answer(what: str, told: Any, right: Any, command: str, *, why: str, untold: str) -> Point:
    """A point about what a learner says. A wrong answer is told `untold`, and not the right one, which is theirs to
    find. `right` is a value or a Rule."""
    said = str("" if told is None else told).strip()
    holds = bool(said) and (right.holds(said) if isinstance(right, Rule) else right is not None and said == str(right))
    return point(what, said, Rule(said if holds else untold, lambda value: holds), command, why=why)


def choices(
    said: Seen, asked: Mapping[str, str], known: Mapping[str, str], command: str, *, why: str, untold: str
) -> Iterator[Point]:
    """A point for each thing that was asked: `asked` are {key of the answer: text}, `known` {text: right answer}."""
    for key, text in asked.items():
        what = f"{key}: {re.sub('[`*]', '', text)}"
        yield answer(what, said[f"data.{key}"], known[text], command, why=why, untold=untold)
