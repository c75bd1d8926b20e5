"""The real iptables, which judges our rules. Run as a program it makes sure that it is there.

On Debian, as root, a missing iptables is installed; anywhere else on Linux it says what to install, and fails.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence

ADVICE = "These tests need iptables and nft: sudo apt-get install iptables nftables"
UNCOUNTED = tuple(
    f" -m nfacct --nfacct-name  {name}" for name in ("ct_state_invalid_dropped_pkts", "localhost_nps_accepted_pkts")
)
"""What a kernel may lack: counters by name. They decide nothing."""


def find(program: str = "iptables-restore") -> str | None:
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def install() -> None:
    """Install them where that is ours to do: Debian, as root."""
    if shutil.which("apt-get") and os.geteuid() == 0:
        print("installing iptables and nftables for the network tests", flush=True)
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in ("update -qq", "install -y -qq --no-install-recommends iptables nftables"):
            subprocess.run(["apt-get", *command.split()], env=environment, stdout=subprocess.DEVNULL, check=False)


def _run(words: Sequence[str], text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, input=text, text=True, capture_output=True, check=False)


def accepts(rules: str, program: str = "iptables-restore", *, flag: str = "--test") -> str:
    """What `iptables-restore --test` has against the rules; "" if nothing."""
    found = find(program)
    assert found, ADVICE
    done = _run([found, flag], rules)
    return done.stderr if done.returncode else ""


def has_namespaces() -> bool:
    """Whether a network namespace of our own can be made, whose kernel we may fill with rules."""
    script = "iptables -A INPUT -m comment --comment x -m statistic --mode random --probability 0.5 -j ACCEPT"
    return (
        bool(shutil.which("unshare"))
        and _run(["unshare", "-n", "sh", "-c", f"PATH=$PATH:/usr/sbin {script}"]).returncode == 0
    )


def through_the_kernel(rules: str) -> str:
    """What iptables-save says after iptables-restore has put the rules into the kernel of a fresh namespace."""
    for one in UNCOUNTED:
        rules = rules.replace(one, "")
    script = "PATH=$PATH:/usr/sbin; iptables-restore && iptables-save"
    done = _run(["unshare", "-n", "sh", "-c", script], rules)
    assert done.returncode == 0, done.stderr
    return done.stdout


def through_nft(rules: str) -> str:
    """What nft lists after it has read the table into the kernel of a fresh namespace."""
    script = "PATH=$PATH:/usr/sbin; nft -f - && nft list table ip kube-proxy"
    done = _run(["unshare", "-n", "sh", "-c", script], rules)
    assert done.returncode == 0, done.stderr
    return done.stdout


if __name__ == "__main__" and sys.platform == "linux":
    if not (find() and find("nft")):
        install()
    if not (find() and find("nft")):
        sys.exit(ADVICE)
