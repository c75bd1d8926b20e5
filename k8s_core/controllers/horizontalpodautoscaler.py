"""The horizontal Pod autoscaler: every 15 seconds gives a workload as many Pods as its metrics call for.

Promises: never below minReplicas nor above maxReplicas, whatever the metrics say or if there are none; up at once
(at most doubled, or by four), down only to the highest recommendation of the last five minutes; nothing within 10 % of
the target; conditions and events in a real controller's words.
Stands for pkg/controller/podautoscaler. Resource metrics only, from the metrics.k8s.io API if the cluster has it.
Leaves out: custom, external and container metrics, and behaviour policies other than the stabilization windows.
"""

import math
from collections.abc import Mapping
from typing import Any

from k8s_core.api import Object
from k8s_core.api.errors import StatusError
from k8s_core.api.quantity import milli
from k8s_core.api.selectors import parse_labels
from k8s_core.controllers import pods as podutil
from k8s_core.controllers.controller import Controller, condition, with_status
from k8s_core.limits import HPA_DOWNSCALE_STABILIZATION, HPA_SYNC_PERIOD, HPA_TOLERANCE

AUTOSCALERS, METRICS = "horizontalpodautoscalers.autoscaling", "pods.metrics.k8s.io"
NO_METRICS = (
    "unable to get metrics for resource {}: unable to fetch metrics from resource metrics API: "
    "the server could not find the requested resource (get pods.metrics.k8s.io)"
)


