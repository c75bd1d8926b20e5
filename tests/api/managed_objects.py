"""Objects with managedFields, made as a server makes them, and what these say."""

from typing import Any

import orjson

from k8s_core.api import Object, managedfields
from k8s_core.api.schema import Type, load

SCHEMA = load()
DEPLOYMENT = SCHEMA.kind("apps", "v1", "Deployment")
POD = SCHEMA.kind("", "v1", "Pod")
CONFIG_MAP = SCHEMA.kind("", "v1", "ConfigMap")
SERVICE = SCHEMA.kind("", "v1", "Service")
T0, T1, T2 = (f"2026-01-01T00:00:0{i}Z" for i in range(3))


def copy(obj: Object) -> Any:
    return orjson.loads(orjson.dumps(obj))


def config_map(data: dict[str, str], **metadata: Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "settings", "namespace": "default", **metadata},
        "data": data,
    }


def deployment(*containers: Object, **spec: Any) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "app", "namespace": "default"},
        "spec": {
            "selector": {"matchLabels": {"app": "app"}},
            "template": {"metadata": {"labels": {"app": "app"}}, "spec": {"containers": list(containers)}},
            **spec,
        },
    }


def created(obj: Object, type: Type, manager: str = "kubectl-create", now: str = T0) -> Object:
    stored: Object = copy(obj)
    stored["metadata"]["uid"] = "u"
    stored["metadata"]["managedFields"] = managedfields.update(None, obj, type, manager, now)
    return stored


def updated(old: Object, new: Object, type: Type, manager: str, now: str, subresource: str = "") -> Object:
    entries = managedfields.update(old, new, type, manager, now, subresource)
    return {**new, "metadata": {**new["metadata"], "managedFields": entries}}


def fields(obj: Object, manager: str) -> Any:
    return next(e["fieldsV1"] for e in obj["metadata"]["managedFields"] if e["manager"] == manager)


def managers(obj: Object) -> list[str]:
    return [f"{e['manager']}:{e['operation']}" for e in obj["metadata"].get("managedFields", [])]
