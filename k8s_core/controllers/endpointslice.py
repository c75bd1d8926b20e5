"""The EndpointSlice controller: for every Service with a selector, its Pods' addresses in slices of at most 100.

Promises: one set of slices for each set of ports the Pods show (named ports may differ from Pod to Pod); slices are
changed as little as possible and filled up before new ones are made; a placeholder without endpoints when there are
none; conditions ready, serving and terminating; the Service's labels.
Stands for pkg/controller/endpointslice and staging/src/k8s.io/endpointslice.
Hints for zones and nodes are topology_hints.py's.
"""

from collections.abc import Iterable
from typing import Any

import orjson

from k8s_core.api import Object
from k8s_core.api.errors import ignoring, is_not_found
from k8s_core.client.informer import key_of, split_key
from k8s_core.controllers import pods as podutil
from k8s_core.controllers.controller import controller_reference, controller_uid, is_deleting, with_metadata
from k8s_core.controllers.service_pods import (
    HEADLESS_LABEL,
    TRIGGER_TIME,
    ServiceController,
    addresses,
    belongs,
    has_cluster_ip,
    hostname,
    target_port,
)
from k8s_core.controllers.topology_hints import ZONE, Pieces, TopologyHints
from k8s_core.limits import MAX_ENDPOINTS_PER_SLICE

SLICES = "endpointslices.discovery.k8s.io"
SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
RESERVED = {SERVICE_NAME, MANAGED_BY, HEADLESS_LABEL}


def service_key(piece: Object) -> list[str]:
    """The Service that a slice is for."""
    metadata = piece["metadata"]
    name = (metadata.get("labels") or {}).get(SERVICE_NAME)
    return [f"{metadata['namespace']}/{name}"] if name else []


