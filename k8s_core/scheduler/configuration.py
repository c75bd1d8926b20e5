"""KubeSchedulerConfiguration: the file of kube-scheduler's --config, as profiles that `plugins.build` understands.

Stands for pkg/scheduler/apis/config with its loading and validation; what plugins' arguments may be stands in
arguments.py. Promises: what is wrong is said as the real one says it. Left out: extenders beyond their validation,
and fields that change nothing here (leader election, client connection).
"""

from collections.abc import Iterator, Sequence
from typing import Any

import yaml

from k8s_core.api import Object
from k8s_core.api.field import FieldError, duplicate, invalid, required
from k8s_core.scheduler import arguments
from k8s_core.scheduler.plugin import Plugin
from k8s_core.scheduler.plugins import POINTS, names

VERSION, KIND = arguments.VERSION, "KubeSchedulerConfiguration"
ELSEWHERE = ("queueSort", "reserve", "permit", "bind", "postBind")
"""Extension points that no plugin of this scheduler has."""
PLUGIN = {"name": None, "weight": None}
FIELDS = {
    "apiVersion": None, "kind": None, "parallelism": None, "enableProfiling": None, "enableContentionProfiling": None,
    "percentageOfNodesToScore": None, "podInitialBackoffSeconds": None, "podMaxBackoffSeconds": None,
    "delayCacheUntilActive": None,
    "leaderElection": dict.fromkeys(
        ("leaderElect", "leaseDuration", "renewDeadline", "retryPeriod", "resourceLock", "resourceName",
         "resourceNamespace")
    ),
    "clientConnection": dict.fromkeys(("kubeconfig", "acceptContentTypes", "contentType", "qps", "burst")),
    "profiles": [{
        "schedulerName": None, "percentageOfNodesToScore": None,
        "plugins": {
            point: {"enabled": [PLUGIN], "disabled": [PLUGIN]} for point in ("multiPoint", *POINTS, *ELSEWHERE)
        },
        "pluginConfig": [{"name": None, "args": None}],
    }],
    "extenders": [{
        **dict.fromkeys(
            ("urlPrefix", "filterVerb", "preemptVerb", "prioritizeVerb", "weight", "bindVerb", "enableHTTPS",
             "tlsConfig", "httpTimeout", "nodeCacheCapable", "ignorable")
        ),
        "managedResources": [{"name": None, "ignoredByScheduler": None}],
    }],
}  # fmt: skip
"""What the file may say; None is a value, or something of which nobody here knows the inside."""


def read(text: str, extra: Sequence[type[Plugin]] = ()) -> list[Object]:
    """The profiles that a configuration file asks for. Raises ValueError in kube-scheduler's words."""
    try:
        told: Any = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"yaml: {str(error).splitlines()[0]}") from None
    told = told if isinstance(told, dict) else {}
    if not told.get("kind") or not told.get("apiVersion"):
        raise ValueError("couldn't get version/kind; json parse error: unexpected end of JSON input")
    if (told["apiVersion"], told["kind"]) != (VERSION, KIND):
        known = f'no kind "{told["kind"]}" is registered for version "{told["apiVersion"]}" in scheme'
        raise ValueError(f'{known} "pkg/scheduler/apis/config/scheme/scheme.go:33"')
    _decode(told)
    given: list[Object] = told.get("profiles") or [{}]
    profiles = [dict(each) for each in given]
    if len(profiles) == 1:
        profiles[0].setdefault("schedulerName", "default-scheduler")
    problems = list(dict.fromkeys(error.message() for error in _problems(told, profiles)))
    if problems:
        raise ValueError(problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]")
    for profile in profiles:
        _initialize(profile, {*names(), *(plugin.name for plugin in extra)})
        profile.setdefault("percentageOfNodesToScore", told.get("percentageOfNodesToScore") or 0)
        for name in ("podInitialBackoffSeconds", "podMaxBackoffSeconds"):
            if told.get(name):
                profile[name] = told[name]
    return profiles


