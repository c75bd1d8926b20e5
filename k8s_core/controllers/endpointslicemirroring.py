"""The EndpointSlice mirroring controller: Endpoints that somebody wrote by hand are shown as EndpointSlices too.

So that a Service without a selector works for whoever reads slices only, kube-proxy first of all.
One slice for each set of ports and address family, with at most 1000 addresses of a subset; an event says what was
left out. Stands for pkg/controller/endpointslicemirroring.
"""

import orjson

from k8s_core.api import Object
from k8s_core.api.errors import ignoring, is_not_found
from k8s_core.client.informer import split_key
from k8s_core.controllers import pods as podutil
from k8s_core.controllers.controller import Controller, controller_reference, is_deleting, with_metadata
from k8s_core.controllers.endpointslice import MANAGED_BY, SERVICE_NAME, SLICES, service_key
from k8s_core.controllers.service_pods import TRIGGER_TIME
from k8s_core.limits import MAX_ENDPOINTS_CAPACITY

SKIP = "endpointslice.kubernetes.io/skip-mirror"
NOT_MIRRORED = {TRIGGER_TIME, "kubectl.kubernetes.io/last-applied-configuration"}
LEADER = "control-plane.alpha.kubernetes.io/leader"


class EndpointSliceMirroringController(Controller):
    name = "endpointslice-mirroring-controller"
    aliases = ("endpointslicemirroring",)
    account = "endpointslicemirroring-controller"
    managed_by = "endpointslicemirroring-controller.k8s.io"

    def setup(self) -> None:
        self.endpoints = self.informer("endpoints", changed=self.enqueue)
        self.services = self.informer("services", changed=self.enqueue)
        self.slices = self.informer(SLICES, deleted=self.slice_deleted)
        self.slices.index("service", service_key)

    def is_ours(self, piece: Object) -> bool:
        return bool((piece["metadata"].get("labels") or {}).get(MANAGED_BY) == self.managed_by)

    def slice_deleted(self, piece: Object) -> None:
        if self.is_ours(piece):
            for key in service_key(piece):
                self.queue.add(key)

    def sync(self, key: str) -> None:
        namespace, name = split_key(key)
        existing = [each for each in self.slices.by_index("service", key) if self.is_ours(each)]
        endpoints, service = self.endpoints.get(name, namespace), self.services.get(name, namespace)
        mirrored = endpoints is not None and service is not None and should_mirror(endpoints, service)
        wanted = self.wanted(endpoints) if endpoints and mirrored else {}
        matched = {ports: next((each for each in existing if port_key(each) == ports), None) for ports in wanted}
        spare = [each for each in existing if each not in matched.values()]
        for ports, piece in wanted.items():
            same = matched[ports] or next((each for each in spare if each["addressType"] == piece["addressType"]), None)
            if same is None:
                with ignoring(podutil.namespace_terminating):
                    self.client.create(SLICES, piece)
                continue
            spare = [each for each in spare if each is not same]  # a slice of other ports is used again
            parts = {part: piece["metadata"][part] for part in ("labels", "annotations")}
            new = {**with_metadata(same, **parts), "endpoints": piece["endpoints"], "ports": piece["ports"]}
            old = with_metadata(same, **{part: same["metadata"].get(part) or {} for part in parts})
            if new != {**old, "ports": same.get("ports") or [], "endpoints": same.get("endpoints") or []}:
                self.client.update(SLICES, new)
        for piece in spare:
            with ignoring(is_not_found):
                self.client.delete(SLICES, piece["metadata"]["name"], piece["metadata"]["namespace"])

    def wanted(self, endpoints: Object) -> dict[tuple[str, bytes], Object]:
        """A slice for each address family and set of ports."""
        metadata = endpoints["metadata"]
        given = metadata.get("annotations") or {}
        base: Object = {
            "generateName": metadata["name"] + "-",
            "namespace": metadata["namespace"],
            "labels": {
                **(metadata.get("labels") or {}),
                SERVICE_NAME: metadata["name"],
                MANAGED_BY: self.managed_by,
            },
            "annotations": {key: value for key, value in given.items() if key not in NOT_MIRRORED},
            "ownerReferences": [controller_reference(endpoints)],
        }
        found: dict[tuple[str, bytes], Object] = {}
        skipped = 0
        for subset in endpoints.get("subsets") or ():
            ports = [{"name": "", "protocol": "TCP", **port} for port in subset.get("ports") or ()]
            entries = [endpoint(each, ready=True) for each in subset.get("addresses") or ()]
            entries += [endpoint(each, ready=False) for each in subset.get("notReadyAddresses") or ()]
            skipped += max(len(entries) - MAX_ENDPOINTS_CAPACITY, 0)
            for entry in entries[:MAX_ENDPOINTS_CAPACITY]:
                empty = {
                    "apiVersion": "discovery.k8s.io/v1",
                    "kind": "EndpointSlice",
                    "metadata": base,
                    "addressType": "IPv6" if ":" in entry["addresses"][0] else "IPv4",
                    "endpoints": [],
                    "ports": ports,
                }
                piece = found.setdefault(port_key(empty), empty)
                piece["endpoints"].append(entry)
        if skipped:
            limit = (
                f"A max of {MAX_ENDPOINTS_CAPACITY} addresses can be mirrored to EndpointSlices per Endpoints subset"
            )
            message = f"{limit}. {skipped} addresses were skipped"
            self.recorder.event(endpoints, "Warning", "TooManyAddressesToMirror", message)
        return found


def should_mirror(endpoints: Object, service: Object) -> bool:
    """Those of Services with a selector are slices already; some ask not to be; locks are no endpoints."""
    metadata = endpoints["metadata"]
    skipped = (metadata.get("labels") or {}).get(SKIP) == "true" or LEADER in (metadata.get("annotations") or {})
    return not (skipped or is_deleting(endpoints) or service["spec"].get("selector"))


def port_key(piece: Object) -> tuple[str, bytes]:
    return piece["addressType"], orjson.dumps(piece.get("ports") or [], option=orjson.OPT_SORT_KEYS)


def endpoint(address: Object, *, ready: bool) -> Object:
    found: Object = {"addresses": [address["ip"]], "conditions": {"ready": ready}}
    return found | {key: address[key] for key in ("hostname", "nodeName", "targetRef") if address.get(key)}
