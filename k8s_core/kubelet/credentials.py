"""What a Pod may show to registries: its imagePullSecrets, in Docker's two formats.

Stands for pkg/credentialprovider. A secret that is not there is only warned about: the image may be public.
"""

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any

from k8s_core.api import Object
from k8s_core.kubelet.environment import ConfigError, contents

Credentials = Mapping[str, tuple[str, str]]
"""Registry host -> (user name, password)."""
KEYS = {"kubernetes.io/dockerconfigjson": ".dockerconfigjson", "kubernetes.io/dockercfg": ".dockercfg"}


def of(pod: Object, get: Callable[[str, str, str], Object | None]) -> tuple[dict[str, tuple[str, str]], list[str]]:
    """(the credentials, the names of secrets that could not be read)."""
    found: dict[str, tuple[str, str]] = {}
    missing = []
    for reference in pod["spec"].get("imagePullSecrets") or ():
        name = reference.get("name", "")
        try:
            secret = get("secrets", name, pod["metadata"]["namespace"])
        except ConfigError:
            secret = None
        if secret is None:
            missing.append(name)
            continue
        key = KEYS.get(secret.get("type", ""))
        found |= read(contents(secret).get(key, b"")) if key else {}
    return found, missing


def read(data: bytes) -> dict[str, tuple[str, str]]:
    """The hosts of a Docker configuration; what cannot be read gives nothing."""
    try:
        told: Any = json.loads(data)
        entries = told.get("auths", told)
        return {_host(where): _pair(entry) for where, entry in entries.items()}
    except (ValueError, AttributeError, TypeError):
        return {}


def _host(where: str) -> str:
    host = where.removeprefix("https://").removeprefix("http://").partition("/")[0]
    return "docker.io" if host in ("index.docker.io", "registry-1.docker.io") else host


def _pair(entry: Mapping[str, str]) -> tuple[str, str]:
    if entry.get("auth"):
        user, _, password = base64.b64decode(entry["auth"]).decode(errors="replace").partition(":")
        return user, password
    return str(entry.get("username", "")), str(entry.get("password", ""))
