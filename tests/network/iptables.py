"""The real iptables, which judges our rules. Run as a program it makes sure that it is there.

On Debian, as root, a missing iptables is installed; anywhere else on Linux it says what to install, and fails.
"""

import os
import shutil
import subprocess
import sys

ADVICE = "These tests need iptables: sudo apt-get install iptables"


def find() -> str | None:
    return shutil.which("iptables-restore", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def install() -> None:
    if shutil.which("apt-get") and os.geteuid() == 0:
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in ("update -qq", "install -y -qq --no-install-recommends iptables"):
            subprocess.run(["apt-get", *command.split()], env=environment, stdout=subprocess.DEVNULL, check=False)


def accepts(rules: str) -> str:
    """What `iptables-restore --test` has against the rules; "" if nothing."""
    if not find():
        install()
    program = find()
    assert program, ADVICE
    done = subprocess.run([program, "--test"], input=rules, text=True, capture_output=True, check=False)
    return done.stderr if done.returncode else ""


if __name__ == "__main__":
    if not find():
        install()
    if not find():
        sys.exit(ADVICE)
