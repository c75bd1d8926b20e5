"""What the Job controller makes of its Pods: counts, indexes, back-off, failure policy. No API calls here.

Stands for pkg/controller/job's indexed_job_utils.go, backoff_utils.go and pod_failure_policy.go.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from k8s_core.api import Object
from k8s_core.controllers import job_policies
from k8s_core.controllers import pods as podutil
from k8s_core.controllers.controller import condition, is_deleting, seconds
from k8s_core.limits import JOB_BACKOFF

TRACKING = "batch.kubernetes.io/job-tracking"
INDEX = "batch.kubernetes.io/job-completion-index"
# The condition that announces an end while Pods are still being deleted.
TARGETS = {"Complete": "SuccessCriteriaMet", "Failed": "FailureTarget"}


@dataclass(slots=True)
class Count:
    """A Job's Pods, sorted. `counted_failed` are failures of Pods that were let go before."""

    running: list[Object] = field(default_factory=list)
    ended: list[Object] = field(default_factory=list)
    failed: list[Object] = field(default_factory=list)
    succeeded_uids: list[str] = field(default_factory=list)
    failed_uids: list[str] = field(default_factory=list)
    completed: set[int] = field(default_factory=set)
    failed_indexes: set[int] = field(default_factory=set)
    failures: dict[int, tuple[int, float]] = field(default_factory=dict)
    """How often an index has failed, and when it last did; only with backoffLimitPerIndex."""
    succeeded: int = 0
    counted_failed: int = 0
    terminating: int = 0
    restarts: int = 0
    last_failures: list[float] = field(default_factory=list)

    @property
    def active(self) -> int:
        return len(self.running)


def tracked(pod: Object) -> bool:
    """Whether the Pod still has to be counted."""
    return TRACKING in (pod["metadata"].get("finalizers") or ())


def is_indexed(job: Object) -> bool:
    return bool(job["spec"].get("completionMode") == "Indexed")


def index_of(pod: Object) -> int:
    text = (pod["metadata"].get("annotations") or {}).get(INDEX, "")
    return int(text) if text.isdigit() else -1


def count(job: Object, pods: Iterable[Object], released: set[str]) -> Count:
    """Sort the Pods. One without the finalizer (or `released` of it) was counted, or its uid is in the status."""
    status = job.get("status") or {}
    waiting = status.get("uncountedTerminatedPods") or {}
    found = Count(
        completed={
            i for i in parse_ranges(status.get("completedIndexes", "")) if i < job["spec"].get("completions", 0)
        },
        failed_indexes=parse_ranges(status.get("failedIndexes", "")),
    )
    pods = list(pods)
    left = {pod["metadata"]["uid"] for pod in pods if tracked(pod)} - released
    # Let go, but the status that counts them was never written.
    found.counted_failed = status.get("failed", 0) + len(set(waiting.get("failed") or ()) - left)
    counted = status.get("succeeded", 0) + len(set(waiting.get("succeeded") or ()) - left)
    last_success, fresh = 0.0, 0
    for pod in pods:
        uid, phase = pod["metadata"]["uid"], podutil.phase(pod)
        if podutil.is_terminating(pod):
            found.terminating += 1
        if podutil.is_active(pod):
            found.running.append(pod)
            if phase in ("Pending", "Running") and pod["spec"].get("restartPolicy") == "OnFailure":
                found.restarts += total_restarts(pod)
            continue
        if phase == "Failed":
            found.last_failures.append(ended_at(pod))
            job_policies.note_failure(job, found, pod)
        elif phase == "Succeeded":
            last_success = max(last_success, ended_at(pod))
        # One that is deleted while it runs counts as failed once the kubelet is done with it.
        over = podutil.is_finished(pod) or (is_deleting(pod) and not pod["metadata"].get("deletionGracePeriodSeconds"))
        if uid not in left or not over:
            continue
        found.ended.append(pod)
        if phase == "Succeeded":
            fresh += accept(job, found, pod)
            found.succeeded_uids.append(uid)
        elif not ignored(job, pod):
            found.failed.append(pod)
            found.failed_uids.append(uid)
    found.last_failures = [each for each in found.last_failures if each > last_success]
    found.succeeded = len(found.completed) if is_indexed(job) else counted + fresh
    return found


def accept(job: Object, found: Count, pod: Object) -> int:
    if is_indexed(job):
        index = index_of(pod)
        if 0 <= index < (job["spec"].get("completions") or 0):
            found.completed.add(index)
    return 1


def total_restarts(pod: Object) -> int:
    status = pod.get("status") or {}
    statuses = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    return sum(each.get("restartCount", 0) for each in statuses)


def ended_at(pod: Object) -> float:
    """When its last container ended, in seconds since the epoch."""
    times = [
        seconds(state["finishedAt"])
        for each in (pod.get("status") or {}).get("containerStatuses") or ()
        if (state := (each.get("state") or {}).get("terminated")) and state.get("finishedAt")
    ]
    return max(times, default=seconds(pod["metadata"].get("deletionTimestamp") or pod["metadata"]["creationTimestamp"]))


def backoff_left(found: Count, now: float) -> float:
    """Seconds until the next Pod may be made: 10 s after a failure, doubled for each further one, at most 10 min."""
    if not found.last_failures:
        return 0.0
    first, ceiling = JOB_BACKOFF
    failures = max(1, len(found.last_failures))
    return float(max(found.last_failures) + min(first * 2.0 ** (failures - 1), ceiling) - now)


