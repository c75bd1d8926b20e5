"""The volume controller: brings claims and volumes together, and lets go of volumes whose claim is gone.

Stands for pkg/controller/volume/persistentvolume. A claim gets the smallest volume that serves it; a volume that was
made for it (claimRef) comes first. Without one, the class's provisioner is asked to make one, which happens outside
(provisioner.py). Both sides of a binding are written: claimRef of the volume first, then volumeName of the claim.
Left out: the in-tree plugins, so volumes are deleted by who provisioned them, and recycling is only a scrub.
"""

from k8s_core.api import Object, quantity, volumes
from k8s_core.controllers.controller import Controller, is_deleting

BOUND, BY_CONTROLLER = "pv.kubernetes.io/bind-completed", "pv.kubernetes.io/bound-by-controller"
SELECTED_NODE = "volume.kubernetes.io/selected-node"
PROVISIONERS = ("volume.kubernetes.io/storage-provisioner", "volume.beta.kubernetes.io/storage-provisioner")
NO_PROVISIONER = "kubernetes.io/no-provisioner"


class PersistentVolumeBinderController(Controller):
    name = "persistentvolume-binder-controller"
    aliases = ("persistentvolume-binder",)
    account = "persistent-volume-binder"
    component = "persistentvolume-controller"

    def setup(self) -> None:
        self.volume_queue = self.new_queue(self.sync_volume, "volumes")
        self.claims = self.informer("persistentvolumeclaims", changed=self.claim_changed)
        self.volumes = self.informer("persistentvolumes", changed=self.volume_changed)
        self.classes = self.informer("storageclasses.storage.k8s.io", changed=lambda each: self.waiting())
        self.nodes = self.informer("nodes")

    def claim_changed(self, claim: Object) -> None:
        self.enqueue(claim)
        for volume in self.volumes.list():
            if volume["spec"].get("claimRef") and _refers(volume, claim["metadata"]):
                self.volume_queue.add(volume["metadata"]["name"])

    def volume_changed(self, volume: Object) -> None:
        self.volume_queue.add(volume["metadata"]["name"])
        reference = volume["spec"].get("claimRef")
        if reference:
            self.queue.add(f"{reference.get('namespace')}/{reference.get('name')}")
        else:
            self.waiting()

    def waiting(self) -> None:
        """Something new may serve the claims that are not bound yet."""
        for claim in self.claims.list():
            if not claim["spec"].get("volumeName"):
                self.enqueue(claim)

    # --- claims ---------------------------------------------------------------------------------------------
    def sync(self, key: str) -> None:
        claim = self.claims.get_key(key)
        if claim is None:
            return
        if BOUND in (claim["metadata"].get("annotations") or {}):
            self.keep(claim)
            return
        wanted = claim["spec"].get("volumeName")
        if wanted:
            volume = self.volumes.get(wanted)
            if volume and (not volume["spec"].get("claimRef") or volumes.claimed_by(volume, claim)):
                self.bind(claim, volume)
            return
        found = self.best(claim)
        if found:
            self.bind(claim, found)
        elif not is_deleting(claim):
            self.ask_for(claim)

    def keep(self, claim: Object) -> None:
        """A bound claim: is its volume still there, and its own?"""
        volume = self.volumes.get(claim["spec"].get("volumeName", ""))
        if volume is None:
            self.lose(claim, "ClaimLost", "Bound claim has lost its PersistentVolume. Data on the volume is lost!")
        elif volume["spec"].get("claimRef") and not volumes.claimed_by(volume, claim):
            text = "Two claims are bound to the same volume, this one is bound incorrectly"
            self.lose(claim, "ClaimMisbound", text)
        else:
            self.bind(claim, volume)

    def lose(self, claim: Object, reason: str, text: str) -> None:
        if claim.get("status", {}).get("phase") != "Lost":
            self.client.update_status("persistentvolumeclaims", {**claim, "status": {"phase": "Lost"}})
            self.recorder.event(claim, "Warning", reason, text)

    def best(self, claim: Object) -> Object | None:
        """The volume that is kept for the claim, or the smallest that serves it."""
        chosen = (claim["metadata"].get("annotations") or {}).get(SELECTED_NODE)
        if self.waits_for_consumer(claim) and not chosen:
            return next((volume for volume in self.volumes.list() if volumes.claimed_by(volume, claim)), None)
        fitting = [each for each in self.volumes.list() if volumes.serves(each, claim) and self.reaches(each, chosen)]
        fitting.sort(key=lambda each: (not each["spec"].get("claimRef"), _bytes(each), each["metadata"]["name"]))
        return fitting[0] if fitting else None

    def reaches(self, volume: Object, node_name: str | None) -> bool:
        required = (volume["spec"].get("nodeAffinity") or {}).get("required")
        if required is None or not node_name:
            return True
        node = self.nodes.get(node_name)
        labels = node["metadata"].get("labels") or {} if node else {}
        return any(
            all(
                (labels.get(each["key"]) in (each.get("values") or ())) == (each["operator"] == "In")
                for each in term.get("matchExpressions") or ()
            )
            for term in required.get("nodeSelectorTerms") or ()
        )

    def bind(self, claim: Object, volume: Object) -> None:
        """Write what is not written yet of a binding: the volume's side, then the claim's."""
        meta = claim["metadata"]
        reference = volume["spec"].get("claimRef") or {}
        if reference.get("uid") != meta["uid"]:
            ours = {} if reference else {BY_CONTROLLER: "yes"}
            reference = {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": meta["namespace"],
                "name": meta["name"],
                "uid": meta["uid"],
                "resourceVersion": meta["resourceVersion"],
            }
            volume = self.write("persistentvolumes", volume, ours, claimRef=reference)
        if volume.get("status", {}).get("phase") != "Bound":
            self.phase(volume, "Bound")
        if BOUND not in (meta.get("annotations") or {}):
            marks = {BOUND: "yes"} if claim["spec"].get("volumeName") else {BOUND: "yes", BY_CONTROLLER: "yes"}
            claim = self.write("persistentvolumeclaims", claim, marks, volumeName=volume["metadata"]["name"])
        status = {
            "phase": "Bound",
            "accessModes": volume["spec"]["accessModes"],
            "capacity": {"storage": volume["spec"]["capacity"]["storage"]},
        }
        if claim.get("status", {}) | status != claim.get("status"):
            self.client.update_status("persistentvolumeclaims", {**claim, "status": {**claim["status"], **status}})

    def ask_for(self, claim: Object) -> None:
        """No volume serves the claim: say so, or have one made."""
        name = claim["spec"].get("storageClassName")
        if not name:
            text = "no persistent volumes available for this claim and no storage class is set"
            self.recorder.event(claim, "Normal", "FailedBinding", text)
            return
        found = self.classes.get(name)
        if found is None:
            text = f'storageclass.storage.k8s.io "{name}" not found'
            self.recorder.event(claim, "Warning", "ProvisioningFailed", text)
            return
        annotations = claim["metadata"].get("annotations") or {}
        if self.waits_for_consumer(claim) and SELECTED_NODE not in annotations:
            text = "waiting for first consumer to be created before binding"
            self.recorder.event(claim, "Normal", "WaitForFirstConsumer", text)
            return
        provisioner = str(found["provisioner"])
        if provisioner == NO_PROVISIONER:
            text = "no persistent volumes available for this claim and no storage class is set"
            self.recorder.event(claim, "Normal", "FailedBinding", text)
            return
        if annotations.get(PROVISIONERS[0]) != provisioner:
            marks = dict.fromkeys(PROVISIONERS, provisioner)
            claim = self.write("persistentvolumeclaims", claim, marks)
        text = (
            f"Waiting for a volume to be created either by the external provisioner '{provisioner}' or manually by the "
            "system administrator. If volume creation is delayed, please verify that the provisioner is running and "
            "correctly registered."
        )
        self.recorder.event(claim, "Normal", "ExternalProvisioning", text)

    def waits_for_consumer(self, claim: Object) -> bool:
        found = self.classes.get(claim["spec"].get("storageClassName") or "")
        return bool(found and found.get("volumeBindingMode") == "WaitForFirstConsumer")

    # --- volumes --------------------------------------------------------------------------------------------
    def sync_volume(self, name: str) -> None:
        volume = self.volumes.get(name)
        if volume is None:
            return
        reference = volume["spec"].get("claimRef")
        if not reference or not reference.get("uid"):  # free, or kept for a claim that has not come yet
            self.phase(volume, "Available")
            return
        claim = self.claims.get(reference["name"], reference["namespace"])
        if claim is not None and claim["metadata"]["uid"] == reference["uid"]:
            return  # the claim's own sync writes the rest
        phase = volume.get("status", {}).get("phase")
        if phase not in ("Released", "Failed"):
            volume = self.phase(volume, "Released")
        if volume["spec"].get("persistentVolumeReclaimPolicy") == "Recycle":
            self.recorder.event(volume, "Normal", "VolumeRecycled", "Volume recycled")
            spec = {key: value for key, value in volume["spec"].items() if key != "claimRef"}
            self.client.update("persistentvolumes", {**volume, "spec": spec})

    # --- writing --------------------------------------------------------------------------------------------
    def phase(self, volume: Object, phase: str) -> Object:
        status = volume.get("status") or {}
        if status.get("phase") == phase:
            return volume
        new = {**status, "phase": phase, "lastPhaseTransitionTime": self.loop.timestamp()}
        return self.client.update_status("persistentvolumes", {**volume, "status": new})

    def write(self, resource: str, obj: Object, annotations: dict[str, str], **spec: object) -> Object:
        meta = obj["metadata"]
        both = {**(meta.get("annotations") or {}), **annotations}
        metadata = {**meta, "annotations": both} if both else meta
        return self.client.update(resource, {**obj, "metadata": metadata, "spec": {**obj["spec"], **spec}})


def _refers(volume: Object, meta: Object) -> bool:
    reference = volume["spec"]["claimRef"]
    return (reference.get("namespace"), reference.get("name")) == (meta["namespace"], meta["name"])


def _bytes(volume: Object) -> int:
    return quantity.value(volume["spec"]["capacity"].get("storage", "0"))
