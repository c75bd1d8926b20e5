"""Jobs and CronJobs. Stands for `pkg/apis/batch/validation`."""

import re
import zoneinfo
from typing import Final

from k8s_core.api import Object, cron
from k8s_core.api.field import invalid, not_supported, required, too_many
from k8s_core.api.validation import meta, podspec
from k8s_core.api.validation.common import (
    Errors,
    as_map,
    each,
    immutable,
    listed,
    non_negative,
    number,
    one_of,
    qualified_name,
    sub,
    text,
)

MAX_INDEXED_PARALLELISM: Final = 100_000
MAX_RULES: Final = 20
CRON_NAME: Final = 52
"""A CronJob's name leaves 11 characters for the time in its Jobs' names."""
COUNTS: Final = (
    "parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished",
    "backoffLimitPerIndex", "maxFailedIndexes",
)  # fmt: skip
ACTIONS: Final = ("Count", "FailIndex", "FailJob", "Ignore")
SCHEDULING: Final = ("nodeSelector", "tolerations", "schedulingGates")


def job(obj: Object) -> Errors:
    """A Job, its selector already generated."""
    spec = sub(obj, "spec")
    yield from _job_spec(spec, "spec")
    selector = spec.get("selector")
    if selector is None:
        yield required("spec.selector")
    else:
        yield from meta.label_selector(selector, "spec.selector")
    labels = sub(spec, "template", "metadata", "labels")
    if meta.matches(selector, labels) is False:
        why = "`selector` does not match template `labels`"
        yield invalid("spec.template.metadata.labels", as_map(labels), why)


def job_update(new: Object, old: Object) -> Errors:
    """A changed Job: what its Pods are stays."""
    after, before = sub(new, "spec"), sub(old, "spec")
    if after is before:
        return
    yield from job(new)
    elastic = after.get("completionMode") == "Indexed" and after.get("completions") == after.get("parallelism")
    if not elastic:
        yield from immutable("spec.completions", after.get("completions"), before.get("completions"))
    selectors = [meta.shown(spec.get("selector")) for spec in (after, before)]
    yield from immutable("spec.selector", *selectors)
    template = sub(after, "template")
    if before.get("suspend") and not sub(old, "status").get("startTime"):
        template = _with_old_directives(template, sub(before, "template"))
    if template != sub(before, "template"):
        yield invalid("spec.template", after.get("template"), "field is immutable")
    for name in ("completionMode", "podFailurePolicy", "backoffLimitPerIndex"):
        yield from immutable(f"spec.{name}", after.get(name), before.get(name))


def _with_old_directives(template: Object, old: Object) -> Object:
    """A suspended Job that never ran may still be told where its Pods are to go."""
    spec, had = dict(sub(template, "spec")), sub(old, "spec")
    for name in SCHEDULING:
        if name in had:
            spec[name] = had[name]
        else:
            spec.pop(name, None)
    affinity = {**(spec.get("affinity") or {}), "nodeAffinity": sub(had, "affinity").get("nodeAffinity")}
    affinity = {name: value for name, value in affinity.items() if value is not None}
    spec.pop("affinity", None)
    if affinity:
        spec["affinity"] = affinity
    return {**template, "metadata": old.get("metadata", {}), "spec": spec}


def _job_spec(spec: Object, path: str) -> Errors:
    for name in COUNTS:
        yield from non_negative(spec, name, path)
    mode = spec.get("completionMode")
    if mode is not None:
        if mode not in ("NonIndexed", "Indexed"):
            yield not_supported(f"{path}.completionMode", mode, ("NonIndexed", "Indexed"))
        if mode == "Indexed":
            if spec.get("completions") is None:
                yield required(f"{path}.completions", "when completion mode is Indexed")
            parallelism = number(spec, "parallelism")
            if parallelism > MAX_INDEXED_PARALLELISM:
                why = f"must be less than or equal to {MAX_INDEXED_PARALLELISM} when completion mode is Indexed"
                yield invalid(f"{path}.parallelism", parallelism, why)
    if mode != "Indexed" and spec.get("backoffLimitPerIndex") is not None:
        why = "when indexed completion mode is used"
        yield invalid(f"{path}.backoffLimitPerIndex", spec["backoffLimitPerIndex"], f"requires {why}")
    if spec.get("podFailurePolicy") is not None:
        yield from _failure_policy(spec, f"{path}.podFailurePolicy")
    yield from one_of(spec, "podReplacementPolicy", path, ("Failed", "TerminatingOrFailed"), optional=True)
    yield from podspec.template(spec.get("template"), f"{path}.template")
    policy = text(sub(spec, "template", "spec"), "restartPolicy")
    place = f"{path}.template.spec.restartPolicy"
    if policy in ("", "Always"):
        yield required(place, 'valid values: "OnFailure", "Never"')
    elif policy not in ("OnFailure", "Never"):
        yield not_supported(place, policy, ("OnFailure", "Never"))
    elif policy != "Never" and spec.get("podFailurePolicy") is not None:
        why = 'only "Never" is supported when podFailurePolicy is specified'
        yield invalid(place, policy, why)


