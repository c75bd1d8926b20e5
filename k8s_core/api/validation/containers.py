"""Containers of every sort: what is logic. Stands for the container half of `pkg/apis/core/validation`."""

from typing import Any, NamedTuple

from k8s_core.api import Object, names
from k8s_core.api.field import duplicate, invalid, not_found, not_supported, required
from k8s_core.api.validation import resources
from k8s_core.api.validation.common import Errors, bad, each, earlier, listed, number, text


class Context(NamedTuple):
    """What a container is checked against: its Pod's spec, volumes and claims."""

    spec: Object
    volumes: dict[str, Object]
    claims: set[str]
    is_pod: bool

    @property
    def grace(self) -> int | None:
        """The Pod's termination grace period."""
        return self.spec.get("terminationGracePeriodSeconds")

    @property
    def host_users(self) -> bool:
        """Whether the Pod shares the node's user namespace."""
        return self.spec.get("hostUsers") is not False


def init_name(container: Object | None, path: str, others: list[Any], context: Context) -> Errors:
    """No init container is called like another one or a regular one."""
    name = text(container or {}, "name")
    taken = {text(other, "name") for other in earlier(others, path)} - {""}
    if name in taken | {text(c or {}, "name") for c in listed(context.spec, "containers")}:
        yield duplicate(f"{path}.name", name)


def ephemeral_name(container: Object | None, path: str, others: list[Any], context: Context) -> Errors:
    """No ephemeral container is called like another one; it may look into one that is there."""
    node = container or {}
    known = {text(c or {}, "name") for kind in ("containers", "initContainers") for c in listed(context.spec, kind)}
    name, target = text(node, "name"), text(node, "targetContainerName")
    if name in known | {text(other, "name") for other in earlier(others, path)}:
        yield duplicate(f"{path}.name", name)
    if target and target not in known:
        yield not_found(f"{path}.targetContainerName", target)


def own_resources(node: Object | None, path: str, container: Object, context: Context) -> Errors:
    """What a container asks for."""
    yield from resources.requirements(node or {}, path, resources.container_name, context.claims)


def short_sleep(action: Object, path: str, handler: Object, context: Context) -> Errors:
    """A hook does not sleep longer than its Pod has to end."""
    seconds, grace = number(action, "seconds"), context.grace
    if grace is not None and not 0 <= seconds <= grace:
        yield invalid(path, seconds, f"must be non-negative and less than terminationGracePeriodSeconds ({grace})")


def header_name(header: Object | None, path: str) -> Errors:
    """A header of a probe's request."""
    name = text(header or {}, "name")
    yield from bad(path.rpartition("[")[0], name, names.http_header_name(name))


def port_name(port: Object | None, path: str, ports: list[Any]) -> Errors:
    """A port's name, if it has one, is its own."""
    if name := text(port or {}, "name"):
        if messages := names.port_name(name):
            yield from bad(f"{path}.name", name, messages)
        elif name in (text(other, "name") for other in earlier(ports, path)):
            yield duplicate(f"{path}.name", name)


def init_host_ports(container: Object | None, path: str) -> Errors:
    """An init container has its node's ports to itself; upstream calls each of them the first."""
    yield from host_ports([container], path.rpartition("[")[0])


def host_ports(containers: list[Any] | None, path: str) -> Errors:
    """No two containers take the same port of their node."""
    taken: set[str] = set()
    for index, container in enumerate(containers or ()):
        for place, port in each(container or {}, "ports", f"{path}[{index}]"):
            if host := number(port, "hostPort"):
                key = f"{text(port, 'protocol')}/{text(port, 'hostIP')}/{host}"
                if key in taken:
                    yield duplicate(f"{place}.hostPort", key)
                taken.add(key)


def resize_policy(container: Object, path: str, within: Object, context: Context) -> Errors:
    """What happens to a container whose resources change."""
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
