"""The Deployment controller's arithmetic: surge, proportions, revisions, hashes, completeness. No API calls here.

Stands for pkg/controller/deployment/util.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from k8s_core.api import Object
from k8s_core.controllers import spew
from k8s_core.controllers.controller import condition, seconds, with_metadata

PREFIX = "deployment.kubernetes.io/"
REVISION = PREFIX + "revision"
REVISION_HISTORY = PREFIX + "revision-history"
DESIRED_REPLICAS = PREFIX + "desired-replicas"
MAX_REPLICAS = PREFIX + "max-replicas"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
ROLLBACK = "deprecated.deployment.rollback.to"
NOT_COPIED = {LAST_APPLIED, REVISION, REVISION_HISTORY, DESIRED_REPLICAS, MAX_REPLICAS, ROLLBACK}
HASH_LABEL = "pod-template-hash"
MAX_INT32 = 2**31 - 1  # what clients wrote before "no limit" could be left out
MAX_REVISION_HISTORY = 2000  # characters of the revision-history annotation


# --- templates ------------------------------------------------------------------------------------------------------
def template_hash(template: Object, collisions: int | None) -> str:
    """The pod-template-hash that a real cluster gives a (defaulted) template after so many collisions."""
    data = spew.dump(template).encode()
    if collisions is not None:
        data += collisions.to_bytes(8, "little")
    return spew.safe_encode(spew.fnv1a(data))


def same_template(one: Object, other: Object) -> bool:
    """Whether two Pod templates are equal but for the pod-template-hash label."""
    return one["spec"] == other["spec"] and _bare(one) == _bare(other)


def _bare(template: Object) -> Object:
    metadata = template.get("metadata") or {}
    labels = {key: value for key, value in (metadata.get("labels") or {}).items() if key != HASH_LABEL}
    bare = {key: value for key, value in metadata.items() if value and key != "creationTimestamp"}
    return {**bare, "labels": labels}


def find_new(deployment: Object, sets: Iterable[Object]) -> Object | None:
    """The oldest ReplicaSet of the Deployment's present template."""
    template = deployment["spec"]["template"]
    return next((each for each in by_age(sets) if same_template(each["spec"]["template"], template)), None)


# --- sizes ----------------------------------------------------------------------------------------------------------
def replicas(obj: Object) -> int:
    return obj["spec"].get("replicas", 1)  # type: ignore[no-any-return]


def wanted(sets: Iterable[Object | None]) -> int:
    return sum(replicas(each) for each in sets if each)


def counted(sets: Iterable[Object | None], field: str) -> int:
    """The sum of a number in their statuses."""
    return sum((each.get("status") or {}).get(field, 0) for each in sets if each)


def active(sets: Iterable[Object | None]) -> list[Object]:
    return [each for each in sets if each and replicas(each) > 0]


def by_age(sets: Iterable[Object]) -> list[Object]:
    return sorted(sets, key=lambda each: (each["metadata"]["creationTimestamp"], each["metadata"]["name"]))


def by_size(sets: Iterable[Object], *, newer_first: bool) -> list[Object]:
    """Largest first; among equals the newer or the older."""
    ordered = by_age(sets)
    return sorted(ordered[::-1] if newer_first else ordered, key=lambda each: -replicas(each))


def scaled(value: Any, total: int, *, round_up: bool) -> int:
    """An int-or-percent of `total`."""
    if isinstance(value, str):
        share = total * int(value.rstrip("%")) / 100
        return math.ceil(share) if round_up else math.floor(share)
    return int(value or 0)


def is_rolling(deployment: Object) -> bool:
    return bool((deployment["spec"].get("strategy") or {}).get("type", "RollingUpdate") == "RollingUpdate")


def fenceposts(deployment: Object) -> tuple[int, int]:
    """The most Pods above, and the most unavailable below, the wanted number; not both 0, that could not move."""
    if not is_rolling(deployment):
        return 0, 0
    rolling = (deployment["spec"].get("strategy") or {}).get("rollingUpdate") or {}
    total = replicas(deployment)
    surge = scaled(rolling.get("maxSurge", "25%"), total, round_up=True)
    unavailable = scaled(rolling.get("maxUnavailable", "25%"), total, round_up=False)
    return surge, unavailable if surge or unavailable else 1


def max_surge(deployment: Object) -> int:
    return fenceposts(deployment)[0]


def max_unavailable(deployment: Object) -> int:
    return min(fenceposts(deployment)[1], replicas(deployment))


def new_size(deployment: Object, sets: Iterable[Object | None], new: Object) -> int:
    """How large the new ReplicaSet may be now."""
    if not is_rolling(deployment):
        return replicas(deployment)
    room = replicas(deployment) + max_surge(deployment) - wanted(sets)
    if room <= 0:
        return replicas(new)
    return replicas(new) + min(room, replicas(deployment) - replicas(new))


def active_or_latest(new: Object | None, old: Sequence[Object]) -> Object | None:
    """The only active ReplicaSet, or the newest if none is; None if several are."""
    found = active([*old, new])
    if not found:
        return new or (by_age(old)[-1] if old else None)
    return found[0] if len(found) == 1 else None


