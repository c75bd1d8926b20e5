"""Containers of every sort: names, images, ports, environment, mounts, probes, resources, security.

Stands for the container half of `pkg/apis/core/validation`. Windows' own options are only looked at where they
clash with Linux ones.
"""

from typing import Any, Final, NamedTuple

from k8s_core.api import Object, names
from k8s_core.api.field import duplicate, forbidden, invalid, not_found, not_supported, required
from k8s_core.api.validation import environment, resources, security
from k8s_core.api.validation.common import (
    PROTOCOLS,
    Errors,
    bad,
    dns_label,
    each,
    listed,
    non_negative,
    number,
    one_of,
    port_number,
    port_or_name,
    sub,
    text,
)

PULL_POLICIES: Final = ("Always", "IfNotPresent", "Never")
MESSAGE_POLICIES: Final = ("File", "FallbackToLogsOnError")
RESTART_POLICIES: Final = ("Always", "Never", "OnFailure")
SIDECAR_ONLY: Final = ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe")
EPHEMERAL_FORBIDDEN: Final = (
    "ports", "resources", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle",
)  # fmt: skip
NOT_EPHEMERAL: Final = "cannot be set for an Ephemeral Container"


class Context(NamedTuple):
    """What a container is checked against: its Pod's spec, volumes and claims."""

    spec: Object
    volumes: dict[str, Object]
    claims: set[str]

    @property
    def grace(self) -> int | None:
        """The Pod's termination grace period."""
        return self.spec.get("terminationGracePeriodSeconds")

    @property
    def host_users(self) -> bool:
        """Whether the Pod shares the node's user namespace."""
        return self.spec.get("hostUsers") is not False


def regular(context: Context, path: str) -> Errors:
    """The containers of a Pod's spec: at least one, with different names."""
    place = f"{path}.containers"
    if not listed(context.spec, "containers"):
        yield required(place)
        return
    seen: set[str] = set()
    for where, container in each(context.spec, "containers", path):
        yield from _common(container, context, where)
        name = text(container, "name")
        if name in seen:
            yield duplicate(f"{where}.name", name)
        seen.add(name)
        yield from _running(container, context, where)
        yield from _restart_policy(container, where)
    yield from _host_ports(listed(context.spec, "containers"), place)


def init(context: Context, path: str) -> Errors:
    """Init containers: they end before the others start, unless they are sidecars (restartPolicy: Always)."""
    seen = {text(c or {}, "name") for c in listed(context.spec, "containers")}
    for where, container in each(context.spec, "initContainers", path):
        yield from _common(container, context, where)
        yield from _restart_policy(container, where)
        name = text(container, "name")
        if name in seen:
            yield duplicate(f"{where}.name", name)
        elif name:
            seen.add(name)
        yield from _host_ports([container], f"{path}.initContainers")
        if container.get("restartPolicy") == "Always":
            yield from _running(container, context, where)
            continue
        for field in SIDECAR_ONLY:
            if container.get(field) is not None:
                why = "may not be set for init containers without restartPolicy=Always"
                yield forbidden(f"{where}.{field}", why)


def ephemeral(context: Context, path: str) -> Errors:
    """Ephemeral containers: for looking inside a running Pod, so without what a service needs."""
    others = {text(c or {}, "name") for kind in ("containers", "initContainers") for c in listed(context.spec, kind)}
    seen = set(others)
    for where, container in each(context.spec, "ephemeralContainers", path):
        yield from _common(container, context, where)
        yield from image_whitespace(container, where)
        name, target = text(container, "name"), text(container, "targetContainerName")
        if name in seen:
            yield duplicate(f"{where}.name", name)
        seen.add(name)
        if target and target not in others:
            yield not_found(f"{where}.targetContainerName", target)
        for field in EPHEMERAL_FORBIDDEN:
            if container.get(field):
                yield forbidden(f"{where}.{field}", NOT_EPHEMERAL)
        for mount, place in ((m, p) for p, m in each(container, "volumeMounts", where)):
            for field in ("subPath", "subPathExpr"):
                if mount.get(field):
                    yield forbidden(f"{place}.{field}", NOT_EPHEMERAL)


def image_whitespace(container: Object, path: str) -> Errors:
    """What holds for a Pod's images but not for a template's."""
    image = text(container, "image")
    if image != image.strip():
        yield invalid(f"{path}.image", image, "must not have leading or trailing whitespace")


def _common(container: Object, context: Context, path: str) -> Errors:
    name = text(container, "name")
    if not name:
        yield required(f"{path}.name")
    else:
        yield from dns_label(f"{path}.name", name)
    if not container.get("image"):
        yield required(f"{path}.image")
    yield from one_of(container, "terminationMessagePolicy", path, MESSAGE_POLICIES)
    yield from _ports(container, path)
    yield from environment.variables(container, path)
    yield from environment.variables_from(container, path)
    yield from environment.mounts(container, context.volumes, path)
    yield from environment.devices(container, context.volumes, path)
    yield from one_of(container, "imagePullPolicy", path, PULL_POLICIES)
    yield from resources.requirements(
        sub(container, "resources"), f"{path}.resources", resources.container_name, context.claims
    )
    yield from _resize_policy(container, context, path)
    if container.get("securityContext") is not None:
        yield from security.container(container["securityContext"], f"{path}.securityContext", context.host_users)