# --- failure policy -------------------------------------------------------------------------------------------------
def action(job: Object, pod: Object) -> tuple[str, str]:
    """What spec.podFailurePolicy says to do with a failed Pod, and why; "Count" if no rule matches."""
    metadata = pod["metadata"]
    for at, rule in enumerate((job["spec"].get("podFailurePolicy") or {}).get("rules") or ()):
        if codes := rule.get("onExitCodes"):
            for each in (pod.get("status") or {}).get("containerStatuses") or ():
                code = ((each.get("state") or {}).get("terminated") or {}).get("exitCode", 0)
                named = codes.get("containerName") in (None, each["name"])
                inside = code in codes.get("values", ())
                if code and named and inside == (codes["operator"] == "In"):
                    why = (
                        f"Container {each['name']} for pod {metadata['namespace']}/{metadata['name']} failed with "
                        f"exit code {code} matching {rule['action']} rule at index {at}"
                    )
                    return rule["action"], why
        for pattern in rule.get("onPodConditions") or ():
            known = condition((pod.get("status") or {}).get("conditions"), pattern["type"])
            if known and known.get("status") == pattern.get("status", "True"):
                why = (
                    f"Pod {metadata['namespace']}/{metadata['name']} has condition {pattern['type']} matching "
                    f"{rule['action']} rule at index {at}"
                )
                return rule["action"], why
    return "Count", ""


def ignored(job: Object, pod: Object) -> bool:
    return action(job, pod)[0] == "Ignore"


def failed_by_policy(job: Object, failed: Iterable[Object]) -> str:
    """Why a failed Pod fails the whole Job; "" if none does."""
    for pod in failed:
        verdict, why = action(job, pod)
        if verdict == "FailJob":
            return why
    return ""


# --- indexes --------------------------------------------------------------------------------------------------------
def parse_ranges(text: str) -> set[int]:
    """ "0-2,5" as a set; what is no range (somebody else may have written it) is passed over."""
    found: set[int] = set()
    for low, high in re.findall(r"(?:^|,)(\d{1,6})(?:-(\d{1,6}))?(?=,|$)", text):
        found |= set(range(int(low), int(high or low) + 1))
    return found


def ranges(indexes: set[int]) -> str:
    """A set as "0-2,5"; two neighbours are written "0,1"."""
    parts: list[list[int]] = []
    for each in sorted(indexes):
        if parts and parts[-1][-1] == each - 1:
            parts[-1].append(each)
        else:
            parts.append([each])
    texts = []
    for part in parts:
        texts += [f"{part[0]}-{part[-1]}"] if len(part) > 2 else [str(each) for each in part]
    return ",".join(texts)


def missing_indexes(job: Object, found: Count, number: int, delayed: Iterable[int] = ()) -> list[int]:
    """The lowest indexes that are neither done nor being worked on, nor have to wait."""
    taken = found.completed | found.failed_indexes | {index_of(pod) for pod in found.running} | set(delayed)
    free = (each for each in range(job["spec"].get("completions") or 0) if each not in taken)
    return [each for each, _ in zip(free, range(number), strict=False)]


def to_remove(job: Object, running: list[Object], surplus: int, now: float) -> list[Object]:
    """The Pods that are too many: those of an index that is taken or no longer wanted, then as many as it takes."""
    doomed, left = [], running
    if is_indexed(job):
        by_index: dict[int, list[Object]] = {}
        for pod in running:
            by_index.setdefault(index_of(pod), []).append(pod)
        for index, pods in by_index.items():
            wanted = 0 <= index < (job["spec"].get("completions") or 0)
            doomed += podutil.first_to_delete(pods, [], len(pods) - wanted, now)
        left = [pod for pod in running if pod not in doomed]
    return doomed + podutil.first_to_delete(left, [], max(0, surplus - len(doomed)), now)


def job_pod(job: Object, index: int | None, failures: int = 0) -> Object:
    """A Pod of the Job, tracked; an indexed one knows its index by annotation, label, host name and environment."""
    pod = podutil.from_template(job["spec"]["template"], job)
    metadata = {**pod["metadata"], "finalizers": [*(pod["metadata"].get("finalizers") or ()), TRACKING]}
    spec = pod["spec"]
    if index is not None:
        name = job["metadata"]["name"]
        metadata["generateName"] = f"{name}-{index}-"
        metadata["annotations"] = {**(metadata.get("annotations") or {}), INDEX: str(index)}
        if job["spec"].get("backoffLimitPerIndex") is not None:
            metadata["annotations"][job_policies.FAILURES] = str(failures)
        metadata["labels"] = {**(metadata.get("labels") or {}), INDEX: str(index)}
        variable = {
            "name": "JOB_COMPLETION_INDEX",
            "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": f"metadata.labels['{INDEX}']"}},
        }
        spec = {**spec, "hostname": f"{name}-{index}"}
        for kind in ("initContainers", "containers"):
            if spec.get(kind):
                spec[kind] = [with_variable(each, variable) for each in spec[kind]]
    return {**pod, "metadata": metadata, "spec": spec}


def with_variable(container: Object, variable: Object) -> Object:
    env = container.get("env") or []
    if any(each["name"] == variable["name"] for each in env):
        return container
    return {**container, "env": [*env, variable]}
