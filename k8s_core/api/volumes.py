"""Which PersistentVolume may serve which claim: what the volume controller and the scheduler have to agree on.

Stands for component-helpers' storage/volume (FindMatchingVolume, IsVolumeBoundToClaim). Left out: volume attributes
classes.
"""

from k8s_core.api import Object, quantity
from k8s_core.api.selectors import from_label_selector


def claimed_by(volume: Object, claim: Object) -> bool:
    """Whether the volume is kept for this claim, by name and, once it is bound, by uid."""
    reference, meta = volume["spec"].get("claimRef") or {}, claim["metadata"]
    if (reference.get("namespace"), reference.get("name")) != (meta["namespace"], meta["name"]):
        return False
    return reference.get("uid") in (None, "", meta["uid"])


def size(claim: Object) -> str:
    return str((claim["spec"].get("resources") or {}).get("requests", {}).get("storage", "0"))


def suits(volume: Object, claim: Object) -> bool:
    """Whether class, modes, size and labels are what the claim asks for."""
    have, want = volume["spec"], claim["spec"]
    selector = want.get("selector")
    labels = volume["metadata"].get("labels") or {}
    return (
        (have.get("storageClassName") or "") == (want.get("storageClassName") or "")
        and have.get("volumeMode", "Filesystem") == want.get("volumeMode", "Filesystem")
        and set(want.get("accessModes") or ()) <= set(have.get("accessModes") or ())
        and quantity.compare(have["capacity"].get("storage", "0"), size(claim)) >= 0
        and (selector is None or from_label_selector(selector).matches(labels))
    )


def serves(volume: Object, claim: Object) -> bool:
    """Whether the claim may be bound to this volume now."""
    if "deletionTimestamp" in volume["metadata"]:
        return False
    if volume["spec"].get("claimRef"):
        return claimed_by(volume, claim)
    return (volume.get("status") or {}).get("phase") == "Available" and suits(volume, claim)
