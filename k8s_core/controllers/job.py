"""The Job controller: runs Pods until enough of them have succeeded, or too many have failed.

Promises: parallelism and completions, counted or indexed; back-off between failures (10 s doubling to 10 min), the
back-off limit, also by index, success policies, the active deadline; suspend and resume; every ended Pod is counted
once, even if it is deleted: the finalizer batch.kubernetes.io/job-tracking keeps it until it is.
Stands for pkg/controller/job; what is decided about Pods is in job_pods.py, about indexes in job_policies.py.
"""

from collections.abc import Iterable

from k8s_core.api import Object
from k8s_core.api.errors import ignoring, is_conflict, is_not_found
from k8s_core.api.selectors import from_label_selector
from k8s_core.client.informer import key_of, split_key
from k8s_core.controllers import job_pods, job_policies
from k8s_core.controllers import pods as podutil
from k8s_core.controllers.controller import (
    Controller,
    condition,
    controller_of,
    controller_uid,
    drop_empty,
    is_deleting,
    seconds,
    with_status,
)
from k8s_core.controllers.expectations import Expectations
from k8s_core.limits import MAX_POD_CREATE_DELETE_PER_SYNC

JOBS = "jobs.batch"


class JobController(Controller):
    name = "job-controller"
    aliases = ("job",)
    account = "job-controller"

    def setup(self) -> None:
        self.expectations = Expectations(self.loop)
        self.pod_control = podutil.PodControl(self.client, self.recorder, self.expectations)
        self.released: set[str] = set()
        """Uids of Pods whose finalizer was removed, which the cache does not show yet."""
        self.jobs = self.informer(JOBS, changed=self.enqueue)
        self.pods = podutil.watch(self, "Job", self.pod_added, self.pod_updated, self.pod_gone)

    # --- what wakes it --------------------------------------------------------------------------------------
    def owner_of(self, pod: Object) -> Object | None:
        return podutil.owner_in(self.jobs, "Job", pod)

    def wake(self, job: Object) -> None:
        self.enqueue_batched(key_of(job), job["spec"].get("parallelism", 1))

    def pod_added(self, pod: Object) -> None:
        if is_deleting(pod):
            self.pod_deleted(pod)
        elif job := self.owner_of(pod):
            self.expectations.creation_observed(key_of(job))
            self.wake(job)
        else:
            self.orphan_seen(pod)

    def pod_updated(self, old: Object, new: Object) -> None:
        if not job_pods.tracked(new):
            self.released.discard(new["metadata"]["uid"])
        if is_deleting(new):
            self.pod_deleted(new)
            return
        was, now = ((podutil.seen_by_owner(pod), job_pods.tracked(pod)) for pod in (old, new))
        if was == now:
            return
        if controller_uid(old) != controller_uid(new) and (former := self.owner_of(old)):
            self.wake(former)
        if job := self.owner_of(new):
            self.wake(job)
        else:
            self.orphan_seen(new)

    def orphan_seen(self, pod: Object) -> None:
        """A Pod without a Job is let go; a Job that it matches may adopt it."""
        self.let_go(pod)
        labels = pod["metadata"].get("labels") or {}
        for job in self.jobs.list(pod["metadata"]["namespace"]) if controller_of(pod) is None else ():
            if from_label_selector(job["spec"]["selector"]).matches(labels):
                self.enqueue(job)

    def pod_gone(self, pod: Object) -> None:
        self.released.discard(pod["metadata"]["uid"])
        self.pod_deleted(pod)

    def pod_deleted(self, pod: Object) -> None:
        if job := self.owner_of(pod):
            self.expectations.deletion_observed(key_of(job), pod["metadata"]["uid"])
            self.wake(job)
        else:
            self.let_go(pod)

    def let_go(self, pod: Object) -> None:
        """Take the finalizer from a Pod that no Job counts any more, unless that was done already."""
        metadata = pod["metadata"]
        if not job_pods.tracked(pod) or metadata["uid"] in self.released:
            return
        kept = [each for each in metadata.get("finalizers") or () if each != job_pods.TRACKING]
        patch = {"metadata": {"uid": metadata["uid"], "finalizers": kept or None}}
        self.released.add(metadata["uid"])
        with ignoring(is_not_found, is_conflict):
            self.client.patch("pods", metadata["name"], metadata["namespace"], patch)

    # --- the loop -------------------------------------------------------------------------------------------
    def sync(self, key: str) -> None:
        namespace, name = split_key(key)
        job = self.jobs.get(name, namespace)
        if job is None:
            self.expectations.forget(key)
            return
        if not job_policies.is_ours(job):
            return
        if finished(job):
            for pod in self.pods.by_index(podutil.BY_CONTROLLER, job["metadata"]["uid"]):
                self.let_go(pod)
            return
        selector = from_label_selector(job["spec"]["selector"])
        candidates = podutil.claimable(self.pods, job)
        pods = podutil.claim(self.client, "pods", job, JOBS, candidates, selector, job_pods.TRACKING)
        count = job_pods.count(job, pods, self.released)
        status = dict(job.get("status") or {})
        spec = job["spec"]
        suspended = bool(spec.get("suspend"))
        if not suspended and not status.get("startTime"):
            status["startTime"] = self.loop.timestamp()
            if spec.get("activeDeadlineSeconds"):
                self.queue.add_after(key, spec["activeDeadlineSeconds"])
        verdict = self.verdict(job, status, count)
        active = count.active
        if verdict:
            active -= self.delete_pods(key, job, count.running, count=True)
        elif self.expectations.satisfied(key) and not is_deleting(job):
            active = self.manage(key, job, count)
        conditions = self.with_suspension(job, list(status.get("conditions") or []), suspended)
        if suspended and not verdict:
            status.pop("startTime", None)
        status |= {
            "active": active,
            "ready": sum(podutil.is_ready(pod) for pod in count.running),
            "terminating": count.terminating + max(0, count.active - active),
            "conditions": conditions,
        }
        self.track(job, status, count, verdict)

    # --- has it ended? --------------------------------------------------------------------------------------
    def verdict(self, job: Object, status: Object, count: job_pods.Count) -> tuple[str, str, str] | None:
        """Complete or Failed, with reason and message; None while it goes on."""
        spec, now = job["spec"], self.loop.now
        if target := condition(status.get("conditions"), "FailureTarget"):
            return "Failed", target.get("reason", ""), target.get("message", "")
        if found := job_pods.failed_by_policy(job, count.failed):
            return "Failed", "PodFailurePolicy", found
        limit = spec.get("backoffLimit", 6)
        over = len(count.failed) + count.counted_failed > limit
        if over or (count.restarts and count.restarts >= max(limit, 1)):
            return "Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit"
        deadline = spec.get("activeDeadlineSeconds")
        if deadline and status.get("startTime") and not spec.get("suspend"):
            left = seconds(status["startTime"]) + deadline - now
            if left <= 0:
                return "Failed", "DeadlineExceeded", "Job was active longer than specified deadline"
            self.queue.add_after(key_of(job), left)
        if by_index := job_policies.failed(job, count):
            return by_index
        if target := condition(status.get("conditions"), "SuccessCriteriaMet"):
            return "Complete", target.get("reason", ""), target.get("message", "")
        if early := job_policies.succeeded(job, count):
            return early
        completions = spec.get("completions")
        if completions is None:
            done = count.succeeded > 0 and count.active == 0
        else:
            done = count.succeeded >= completions and count.active == 0
        if done or completions == 0:
            return "Complete", "CompletionsReached", "Reached expected number of succeeded pods"
        return None

    def with_suspension(self, job: Object, conditions: list[Object], suspended: bool) -> list[Object]:
        """The condition Suspended follows spec.suspend, with an event each time."""
        known = condition(conditions, "Suspended")
        if suspended == bool(known and known.get("status") == "True") or (not known and not suspended):
            return conditions
        reason, message = ("JobSuspended", "Job suspended") if suspended else ("JobResumed", "Job resumed")
        new = self.condition("Suspended", "True" if suspended else "False", reason, message)
        self.recorder.event(job, "Normal", reason.removeprefix("Job"), message)
        return [new if each is known else each for each in conditions] if known else [*conditions, new]

    def condition(self, kind: str, status: str, reason: str, message: str) -> Object:
        now = self.loop.timestamp()
        return {
            "type": kind,
            "status": status,
            "lastProbeTime": now,
            "lastTransitionTime": now,
            "reason": reason,
            "message": message,
        }

    # --- Pods -----------------------------------------------------------------------------------------------
    def manage(self, key: str, job: Object, count: job_pods.Count) -> int:
        """Make or delete Pods until as many are active as should be; how many are now."""
        spec = job["spec"]
        parallelism, completions = spec.get("parallelism", 1), spec.get("completions")
        if spec.get("suspend"):
            wanted = 0
        elif completions is None:
            wanted = min(count.active, parallelism) if count.succeeded else parallelism
        else:
            wanted = min(parallelism, completions - count.succeeded - len(count.failed_indexes))
        surplus = count.active - max(0, wanted)
        if doomed := job_pods.to_remove(job, count.running, surplus, self.loop.now):
            return count.active - self.delete_pods(key, job, doomed[:MAX_POD_CREATE_DELETE_PER_SYNC], count=False)
        if surplus < 0:
            if spec.get("podReplacementPolicy") == "Failed":
                surplus += count.terminating
            delayed = job_policies.delays(count, self.loop.now)
            if delayed:
                self.queue.add_after(key, min(delayed.values()))
            wait = 0.0 if count.failures else job_pods.backoff_left(count, self.loop.now)
            if wait > 0:
                self.queue.add_after(key, wait)
                return count.active
            return count.active + self.create_pods(
                key, job, count, min(-surplus, MAX_POD_CREATE_DELETE_PER_SYNC), delayed
            )
        return count.active

    def create_pods(self, key: str, job: Object, count: job_pods.Count, number: int, delayed: Iterable[int]) -> int:
        if number <= 0:
            return 0
        indexes, made = None, 0
        if job_pods.is_indexed(job):
            chosen = job_pods.missing_indexes(job, count, number, delayed)
            number, indexes = len(chosen), iter(chosen)

        def create() -> None:
            nonlocal made
            index = next(indexes) if indexes is not None else None
            failures = count.failures.get(-1 if index is None else index, (0, 0.0))[0]
            self.pod_control.create(job_pods.job_pod(job, index, failures), job)
            made += 1

        self.expectations.expect_creations(key, number)
        done, failure = podutil.slow_start(number, create)
        self.expectations.creation_observed(key, number - done)
        if failure and not podutil.namespace_terminating(failure):
            self.queue.add_rate_limited(key)
        return made

    def delete_pods(self, key: str, job: Object, doomed: list[Object], *, count: bool) -> int:
        """Delete them; how many were. `count` says whether they are to count as failed when they have ended."""
        if not count:
            for pod in doomed:
                self.let_go(pod)
        deleted, failure = self.pod_control.delete_all(key, doomed, job)
        if failure:
            raise failure
        return deleted

    # --- counting what ended --------------------------------------------------------------------------------
    def track(self, job: Object, status: Object, count: job_pods.Count, verdict: tuple[str, str, str] | None) -> None:
        """Count ended Pods and let them go, then write the status; the verdict comes when nothing runs any more.

        In two steps, so that a crash between them neither loses nor doubles one: their uids are written first.
        """
        uncounted = {"succeeded": count.succeeded_uids, "failed": count.failed_uids}
        if verdict and not condition(status["conditions"], job_pods.TARGETS[verdict[0]]):
            target = self.condition(job_pods.TARGETS[verdict[0]], "True", verdict[1], verdict[2])
            status["conditions"] = [*status["conditions"], target]
        if count.ended:
            status["uncountedTerminatedPods"] = drop_empty(uncounted)
            job = self.write(job, status)
            for pod in count.ended:
                self.let_go(pod)
        status |= {"succeeded": count.succeeded, "failed": len(count.failed) + count.counted_failed}
        status["uncountedTerminatedPods"] = {}
        if job_pods.is_indexed(job):
            status["completedIndexes"] = job_pods.ranges(count.completed)
        if job["spec"].get("backoffLimitPerIndex") is not None:
            status["failedIndexes"] = job_pods.ranges(count.failed_indexes)
        over = verdict and not status["active"] and not status["terminating"]
        if verdict and over:
            final = self.condition(*(verdict[0], "True", verdict[1], verdict[2]))
            status["conditions"] = [*status["conditions"], final]
            if verdict[0] == "Complete":
                status["completionTime"] = self.loop.timestamp()
        self.write(job, status)
        if verdict and over:
            if verdict[0] == "Complete":
                self.recorder.event(job, "Normal", "Completed", "Job completed")
            else:
                self.recorder.event(job, "Warning", verdict[1], verdict[2])

    def write(self, job: Object, status: Object) -> Object:
        kept = {"uncountedTerminatedPods": status.get("uncountedTerminatedPods", {}), "ready": status["ready"]}
        kept |= {"failedIndexes": status["failedIndexes"]} if "failedIndexes" in status else {}
        clean = drop_empty(status) | kept | {"terminating": status["terminating"]}
        if clean == (job.get("status") or {}):
            return job
        return self.client.update_status(JOBS, with_status(job, clean))


def finished(job: Object) -> bool:
    conditions = (job.get("status") or {}).get("conditions") or ()
    return any(each.get("type") in ("Complete", "Failed") and each.get("status") == "True" for each in conditions)
