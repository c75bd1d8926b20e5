"""Security contexts of Pods and containers: what is logic. Stands for parts of `pkg/apis/core/validation`.

Windows' own options are only looked at where they clash with a Pod for Linux.
"""

import re
from typing import Any, Final

from k8s_core.api import Object
from k8s_core.api.field import duplicate, invalid, required
from k8s_core.api.validation.common import Errors, each, listed, sub, text

SYSCTL: Final = r"([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
SYSCTL_LENGTH: Final = 253
IPC_SYSCTLS: Final = ("kernel.msg", "kernel.sem", "kernel.shm", "fs.mqueue.")


def sysctls(security: Object | None, path: str, spec: Object) -> Errors:
    """Kernel parameters of the Pod's own namespaces."""
    seen: set[str] = set()
    for place, sysctl in each(security or {}, "sysctls", path):
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


def own_users(mount: str, path: str, security: Object, context: Any) -> Errors:
    """Only a Pod with a user namespace of its own sees all of /proc."""
    if context.host_users:
        yield invalid(path, mount, "`hostUsers` must be false to use `Unmasked`")


def no_way_up(security: Object, path: str) -> Errors:
    """What may do everything already can hardly be kept from getting more rights."""
    if security.get("privileged"):
        why = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
        yield invalid(path, _go_security(security), why)
    if "CAP_SYS_ADMIN" in listed(sub(security, "capabilities"), "add"):
        why = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"
        yield invalid(path, _go_security(security), why)


def stray_profile(file: str, path: str, profile: Object) -> Errors:
    """Only Localhost has a file."""
    shown = {"Type": text(profile, "type"), "LocalhostProfile": file}
    yield invalid(path, shown, "can only be set when seccomp type is Localhost")


def app_armor_profile(file: str | None, path: str) -> Errors:
    """The name of a profile that the node has loaded."""
    if not (file or "").strip():
        yield required(path, "must be set when AppArmor type is Localhost")
    elif file and file != file.strip():
        yield invalid(path, file, "must not be padded with whitespace")


def _go_security(security: Object) -> Object:
    # Upstream shows its internal struct here, whose fields have Go's names.
    fields = (
        "capabilities", "privileged", "seLinuxOptions", "windowsOptions", "runAsUser", "runAsGroup",
        "runAsNonRoot", "readOnlyRootFilesystem", "allowPrivilegeEscalation", "procMount", "seccompProfile",
        "appArmorProfile",
    )  # fmt: skip
    return {("SELinuxOptions" if f == "seLinuxOptions" else f[0].upper() + f[1:]): security.get(f) for f in fields}