class EndpointSliceController(ServiceController):
    name = "endpointslice-controller"
    aliases = ("endpointslice",)
    account = "endpointslice-controller"
    component = "endpoint-slice-controller"
    managed_by = "endpointslice-controller.k8s.io"

    def setup(self) -> None:
        self.expected: dict[str, dict[str, int]] = {}
        """By Service: the revision at which the cache must show each slice that was written."""
        self.hints = TopologyHints()
        self.missing: dict[str, set[str]] = {}
        """Node that Pods name and that is not there -> the Services that wait for it."""
        super().setup()
        self.nodes = self.informer("nodes", self.node_added, self.node_updated)
        self.slices = self.informer(SLICES, updated=self.slice_updated, changed=self.slice_changed)
        self.slices.index("service", service_key)

    def is_ours(self, piece: Object) -> bool:
        return bool((piece["metadata"].get("labels") or {}).get(MANAGED_BY) == self.managed_by)

    def slice_changed(self, piece: Object) -> None:
        """Somebody else's change or deletion of a slice is undone; our own is only noted."""
        for key in service_key(piece):
            wanted = self.expected.get(key, {})
            if wanted.get(piece["metadata"]["name"], -1) == int(piece["metadata"]["resourceVersion"]):
                del wanted[piece["metadata"]["name"]]
            elif self.is_ours(piece):
                self.queue.add(key)

    def slice_updated(self, old: Object, new: Object) -> None:
        self.slice_changed(new)
        if self.is_ours(old) and not self.is_ours(new):
            for key in service_key(old):
                self.queue.add(key)

    def node_added(self, node: Object) -> None:
        for key in sorted(self.missing.pop(node["metadata"]["name"], ())):
            self.queue.add(key)

    def node_updated(self, old: Object, new: Object) -> None:
        """Where endpoints are shared out between zones, the shares may have changed."""
        if any(_facts(old, key) != _facts(new, key) for key in ("labels", "allocatable", "conditions")):
            for key in sorted(self.hints.shared):
                self.queue.add(key)

    # --- the loop -------------------------------------------------------------------------------------------
    def sync(self, key: str) -> None:
        namespace, name = split_key(key)
        service = self.services.get(name, namespace)
        if service is None:
            self.trigger_times.forget(key)
            self.expected.pop(key, None)
            return  # the garbage collector removes its slices
        if service["spec"].get("type") == "ExternalName" or not service["spec"].get("selector"):
            return
        existing = [each for each in self.slices.by_index("service", key) if self.is_ours(each)]
        if self.is_behind(key, existing):
            self.queue.add_after(key, 0.001)
            return
        pods = self.pods_of(service)
        trigger_time = self.trigger_times.changed(service, pods)
        families = service["spec"].get("ipFamilies") or ["IPv4"]
        for family in families:
            self.reconcile(
                service, pods, [each for each in existing if each["addressType"] == family], family, trigger_time
            )
        for each in existing:
            if each["addressType"] not in families:
                self.delete(each)

    def is_behind(self, key: str, existing: Iterable[Object]) -> bool:
        """Whether the cache has not yet shown what this controller wrote last."""
        shown = {each["metadata"]["name"]: int(each["metadata"]["resourceVersion"]) for each in existing}
        return any(shown.get(name, 0) < revision for name, revision in self.expected.get(key, {}).items())

    def reconcile(
        self, service: Object, pods: list[Object], existing: list[Object], family: str, trigger_time: str
    ) -> None:
        uid = service["metadata"]["uid"]
        by_ports: dict[bytes, list[Object]] = {}
        to_delete = [each for each in existing if controller_uid(each) != uid]
        for each in existing:
            if controller_uid(each) == uid:
                by_ports.setdefault(orjson.dumps(each.get("ports") or []), []).append(each)
        wanted: dict[bytes, dict[Any, Object]] = {}
        for pod in pods:
            if belongs(pod, terminating=True) and self.has_node(pod, service):
                endpoint = self.endpoint(pod, service, family)
                group = wanted.setdefault(orjson.dumps(ports_of(service, pod)), {})
                if endpoint["addresses"]:
                    group[identity(endpoint)] = endpoint
        to_create: list[Object] = []
        to_update: list[Object] = []
        for ports, endpoints in wanted.items():
            created, updated, emptied = self.arrange(service, by_ports.get(ports, []), endpoints, family, ports)
            to_create += created
            to_update += updated
            to_delete += emptied
        for ports, pieces in by_ports.items():
            if ports not in wanted:
                to_delete += pieces
        if len(existing) == len(to_delete) and not to_create:
            empty = self.new_slice(service, family, [])
            if len(to_delete) == 1 and is_placeholder(to_delete[0], empty):
                to_delete.clear()
            else:
                to_create.append(empty)
        touched = {each["metadata"]["name"] for each in (*to_update, *to_delete)}
        work = Pieces(to_create, to_update, [each for each in existing if each["metadata"]["name"] not in touched])
        nodes = self.nodes.list()
        self.hints.apply(service, family, nodes, work, lambda *told: self.recorder.event(service, *told))
        self.write(service, work.create, work.update, to_delete, trigger_time)

    def arrange(
        self, service: Object, existing: list[Object], wanted: dict[Any, Object], family: str, ports: bytes
    ) -> tuple[list[Object], list[Object], list[Object]]:
        """Slices to create, update and delete so that just the `wanted` endpoints are in them. Empties `wanted`."""
        labels = self.labels(service)
        updated: dict[str, Object] = {}
        unchanged: dict[str, Object] = {}
        emptied: list[Object] = []
        for piece in existing:
            old = piece.get("endpoints") or []
            kept = [found for each in old if (found := wanted.pop(identity(each), None)) is not None]
            name = piece["metadata"]["name"]
            if kept == [_without_hints(each) for each in old] and (piece["metadata"].get("labels") or {}) == labels:
                unchanged[name] = piece
            elif old and not kept:
                emptied.append(piece)
            else:
                updated[name] = {**with_metadata(piece, labels=labels), "endpoints": kept}
        left = list(wanted.values())
        for piece in sorted(updated.values(), key=lambda each: -len(each["endpoints"])):
            fill(piece, left)
        created = []
        while left:
            room = [
                each
                for each in unchanged.values()
                if len(each.get("endpoints") or []) + len(left) <= MAX_ENDPOINTS_PER_SLICE
            ]
            fullest = max(room, key=lambda each: len(each.get("endpoints") or []), default=None)
            if fullest:
                piece = {**fullest, "endpoints": list(fullest.get("endpoints") or [])}
                updated[piece["metadata"]["name"]] = piece
            else:
                piece = self.new_slice(service, family, orjson.loads(ports))
                created.append(piece)
            fill(piece, left)
        return created, list(updated.values()), emptied

    def write(
        self, service: Object, create: list[Object], update: list[Object], delete: list[Object], trigger_time: str
    ) -> None:
        while create and (spare := next((each for each in delete if owned_alike(each, create[-1])), None)):
            # An emptied slice is used again rather than replaced.
            delete.remove(spare)
            update.append({**create.pop(), "metadata": {**spare["metadata"], "labels": self.labels(service)}})
        key = f"{service['metadata']['namespace']}/{service['metadata']['name']}"
        with ignoring(podutil.namespace_terminating):
            for piece in () if is_deleting(service) else create:
                self.note(key, self.client.create(SLICES, triggered(piece, trigger_time)))
            for piece in update:
                self.note(key, self.client.update(SLICES, triggered(piece, trigger_time)))
            for piece in delete:
                self.delete(piece)

    def note(self, key: str, written: Object) -> None:
        metadata = written["metadata"]
        self.expected.setdefault(key, {})[metadata["name"]] = int(metadata["resourceVersion"])

    def delete(self, piece: Object) -> None:
        with ignoring(is_not_found):
            self.client.delete(SLICES, piece["metadata"]["name"], piece["metadata"]["namespace"])

    # --- what slices are made of ----------------------------------------------------------------------------
    def labels(self, service: Object) -> dict[str, str]:
        own = service["metadata"].get("labels") or {}
        labels = {key: value for key, value in own.items() if key not in RESERVED}
        if not has_cluster_ip(service):
            labels[HEADLESS_LABEL] = ""
        return {**labels, SERVICE_NAME: service["metadata"]["name"], MANAGED_BY: self.managed_by}

    def new_slice(self, service: Object, family: str, ports: list[Object]) -> Object:
        return {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "generateName": service["metadata"]["name"] + "-",
                "namespace": service["metadata"]["namespace"],
                "labels": self.labels(service),
                "ownerReferences": [controller_reference(service)],
            },
            "addressType": family,
            "endpoints": [],
            "ports": ports,
        }

    def has_node(self, pod: Object, service: Object) -> bool:
        """A Pod on a node that is not there is none, unless the Service asks for all; it is looked at again."""
        node = pod["spec"].get("nodeName")
        if not node or service["spec"].get("publishNotReadyAddresses") or self.nodes.get(node):
            return True
        key = key_of(service)
        if key not in self.missing.setdefault(node, set()):
            self.missing[node].add(key)
            why = f"skipping Pod {pod['metadata']['name']} for Service {key}: Node {node} Not Found"
            message = f"Error updating Endpoint Slices for Service {key}: {why}"
            self.recorder.event(service, "Warning", "FailedToUpdateEndpointSlices", message)
        return False

    def endpoint(self, pod: Object, service: Object, family: str) -> Object:
        metadata = pod["metadata"]
        serving, terminating = podutil.is_ready(pod), is_deleting(pod)
        ready = bool(service["spec"].get("publishNotReadyAddresses")) or (serving and not terminating)
        found: Object = {
            "addresses": [ip for ip in addresses(pod) if (":" in ip) == (family == "IPv6")],
            "conditions": {"ready": ready, "serving": serving, "terminating": terminating},
        }
        if name := hostname(pod, service):
            found["hostname"] = name
        if node_name := pod["spec"].get("nodeName"):
            found["nodeName"] = node_name
            node = self.nodes.get(node_name)
            if node and (zone := (node["metadata"].get("labels") or {}).get(ZONE)):
                found["zone"] = zone
        reference = {key: metadata[key] for key in ("namespace", "name", "uid")}
        found["targetRef"] = {"kind": "Pod", **reference}
        return found