def is_saturated(deployment: Object, new: Object | None) -> bool:
    if new is None:
        return False
    desired = annotation_int(new, DESIRED_REPLICAS)
    total = replicas(deployment)
    return replicas(new) == total == desired and counted([new], "availableReplicas") == total


def proportional(deployment: Object, sets: Sequence[Object]) -> list[tuple[Object, int]]:
    """The new size of every active ReplicaSet when a Deployment is scaled in the middle of a rollout."""
    total = replicas(deployment)
    allowed = total + max_surge(deployment) if total else 0
    to_add = allowed - wanted(sets)
    ordered = by_size(sets, newer_first=to_add > 0) if to_add else list(sets)
    added, sizes = 0, []
    for each in ordered:
        share = _share(each, deployment, to_add, added)
        added += share
        sizes.append(replicas(each) + share)
    if sizes and to_add:
        sizes[0] = max(0, sizes[0] + to_add - added)
    return list(zip(ordered, sizes, strict=True))


def _share(replica_set: Object, deployment: Object, to_add: int, added: int) -> int:
    size = replicas(replica_set)
    if not size or to_add in (0, added):
        return 0
    if replicas(deployment):
        before = annotation_int(replica_set, MAX_REPLICAS) or counted([deployment], "replicas") or size
        exact = size * (replicas(deployment) + max_surge(deployment)) / before
        fraction = math.floor(exact + 0.5) - size
    else:
        fraction = -size
    return min(fraction, to_add - added) if to_add > 0 else max(fraction, to_add - added)


# --- annotations ----------------------------------------------------------------------------------------------------
def annotations(obj: Object) -> dict[str, str]:
    return obj["metadata"].get("annotations") or {}


def annotation_int(obj: Object, key: str) -> int | None:
    try:
        return int(annotations(obj)[key])
    except (KeyError, ValueError):
        return None


def revision(obj: Object) -> int:
    return annotation_int(obj, REVISION) or 0


def with_size_annotations(replica_set: Object, deployment: Object) -> Object:
    """With the sizes noted by which a later sync knows that the Deployment was scaled."""
    desired = replicas(deployment)
    sizes = {DESIRED_REPLICAS: str(desired), MAX_REPLICAS: str(desired + max_surge(deployment))}
    return with_metadata(replica_set, annotations={**annotations(replica_set), **sizes})


def with_revision_annotations(replica_set: Object, deployment: Object, new_revision: int) -> Object:
    """With the Deployment's annotations and the revision, the former revision kept in the history.

    The revision of a ReplicaSet never goes down: others may have been deleted since it was given.
    """
    old = annotations(replica_set)
    copied = {key: value for key, value in annotations(deployment).items() if key not in NOT_COPIED}
    found = {**old, **copied}
    if revision(replica_set) < new_revision:
        found[REVISION] = str(new_revision)
        if former := old.get(REVISION):
            history = [*filter(None, old.get(REVISION_HISTORY, "").split(",")), former]
            while len(history) > 1 and len(",".join(history)) > MAX_REVISION_HISTORY:
                history.pop(0)
            found[REVISION_HISTORY] = ",".join(history)
    return replica_set if found == old else with_metadata(replica_set, annotations=found)


# --- progress -------------------------------------------------------------------------------------------------------
def has_deadline(deployment: Object) -> bool:
    return deployment["spec"].get("progressDeadlineSeconds") not in (None, MAX_INT32)


def is_complete(deployment: Object, status: Object) -> bool:
    total = replicas(deployment)
    return bool(
        status.get("updatedReplicas", 0) == total
        and status.get("replicas", 0) == total
        and status.get("availableReplicas", 0) == total
        and status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)
    )


def has_progressed(deployment: Object, new: Object) -> bool:
    """Whether more Pods are updated, ready or available, or fewer old ones are left, than the last status says."""
    old = deployment.get("status") or {}
    left = [status.get("replicas", 0) - status.get("updatedReplicas", 0) for status in (old, new)]
    more = ("updatedReplicas", "readyReplicas", "availableReplicas")
    return left[1] < left[0] or any(new.get(field, 0) > old.get(field, 0) for field in more)


def deadline(deployment: Object) -> float | None:
    """When the rollout will count as stuck, in seconds since the epoch; None if nothing says."""
    found = condition((deployment.get("status") or {}).get("conditions"), "Progressing")
    if not found or not has_deadline(deployment):
        return None
    since = found.get("lastUpdateTime") or found.get("lastTransitionTime")
    return seconds(since) + float(deployment["spec"]["progressDeadlineSeconds"])


def has_timed_out(deployment: Object, status: Object, now: float) -> bool:
    found = condition(status.get("conditions"), "Progressing")
    if not found or found.get("reason") == "NewReplicaSetAvailable":
        return False
    due = deadline(deployment)
    return found.get("reason") == "ProgressDeadlineExceeded" or (due is not None and due < now)