class HorizontalPodAutoscalerController(Controller):
    name = "horizontal-pod-autoscaler-controller"
    aliases = ("horizontalpodautoscaling",)
    account = "horizontal-pod-autoscaler"

    def setup(self) -> None:
        self.recommended: dict[str, list[tuple[float, int]]] = {}
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
            self.recommended.pop(key, None)
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
        desired, reason = self.desired(key, hpa, scale, current, status)
        status["desiredReplicas"] = desired
        if desired != current:
            self.rescale(hpa, desired, reason, status)
        self.write(hpa, status)

    def desired(self, key: str, hpa: Object, scale: Object, current: int, status: Object) -> tuple[int, str]:
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
        history = [each for each in self.recommended.get(key, []) if each[0] > self.loop.now - self.window(hpa)]
        self.recommended[key] = [*history, (self.loop.now, proposed)]
        stable = max([proposed, *(count for _, count in history)]) if proposed < current else proposed
        stable = min(stable, current) if proposed < current else stable
        if stable != proposed:
            why = "recent recommendations were higher than current one, applying the highest recent recommendation"
            self.set(status, "AbleToScale", "True", "ScaleDownStabilized", why)
        else:
            why = "recommended size matches current size"
            self.set(status, "AbleToScale", "True", "ReadyForNewScale", why)
        ceiling = min(most, max(2 * current, current + 4))
        limited = min(max(stable, least), ceiling)
        if limited < stable:
            why = "the desired replica count is more than the maximum replica count"
            self.set(status, "ScalingLimited", "True", "TooManyReplicas", why)
        elif limited > stable:
            why = "the desired replica count is less than the minimum replica count"
            self.set(status, "ScalingLimited", "True", "TooFewReplicas", why)
        else:
            why = "the desired count is within the acceptable range"
            self.set(status, "ScalingLimited", "False", "DesiredWithinRange", why)
        return limited, f"{what} above target" if limited > current else "All metrics below target"

    def window(self, hpa: Object) -> float:
        down = (hpa["spec"].get("behavior") or {}).get("scaleDown") or {}
        return float(down.get("stabilizationWindowSeconds", HPA_DOWNSCALE_STABILIZATION))

    # --- metrics --------------------------------------------------------------------------------------------
    def from_metrics(self, hpa: Object, scale: Object, current: int, status: Object) -> tuple[int, str] | None:
        """The largest number that a metric calls for, and that metric; None if none could be read."""
        found: list[tuple[int, str, Object]] = []
        problems = []
        for metric in hpa["spec"].get("metrics") or ():
            try:
                found.append(self.from_metric(hpa, metric, scale, current))
            except LookupError as problem:
                problems.append(str(problem))
        if not found:
            first = problems[0] if problems else "no metrics to scale on"
            why = f"the HPA was unable to compute the replica count: {first}"
            self.set(status, "ScalingActive", "False", "FailedGetResourceMetric", why)
            self.recorder.event(hpa, "Warning", "FailedGetResourceMetric", first)
            kind = ((hpa["spec"].get("metrics") or [{}])[0].get("resource") or {}).get("name", "cpu")
            message = (
                f"invalid metrics ({len(problems)} invalid out of {len(problems)}), "
                f"first error is: failed to get {kind} resource metric value: {first}"
            )
            self.recorder.event(hpa, "Warning", "FailedComputeMetricsReplicas", message)
            return None
        proposed, what, _ = max(found, key=lambda each: each[0])
        status["currentMetrics"] = [each for _, _, each in found]
        why = f"the HPA was able to successfully calculate a replica count from {what}"
        self.set(status, "ScalingActive", "True", "ValidMetricFound", why)
        return proposed, what

    def from_metric(self, hpa: Object, metric: Object, scale: Object, current: int) -> tuple[int, str, Object]:
        """Replicas by one resource metric. Raises LookupError if it cannot be known."""
        if metric.get("type") != "Resource":
            raise LookupError(f'unknown metric source type "{metric.get("type")}"')
        source = metric["resource"]
        kind, target = source["name"], source["target"]
        selector = parse_labels((scale.get("status") or {}).get("selector", ""))
        mine = [
            pod
            for pod in self.pods.list(hpa["metadata"]["namespace"])
            if selector.matches(pod["metadata"].get("labels") or {}) and podutil.is_active(pod)
        ]
        wanted = "utilization" if target["type"] == "Utilization" else "usage"
        usage = self.usage(hpa["metadata"]["namespace"], kind, f"failed to get {kind} {wanted}")
        known = [pod for pod in mine if pod["metadata"]["name"] in usage and podutil.is_ready(pod)]
        if not known:
            raise LookupError(f"failed to get {kind} {wanted}: did not receive metrics for targeted pods")
        total = sum(usage[pod["metadata"]["name"]] for pod in known)
        average: Object = {"averageValue": f"{total // len(known)}m"}
        if target["type"] == "Utilization":
            requests = sum(request(pod, kind) for pod in known)
            if not requests:
                raise LookupError(f"failed to get {kind} utilization: missing request for {kind}")
            percent = total * 100 // requests
            average |= {"averageUtilization": percent}
            ratio = percent / target["averageUtilization"]
            what = f"{kind} resource utilization (percentage of request)"
        else:
            ratio = total / len(known) / milli(target["averageValue"])
            what = f"{kind} resource"
        near = abs(ratio - 1) <= HPA_TOLERANCE
        replicas = current if near else math.ceil(ratio * len(known))
        return replicas, what, {"type": "Resource", "resource": {"name": kind, "current": average}}

    def usage(self, namespace: str, kind: str, what: str) -> Mapping[str, int]:
        """Thousandths used by each Pod. Raises LookupError without a metrics API."""
        if self.client.resources.find(METRICS) is None:
            raise LookupError(f"{what}: {NO_METRICS.format(kind)}")
        return {
            each["metadata"]["name"]: sum(milli(one["usage"].get(kind, "0")) for one in each.get("containers") or ())
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

    def rescale(self, hpa: Object, desired: int, reason: str, status: Object) -> None:
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
            return
        why = f"the HPA controller was able to update the target scale to {desired}"
        self.set(status, "AbleToScale", "True", "SucceededRescale", why)
        self.recorder.event(hpa, "Normal", "SuccessfulRescale", f"New size: {desired}; reason: {reason}")
        status["lastScaleTime"] = self.loop.timestamp()

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


def request(pod: Object, kind: str) -> int:
    """The Pod's request in thousandths."""
    containers = pod["spec"]["containers"]
    return sum(milli(((each.get("resources") or {}).get("requests") or {}).get(kind, "0")) for each in containers)