def _decode(told: Object) -> None:
    """Nothing that nobody knows, in the file and in the arguments of its plugins."""
    unknown = list(arguments.unknown(told, FIELDS))
    if unknown:
        raise ValueError(f"strict decoding error: {', '.join(unknown)}")
    for number, profile in enumerate(told.get("profiles") or ()):
        for index, entry in enumerate(profile.get("pluginConfig") or ()):
            arguments.decode(f".profiles[{number}].pluginConfig[{index}]", entry)


def _problems(told: Object, profiles: list[Object]) -> Iterator[FieldError]:
    election = told.get("leaderElection") or {}
    if election.get("leaderElect", True) and election.get("resourceLock", "leases") != "leases":
        why = 'resourceLock value must be "leases"'
        yield invalid("leaderElection.resourceLock", election["resourceLock"], why)
    if told.get("parallelism") is not None and told["parallelism"] <= 0:
        yield invalid("parallelism", told["parallelism"], "should be an integer value greater than zero")
    seen: set[str] = set()
    for number, profile in enumerate(profiles):
        where, name = f"profiles[{number}]", profile.get("schedulerName") or ""
        if not name:
            yield required(f"{where}.schedulerName")
        yield from _percentage(f"{where}.percentageOfNodesToScore", profile.get("percentageOfNodesToScore"))
        configured: set[str] = set()
        for index, entry in enumerate(profile.get("pluginConfig") or ()):
            place = f"{where}.pluginConfig[{index}]"
            if entry["name"] in configured:
                yield duplicate(place, entry["name"])
            configured.add(entry["name"])
            if entry["name"] != "NodeResourcesFit":  # these the plugin itself looks at, when it begins
                yield from arguments.problems(entry["name"], entry.get("args") or {}, f"{place}.args")
        if name and name in seen:
            yield duplicate(f"{where}.schedulerName", name)
        seen.add(name)
    yield from _percentage("percentageOfNodesToScore", told.get("percentageOfNodesToScore"))
    first, most = told.get("podInitialBackoffSeconds", 1), told.get("podMaxBackoffSeconds", 10)
    if first <= 0:
        yield invalid("podInitialBackoffSeconds", first, "must be greater than 0")
    if most < first:
        yield invalid("podMaxBackoffSeconds", most, "must be greater than or equal to PodInitialBackoffSeconds")
    extenders: list[Object] = told.get("extenders") or []
    for index, extender in enumerate(extenders):
        if extender.get("prioritizeVerb") and extender.get("weight", 0) <= 0:
            why = "must have a positive weight applied to it"
            yield invalid(f"extenders[{index}].weight", extender.get("weight", 0), why)
    binders = sum(bool(extender.get("bindVerb")) for extender in extenders)
    if binders > 1:
        yield invalid(
            "extenders", f"found {binders} extenders implementing bind", "only one extender can implement bind"
        )


def _percentage(where: str, given: int | None) -> Iterator[FieldError]:
    if given is not None and not 0 <= given <= 100:
        yield invalid(where, given, "not in valid range [0-100]")


def _initialize(profile: Object, known: set[str]) -> None:
    """What goes wrong when the framework of a profile is made."""
    whose = f"initializing profiles: creating profile for scheduler name {profile['schedulerName']}: "
    plugins: Object = profile.get("plugins") or {}
    for point in ("multiPoint", *POINTS):
        for plugin in (plugins.get(point) or {}).get("enabled") or ():
            if plugin["name"] not in known:
                raise ValueError(f"{whose}{point}: {plugin['name']} does not exist")
    for entry in profile.get("pluginConfig") or ():
        problems = [error.message() for error in arguments.problems(entry["name"], entry.get("args") or {}, "")]
        if problems:
            text = problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]"
            raise ValueError(f'{whose}initializing plugin "{entry["name"]}": {text}')
