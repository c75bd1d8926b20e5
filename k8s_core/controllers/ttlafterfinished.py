"""TTL after finished: deletes Jobs `ttlSecondsAfterFinished` after their end.

Stands for pkg/controller/ttlafterfinished.
"""

from k8s_core.api import Object
from k8s_core.api.errors import ignoring, is_not_found
from k8s_core.client.informer import split_key
from k8s_core.controllers.controller import Controller, is_deleting, seconds

JOBS = "jobs.batch"


class TTLAfterFinishedController(Controller):
    name = "ttl-after-finished-controller"
    aliases = ("ttl-after-finished",)
    account = "ttl-after-finished-controller"

    def setup(self) -> None:
        self.jobs = self.informer(JOBS, self.seen, lambda _, new: self.seen(new))

    def seen(self, job: Object) -> None:
        if expiry(job) is not None and not is_deleting(job):
            self.enqueue(job)

    def sync(self, key: str) -> None:
        job = self.jobs.get_key(key)
        due = expiry(job) if job else None
        if job is None or due is None or is_deleting(job):
            return
        if due > self.loop.now:
            self.queue.add_after(key, due - self.loop.now)
            return
        namespace, name = split_key(key)
        with ignoring(is_not_found):
            fresh = self.client.get(JOBS, name, namespace)  # its TTL may have been prolonged just now
            still_due = expiry(fresh)
            if still_due is not None and still_due <= self.loop.now:
                self.client.delete(JOBS, name, namespace, uid=fresh["metadata"]["uid"], propagation="Foreground")


def expiry(job: Object) -> float | None:
    """When the Job is to be deleted, in seconds since the epoch; None if it has no TTL or has not ended."""
    ttl = job["spec"].get("ttlSecondsAfterFinished")
    for each in (job.get("status") or {}).get("conditions") or ():
        if each.get("type") in ("Complete", "Failed") and each.get("status") == "True" and ttl is not None:
            return seconds(each.get("lastTransitionTime")) + float(ttl)
    return None