def _running(container: Object, context: Context, path: str) -> Errors:
    for hook in ("postStart", "preStop"):
        handler = sub(container, "lifecycle").get(hook)
        if handler is not None:
            yield from _handler(handler, f"{path}.lifecycle.{hook}", context.grace)
    for kind in ("livenessProbe", "readinessProbe", "startupProbe"):
        probe = container.get(kind)
        if probe is None:
            continue
        place = f"{path}.{kind}"
        yield from _handler(probe, place, context.grace)
        for field in (
            "initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold",
        ):  # fmt: skip
            yield from non_negative(probe, field, place)
        grace = probe.get("terminationGracePeriodSeconds")
        if grace is not None and grace <= 0:
            yield invalid(f"{place}.terminationGracePeriodSeconds", grace, "must be greater than 0")
        if kind == "readinessProbe":
            if grace is not None:
                why = "must not be set for readinessProbes"
                yield invalid(f"{place}.terminationGracePeriodSeconds", grace, why)
        elif number(probe, "successThreshold") != 1:
            yield invalid(f"{place}.successThreshold", number(probe, "successThreshold"), "must be 1")


def _handler(handler: Object, path: str, grace: int | None) -> Errors:
    kinds = [k for k in ("exec", "httpGet", "tcpSocket", "grpc", "sleep") if handler.get(k) is not None]
    if not kinds:
        yield required(path, "must specify a handler type")
    for kind in kinds[1:]:
        yield forbidden(f"{path}.{kind}", "may not specify more than 1 handler type")
    if not kinds:
        return
    kind, action = kinds[0], handler[kinds[0]]
    place = f"{path}.{kind}"
    if kind == "exec" and not listed(action, "command"):
        yield required(f"{place}.command")
    elif kind == "httpGet":
        if not action.get("path"):
            yield required(f"{place}.path")
        yield from port_or_name(f"{place}.port", action.get("port"))
        if text(action, "scheme") not in ("HTTP", "HTTPS"):
            yield not_supported(f"{place}.scheme", text(action, "scheme"), ("HTTP", "HTTPS"))
        for header in listed(action, "httpHeaders"):
            header_name = text(header or {}, "name")
            yield from bad(f"{place}.httpHeaders", header_name, names.http_header_name(header_name))
    elif kind in ("tcpSocket", "grpc"):
        yield from port_or_name(f"{place}.port", action.get("port"))
    elif kind == "sleep":
        seconds = number(action, "seconds")
        if grace is not None and not 0 <= seconds <= grace:
            why = f"must be non-negative and less than terminationGracePeriodSeconds ({grace})"
            yield invalid(place, seconds, why)


def _restart_policy(container: Object, path: str) -> Errors:
    policy, rules = container.get("restartPolicy"), listed(container, "restartPolicyRules")
    if policy is None:
        if rules:
            why = "must specify restartPolicy when restart rules are used"
            yield required(f"{path}.restartPolicy", why)
    elif policy not in RESTART_POLICIES:
        yield not_supported(f"{path}.restartPolicy", policy, RESTART_POLICIES)
    for place, rule in each(container, "restartPolicyRules", path):
        yield from one_of(rule, "action", place, ("Restart", "RestartAllContainers"))
        codes = rule.get("exitCodes")
        if codes is None:
            yield required(f"{place}.exitCodes", "must be specified")
        elif text(codes, "operator") not in ("In", "NotIn"):
            yield not_supported(f"{place}.exitCodes.operator", text(codes, "operator"), ("In", "NotIn"))


def _ports(container: Object, path: str) -> Errors:
    seen: set[str] = set()
    for place, port in each(container, "ports", path):
        if name := text(port, "name"):
            if messages := names.port_name(name):
                yield from bad(f"{place}.name", name, messages)
            elif name in seen:
                yield duplicate(f"{place}.name", name)
            seen.add(name)
        if not port.get("containerPort"):
            yield required(f"{place}.containerPort")
        else:
            yield from port_number(f"{place}.containerPort", port["containerPort"])
        if port.get("hostPort"):
            yield from port_number(f"{place}.hostPort", port["hostPort"])
        yield from one_of(port, "protocol", place, PROTOCOLS)


def _host_ports(containers: list[Any], path: str) -> Errors:
    taken: set[str] = set()
    for index, container in enumerate(containers):
        for place, port in each(container or {}, "ports", f"{path}[{index}]"):
            if host := number(port, "hostPort"):
                key = f"{text(port, 'protocol')}/{text(port, 'hostIP')}/{host}"
                if key in taken:
                    yield duplicate(f"{place}.hostPort", key)
                taken.add(key)


def _resize_policy(container: Object, context: Context, path: str) -> Errors:
    seen: set[str] = set()
    at = f"{path}.resizePolicy"
    for place, policy in each(container, "resizePolicy", path):
        name, restart = text(policy, "resourceName"), text(policy, "restartPolicy")
        if name in seen:
            yield duplicate(place, name)
        seen.add(name)
        for value, allowed in ((name, ("cpu", "memory")), (restart, ("NotRequired", "RestartContainer"))):
            if not value:
                yield required(at)
            elif value not in allowed:
                yield not_supported(at, value, allowed)
        if context.spec.get("restartPolicy") == "Never" and restart != "NotRequired":
            yield invalid(at, restart, "must be 'NotRequired' when `restartPolicy` is 'Never'")
