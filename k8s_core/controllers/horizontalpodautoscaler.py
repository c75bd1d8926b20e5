"""The horizontal Pod autoscaler: every 15 seconds gives a workload as many Pods as its metrics call for.

Promises: never below minReplicas nor above maxReplicas, whatever the metrics say or if there are none; up at once
(at most doubled, or to four), down only to the highest recommendation of the last five minutes, or as spec.behavior
says; nothing within 10 % of the target; conditions and events in a real controller's words.
Stands for pkg/controller/podautoscaler; the pace is in horizontalpodautoscaler_pace.py. Resource metrics of Pods and of
containers, from the metrics.k8s.io API if the cluster has it. Leaves out: custom and external metrics.
"""

import math
from collections.abc import Mapping
from typing import Any

from k8s_core.api import Object
from k8s_core.api.errors import StatusError
from k8s_core.api.quantity import milli
from k8s_core.api.selectors import parse_labels
from k8s_core.controllers import horizontalpodautoscaler_pace as pace
from k8s_core.controllers import pods as podutil
from k8s_core.controllers.controller import Controller, condition, with_status
from k8s_core.limits import HPA_SYNC_PERIOD, HPA_TOLERANCE

AUTOSCALERS, METRICS = "horizontalpodautoscalers.autoscaling", "pods.metrics.k8s.io"
SOURCES = {"Resource": "resource", "ContainerResource": "containerResource"}
NO_METRICS = (
    "unable to get metrics for resource {}: unable to fetch metrics from resource metrics API: "
    "the server could not find the requested resource (get pods.metrics.k8s.io)"
)


