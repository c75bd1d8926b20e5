"""A container's environment variables, and $(VAR) in its command.

Stands for kubelet_pods.go makeEnvironmentVariables, pkg/kubelet/envvars and third_party/forked/golang/expansion.
"""

import base64
import re
from collections.abc import Callable, Iterable

from k8s_core.api import Object, quantity
from k8s_core.limits import NODE_CAPACITY

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
Get = Callable[[str, str], Object | None]
"""(kind: "configmaps" or "secrets", name) -> the object in the Pod's namespace, or None."""


class ConfigError(Exception):
    """Why a container cannot be configured; becomes the message of CreateContainerConfigError."""


def expand(text: str, values: dict[str, str]) -> str:
    """Replace $(NAME) by values; $$ is a $, unknown names stay as they are."""
    return re.sub(r"\$(\$|\(([^()]*)\))", lambda m: "$" if m[1] == "$" else values.get(m[2], m[0]), text)


def service_variables(services: Iterable[Object]) -> dict[str, str]:
    """REDIS_SERVICE_HOST, REDIS_PORT_6379_TCP ... of the Services that have a cluster IP."""
    found: dict[str, str] = {}
    for service in services:
        spec = service["spec"]
        address, ports = spec.get("clusterIP", ""), spec.get("ports") or []
        if address in ("", "None") or not ports:
            continue
        name = service["metadata"]["name"].upper().replace("-", "_")
        found[f"{name}_SERVICE_HOST"] = address
        found[f"{name}_SERVICE_PORT"] = str(ports[0]["port"])
        for port in ports:
            if port.get("name"):
                found[f"{name}_SERVICE_PORT_{port['name'].upper().replace('-', '_')}"] = str(port["port"])
        for index, port in enumerate(ports):
            protocol = port.get("protocol", "TCP")
            url = f"{protocol.lower()}://{address}:{port['port']}"
            if index == 0:
                found[f"{name}_PORT"] = url
            prefix = f"{name}_PORT_{port['port']}_{protocol}"
            found |= {
                prefix: url,
                f"{prefix}_PROTO": protocol.lower(),
                f"{prefix}_PORT": str(port["port"]),
                f"{prefix}_ADDR": address,
            }
    return found


def field_value(pod: Object, status: Object, path: str, node_ip: str) -> str:
    """The value of a downward API field path."""
    meta, spec = pod["metadata"], pod["spec"]
    match = re.fullmatch(r"metadata\.(labels|annotations)(?:\['(.+)'\])?", path)
    if match:
        values = meta.get(match[1]) or {}
        if match[2] is not None:
            return str(values.get(match[2], ""))
        return "\n".join(f'{key}="{_escape(value)}"' for key, value in sorted(values.items()))
    ips = [ip["ip"] for ip in status.get("podIPs") or ()]
    simple = {
        "metadata.name": meta["name"],
        "metadata.namespace": meta.get("namespace", ""),
        "metadata.uid": meta.get("uid", ""),
        "spec.nodeName": spec.get("nodeName", ""),
        "spec.serviceAccountName": spec.get("serviceAccountName", ""),
        "status.hostIP": node_ip,
        "status.hostIPs": node_ip,
        "status.podIP": ips[0] if ips else "",
        "status.podIPs": ",".join(ips),
    }
    if path not in simple:
        raise ConfigError(f"unsupported fieldPath: {path}")
    return str(simple[path])


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def resource_value(pod: Object, container: Object, reference: Object) -> str:
    """The value of a resourceFieldRef, in units of its divisor, rounded up; a limit that is not set is the node's."""
    name = reference.get("containerName")
    if name:
        all_containers = [*pod["spec"]["containers"], *(pod["spec"].get("initContainers") or ())]
        container = next((c for c in all_containers if c["name"] == name), container)
    part, _, resource = reference["resource"].partition(".")
    values = (container.get("resources") or {}).get(part) or {}
    value = values.get(resource) or (NODE_CAPACITY.get(resource, "0") if part == "limits" else "0")
    divisor = reference.get("divisor") or "1"
    if divisor == "0":
        divisor = "1"
    if resource == "cpu":
        return str(-(-quantity.milli(value) // max(quantity.milli(divisor), 1)))
    return str(-(-quantity.value(value) // max(quantity.value(divisor), 1)))


def build(
    pod: Object,
    container: Object,
    status: Object,
    *,
    get: Get,
    services: dict[str, str],
    node_ip: str,
    image_env: dict[str, str],
    hostname: str,
) -> dict[str, str]:
    """The environment of PID 1; raises ConfigError."""
    namespace = pod["metadata"]["namespace"]
    given: dict[str, str] = {}
    for source in container.get("envFrom") or ():
        kind, key = ("configmaps", "configMapRef") if "configMapRef" in source else ("secrets", "secretRef")
        reference = source[key]
        obj = get(kind, reference["name"])
        if obj is None:
            if reference.get("optional"):
                continue
            raise ConfigError(f'{kind[:-1]} "{reference["name"]}" not found')
        given |= {source.get("prefix", "") + name: value for name, value in texts(obj).items()}
    for variable in container.get("env") or ():
        name, origin = variable["name"], variable.get("valueFrom")
        if not origin:
            given[name] = expand(variable.get("value", ""), {**services, **given})
        elif "fieldRef" in origin:
            given[name] = field_value(pod, status, origin["fieldRef"]["fieldPath"], node_ip)
        elif "resourceFieldRef" in origin:
            given[name] = resource_value(pod, container, origin["resourceFieldRef"])
        else:
            kind, key, word = (
                ("configmaps", "configMapKeyRef", "ConfigMap")
                if "configMapKeyRef" in origin
                else ("secrets", "secretKeyRef", "Secret")
            )
            reference = origin.get(key)
            if reference is None:
                continue
            obj = get(kind, reference["name"])
            if obj is None:
                if reference.get("optional"):
                    continue
                raise ConfigError(f'{kind[:-1]} "{reference["name"]}" not found')
            values = texts(obj)
            if reference["key"] not in values:
                if reference.get("optional"):
                    continue
                raise ConfigError(f"couldn't find key {reference['key']} in {word} {namespace}/{reference['name']}")
            given[name] = values[reference["key"]]
    base = {"PATH": PATH, "HOSTNAME": hostname, **image_env}
    # the runtime gives the image's variables first, then the kubelet's; HOME comes last, from /etc/passwd
    result = {**base, **given, **{k: v for k, v in services.items() if k not in given}}
    result.setdefault("HOME", "/root")
    return result


def texts(obj: Object) -> dict[str, str]:
    """A ConfigMap's or Secret's values as text."""
    return {name: value.decode(errors="replace") for name, value in contents(obj).items()}


def contents(obj: Object) -> dict[str, bytes]:
    """A ConfigMap's or Secret's values as bytes, in the order of their keys."""

    if obj.get("kind") == "Secret":
        return {k: base64.b64decode(v or "") for k, v in sorted((obj.get("data") or {}).items())}
    plain = {k: v.encode() for k, v in (obj.get("data") or {}).items()}
    binary = {k: base64.b64decode(v) for k, v in (obj.get("binaryData") or {}).items()}
    return dict(sorted({**plain, **binary}.items()))
