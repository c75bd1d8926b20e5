"""What the sandbox of the grading tests is made of. Run as a program it makes sure that bubblewrap is there.

On Debian, as root, a missing bubblewrap is installed; anywhere else on Linux it says what to install, and fails. On
macOS there is none, and the tests that need one are skipped.
"""

import os
import shutil
import subprocess
import sys


def install() -> None:
    """Install bubblewrap where that is ours to do: Debian, as root."""
    if shutil.which("apt-get") and os.geteuid() == 0:
        print("installing bubblewrap for the grading tests", flush=True)
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in ("update -qq", "install -y -qq --no-install-recommends bubblewrap"):
            subprocess.run(["apt-get", *command.split()], env=environment, stdout=subprocess.DEVNULL, check=False)


if __name__ == "__main__" and sys.platform == "linux":
    if not shutil.which("bwrap"):
        install()
    if not shutil.which("bwrap"):
        sys.exit("The grading tests need bubblewrap.\n  Debian, Ubuntu: sudo apt-get install bubblewrap")