class HorizontalPodAutoscalerController(Controller):
    name = "horizontal-pod-autoscaler-controller"
    aliases = ("horizontalpodautoscaling",)
    account = "horizontal-pod-autoscaler"

    def setup(self) -> None:
        self.memories: dict[str, pace.Memory] = {}
        self.autoscalers = self.informer(AUTOSCALERS, self.enqueue)
        self.pods = self.informer("pods")
        self.every(HPA_SYNC_PERIOD, self.look)

    def look(self) -> None:
        for each in self.autoscalers.list():
            self.enqueue(each)

    # --- the loop -------------------------------------------------------------------------------------------
    def sync(self, key: str) -> None:
        hpa = self.autoscalers.get_key(key)
        if hpa is None:
            self.memories.pop(key, None)
            return
        status = dict(hpa.get("status") or {})
        status["conditions"] = list(status.get("conditions") or [])
        status["observedGeneration"] = hpa["metadata"].get("generation", 1)
        status.setdefault("currentMetrics", None)
        try:
            scale = self.scale_of(hpa)
        except StatusError as error:
            self.recorder.event(hpa, "Warning", "FailedGetScale", error.message)
            why = f"the HPA controller was unable to get the target's current scale: {error.message}"
            self.set(status, "AbleToScale", "False", "FailedGetScale", why)
            self.write(hpa, status)
            return
        why = "the HPA controller was able to get the target's current scale"
        self.set(status, "AbleToScale", "True", "SucceededGetScale", why)
        current = (scale.get("spec") or {}).get("replicas", 0)
        status["currentReplicas"] = current
        memory = self.memories.setdefault(key, pace.Memory([(self.loop.now, current)]))
        desired, reason = self.desired(memory, hpa, scale, current, status)
        status["desiredReplicas"] = desired
        if desired != current and self.rescale(hpa, desired, reason, status):
            memory.changes.append((self.loop.now, desired - current))
        self.write(hpa, status)

    def desired(self, memory: pace.Memory, hpa: Object, scale: Object, current: int, status: Object) -> tuple[int, str]:
        """How many replicas there should be, and why if that is another number."""
        least, most = hpa["spec"].get("minReplicas", 1), hpa["spec"]["maxReplicas"]
        if current == 0 and least:
            why = "scaling is disabled since the replica count of the target is zero"
            self.set(status, "ScalingActive", "False", "ScalingDisabled", why)
            return 0, ""
        if current > most:
            return most, "Current number of replicas above Spec.MaxReplicas"
        if current < least:
            return least, "Current number of replicas below Spec.MinReplicas"
        found = self.from_metrics(hpa, scale, current, status)
        if found is None:
            return current, ""
        proposed, what = found
        number, able, limited = pace.normalized(hpa, memory, self.loop.now, current, proposed)
        self.set(status, "AbleToScale", "True", *able)
        self.set(status, "ScalingLimited", "False" if limited == pace.WITHIN else "True", *limited)
        return number, f"{what} above target" if proposed > current else "All metrics below target"

    # --- metrics --------------------------------------------------------------------------------------------
    def from_metrics(self, hpa: Object, scale: Object, current: int, status: Object) -> tuple[int, str] | None:
        """The largest number that a metric calls for, and that metric; None if none could be read."""
        found: list[tuple[int, str, Object]] = []
        problems: list[tuple[Object, str]] = []
        metrics = hpa["spec"].get("metrics") or ()
        for metric in metrics:
            try:
                found.append(self.from_metric(hpa, metric, scale, current))
            except LookupError as problem:
                problems.append((metric, str(problem)))
        proposed, what, _ = max(found, key=lambda each: each[0], default=(0, "", {}))
        if problems and (not found or proposed < current):  # what is unknown may call for more: never fewer on a guess
            metric, first = problems[0]
            why = f"the HPA was unable to compute the replica count: {first}"
            reason = f"FailedGet{metric['type']}Metric"
            self.set(status, "ScalingActive", "False", reason, why)
            self.recorder.event(hpa, "Warning", reason, first)
            source = metric.get(SOURCES.get(metric["type"], ""), {})
            which = f"{source['container']} container" if "container" in source else f"{source.get('name')} resource"
            message = (
                f"invalid metrics ({len(problems)} invalid out of {len(metrics)}), "
                f"first error is: failed to get {which} metric value: {first}"
            )
            self.recorder.event(hpa, "Warning", "FailedComputeMetricsReplicas", message)
            return None
        status["currentMetrics"] = [each for _, _, each in found]
        why = f"the HPA was able to successfully calculate a replica count from {what}"
        self.set(status, "ScalingActive", "True", "ValidMetricFound", why)
        return proposed, what

    def from_metric(self, hpa: Object, metric: Object, scale: Object, current: int) -> tuple[int, str, Object]:
        """Replicas by one metric of Pods or of one of their containers. Raises LookupError if it cannot be known."""
        field = SOURCES.get(metric["type"])
        if field is None:
            raise LookupError(f'unknown metric source type "{metric["type"]}"')
        source = metric[field]
        kind, target, container = source["name"], source["target"], source.get("container", "")
        namespace, selector = hpa["metadata"]["namespace"], parse_labels(scale["status"].get("selector", ""))
        mine = [
            pod
            for pod in self.pods.list(namespace)
            if selector.matches(pod["metadata"].get("labels") or {}) and podutil.is_active(pod)
        ]
        wanted = "utilization" if target["type"] == "Utilization" else "usage"
        usage = self.usage(namespace, kind, f"failed to get {kind} {wanted}", container)
        known = [pod for pod in mine if pod["metadata"]["name"] in usage and podutil.is_ready(pod)]
        if not known:
            raise LookupError(f"failed to get {kind} {wanted}: did not receive metrics for targeted pods")
        total = sum(usage[pod["metadata"]["name"]] for pod in known)
        average: Object = {"averageValue": f"{total // len(known)}m"}
        what = f"{kind} container resource" if container else f"{kind} resource"
        if target["type"] == "Utilization":
            requests = sum(request(pod, kind, container) for pod in known)
            if not requests:
                raise LookupError(f"failed to get {kind} utilization: missing request for {kind}")
            percent = total * 100 // requests
            average |= {"averageUtilization": percent}
            ratio = percent / target["averageUtilization"]
            what += " utilization (percentage of request)"
        else:
            ratio = total / len(known) / milli(target["averageValue"])
        near = abs(ratio - 1) <= HPA_TOLERANCE
        replicas = current if near else math.ceil(ratio * len(known))
        named = {"container": container} if container else {}
        return replicas, what, {"type": metric["type"], field: {"name": kind, **named, "current": average}}

    def usage(self, namespace: str, kind: str, what: str, container: str = "") -> Mapping[str, int]:
        """Thousandths used by each Pod, or by that container of it. Raises LookupError without a metrics API."""
        if self.client.resources.find(METRICS) is None:
            raise LookupError(f"{what}: {NO_METRICS.format(kind)}")
        return {
            each["metadata"]["name"]: sum(
                milli(one["usage"].get(kind, "0"))
                for one in each.get("containers") or ()
                if container in ("", one["name"])
            )
            for each in self.client.list(METRICS, namespace)
        }

    # --- reading and writing --------------------------------------------------------------------------------
    def target(self, hpa: Object) -> tuple[str, str]:
        """The resource and name of what is scaled. Raises StatusError if there is no such kind."""
        reference = hpa["spec"]["scaleTargetRef"]
        group, _, version = reference.get("apiVersion", "v1").rpartition("/")
        resource = self.client.resources.by_kind(group, version, reference["kind"])
        if resource is None:
            why = f'no matches for kind "{reference["kind"]}" in group "{group}"'
            raise StatusError(404, "NotFound", why)
        return resource.group_resource, reference["name"]

    def scale_of(self, hpa: Object) -> Object:
        resource, name = self.target(hpa)
        return self.client.get(resource, name, hpa["metadata"]["namespace"], "scale")

    def rescale(self, hpa: Object, desired: int, reason: str, status: Object) -> bool:
        """Set the number of Pods; False if that was refused."""
        resource, _ = self.target(hpa)
        scale = self.scale_of(hpa)
        try:
            self.client.update(resource, {**scale, "spec": {"replicas": desired}}, "scale")
        except StatusError as error:
            message = f"New size: {desired}; reason: {reason}; error: {error.message}"
            self.recorder.event(hpa, "Warning", "FailedRescale", message)
            why = f"the HPA controller was unable to update the target scale: {error.message}"
            self.set(status, "AbleToScale", "False", "FailedUpdateScale", why)
            status["desiredReplicas"] = status["currentReplicas"]
            return False
        why = f"the HPA controller was able to update the target scale to {desired}"
        self.set(status, "AbleToScale", "True", "SucceededRescale", why)
        self.recorder.event(hpa, "Normal", "SuccessfulRescale", f"New size: {desired}; reason: {reason}")
        status["lastScaleTime"] = self.loop.timestamp()
        return True

    def set(self, status: Object, kind: str, verdict: str, reason: str, message: str) -> None:
        conditions: list[Object] = status["conditions"]
        known = condition(conditions, kind)
        since = known.get("lastTransitionTime") if known and known.get("status") == verdict else None
        new: dict[str, Any] = {
            "type": kind,
            "status": verdict,
            "reason": reason,
            "message": message,
            "lastTransitionTime": since or self.loop.timestamp(),
        }
        if known:
            conditions[conditions.index(known)] = new
        else:
            conditions.append(new)

    def write(self, hpa: Object, status: Object) -> None:
        if status != (hpa.get("status") or {}):
            self.client.update_status(AUTOSCALERS, with_status(hpa, status))


def request(pod: Object, kind: str, container: str = "") -> int:
    """The request of a Pod, or of that container of it, in thousandths."""
    return sum(
        milli(((each.get("resources") or {}).get("requests") or {}).get(kind, "0"))
        for each in pod["spec"]["containers"]
        if container in ("", each["name"])
    )
