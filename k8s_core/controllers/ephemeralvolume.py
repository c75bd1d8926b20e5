"""The ephemeral volume controller: a claim of its own for each generic ephemeral volume of a Pod.

Stands for pkg/controller/volume/ephemeral. The claim is called pod-volume, belongs to the Pod and goes with it.
"""

from k8s_core.api import Object
from k8s_core.api.errors import StatusError, is_already_exists
from k8s_core.controllers.controller import Controller, controller_reference, controller_uid, is_deleting


class EphemeralVolumeController(Controller):
    name = "ephemeral-volume-controller"
    aliases = ("ephemeral-volume",)
    account = "ephemeral-volume-controller"
    component = "ephemeral_volume"

    def setup(self) -> None:
        self.pods = self.informer("pods", self.added)
        self.claims = self.informer("persistentvolumeclaims", None, None, self.removed)

    def added(self, pod: Object) -> None:
        if any("ephemeral" in volume for volume in pod["spec"].get("volumes") or ()):
            self.enqueue(pod)

    def removed(self, claim: Object) -> None:
        for owner in claim["metadata"].get("ownerReferences") or ():
            if owner["kind"] == "Pod" and owner.get("controller"):
                self.queue.add(f"{claim['metadata']['namespace']}/{owner['name']}")

    def sync(self, key: str) -> None:
        pod = self.pods.get_key(key)
        if pod is None or is_deleting(pod):
            return
        for volume in pod["spec"].get("volumes") or ():
            if "ephemeral" in volume:
                self.provide(pod, volume["name"], volume["ephemeral"]["volumeClaimTemplate"])

    def provide(self, pod: Object, volume: str, template: Object) -> None:
        meta = pod["metadata"]
        name, namespace = f"{meta['name']}-{volume}", meta["namespace"]
        known = self.claims.get(name, namespace)
        if known is not None:
            if controller_uid(known) != meta["uid"]:
                raise RuntimeError(f"PVC {namespace}/{name} was not created for pod {namespace}/{meta['name']}")
            return
        given = {
            key: value for key, value in (template.get("metadata") or {}).items() if key in ("labels", "annotations")
        }
        metadata = {**given, "name": name, "namespace": namespace, "ownerReferences": [controller_reference(pod)]}
        claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": template["spec"]}
        try:
            self.client.create("persistentvolumeclaims", claim)
        except StatusError as error:
            if is_already_exists(error):
                raise
            text = f"ephemeral PVC creation failed: {error.message}"
            self.recorder.event(pod, "Warning", "EphemeralVolumeCreateFailed", text)
            raise
