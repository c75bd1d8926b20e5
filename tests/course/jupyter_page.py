"""JupyterLab in a headless browser, as a learner uses it; waits for what is seen, never for time alone."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from browser import open_browser
from selenium.common.exceptions import StaleElementReferenceException, WebDriverException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from course import environment

PATIENCE = 120
KERNEL_IS_IDLE = """
  const widget = window.jupyterapp?.shell.currentWidget, session = widget?.sessionContext;
  return (widget?.context?.path ?? "").endsWith(arguments[0]) && widget.context.isReady && session.isReady
    && session.session?.kernel?.status === "idle";
"""
SCREENSHOTS = environment.ROOT / "build" / "screenshots"


@contextmanager
def jupyterlab(folder: Path) -> Iterator["Page"]:
    """`course lab` on a copy of the course, for JupyterLab saves what it runs, and a browser on it."""
    log, copy = folder / "jupyterlab.log", folder / "copy"
    for name in ("notebooks", "exercises"):
        shutil.copytree(environment.ROOT / name, copy / name)
    shutil.copy(environment.ROOT / "nbgrader_config.py", copy)
    own = {"COURSE_ROOT": str(copy), "COURSE_HOME": str(folder / "course"), "COURSE_LEARNER": "browser"}
    variables = {**os.environ, **own}
    variables.pop("COURSE_STATIC", None)
    command = [sys.executable, "-m", "course", "lab", "--no-browser", "--port=0", "--expose-app-in-browser"]
    with log.open("w") as out, subprocess.Popen(command, env=variables, stdout=out, stderr=out) as server:
        try:
            url = _address(server, log)
            driver = open_browser(Path(tempfile.mkdtemp(dir=folder)))
            try:
                driver.get(url)
                yield Page(driver, copy)
            finally:
                driver.quit()
        finally:
            server.terminate()
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()


def _address(server: "subprocess.Popen[bytes]", log: Path) -> str:
    """JupyterLab's own address with its token, as it prints it."""
    found: list[str] = []

    def printed(_: Any) -> bool:
        assert server.poll() is None, log.read_text()
        found[:] = re.findall(r"http://127\.0\.0\.1:\d+/lab\S*\?token=\w+", log.read_text())
        return bool(found)

    WebDriverWait(None, PATIENCE, 0.2).until(printed)  # type: ignore[type-var]
    return found[0]


class Page:
    """What a learner sees and does."""

    def __init__(self, driver: Any, root: Path):
        self.driver, self.root = driver, root

    def wait(self, condition: Any, what: str) -> Any:
        """Until the condition gives something; the message says what was waited for."""
        ignored = [StaleElementReferenceException, WebDriverException]
        waiting = WebDriverWait(self.driver, PATIENCE, 0.2, ignored_exceptions=ignored)
        return waiting.until(lambda _: condition(), what)

    def all(self, selector: str) -> list[WebElement]:
        found: list[WebElement] = self.driver.find_elements(By.CSS_SELECTOR, selector)
        return found

    def see(self, text: str, within: str = "body") -> WebElement:
        """Wait for an element of the notebook that has this text."""
        found: WebElement = self.wait(
            lambda: next((each for each in self.all(within) if text in each.text), None), f'"{text}" in {within}'
        )
        return found

    def shot(self, name: str) -> Path:
        """Keep a picture of the page under build/screenshots."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        target = SCREENSHOTS / f"{name}.png"
        self.driver.save_screenshot(str(target))
        return target

    def open(self, path: str) -> None:
        """Open a notebook and wait for its kernel."""
        base = self.driver.current_url.split("/lab")[0]
        self.driver.get(f"{base}/lab/tree/{path}")
        self.ready(path)

    def ready(self, path: str = "") -> None:
        """Wait until this notebook (or any) is in front, with its cells and an idle kernel.

        JupyterLab puts what was open before back in front first.
        """
        self.wait(lambda: self.all(".jp-Notebook .jp-Cell"), "a notebook's cells")
        self.wait(lambda: self.idle(path), f"an idle kernel of {path or 'the notebook'}")

    def idle(self, path: str = "") -> bool:
        """Whether the notebook in front is this one (or any), with nothing running."""
        return bool(self.driver.execute_script(KERNEL_IS_IDLE, path))

    def execute(self, command: str, arguments: dict[str, Any] | None = None) -> None:
        """Run one of JupyterLab's commands, as its menus do, to its end."""
        self.driver.set_script_timeout(PATIENCE)
        self.driver.execute_async_script(
            "window.jupyterapp.commands.execute(arguments[0], arguments[1]).finally(() => arguments[2]())",
            command,
            arguments or {},
        )

    def run_all(self) -> None:
        """Run the notebook to its end, without the outputs it was saved with."""
        self.execute("notebook:clear-all-cell-outputs")
        self.execute("notebook:run-all-cells")
        self.settled()

    def settled(self) -> None:
        """Wait until no cell is waiting or running."""
        self.wait(
            lambda: not any("[*]" in each.text for each in self.all(".jp-InputPrompt")) and self.idle(),
            "the last cell to end",
        )

    def within(self, element: WebElement, selector: str) -> WebElement:
        found: WebElement = element.find_element(By.CSS_SELECTOR, selector)
        return found

    def type_into_cell(self, has: str, source: str) -> None:
        """Replace what the cell that has this text says, by typing, and run it."""
        editor = self.wait(
            lambda: next((each for each in self.all(".jp-Notebook .cm-content") if has in each.text), None),
            f'a cell with "{has}"',
        )
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", editor)
        editor.click()
        editor.send_keys(Keys.CONTROL, "a")
        editor.send_keys(source)
        editor.send_keys(Keys.CONTROL, Keys.ENTER)
        self.settled()

    def run_cell(self, has: str) -> None:
        """Run the cell that has this text."""
        editor = self.wait(
            lambda: next((each for each in self.all(".jp-Notebook .cm-content") if has in each.text), None),
            f'a cell with "{has}"',
        )
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", editor)
        editor.click()
        editor.send_keys(Keys.CONTROL, Keys.ENTER)
        self.settled()

    def show(self, element: WebElement) -> None:
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
