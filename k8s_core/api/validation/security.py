"""Security contexts of Pods and containers. Stands for parts of `pkg/apis/core/validation`.

Windows' own options are only looked at where they clash with a Pod for Linux.
"""

import re
from typing import Final

from k8s_core.api import Object, names
from k8s_core.api.field import duplicate, invalid, not_supported, required
from k8s_core.api.validation.common import Errors, bad, descending_path, each, listed, one_of, sub, text

PROFILES: Final = ("Localhost", "RuntimeDefault", "Unconfined")
SYSCTL: Final = r"([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
SYSCTL_LENGTH: Final = 253
IPC_SYSCTLS: Final = ("kernel.msg", "kernel.sem", "kernel.shm", "fs.mqueue.")


def pod(spec: Object, path: str) -> Errors:
    """A Pod's security context."""
    security, path = sub(spec, "securityContext"), f"{path}.securityContext"
    for field in ("fsGroup", "runAsUser", "runAsGroup"):
        if security.get(field) is not None:
            yield from bad(f"{path}.{field}", security[field], names.user_id(security[field]))
    for index, group in enumerate(listed(security, "supplementalGroups")):
        yield from bad(f"{path}.supplementalGroups[{index}]", group or 0, names.group_id(group or 0))
    if spec.get("shareProcessNamespace") and spec.get("hostPID"):
        why = "ShareProcessNamespace and HostPID cannot both be enabled"
        yield invalid(f"{path}.shareProcessNamespace", True, why)
    yield from _sysctls(spec, security, path)
    policies = ("Always", "OnRootMismatch")
    yield from one_of(security, "fsGroupChangePolicy", path, policies, optional=True)
    yield from seccomp(security, path)
    yield from app_armor(security, path)
    yield from one_of(security, "supplementalGroupsPolicy", path, ("Merge", "Strict"), optional=True)
    yield from one_of(security, "seLinuxChangePolicy", path, ("MountOption", "Recursive"), optional=True)


def _sysctls(spec: Object, security: Object, path: str) -> Errors:
    seen: set[str] = set()
    for place, sysctl in each(security, "sysctls", path):
        name = text(sysctl, "name")
        if not name:
            yield required(f"{place}.name")
        elif len(name) > SYSCTL_LENGTH or not re.fullmatch(SYSCTL, name):
            why = f"must have at most {SYSCTL_LENGTH} characters and match regex ^{SYSCTL}$"
            yield invalid(f"{place}.name", name, why)
        elif name in seen:
            yield duplicate(f"{place}.name", name)
        dotted = name.replace("/", ".")
        if spec.get("hostNetwork") and dotted.startswith("net."):
            yield invalid(f"{place}.name", name, "may not be specified when 'hostNetwork' is true")
        elif spec.get("hostIPC") and dotted.startswith(IPC_SYSCTLS):
            yield invalid(f"{place}.name", name, "may not be specified when 'hostIPC' is true")
        seen.add(name)


def container(security: Object, path: str, host_users: bool) -> Errors:
    """A container's security context; `host_users`: the Pod shares the node's user namespace."""
    for field in ("runAsUser", "runAsGroup"):
        if security.get(field) is not None:
            yield from bad(f"{path}.{field}", security[field], names.user_id(security[field]))
    mount = security.get("procMount")
    if mount is not None:
        if mount not in ("Default", "Unmasked"):
            yield not_supported(f"{path}.procMount", mount, ("Default", "Unmasked"))
        if mount == "Unmasked" and host_users:
            yield invalid(f"{path}.procMount", mount, "`hostUsers` must be false to use `Unmasked`")
    yield from seccomp(security, path)
    if security.get("allowPrivilegeEscalation") is False:
        if security.get("privileged"):
            why = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
            yield invalid(path, _go_security(security), why)
        if "CAP_SYS_ADMIN" in listed(sub(security, "capabilities"), "add"):
            why = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"
            yield invalid(path, _go_security(security), why)
    yield from app_armor(security, path)


def seccomp(security: Object, path: str) -> Errors:
    """The seccomp profile of a Pod or a container."""
    profile = security.get("seccompProfile")
    if profile is None:
        return
    path = f"{path}.seccompProfile"
    kind, file = text(profile, "type"), profile.get("localhostProfile")
    if not kind:
        yield required(f"{path}.type", "type is required when seccompProfile is set")
    elif kind not in PROFILES:
        yield not_supported(f"{path}.type", kind, PROFILES)
    if kind == "Localhost":
        if file is None:
            why = "must be set when seccomp type is Localhost"
            yield required(f"{path}.localhostProfile", why)
        else:
            yield from descending_path(file, f"{path}.localhostProfile")
    elif file is not None:
        why = "can only be set when seccomp type is Localhost"
        yield invalid(f"{path}.localhostProfile", {"Type": kind, "LocalhostProfile": file}, why)


def app_armor(security: Object, path: str) -> Errors:
    """The AppArmor profile of a Pod or a container."""
    profile = security.get("appArmorProfile")
    if profile is None:
        return
    path = f"{path}.appArmorProfile"
    kind, file = text(profile, "type"), profile.get("localhostProfile")
    if kind == "Localhost":
        if not (file or "").strip():
            why = "must be set when AppArmor type is Localhost"
            yield required(f"{path}.localhostProfile", why)
        elif file != file.strip():
            yield invalid(f"{path}.localhostProfile", file, "must not be padded with whitespace")
    elif not kind:
        yield required(f"{path}.type", "type is required when appArmorProfile is set")
    elif kind not in PROFILES:
        yield not_supported(f"{path}.type", kind, PROFILES)
    elif file is not None:
        why = "can only be set when AppArmor type is Localhost"
        yield invalid(f"{path}.localhostProfile", file, why)


def _go_security(security: Object) -> Object:
    # Upstream shows its internal struct here, whose fields have Go's names.
    fields = (
        "capabilities", "privileged", "seLinuxOptions", "windowsOptions", "runAsUser", "runAsGroup",
        "runAsNonRoot", "readOnlyRootFilesystem", "allowPrivilegeEscalation", "procMount", "seccompProfile",
        "appArmorProfile",
    )  # fmt: skip
    return {("SELinuxOptions" if f == "seLinuxOptions" else f[0].upper() + f[1:]): security.get(f) for f in fields}
