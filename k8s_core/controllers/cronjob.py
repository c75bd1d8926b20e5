"""The CronJob controller: makes a Job at every time that a schedule names.

Promises: one Job for each scheduled time (its name is made of that time, so that two can never be made); concurrency
policies; starting deadline; of several missed times only the last is made up for; finished Jobs beyond the history
limits deleted; times in the CronJob's time zone.
Stands for pkg/controller/cronjob (v2).
"""

from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from k8s_core.api import Object, cron
from k8s_core.api.errors import StatusError, is_already_exists, is_not_found
from k8s_core.client.events import reference
from k8s_core.controllers import pods as podutil
from k8s_core.controllers.controller import (
    Controller,
    controller_of,
    controller_reference,
    controller_uid,
    drop_empty,
    is_deleting,
    seconds,
    with_status,
)

CRON_JOBS, JOBS = "cronjobs.batch", "jobs.batch"
SCHEDULED_AT = "batch.kubernetes.io/cronjob-scheduled-timestamp"
SOON: Final = 0.1  # nextScheduleDelta: a little after the time, never before it
MANY: Final = 100  # missed times beyond which something must be wrong
YEARS: Final = 5  # how far ahead a schedule is searched


class CronJobController(Controller):
    name = "cronjob-controller"
    aliases = ("cronjob",)
    account = "cronjob-controller"

    def setup(self) -> None:
        self.cron_jobs = self.informer(CRON_JOBS, changed=self.enqueue)
        self.jobs = self.informer(JOBS, changed=self.job_changed)
        podutil.index_by_controller(self.jobs)

    def job_changed(self, job: Object) -> None:
        owner = controller_of(job)
        if owner and owner["kind"] == "CronJob":
            self.queue.add(f"{job['metadata']['namespace']}/{owner['name']}")

    # --- the loop -------------------------------------------------------------------------------------------
    def sync(self, key: str) -> None:
        owner = self.cron_jobs.get_key(key)
        if owner is None:
            return
        jobs = self.jobs.by_index(podutil.BY_CONTROLLER, owner["metadata"]["uid"])
        status = self.look_at(owner, jobs)
        if not is_deleting(owner):
            wait, status = self.start_due(owner, status)
            if wait is not None:
                # In the background: the next run is no reason for time to pass.
                self.queue.add_after(key, wait, background=True)
            status = self.clean_up(owner, jobs, status)
        if status != (owner.get("status") or {}):
            self.client.update_status(CRON_JOBS, with_status(owner, status))

    def look_at(self, owner: Object, jobs: list[Object]) -> Object:
        """The status with what became of the Jobs."""
        status = dict(owner.get("status") or {})
        # Anybody may have written into the status: a reference need not be whole.
        known = [{"uid": "", "namespace": "", "name": "", **each} for each in status.get("active") or ()]
        active: dict[str, Any] = {each["uid"]: each for each in known}
        for job in jobs:
            uid, name = job["metadata"]["uid"], job["metadata"]["name"]
            end = finished(job)
            if not end and uid not in active:
                message = f"Saw a job that the controller did not create or forgot: {name}"
                self.recorder.event(owner, "Warning", "UnexpectedJob", message)
            elif end and active.pop(uid, None):
                message = f"Saw completed job: {name}, condition: {end}"
                self.recorder.event(owner, "Normal", "SawCompletedJob", message)
            completed = (job.get("status") or {}).get("completionTime")
            if end == "Complete" and seconds(completed) > seconds(status.get("lastSuccessfulTime")):
                status["lastSuccessfulTime"] = completed
        present = {job["metadata"]["uid"] for job in jobs}
        for uid, each in list(active.items()):
            if uid not in present and self.is_gone(each):
                message = f"Active job went missing: {each['name']}"
                self.recorder.event(owner, "Normal", "MissingJob", message)
                del active[uid]
        return drop_empty({**status, "active": list(active.values())})

    def is_gone(self, job: Object) -> bool:
        try:
            self.client.get(JOBS, job["name"], job["namespace"])
        except StatusError as error:
            if is_not_found(error):
                return True
            raise
        return False

    def start_due(self, owner: Object, status: Object) -> tuple[float | None, Object]:
        """Start the Job whose time has come. Seconds until the next time (None: never), and the status."""
        spec = owner["spec"]
        if spec.get("suspend"):
            return None, status
        try:
            schedule = cron.parse(spec["schedule"])
            zone = ZoneInfo(spec["timeZone"]) if spec.get("timeZone") else UTC
        except (ValueError, OSError, KeyError) as problem:
            message = f'unparseable schedule: "{spec["schedule"]}" : {problem}'
            self.recorder.event(owner, "Warning", "UnparseableSchedule", message)
            return None, status
        now = datetime.fromtimestamp(self.loop.now, zone)
        due, missed = self.latest_due(owner, status, schedule, now)
        upcoming = next_after(schedule, now)
        if upcoming is None and due is None:  # such as the 31st of February
            why = "time difference between two schedules is less than 1 second"
            self.recorder.event(owner, "Warning", "InvalidSchedule", f"invalid schedule: {spec['schedule']} : {why}")
            return None, status
        wait = None if upcoming is None else (upcoming - now).total_seconds() + SOON
        if missed > MANY:
            message = "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew"
            self.recorder.event(owner, "Warning", "TooManyMissedTimes", message)
        if due is None or seconds(status.get("lastScheduleTime")) == due.timestamp():
            return wait, status
        deadline = spec.get("startingDeadlineSeconds")
        if deadline is not None and due + timedelta(seconds=deadline) < now:
            at = due.astimezone(UTC).strftime("%a, %d %b %Y %H:%M:%S UTC")
            message = f"Missed scheduled time to start a job: {at}"
            self.recorder.event(owner, "Warning", "MissSchedule", message)
            return wait, status
        active = status.get("active") or []
        policy = spec.get("concurrencyPolicy", "Allow")
        if policy == "Forbid" and active:
            message = "Not starting job because prior execution is running and concurrency policy is Forbid"
            self.recorder.event(owner, "Normal", "JobAlreadyActive", message)
            return wait, status
        if policy == "Replace":
            for each in active:
                self.delete(owner, each["name"], each["namespace"])
            active = []
        job = self.create(owner, due)
        if job is None:
            return wait, status
        started = datetime.fromtimestamp(due.timestamp(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return wait, {**status, "active": [*active, reference(job)], "lastScheduleTime": started}

    def latest_due(
        self, owner: Object, status: Object, schedule: cron.Schedule, now: datetime
    ) -> tuple[datetime | None, int]:
        """The last scheduled time that has come since the last one started, and how many came."""
        earliest = seconds(status.get("lastScheduleTime") or owner["metadata"]["creationTimestamp"])
        deadline = owner["spec"].get("startingDeadlineSeconds")
        if deadline is not None:
            earliest = max(earliest, self.loop.now - deadline)
        found, missed = None, 0
        at = next_after(schedule, datetime.fromtimestamp(earliest, now.tzinfo))
        while at is not None and at <= now:
            found, missed = at, missed + 1
            at = next_after(schedule, at)
        return found, missed

    # --- Jobs -----------------------------------------------------------------------------------------------
    def create(self, owner: Object, due: datetime) -> Object | None:
        """Make the Job of that time. None if it is there already and not ours to note."""
        template, metadata = owner["spec"]["jobTemplate"], owner["metadata"]
        given = template.get("metadata") or {}
        name = f"{metadata['name']}-{int(due.timestamp()) // 60}"
        annotations = {**(given.get("annotations") or {}), SCHEDULED_AT: due.isoformat().replace("+00:00", "Z")}
        job: Object = {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {
                "name": name,
                "namespace": metadata["namespace"],
                "annotations": annotations,
                **({"labels": given["labels"]} if given.get("labels") else {}),
                "ownerReferences": [controller_reference(owner)],
            },
            "spec": template["spec"],
        }
        try:
            created = self.client.create(JOBS, job)
        except StatusError as error:
            if is_already_exists(error):
                known = self.client.get(JOBS, name, metadata["namespace"])
                return known if controller_uid(known) == metadata["uid"] else None
            if not podutil.namespace_terminating(error):
                message = f"Error creating job: {error.message}"
                self.recorder.event(owner, "Warning", "FailedCreate", message)
            raise
        self.recorder.event(owner, "Normal", "SuccessfulCreate", f"Created job {name}")
        return created

    def delete(self, owner: Object, name: str, namespace: str) -> None:
        try:
            self.client.delete(JOBS, name, namespace, propagation="Background")
        except StatusError as error:
            if is_not_found(error):
                return
            self.recorder.event(owner, "Warning", "FailedDelete", f"Deleted job: {error.message}")
            raise
        self.recorder.event(owner, "Normal", "SuccessfulDelete", f"Deleted job {name}")

    def clean_up(self, owner: Object, jobs: list[Object], status: Object) -> Object:
        """Delete the oldest finished Jobs beyond the history limits."""
        for end, limit in (
            ("Complete", owner["spec"].get("successfulJobsHistoryLimit")),
            ("Failed", owner["spec"].get("failedJobsHistoryLimit")),
        ):
            if limit is None:
                continue
            ended = [job for job in jobs if finished(job) == end and not is_deleting(job)]
            ended.sort(key=lambda job: ((job.get("status") or {}).get("startTime", ""), job["metadata"]["name"]))
            for job in ended[: max(0, len(ended) - limit)]:
                self.delete(owner, job["metadata"]["name"], job["metadata"]["namespace"])
        return status


def finished(job: Object) -> str:
    """Complete or Failed; "" while it runs."""
    for each in (job.get("status") or {}).get("conditions") or ():
        if each.get("type") in ("Complete", "Failed") and each.get("status") == "True":
            return str(each.get("type"))
    return ""


def next_after(schedule: cron.Schedule, after: datetime) -> datetime | None:
    """The first scheduled time after that one, in its time zone; None if there is none for years."""
    if schedule.every:
        return (after + timedelta(seconds=schedule.every)).replace(microsecond=0)
    at = after.replace(second=0, microsecond=0) + timedelta(minutes=1)
    for _ in range(366 * YEARS):
        if at.month in schedule.months and is_its_day(schedule, at):
            for hour in range(at.hour, 24):
                if hour in schedule.hours:
                    first = at.minute if hour == at.hour else 0
                    minute = next((each for each in range(first, 60) if each in schedule.minutes), None)
                    if minute is not None:
                        return at.replace(hour=hour, minute=minute)
        at = (at + timedelta(days=1)).replace(hour=0, minute=0)
    return None


def is_its_day(schedule: cron.Schedule, at: datetime) -> bool:
    """Day of the month and of the week: both must match if one is a star, otherwise either will do."""
    of_month, of_week = at.day in schedule.days, at.isoweekday() % 7 in schedule.weekdays
    return of_month and of_week if schedule.any_day else of_month or of_week
