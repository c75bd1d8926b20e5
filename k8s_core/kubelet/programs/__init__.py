"""The programs that containers run: what an image's entry point does, and the commands one finds beside it.

A program is a shell command (shell/process.py): a generator that gets its process. `commands(image)` puts together
what an image has, `root(machine)` its file tree. Later parts add programs through Runtime.extra.
"""

from collections.abc import Mapping
from functools import cache

from k8s_core.kubelet.images import Image
from k8s_core.kubelet.programs import addons, agnhost, data, stress, web
from k8s_core.kubelet.programs.rootfs import root
from k8s_core.kubelet.programs.simple import generic, http_program, idle, logged_server, wrapper
from k8s_core.shell.commands import TOOLS
from k8s_core.shell.process import Command

__all__ = ["commands", "generic", "idle", "root"]

PROGRAMS: dict[str, dict[str, Command]] = {
    "docker.io/library/nginx": web.NGINX,
    "docker.io/nginxinc/nginx-unprivileged": web.NGINX,
    "registry.k8s.io/nginx-slim": web.NGINX,
    "registry.k8s.io/e2e-test-images/nginx": web.NGINX,
    "docker.io/library/httpd": web.HTTPD,
    "registry.k8s.io/e2e-test-images/httpd": web.HTTPD,
    "docker.io/hashicorp/http-echo": {"http-echo": web.http_echo},
    "docker.io/traefik/whoami": {"whoami": web.whoami},
    "docker.io/library/redis": data.REDIS,
    "docker.io/library/hello-world": {"hello": data.hello},
    "registry.k8s.io/ingress-nginx/controller": addons.INGRESS_NGINX,
    "registry.k8s.io/e2e-test-images/agnhost": {"agnhost": agnhost.agnhost, "agnhost-2": agnhost.agnhost},
    "registry.k8s.io/e2e-test-images/nonewprivs": {"nnp": agnhost.nonewprivs},
    "registry.k8s.io/liveness": {"server": agnhost.liveness},
    "docker.io/polinux/stress": {"stress": stress.stress},
    "docker.io/vish/stress": {"stress": stress.vish},
    "registry.k8s.io/hpa-example": {"apache2-foreground": stress.php_apache},
}
"""What an image has of its own."""
BY_NAME: dict[str, Command] = {
    "pause": idle,
    "coredns": addons.coredns,
    "etcd": addons.control_plane,
    "kube-apiserver": addons.control_plane,
    "kube-controller-manager": addons.control_plane,
    "kube-scheduler": addons.control_plane,
    "kube-proxy": addons.kube_proxy,
    "metrics-server": addons.control_plane,
    "flanneld": idle,
    "launch.sh": idle,
    "python3": idle,
    "python": idle,
    "node": idle,
    "perl": idle,
    "zsh": TOOLS["alpine"]["sh"],
    "bash": TOOLS["debian"]["bash"],
}
"""Entry points by their name, for images without an entry of their own."""


@cache
def _image_commands(image: Image) -> Mapping[str, Command]:
    found: dict[str, Command] = {}
    for tool in image.data.get("tools", ["debian"]):
        found |= TOOLS[tool]
    own: dict[str, Command] = {}
    for argv in (image.data.get("entrypoint"), image.data.get("cmd")):
        if argv and argv[0].rsplit("/", 1)[-1] not in found:
            name = argv[0].rsplit("/", 1)[-1]
            own[name] = BY_NAME.get(name, idle)
    if "http" in image.data:
        for name in list(own) or ["app"]:
            own[name] = http_program(image)
        if image.data.get("cmd", [""])[-1] == "node server.js":
            own["node"] = http_program(image)
    if "server" in image.data:
        own[image.data["cmd"][0].rsplit("/", 1)[-1]] = logged_server(image)
    for argv in (image.data.get("entrypoint"),):
        if argv and image.data.get("cmd") and argv[0].endswith(".sh"):
            own[argv[0].rsplit("/", 1)[-1]] = wrapper
    return found | own | PROGRAMS.get(image.repository, {})


def commands(image: Image, extra: Mapping[str, Command] | None) -> Mapping[str, Command]:
    """Name -> program of everything that an image has."""
    found = _image_commands(image)
    return {**found, **extra} if extra else found
