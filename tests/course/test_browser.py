"""A learner's way through JupyterLab in a real browser; the screenshots are kept under build/screenshots."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from jupyter_page import Page, jupyterlab
from selenium.webdriver.common.keys import Keys

pytestmark = pytest.mark.timeout(900)  # a busy machine is slow to show pages


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with jupyterlab(tmp_path_factory.mktemp("browser")) as page:
        yield page
        page.shot("last")


def test_the_course_opens_on_its_home_page(page: Page) -> None:
    """`course lab` shows the home page; run, it lists the chapters with links and progress."""
    page.ready()
    page.see("Kubernetes, apart", ".jp-Notebook h1")
    page.run_all()
    table = page.see("Cluster architecture", ".jp-Notebook table")
    assert "19 Troubleshooting" in table.text
    assert "not begun" in table.text
    page.shot("1-home")


def test_a_lesson_runs_to_its_end(page: Page) -> None:
    """Every cell of the lesson on Pods runs without an error, with the real kubectl's output."""
    page.open("notebooks/09-pods.ipynb")
    page.run_all()
    page.see("CrashLoopBackOff", ".jp-OutputArea-output")
    assert not page.all(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.error']")
    page.see("Run a Pod of your own: 0 of 3", ".jp-OutputArea-output")


def test_the_cluster_can_be_looked_at_in_the_past(page: Page) -> None:
    """The slider goes back to the first moment by keyboard, and forward again by the step button; text goes along."""
    view = page.wait(lambda: page.all(".k8s-player"), "the cluster view")[0]
    page.show(view)
    caption = page.within(view, ".k8s-caption")
    assert "now" in caption.text
    slider = page.within(view, "input[type=range]")
    last = int(slider.get_attribute("max"))
    assert last > 3
    page.shot("2-cluster-now")
    slider.send_keys(Keys.HOME)
    page.wait(lambda: "moment 1 of" in caption.text and "0 Pods" in caption.text, "the first moment")
    page.shot("3-cluster-at-first")
    page.within(view, "button[aria-label='one step forward']").click()
    page.wait(lambda: "moment 2 of" in caption.text and "1 Pod " in caption.text, "the second moment")
    assert slider.get_attribute("aria-valuetext") == caption.text
    page.shot("4-cluster-one-step-on")
    slider.send_keys(Keys.END)
    page.wait(lambda: "now" in caption.text, "the newest moment")
    text = page.within(view, "details summary")
    text.click()
    assert "node worker1" in page.within(view, "pre").text


def test_play_lets_time_pass(page: Page) -> None:
    """At the newest moment play sends the cluster's clock ahead, and pause stops it."""
    view = page.all(".k8s-player")[0]
    play = page.within(view, "button[aria-label='play']")
    play.click()
    page.wait(lambda: play.get_attribute("aria-label") == "pause", "the button to say pause")
    play.click()
    page.wait(lambda: play.get_attribute("aria-label") == "play", "the button to say play")


def test_a_check_fails_and_then_passes(page: Page) -> None:
    """The report says what is missing and how to see it; after the right command nothing is missing."""
    failed = page.see("Run a Pod of your own: 0 of 3", ".jp-OutputArea-output")
    assert "kubectl get pods -l app=mine" in failed.text
    page.show(failed)
    page.shot("5-check-failed")
    page.type_into_cell("# kubectl ...", "%%bash\nkubectl run my-pod --image=nginx --labels=app=mine")
    page.see("pod/my-pod created", ".jp-OutputArea-output")
    page.run_cell('lab.check("first-pod")')
    passed = page.see("Run a Pod of your own: 3 of 3", ".jp-OutputArea-output")
    page.show(passed)
    page.shot("6-check-passed")


def test_a_learners_mistake_is_one_sentence(page: Page) -> None:
    """An unknown task shows its sentence and nothing of our code."""
    page.type_into_cell('lab.check("first-pod")', 'lab.check("first-pot")')
    said = page.see('There is no task "first-pot"', ".jp-OutputArea-output")
    assert "Traceback" not in said.text
    assert "lab.py" not in said.text


def test_the_terminal_reaches_the_lesson(page: Page, tmp_path: Path) -> None:
    """kubectl in JupyterLab's terminal is ours, and sees the Pod that the lesson made."""
    page.execute("terminal:create-new")
    page.wait(lambda: page.all(".jp-Terminal .xterm-helper-textarea"), "a terminal")
    said = tmp_path / "said"  # a terminal is drawn on a canvas, in which nothing can be read
    typed = f"kubectl get pod my-pod -o name | tee {said}; command -v kubectl | tee -a {said}\n"
    page.all(".jp-Terminal .xterm-helper-textarea")[-1].send_keys(typed)
    page.wait(lambda: said.exists() and "kubectl" in said.read_text(), "kubectl's answer in the terminal")
    assert said.read_text().split() == ["pod/my-pod", str(Path(sys.executable).parent / "kubectl")]
    page.shot("7-terminal")


def test_the_way_of_a_request_can_be_stepped_through(page: Page) -> None:
    """The lesson on architecture runs to its end and shows a request step by step, in the dark theme too."""
    page.open("notebooks/01-architecture.ipynb")
    page.run_all()
    assert not page.all(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.error']")
    views = page.wait(lambda: page.all(".jp-Notebook .k8s-player"), "the pictures")
    view = next(each for each in views if "the way of" in (each.get_attribute("aria-label") or ""))
    page.show(view)
    page.shot("8-sequence")
    slider = page.within(view, "input[type=range]")
    slider.send_keys(Keys.HOME)
    caption = page.within(view, ".k8s-caption")
    page.wait(lambda: "step 1 of" in caption.text and "kubectl to kube-apiserver" in caption.text, "the first step")
    slider.send_keys(Keys.ARROW_RIGHT)
    page.wait(lambda: "step 2 of" in caption.text, "the second step")
    page.execute("apputils:change-theme", {"theme": "JupyterLab Dark"})
    page.wait(lambda: page.all("body[data-jp-theme-light='false']"), "the dark theme")
    slider.send_keys(Keys.END)
    page.shot("9-sequence-dark")
    page.execute("apputils:change-theme", {"theme": "JupyterLab Light"})


def test_the_formgrader_generates_and_grades(page: Page) -> None:
    """nbgrader's formgrader works out of the box: it makes the learners' version, and marks a submission."""
    page.execute("nbgrader:open-formgrader")
    frame = page.wait(lambda: page.all("iframe[src*='formgrader']"), "the formgrader")[0]
    page.shot("10-formgrader")
    page.driver.get(frame.get_attribute("src"))
    page.see("09-pods", "table")
    row = next(each for each in page.all("table tbody tr") if "09-pods" in each.text)
    page.within(row, ".glyphicon-education").click()
    page.see("Successfully created", ".modal-body")
    submitted = page.root / "grading" / "submitted" / "ada" / "09-pods"
    submitted.mkdir(parents=True)
    shutil.copy(page.root / "exercises" / "09-pods" / "pods.ipynb", submitted)
    page.driver.get(page.driver.current_url.split("/formgrader")[0] + "/formgrader/manage_submissions/09-pods")
    row = page.see("ada", "table tbody tr")
    page.within(row, ".glyphicon-flash").click()
    page.see("Successfully autograded", ".modal-body")
    page.driver.refresh()
    assert "13 / 15" in page.see("ada", "table tbody tr").text
    page.shot("11-formgrader-graded")


def test_a_feedback_page_and_the_report_can_be_read(page: Page) -> None:
    """A learner's page says of each failed point what was observed; the instructor's shows how the class did."""
    for student in ("grace", "linus"):
        handed = page.root / "grading" / "submitted" / student / "09-pods"
        handed.mkdir(parents=True)
        shutil.copy(page.root / "grading" / "release" / "09-pods" / "pods.ipynb", handed)
    own = {"COURSE_ROOT": str(page.root), "COURSE_HOME": str(page.root.parent / "course")}
    for step in ("grade", "feedback"):
        subprocess.run([sys.executable, "-m", "course", step, "09-pods"], env={**os.environ, **own}, check=True)
    page.driver.get((page.root / "grading" / "feedback" / "grace" / "09-pods" / "pods.html").as_uri())
    failed = page.see("observed: nothing", ".output_area, .jp-OutputArea, pre")
    assert "look:" in failed.text
    page.show(failed)
    page.shot("12-feedback")
    page.driver.get((page.root / "grading" / "reports" / "09-pods.html").as_uri())
    page.see("how the class did", "h1")
    assert page.driver.execute_script("return document.images[0].naturalWidth > 500")
    page.see("Commonest failed point".lower(), "th")
    page.shot("13-report")
