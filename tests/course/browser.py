"""The browser that the tests drive. Run as a program it makes sure that there is one.

On Debian, as root, a missing Chromium is installed; anywhere else it says exactly what to install, and fails.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

BROWSERS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
DRIVERS = ("chromedriver", "/usr/lib/chromium/chromedriver", "/usr/lib/chromium-browser/chromedriver")
ADVICE = (
    "The browser tests need Chromium or Chrome and its driver.\n"
    "  Debian, Ubuntu: sudo apt-get install chromium chromium-driver\n"
    "  macOS:          brew install --cask google-chrome chromedriver"
)
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--window-size=1400,1000",
)


def find() -> tuple[str, str] | None:
    """(browser, driver), or None if one is missing."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    driver = next(filter(None, map(shutil.which, DRIVERS)), None)
    return (browser, driver) if browser and driver else None


def install() -> None:
    """Install Chromium where that is ours to do: Debian, as root."""
    if shutil.which("apt-get") and os.geteuid() == 0:
        print("installing chromium and chromium-driver for the browser tests", flush=True)
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in ("update -qq", "install -y -qq --no-install-recommends chromium chromium-driver"):
            subprocess.run(["apt-get", *command.split()], env=environment, stdout=subprocess.DEVNULL, check=False)


def open_browser(downloads: Path) -> webdriver.Chrome:
    """A headless browser with an empty profile."""
    found = find()
    assert found, ADVICE
    options = webdriver.ChromeOptions()
    options.binary_location = found[0]
    for flag in [*FLAGS, f"--user-data-dir={tempfile.mkdtemp(dir=downloads)}"]:
        options.add_argument(flag)
    return webdriver.Chrome(options=options, service=Service(found[1]))


if __name__ == "__main__":
    if not find():
        install()
    if not find():
        sys.exit(ADVICE)
