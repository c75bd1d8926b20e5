"""The Pod Security Standards: what a Pod does that the levels baseline and restricted do not allow.

One small function a check, in upstream's order; each gives a reason and a detail, or nothing. Stands for
k8s.io/pod-security-admission's policy package, at its latest version. Leaves out: how checks differed in older
versions, and the annotations that seccomp and AppArmor once had.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, NamedTuple

from k8s_core.api import Object
from k8s_core.api.field import quote

LEVELS: Final = ("privileged", "baseline", "restricted")
Finding = tuple[str, str] | None


class Check(NamedTuple):
    """One check: its level, the baseline check that it replaces, and what finds offenders."""

    level: str
    find: Callable[[Object], Finding]
    replaces: str = ""


def violations(level: str, spec: Object) -> list[tuple[str, str]]:
    """(reason, detail) of everything in a Pod's spec that the level forbids, in upstream's order."""
    if level == "privileged":
        return []
    wanted = {name: check for name, check in CHECKS.items() if LEVELS.index(check.level) <= LEVELS.index(level)}
    replaced = {check.replaces for check in wanted.values()}
    found = [check.find(spec) for name, check in wanted.items() if name not in replaced]
    return [each for each in found if each]


def describe(found: Iterable[tuple[str, str]]) -> str:
    """The violations in one line."""
    return ", ".join(f"{reason} ({detail})" if detail else reason for reason, detail in found)


# --- what checks share -------------------------------------------------------------------------------------------


def _containers(spec: Object) -> Iterator[tuple[str, Object, Object]]:
    """(name, container, securityContext) of all containers."""
    for part in ("initContainers", "containers", "ephemeralContainers"):
        for container in spec.get(part) or ():
            yield container["name"], container, container.get("securityContext") or {}


def _windows(spec: Object) -> bool:
    return (spec.get("os") or {}).get("name") == "windows"


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(quote(name) for name in names)


def _named(names: list[str], word: str = "container") -> str:
    return f"{word}{'s' * (len(names) != 1)} {_quoted(names)}"


def _many(word: str, items: Any) -> str:
    return word if len(items) == 1 else f"{word}s"


def _setters(spec: Object, bad: Callable[[Object], bool]) -> str:
    """Who sets something bad in a securityContext: "pod and containers "a", "b""; "" if nobody."""
    pod = ["pod"] if bad(spec.get("securityContext") or {}) else []
    names = [name for name, _, context in _containers(spec) if bad(context)]
    return " and ".join(pod + ([_named(names)] if names else []))


def _contexts(spec: Object) -> list[Object]:
    return [spec.get("securityContext") or {}, *(context for _, _, context in _containers(spec))]


# --- baseline ----------------------------------------------------------------------------------------------------

DEFAULT_CAPABILITIES: Final = {
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP",
    "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
}  # fmt: skip
SAFE_SYSCTLS: Final = {
    "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.tcp_syncookies", "net.ipv4.ping_group_range",
    "net.ipv4.ip_unprivileged_port_start", "net.ipv4.ip_local_reserved_ports", "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem", "net.ipv4.tcp_slow_start_after_idle", "net.ipv4.tcp_notsent_lowat",
}  # fmt: skip
SELINUX_TYPES: Final = {"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}
PLAIN_VOLUMES: Final = {
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim", "projected", "secret",
}  # fmt: skip
PROFILES: Final = ("RuntimeDefault", "Localhost")


def _app_armor(spec: Object) -> Finding:
    return _profile(spec, "appArmorProfile", "forbidden AppArmor profile", "AppArmor profile type")


def _seccomp(spec: Object) -> Finding:
    return _profile(spec, "seccompProfile", "seccompProfile", "securityContext.seccompProfile.type")


def _profile(spec: Object, field: str, reason: str, what: str) -> Finding:
    def bad(context: Object) -> bool:
        return (context.get(field) or {}).get("type", PROFILES[0]) not in PROFILES

    values = sorted({context[field]["type"] for context in _contexts(spec) if bad(context)})
    reason = _many(reason, values) if " " in reason else reason
    return (reason, f"{_setters(spec, bad)} must not set {what} to {_quoted(values)}") if values else None


def _capabilities(spec: Object) -> Finding:
    added = {name: set((c.get("capabilities") or {}).get("add") or ()) for name, _, c in _containers(spec)}
    bad = [name for name, found in added.items() if found - DEFAULT_CAPABILITIES]
    values = sorted(set().union(*added.values()) - DEFAULT_CAPABILITIES) if bad else []
    detail = f"{_named(bad)} must not include {_quoted(values)} in securityContext.capabilities.add"
    return ("non-default capabilities", detail) if bad else None


def _host_namespaces(spec: Object) -> Finding:
    used = [f"{name}=true" for name in ("hostNetwork", "hostPID", "hostIPC") if spec.get(name)]
    return ("host namespaces", ", ".join(used)) if used else None


def _host_paths(spec: Object) -> Finding:
    names = [volume["name"] for volume in spec.get("volumes") or () if "hostPath" in volume]
    return ("hostPath volumes", _named(names, "volume")) if names else None


def _host_ports(spec: Object) -> Finding:
    return _uses(
        spec, "hostPort", "hostPort", lambda c: [str(p["hostPort"]) for p in c.get("ports") or () if p.get("hostPort")]
    )


def _host_probes(spec: Object) -> Finding:
    def hosts(container: Object) -> list[str]:
        life = container.get("lifecycle") or {}
        actions = [container.get(f"{kind}Probe") for kind in ("liveness", "readiness", "startup")]
        actions += [life.get("postStart"), life.get("preStop")]
        found = [(action or {}).get(way) or {} for action in actions for way in ("httpGet", "tcpSocket")]
        return [each["host"] for each in found if each.get("host")]

    return _uses(spec, "probe or lifecycle host", "probe or lifecycle host", hosts)


def _uses(spec: Object, reason: str, word: str, find: Callable[[Object], list[str]]) -> Finding:
    found = {name: find(container) for name, container, _ in _containers(spec)}
    bad = [name for name, values in found.items() if values]
    values = sorted(set().union(*found.values())) if bad else []
    shown = _quoted(values) if " " in word else ", ".join(values)
    verb = "uses" if len(bad) == 1 else "use"
    return (reason, f"{_named(bad)} {verb} {_many(word, values)} {shown}") if bad else None


def _privileged(spec: Object) -> Finding:
    bad = [name for name, _, context in _containers(spec) if context.get("privileged")]
    return ("privileged", f"{_named(bad)} must not set securityContext.privileged=true") if bad else None


def _proc_mount(spec: Object) -> Finding:
    if spec.get("hostUsers") is False:
        return None
    found = {n: c["procMount"] for n, _, c in _containers(spec) if c.get("procMount") not in (None, "Default")}
    values = _quoted(sorted(set(found.values())))
    detail = f"{_named(list(found))} must not set securityContext.procMount to {values}"
    return ("procMount", detail) if found else None


def _selinux(spec: Object) -> Finding:
    def bad(context: Object) -> bool:
        options = context.get("seLinuxOptions") or {}
        return options.get("type", "") not in SELINUX_TYPES or bool(options.get("user") or options.get("role"))

    setters = _setters(spec, bad)
    options = [context.get("seLinuxOptions") or {} for context in _contexts(spec)]
    types = sorted({each.get("type", "") for each in options} - SELINUX_TYPES)
    data = [f"{_many('type', types)} {_quoted(types)}"] if types else []
    data += [f"{name} may not be set" for name in ("user", "role") if any(each.get(name) for each in options)]
    detail = f"{setters} set forbidden securityContext.seLinuxOptions: {'; '.join(data)}"
    return ("seLinuxOptions", detail) if setters else None


def _sysctls(spec: Object) -> Finding:
    asked = (spec.get("securityContext") or {}).get("sysctls") or ()
    names = [each["name"] for each in asked if each["name"] not in SAFE_SYSCTLS]
    return ("forbidden sysctls", ", ".join(names)) if names else None


def _host_process(spec: Object) -> Finding:
    setters = _setters(spec, lambda context: bool((context.get("windowsOptions") or {}).get("hostProcess")))
    detail = f"{setters} must not set securityContext.windowsOptions.hostProcess=true"
    return ("hostProcess", detail) if setters else None


# --- restricted --------------------------------------------------------------------------------------------------


def _escalation(spec: Object) -> Finding:
    bad = [name for name, _, context in _containers(spec) if context.get("allowPrivilegeEscalation") is not False]
    detail = f"{_named(bad)} must set securityContext.allowPrivilegeEscalation=false"
    return ("allowPrivilegeEscalation != false", detail) if bad and not _windows(spec) else None


def _drop_capabilities(spec: Object) -> Finding:
    found = [(name, context.get("capabilities") or {}) for name, _, context in _containers(spec)]
    keeping = [name for name, each in found if "ALL" not in (each.get("drop") or ())]
    adding = {name: set(each.get("add") or ()) - {"NET_BIND_SERVICE"} for name, each in found}
    adders = [name for name, added in adding.items() if added]
    details = [f'{_named(keeping)} must set securityContext.capabilities.drop=["ALL"]'] if keeping else []
    if adders:
        values = _quoted(sorted(set().union(*adding.values())))
        details.append(f"{_named(adders)} must not include {values} in securityContext.capabilities.add")
    return ("unrestricted capabilities", "; ".join(details)) if details and not _windows(spec) else None


def _volumes(spec: Object) -> Finding:
    kinds = {volume["name"]: next(iter(volume.keys() - {"name"}), "unknown") for volume in spec.get("volumes") or ()}
    bad = [name for name, kind in kinds.items() if kind not in PLAIN_VOLUMES]
    types = sorted({kinds[name] for name in bad})
    verb = "uses" if len(bad) == 1 else "use"
    detail = f"{_named(bad, 'volume')} {verb} {_many('restricted volume type', types)} {_quoted(types)}"
    return ("restricted volume types", detail) if bad else None


def _non_root(spec: Object) -> Finding:
    if spec.get("hostUsers") is False:
        return None
    setters = _setters(spec, lambda context: context.get("runAsNonRoot") is False)
    if setters:
        return "runAsNonRoot != true", f"{setters} must not set securityContext.runAsNonRoot=false"
    silent = _silent(spec, "runAsNonRoot")
    detail = f"pod or {_named(silent)} must set securityContext.runAsNonRoot=true"
    return ("runAsNonRoot != true", detail) if silent else None


def _silent(spec: Object, field: str) -> list[str]:
    """Containers for which nobody sets the field."""
    if (spec.get("securityContext") or {}).get(field) is not None:
        return []
    return [name for name, _, context in _containers(spec) if context.get(field) is None]


def _user(spec: Object) -> Finding:
    if spec.get("hostUsers") is False:
        return None
    setters = _setters(spec, lambda context: context.get("runAsUser") == 0)
    return ("runAsUser=0", f"{setters} must not set runAsUser=0") if setters else None


def _need_seccomp(spec: Object) -> Finding:
    if _windows(spec) or (found := _seccomp(spec)):
        return None if _windows(spec) else found
    silent = _silent(spec, "seccompProfile")
    wanted = 'must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
    return ("seccompProfile", f"pod or {_named(silent)} {wanted}") if silent else None


CHECKS: Final[dict[str, Check]] = {
    "appArmorProfile": Check("baseline", _app_armor),
    "capabilities_baseline": Check("baseline", _capabilities),
    "hostNamespaces": Check("baseline", _host_namespaces),
    "hostPathVolumes": Check("baseline", _host_paths),
    "hostPorts": Check("baseline", _host_ports),
    "hostProbesAndHostLifecycle": Check("baseline", _host_probes),
    "privileged": Check("baseline", _privileged),
    "procMount": Check("baseline", _proc_mount),
    "seLinuxOptions": Check("baseline", _selinux),
    "seccompProfile_baseline": Check("baseline", _seccomp),
    "sysctls": Check("baseline", _sysctls),
    "windowsHostProcess": Check("baseline", _host_process),
    "allowPrivilegeEscalation": Check("restricted", _escalation),
    "capabilities_restricted": Check("restricted", _drop_capabilities, "capabilities_baseline"),
    "restrictedVolumes": Check("restricted", _volumes, "hostPathVolumes"),
    "runAsNonRoot": Check("restricted", _non_root),
    "runAsUser": Check("restricted", _user),
    "seccompProfile_restricted": Check("restricted", _need_seccomp, "seccompProfile_baseline"),
}
