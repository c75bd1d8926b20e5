"""KubeSchedulerConfiguration: the file of kube-scheduler's --config, as profiles that `plugins.build` understands.

Stands for pkg/scheduler/apis/config with its loading and validation. Promises: what is wrong is said as the real
one says it. Left out: extenders, and fields that change nothing here (leader election, client connection).
"""

from collections.abc import Sequence
from typing import Any

import yaml

from k8s_core.api import Object
from k8s_core.scheduler.plugin import Plugin
from k8s_core.scheduler.plugins import POINTS, names

VERSION, KIND = "kubescheduler.config.k8s.io/v1", "KubeSchedulerConfiguration"


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
    problems = _percentage("percentageOfNodesToScore", told.get("percentageOfNodesToScore"))
    given: list[Object] = told.get("profiles") or [{}]
    profiles = [dict(each) for each in given]
    seen: set[str] = set()
    for number, profile in enumerate(profiles):
        where = f"profiles[{number}]"
        name = profile.setdefault("schedulerName", "default-scheduler" if len(profiles) == 1 else "")
        if not name:
            problems.append(f"{where}.schedulerName: Required value")
        elif name in seen:
            problems.append(f'{where}.schedulerName: Duplicate value: "{name}"')
        seen.add(name)
        problems += _percentage(f"{where}.percentageOfNodesToScore", profile.get("percentageOfNodesToScore"))
        problems += _plugins(where, profile, {*names(), *(plugin.name for plugin in extra)})
        profile.setdefault("percentageOfNodesToScore", told.get("percentageOfNodesToScore") or 0)
    if problems:
        raise ValueError(problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]")
    return profiles


def _percentage(where: str, given: Any) -> list[str]:
    if given is None or (isinstance(given, int) and 0 <= given <= 100):
        return []
    return [f"{where}: Invalid value: {given}: not in valid range [0-100]"]


def _plugins(where: str, profile: Object, known: set[str]) -> list[str]:
    problems = []
    for point, wanted in (profile.get("plugins") or {}).items():
        if point not in POINTS and point not in ("multiPoint", "queueSort", "reserve", "permit", "bind", "postBind"):
            problems.append(f'strict decoding error: unknown field "{where}.plugins.{point}"')
            continue
        for each in (wanted or {}).get("enabled") or ():
            if each["name"] not in known and point in (*POINTS, "multiPoint"):
                name = profile["schedulerName"]
                whose = f"initializing profiles: creating profile for scheduler name {name}"
                problems.append(f"{whose}: {point}: {each['name']} does not exist")
    names_seen: set[str] = set()
    for number, entry in enumerate(profile.get("pluginConfig") or ()):
        if entry["name"] in names_seen:
            problems.append(f'{where}.pluginConfig[{number}]: Duplicate value: "{entry["name"]}"')
        names_seen.add(entry["name"])
    return problems
