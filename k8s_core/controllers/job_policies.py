"""When a Job with indexes has succeeded or failed before all of them have ended.

Stands for pkg/controller/job's success_policy.go and what backoff_utils.go does by index. An index's failures are read
from its Pods' annotation; upstream also keeps the last failed Pod from being deleted, which is left out.
"""

from typing import TYPE_CHECKING

from k8s_core.api import Object
from k8s_core.controllers import job_pods
from k8s_core.limits import JOB_BACKOFF

if TYPE_CHECKING:
    from k8s_core.controllers.job_pods import Count

MANAGER = "kubernetes.io/job-controller"
FAILURES = "batch.kubernetes.io/job-index-failure-count"


def is_ours(job: Object) -> bool:
    """Whether nobody else manages the Job."""
    return job["spec"].get("managedBy") in (None, MANAGER)


def failures(pod: Object) -> int:
    """How often the Pod's index had failed before it."""
    text = (pod["metadata"].get("annotations") or {}).get(FAILURES, "")
    return int(text) if text.isdigit() else 0


def note_failure(job: Object, found: "Count", pod: Object) -> None:
    """A Pod has failed: its index has one failure more, and may have failed for good."""
    limit, index = job["spec"].get("backoffLimitPerIndex"), job_pods.index_of(pod)
    what = job_pods.action(job, pod)[0]
    if limit is None or index < 0 or what == "Ignore":
        return
    number = failures(pod) + 1
    found.failures[index] = max(found.failures.get(index, (0, 0.0)), (number, job_pods.ended_at(pod)))
    if number > limit or what == "FailIndex":
        found.failed_indexes.add(index)


def delays(found: "Count", now: float) -> dict[int, float]:
    """The indexes that have to wait before they are tried again, and how long: as long as a Job without indexes."""
    first, ceiling = JOB_BACKOFF
    left = {
        index: ended + min(first * 2.0 ** (number - 1), ceiling) - now
        for index, (number, ended) in found.failures.items()
    }
    return {index: wait for index, wait in left.items() if wait > 0}


def failed(job: Object, found: "Count") -> tuple[str, str, str] | None:
    """The verdict on a Job because of its failed indexes, if there is one."""
    spec, number = job["spec"], len(found.failed_indexes)
    most = spec.get("maxFailedIndexes")
    if most is not None and number > most:
        text = "Job has exceeded the specified maximal number of failed indexes"
        return "Failed", "MaxFailedIndexesExceeded", text
    if number and number + found.succeeded >= (spec.get("completions") or 0):
        return "Failed", "FailedIndexes", "Job has failed indexes"
    return None


def succeeded(job: Object, found: "Count") -> tuple[str, str, str] | None:
    """The verdict by the first rule of spec.successPolicy that holds, if one does."""
    for at, rule in enumerate((job["spec"].get("successPolicy") or {}).get("rules") or ()):
        asked, done = rule.get("succeededIndexes"), found.completed
        needed = rule.get("succeededCount")
        if asked is not None:
            wanted = job_pods.parse_ranges(asked)
            done, needed = done & wanted, len(wanted) if needed is None else needed
        if needed is not None and len(done) >= needed:
            return "Complete", "SuccessPolicy", f"Matched rules at index {at}"
    return None