def _failure_policy(spec: Object, path: str) -> Errors:
    policy = spec["podFailurePolicy"]
    rules = listed(policy, "rules")
    if len(rules) > MAX_RULES:
        yield too_many(f"{path}.rules", len(rules), MAX_RULES)
    containers = {
        text(c or {}, "name")
        for kind in ("containers", "initContainers")
        for c in listed(sub(spec, "template", "spec"), kind)
    }
    for place, rule in each(policy, "rules", path):
        yield from one_of(rule, "action", place, ACTIONS)
        codes, conditions = rule.get("onExitCodes"), listed(rule, "onPodConditions")
        if codes is not None:
            at = f"{place}.onExitCodes"
            yield from one_of(codes, "operator", at, ("In", "NotIn"))
            name = codes.get("containerName")
            if name is not None and name not in containers:
                why = "must be one of the container or initContainer names in the pod template"
                yield invalid(f"{at}.containerName", name, why)
            values = [value or 0 for value in listed(codes, "values")]
            if not values:
                yield invalid(f"{at}.values", values, "at least one value is required")
            for index, value in enumerate(values):
                if codes.get("operator") == "In" and value == 0:
                    yield invalid(f"{at}.values[{index}]", 0, "must not be 0 for the In operator")
            if values != sorted(values):
                yield invalid(f"{at}.values", values, "must be ordered")
        for at, condition in each(rule, "onPodConditions", place):
            if not condition.get("type"):
                yield required(f"{at}.type")
            else:
                yield from qualified_name(f"{at}.type", condition["type"])
            yield from one_of(condition, "status", at, ("False", "True", "Unknown"))
        if codes is not None and conditions:
            yield invalid(place, None, "specifying both OnExitCodes and OnPodConditions is not supported")
        if codes is None and not conditions:
            yield invalid(place, None, "specifying one of OnExitCodes and OnPodConditions is required")


def cron_job(obj: Object) -> Errors:
    """A new CronJob."""
    yield from _cron_job_spec(sub(obj, "spec"), None)
    name = text(sub(obj, "metadata"), "name")
    if len(name) > CRON_NAME:
        yield invalid("metadata.name", name, f"must be no more than {CRON_NAME} characters")


def cron_job_update(new: Object, old: Object) -> Errors:
    """A changed CronJob."""
    if new.get("spec") is not old.get("spec"):
        yield from _cron_job_spec(sub(new, "spec"), sub(old, "spec"))


def _cron_job_spec(spec: Object, old: Object | None) -> Errors:
    schedule, zone = text(spec, "schedule"), spec.get("timeZone")
    if not schedule:
        yield required("spec.schedule")
    else:
        try:
            cron.parse(schedule)
        except ValueError as error:
            yield invalid("spec.schedule", schedule, str(error))
        if "TZ" in schedule:
            why = (
                "cannot use both timeZone field and TZ or CRON_TZ in schedule"
                if zone is not None
                else "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
            )
            yield invalid("spec.schedule", schedule, why)
    yield from non_negative(spec, "startingDeadlineSeconds", "spec")
    if zone is not None and (old is None or old.get("timeZone") != zone):
        yield from _time_zone(zone)
    yield from one_of(spec, "concurrencyPolicy", "spec", ("Allow", "Forbid", "Replace"))
    job_spec = sub(spec, "jobTemplate", "spec")
    yield from _job_spec(job_spec, "spec.jobTemplate.spec")
    if job_spec.get("selector") is not None:
        why = "`selector` will be auto-generated"
        yield invalid("spec.jobTemplate.spec.selector", job_spec["selector"], why)
    if job_spec.get("manualSelector"):
        yield not_supported("spec.jobTemplate.spec.manualSelector", True, ("nil", "false"))
    yield from non_negative(spec, "successfulJobsHistoryLimit", "spec")
    yield from non_negative(spec, "failedJobsHistoryLimit", "spec")


def _time_zone(zone: str) -> Errors:
    if not zone:
        yield invalid("spec.timeZone", zone, "timeZone must be nil or non-empty string")
        return
    if zone.lower() == "local":
        why = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
        yield invalid("spec.timeZone", zone, why)
    try:
        known = bool(re.fullmatch(r"[A-Za-z0-9_+/-]+", zone) and zoneinfo.ZoneInfo(zone))
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        known = False
    if not known and zone.lower() != "local":
        yield invalid("spec.timeZone", zone, f"unknown time zone {zone}")
