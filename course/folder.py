"""A lab's folder under .course/: `09-pods`, or `09-pods-2` while another kernel has the first.

It holds what a learner can open (the nodes' files, the kubeconfig) and is emptied at every start. A lock that the
operating system drops with the process tells whether a folder is in use, so a killed kernel leaves nothing behind.
"""

import contextlib
import fcntl
import os
import shutil
from pathlib import Path

MAX_COPIES = 100


class Folder:
    """The first free folder for a chapter; `path` exists and is empty."""

    def __init__(self, home: Path, name: str):
        self.home = home
        home.mkdir(parents=True, exist_ok=True)
        for copy in range(1, MAX_COPIES + 1):
            self.path = home / (name if copy == 1 else f"{name}-{copy}")
            self._lock = os.open(home / f".{self.path.name}.lock", os.O_CREAT | os.O_RDWR, 0o600)
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(self._lock)
                continue
            shutil.rmtree(self.path, ignore_errors=True)
            self.path.mkdir(parents=True, exist_ok=True)
            return
        raise OSError(f"{MAX_COPIES} labs of {name} are open; close some notebooks")

    def publish(self, kubeconfig: Path) -> None:
        """Let JupyterLab's terminals reach this lab: .course/kubeconfig becomes a link to its kubeconfig."""
        link = self.home / "kubeconfig"
        temporary = self.home / f".kubeconfig-{os.getpid()}"
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(kubeconfig)
        temporary.replace(link)

    def release(self) -> None:
        """Give the folder back; its files stay until the next start. Safe to call twice."""
        if self._lock >= 0:
            with contextlib.suppress(OSError):
                os.close(self._lock)
            self._lock = -1