def _without_hints(endpoint: Object) -> Object:
    return {key: value for key, value in endpoint.items() if key != "hints"}


def _facts(node: Object, key: str) -> Any:
    """What shares depend on: labels, allocatable CPU, and whether the node is ready."""
    if key == "labels":
        return node["metadata"].get("labels")
    found = (node.get("status") or {}).get(key)
    return [c["status"] for c in found or () if c["type"] == "Ready"] if key == "conditions" else found


def ports_of(service: Object, pod: Object) -> list[Object]:
    """The Service's ports as that Pod has them."""
    found = []
    for port in service["spec"].get("ports") or ():
        if (number := target_port(pod, port)) is not None:
            entry = {"name": port.get("name", ""), "port": number, "protocol": port.get("protocol", "TCP")}
            found.append(entry | ({"appProtocol": port["appProtocol"]} if port.get("appProtocol") else {}))
    return found


def identity(endpoint: Object) -> tuple[Any, ...]:
    """What makes two endpoints the same one, whatever their conditions."""
    target = endpoint.get("targetRef") or {}
    return (*sorted(endpoint["addresses"]), endpoint.get("hostname"), target.get("namespace"), target.get("name"))


def fill(piece: Object, endpoints: list[Object]) -> None:
    """Move as many endpoints into a slice (one of ours, not stored) as it holds."""
    room = MAX_ENDPOINTS_PER_SLICE - len(piece["endpoints"])
    piece["endpoints"] = [*piece["endpoints"], *endpoints[:room]]
    del endpoints[:room]


def owned_alike(one: Object, other: Object) -> bool:
    return bool(one["addressType"] == other["addressType"]) and controller_uid(one) == controller_uid(other)


def is_placeholder(piece: Object, empty: Object) -> bool:
    bare = [{**each, "metadata": each["metadata"].get("labels")} for each in (piece, empty)]
    return owned_alike(piece, empty) and all(
        (bare[0].get(key) or []) == (bare[1].get(key) or []) for key in ("metadata", "endpoints", "ports")
    )


def triggered(piece: Object, time: str) -> Object:
    """With the annotation from which the latency of the change is measured."""
    annotations = dict(piece["metadata"].get("annotations") or {})
    annotations.pop(TRIGGER_TIME, None)
    if time:
        annotations[TRIGGER_TIME] = time
    return with_metadata(piece, annotations=annotations)
