"""What a static Pod's manifest on the control plane means for the component: kube-controller-manager's --controllers.

In a kubeadm cluster the kubelet looks into the manifests folder every 20 s, and starts a static Pod again when its
file has changed. The simulated components are no processes, so this does the same for one of them: a changed
`--controllers` restarts kube-controller-manager with it, and without the file it stops. Left out: all other flags.
"""

import re
from pathlib import Path

from k8s_core.cluster import Cluster
from k8s_core.controllers.manager import resolve

FILE_CHECK = 20.0
"""Seconds between two looks into the folder: the kubelet's fileCheckFrequency."""
RESTART = 5.0
"""Seconds in which the kubelet has put the new static Pod in the old one's place."""
ELSEWHERE = {"bootstrapsigner", "tokencleaner"}
"""Controllers that kubeadm's manifest names and this cluster has not."""


class ControllersFlag:
    """Keeps kube-controller-manager in step with its manifest."""

    def __init__(self, cluster: Cluster):
        node = next(iter(cluster.addresses))
        self.cluster, self.loop = cluster, cluster.loop
        self.path: Path = cluster.root / "nodes" / node / "etc/kubernetes/manifests/kube-controller-manager.yaml"
        self.known = self.read()
        self.loop.every(FILE_CHECK, self.look)

    def read(self) -> str | None:
        """The flag's value, or None without manifest or flag."""
        try:
            found = re.search(r"--controllers=(\S+?)[\"']?\s", self.path.read_text())
        except OSError:
            return None
        return found[1] if found else None

    def wait(self) -> None:
        """Let the time go by that the kubelet needs to see a change, if there is one."""
        if self.read() != self.known:
            self.cluster.advance(FILE_CHECK + RESTART)

    def look(self) -> None:
        """Take in a change. A value that the component refuses leaves it stopped, as a crash would."""
        now = self.read()
        if now == self.known:
            return
        self.known = now
        manager = self.cluster.controller_manager
        manager.stop()
        if now is None:
            return
        try:
            manager.wanted = resolve([each for each in now.split(",") if each.lstrip("-") not in ELSEWHERE])
        except ValueError as error:
            self.loop.log("kube-controller-manager", str(error))
            return
        manager.start()
        self.loop.run_ready()
