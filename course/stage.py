"""What a task begins with, put into a cluster of this process, and taken away again.

The same as `kubectl create -f` and `kubectl delete --now` with many files, without a process for each. Objects that
are there already stay as they are; what is not there need not be deleted.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from k8s_core.api.errors import StatusError, is_already_exists, is_not_found
from k8s_core.client import Client

AGENT = "kubectl-create"
"""The field manager of what a task begins with, as if somebody had typed kubectl create."""
NOW = 1
"""Seconds of grace: kubectl's --now."""


def put(client: Client, manifest: str) -> None:
    """Create every object of a manifest in JSON, which may be a List. Raises StatusError for one that is refused."""
    found = json.loads(manifest)
    for item in found["items"] if found["kind"] == "List" else [found]:
        group, _, version = str(item["apiVersion"]).rpartition("/")
        resource = client.resources.by_kind(group, version, item["kind"])
        if resource is None:
            raise ValueError(f"no kind {item['kind']} in {item['apiVersion']}")
        namespace = item["metadata"].get("namespace", "default") if resource.namespaced else ""
        try:
            client.create(resource.group_resource, item, namespace)
        except StatusError as error:
            if not is_already_exists(error):
                raise


def take_away(client: Client, owned: Iterable[Sequence[str]], namespace: str = "default") -> None:
    """Delete objects by kind ("pod", "pods" or "po") and name, and what belongs to them; `a=b` for all with a label."""
    for kind, name in owned:
        resource = _resource(client, kind.lower())
        space = namespace if resource.namespaced else ""
        names = [name]
        if "=" in name:
            names = [each["metadata"]["name"] for each in client.list(resource.group_resource, space, labels=name)]
        for each in names:
            try:
                client.delete(resource.group_resource, each, space, grace_seconds=NOW)
            except StatusError as error:
                if not is_not_found(error):
                    raise


def _resource(client: Client, kind: str) -> Any:
    for found in client.resources:
        if kind in (found.name, found.kind.lower(), found.group_resource, *found.short_names):
            return found
    raise ValueError(f"no kind {kind}")
