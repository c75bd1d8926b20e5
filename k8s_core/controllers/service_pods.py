"""Which Pods stand behind which Services: the half that the two endpoints controllers have in common.

Promises: a Service is looked at again when it, or what matters of a Pod behind it, changed; both ways are indexed by
one label of the selector, so the cost is in the Pods behind a Service, not in all Pods.
Stands for staging/src/k8s.io/endpointslice/util (ServiceSelectorCache, TriggerTimeTracker) and FindPort.
"""

from collections.abc import Iterable

from k8s_core.api import Object
from k8s_core.client.informer import key_of
from k8s_core.controllers import pods as podutil
from k8s_core.controllers.controller import Controller, is_deleting, seconds

TRIGGER_TIME = "endpoints.kubernetes.io/last-change-trigger-time"
HEADLESS_LABEL = "service.kubernetes.io/headless"


def first_term(service: Object) -> list[str]:
    """One label of the Service's selector, by which its Pods can be looked up; none without a selector."""
    selector = service["spec"].get("selector") or {}
    return [f"{service['metadata']['namespace']}/{key}={selector[key]}" for key in sorted(selector)[:1]]


def terms(pod: Object) -> list[str]:
    metadata = pod["metadata"]
    return [f"{metadata['namespace']}/{key}={value}" for key, value in (metadata.get("labels") or {}).items()]


def matches(service: Object, pod: Object) -> bool:
    selector = service["spec"].get("selector") or {}
    return bool(selector) and selector.items() <= (pod["metadata"].get("labels") or {}).items()


def has_cluster_ip(service: Object) -> bool:
    return service["spec"].get("clusterIP") not in ("None", "", None)


def addresses(pod: Object) -> list[str]:
    status = pod.get("status") or {}
    return [each["ip"] for each in status.get("podIPs") or ()] or [ip for ip in [status.get("podIP")] if ip]


def belongs(pod: Object, *, terminating: bool) -> bool:
    """Whether a Pod is an endpoint at all: it has an address and has not ended (or is ending, if `terminating`)."""
    return bool(addresses(pod)) and not podutil.is_finished(pod) and (terminating or not is_deleting(pod))


def target_port(pod: Object, port: Object) -> int | None:
    """The number of a Service port's targetPort in that Pod; names are looked up in its containers."""
    target = port.get("targetPort", port["port"])
    if isinstance(target, int):
        return target
    sidecars = [each for each in pod["spec"].get("initContainers") or () if each.get("restartPolicy") == "Always"]
    for container in [*pod["spec"]["containers"], *sidecars]:
        for each in container.get("ports") or ():
            if each.get("name") == target and each.get("protocol", "TCP") == port.get("protocol", "TCP"):
                return int(each["containerPort"])
    return None


def hostname(pod: Object, service: Object) -> str:
    """The name under which a headless Service knows the Pod, "" if it has none."""
    spec = pod["spec"]
    return spec.get("hostname", "") if spec.get("subdomain") == service["metadata"]["name"] else ""


def seen_from_outside(pod: Object) -> tuple[object, ...]:
    """All of a Pod that an endpoint can tell of; if this is the same, no Service need be looked at."""
    spec = pod["spec"]
    return (
        addresses(pod),
        podutil.is_ready(pod),
        podutil.is_finished(pod),
        is_deleting(pod),
        pod["metadata"].get("labels"),
        spec.get("nodeName"),
        spec.get("hostname"),
        spec.get("subdomain"),
    )


class TriggerTimes:
    """When what a sync will publish had happened: the earliest of the changes since the sync before."""

    def __init__(self) -> None:
        self._known: dict[str, dict[str, str]] = {}

    def changed(self, service: Object, pods: Iterable[Object]) -> str:
        """A metav1.Time, "" if nothing changed."""
        key = key_of(service)
        now = {"": service["metadata"]["creationTimestamp"]}
        for pod in pods:
            if (found := podutil.ready_condition(pod)) and found.get("lastTransitionTime"):
                now[pod["metadata"]["name"]] = found["lastTransitionTime"]
        before = self._known.get(key)
        self._known[key] = now
        if before is None:
            return str(now[""])
        return min((time for name, time in now.items() if seconds(time) > seconds(before.get(name))), default="")

    def forget(self, key: str) -> None:
        self._known.pop(key, None)


class ServiceController(Controller):
    """Base of the endpoints controllers: keys are Services."""

    def setup(self) -> None:
        self.trigger_times = TriggerTimes()
        self.sizes: dict[str, int] = {}
        """How many Pods each Service had when last looked at."""
        self.services = self.informer("services", changed=self.enqueue)
        self.services.index("first-term", first_term)
        self.pods = self.informer("pods", self.pod_changed, self.pod_updated, self.pod_changed)
        self.pods.index("terms", terms)

    def services_of(self, pod: Object) -> list[Object]:
        """The Services whose selector matches the Pod."""
        return [
            service
            for term in terms(pod)
            for service in self.services.by_index("first-term", term)
            if matches(service, pod)
        ]

    def pod_changed(self, pod: Object) -> None:
        for service in self.services_of(pod):
            key = key_of(service)
            self.enqueue_batched(key, self.sizes.get(key, 0))

    def pod_updated(self, old: Object, new: Object) -> None:
        relabelled = old["metadata"].get("labels") != new["metadata"].get("labels")
        if relabelled or (self.services_of(new) and seen_from_outside(old) != seen_from_outside(new)):
            self.pod_changed(new)
            if relabelled:
                self.pod_changed(old)

    def pods_of(self, service: Object) -> list[Object]:
        """All Pods that its selector matches."""
        candidates = [pod for term in first_term(service) for pod in self.pods.by_index("terms", term)]
        found = [pod for pod in candidates if matches(service, pod)]
        self.sizes[key_of(service)] = len(found)
        return found
