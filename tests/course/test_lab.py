"""The lab: a cluster a kernel, the real kubectl at once, time, history, tasks; a mistake ends in one sentence."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from IPython.display import Markdown

from course import environment, homepage, progress, start, syllabus, tasks
from course import lab as labs
from course.checks import Look, Report, run
from course.checks.look import Kubectl
from course.kernel import LabError
from course.lab import Lab


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The course's folder, the process's environment as it was before."""
    before = dict(os.environ)
    os.environ["COURSE_HOME"] = str(tmp_path_factory.mktemp("course"))
    os.environ["COURSE_LEARNER"] = "ada"
    os.environ.pop("COURSE_STATIC", None)  # the clock and the widgets as a learner has them
    yield environment.home()
    labs.stop()
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="module")
def lab(home: Path) -> Lab:
    """The lab of chapter 09."""
    return start("09-pods")


def shell(command: str) -> str:
    """What a cell's shell prints: the environment is the kernel's own."""
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_the_real_kubectl_works_at_once(lab: Lab) -> None:
    """In a shell of the kernel kubectl is ours and reaches the lab's cluster; nothing goes to ~/.kube."""
    assert shell("command -v kubectl").strip() == str(Path(sys.executable).parent / "kubectl")
    assert shell("kubectl get nodes -o name").split() == ["node/cp", "node/worker1", "node/worker2"]
    assert Path(os.environ["KUBECACHEDIR"]).is_relative_to(environment.home())


def test_terminals_reach_the_newest_lab(lab: Lab) -> None:
    """A process that only knows the course's kubeconfig reaches the same cluster."""
    variables = {**os.environ, **environment.variables()}
    command = ["kubectl", "get", "namespace", "kube-system", "-o", "jsonpath={.metadata.uid}"]
    there = subprocess.run(command, env=variables, capture_output=True, text=True, check=True).stdout
    assert there == lab.kubectl("get namespace kube-system -o jsonpath={.metadata.uid}")


def test_waiting_takes_no_time(lab: Lab) -> None:
    """kubectl wait ends soon, although the cluster's clock goes on by what starting takes."""
    shell("kubectl run waited --image=nginx")
    before = lab.cluster.loop.now
    assert "condition met" in shell("kubectl wait --for=condition=Ready pod/waited --timeout=120s")
    assert lab.cluster.loop.now > before
    assert "logs" not in shell("kubectl logs waited")


def test_time_is_the_learners(lab: Lab) -> None:
    """advance moves the clock by what is asked, and kubectl's ages with it."""
    shell("kubectl create configmap aged")
    before = lab.cluster.loop.now
    lab.advance("2h")
    assert lab.cluster.loop.now - before >= 7200
    assert "120m" in shell("kubectl get configmap aged")


def test_history_can_be_looked_at(lab: Lab) -> None:
    """Every revision shows the cluster as it was: a Pod is unscheduled, then on a node, then running, then gone."""
    first = len(lab.revisions())
    shell("kubectl run seen --image=nginx && kubectl wait --for=condition=Ready pod/seen && kubectl delete pod seen")
    lab.settle()
    states = [lab.state(revision) for revision in lab.revisions()[first:]]
    words = []
    for state in states:
        pods = [pod for node in state["nodes"] for pod in node["pods"]] + state["unscheduled"]
        found = next((pod for pod in pods if pod["name"] == "seen"), None)
        word = f"{found['status']} {'placed' if found['node'] else 'unplaced'}" if found else "gone"
        if word not in words[-1:]:
            words.append(word)
    assert words[0] == "Pending unplaced"
    assert words[-1] == "gone"
    assert "Running placed" in words
    assert "Terminating placed" in words
    assert [state["revision"] for state in states] == sorted(state["revision"] for state in states)


def test_the_cluster_view_moves_through_history(lab: Lab) -> None:
    """The widget begins at the newest moment, goes back by its slider, and steps forward again."""
    shell("kubectl run viewed --image=nginx && kubectl wait --for=condition=Ready pod/viewed")
    view = lab.show()
    assert view.live
    assert "viewed" in view.svg
    assert "viewed" in view.text
    view.position = 0
    assert not view.live
    assert "viewed" not in view.svg
    view.receive({"type": "forward"})
    assert view.position == 1
    before = lab.cluster.loop.now
    view.position = view.last
    view.speed = 10
    view.receive({"type": "tick"})
    assert lab.cluster.loop.now >= before + 10
    assert view.live


def test_a_command_can_be_followed(lab: Lab) -> None:
    """trace shows kubectl's request and what each component did, from the first write to a running Pod."""
    view = lab.trace("kubectl create deployment followed --image=nginx")
    assert {"kubectl", "kube-apiserver", "etcd", "kube-scheduler"} < set(view.actors)
    assert {"deployment controller", "replicaset controller"} < set(view.actors)
    assert any(actor.startswith("kubelet worker") for actor in view.actors)
    texts = [step["text"] for step in view.steps]
    assert texts[0] == "create deployments followed"
    assert any(text.startswith("create pods/binding followed-") for text in texts)
    view.position = 0
    assert "create deployments followed" in view.caption
    assert "binding" not in view.svg


def test_a_component_can_be_taken_out(lab: Lab) -> None:
    """Without a scheduler Pods wait, and its own Pod is gone; with it they run."""
    lab.stop("kube-scheduler")
    assert "kube-scheduler" not in shell("kubectl get pods -n kube-system -o name")
    shell("kubectl run lonely --image=nginx")
    lab.advance("1m")
    assert shell("kubectl get pod lonely -o jsonpath={.status.phase}{.spec.nodeName}") == "Pending"
    lab.restart("kube-scheduler")
    lab.settle()
    assert shell("kubectl get pod lonely -o jsonpath={.status.phase}") == "Running"


def test_a_check_fails_then_passes_and_is_remembered(lab: Lab) -> None:
    """Practice before and after: the report says what is missing, then nothing; progress knows."""
    report = lab.check("first-pod")
    assert report is not None
    assert len(report.failed) == 3
    assert not progress.entry("09-pods", "first-pod").passed
    shell("kubectl run mine --image=nginx --labels=app=mine")
    report = lab.check("first-pod")
    assert report is not None
    assert report.passed
    assert progress.entry("09-pods", "first-pod").passed


def test_a_graded_cell_ends_in_a_plain_float(lab: Lab, capfd: pytest.CaptureFixture[str]) -> None:
    """nbgrader reads a float from it, and nothing stands on stderr."""
    score = lab.grade("fields")
    assert type(score) is float
    assert score == 0.0
    assert capfd.readouterr().err == ""


def test_hints_come_one_at_a_time(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    """Each call shows one more, with the learner's own names, and says how many are left."""
    lab.hint("fields")
    lab.hint("fields")
    assert progress.entry("09-pods", "fields").hints == 2


def test_a_solution_comes_on_request_and_is_remembered(
    lab: Lab, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is shown without its marks; from then on report, progress and home page say so, unless the task was passed."""
    shown: list[Markdown] = []
    monkeypatch.setattr(labs, "display", shown.append)
    lab.solution("init")
    lab.solution("why")
    assert "```bash\n%%bash\n" in shown[0].data
    assert "SOLUTION" not in shown[0].data + shown[1].data
    report = lab.check("init")
    assert report is not None
    assert report.notes == ("done with the solution",)
    assert "done with the solution" in str(report)
    assert "done with the solution" in report.html()
    assert "1 with the solution" in homepage.home().text()
    progress.record("09-pods", "crash", 1, 1)
    lab.solution("crash")
    assert not progress.entry("09-pods", "crash").solution
    monkeypatch.setenv("COURSE_SOLUTIONS", "off")
    with pytest.raises(LabError, match="no solutions"):
        lab.solution("init")


MISTAKES = [
    (lambda lab: lab.check("nothing"), 'no task "nothing".*fields, sidecar'),
    (lambda lab: lab.hint("why"), "no hints"),
    (lambda lab: lab.solution("first-pod"), "last hint"),
    (lambda lab: lab.check("why"), "read by an instructor"),
    (lambda lab: lab.advance("soon"), '"soon" is no duration'),
    (lambda lab: lab.stop("docker"), 'no component "docker".*kube-scheduler'),
    (lambda lab: start("99-nothing"), 'no chapter "99-nothing".*09-pods'),
]


@pytest.mark.parametrize(("mistake", "message"), MISTAKES, ids=[message for _, message in MISTAKES])
def test_a_mistake_ends_in_one_sentence(lab: Lab, mistake: object, message: str) -> None:
    """What a learner does wrong is told in a sentence, which is all that a notebook shows."""
    with pytest.raises(LabError, match=message) as caught:
        mistake(lab)  # type: ignore[operator]
    assert caught.value._render_traceback_() == [str(caught.value)]


def test_the_same_check_reads_any_cluster_through_a_kubeconfig(lab: Lab) -> None:
    """With nothing but kubectl and a kubeconfig a check finds, point by point, what it finds in process."""
    shell("kubectl run looked --image=nginx --labels=app=mine && kubectl wait --for=condition=Ready pod/looked")
    _, exercises = tasks.load(lab.chapter, lab.learner)
    there = Look(Kubectl(os.environ))
    for id, exercise in exercises.items():
        found = run(id, exercise.check, there, lab._values, 1)
        assert [point.passed for point in found.points] == [point.passed for point in lab.examine(id).points]
    assert run("", exercises["first-pod"].check, there, lab._values, 0).passed


def test_a_check_sees_what_happened_since_the_task_began(lab: Lab) -> None:
    """Requests, connections, DNS queries, versions and time, and none of them from before."""
    shell("kubectl create configmap early && kubectl run web --image=nginx --port=80 --expose --labels=app=web")
    shell("kubectl run asker --image=busybox -- sleep 86400")
    shell("kubectl wait --for=condition=Ready pod/web pod/asker && kubectl exec asker -- wget -qO- http://web")
    lab.reset("fields")
    see = lab._see
    see.since = lab._since["fields"]
    assert see.requests("configmaps") == ([], True)
    assert see.flows("default/asker") == ([], True)
    assert see.queries() == ([], True)
    shell("kubectl create configmap late --as=ada; kubectl create configmap late; kubectl get configmap late")
    shell("kubectl exec asker -- wget -qO- http://web")
    lab.advance("1m")
    found, _ = see.requests("configmaps")
    seen = [(each["verb"], each["impersonatedUser.username"], each["responseStatus.code"]) for each in found]
    assert seen == [("create", "ada", 403), ("create", None, 201), ("get", None, 200)]
    assert len(see.requests("configmaps", writes=True)[0]) == 2
    assert "web.default.svc.cluster.local." in {each["name"].rstrip(".") + "." for each in see.queries()[0]}
    flows = [flow for flow in see.flows("default/asker")[0] if flow["port"] == 80]
    assert [(flow["result"], flow["answered_port"]) for flow in flows] == [("connected", 80)]
    assert (see.seconds() or 0) >= 60
    assert [bool(each) for each in see.versions("configmaps", "late")[0]] == [True]
    assert not see.blind
    elsewhere = Look(Kubectl(os.environ))
    assert elsewhere.requests("pods") == elsewhere.flows() == elsewhere.queries() == ([], False)
    assert elsewhere.seconds() is None
    assert elsewhere.blind


def test_everything_can_be_checked_at_once(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """check() without a task shows the report of every task that a machine can grade."""
    shown: list[Report] = []
    monkeypatch.setattr(labs, "display", shown.append)
    assert lab.check() is None
    assert [report.title for report in shown] == [
        task.title for task in lab.chapter.tasks if task.points and not task.by_hand
    ]


def test_the_whole_lab_can_begin_again(lab: Lab) -> None:
    """reset() gives a new cluster with the same lab object; a task that had begun begins again."""
    lab.task("crash")
    shell("kubectl create configmap gone")
    lab.reset()
    assert "gone" not in shell("kubectl get configmaps -o name")
    assert lab.values.broken in shell("kubectl get pods -o name")
    assert lab.examine("crash").score == 0


def test_a_second_start_does_no_harm(lab: Lab) -> None:
    """Another kernel's lab of the same chapter has its own cluster and folder; the first stays as it was."""
    script = (
        "from course import start; lab = start('09-pods'); "
        "print(lab.kubectl('run other --image=nginx')); print(lab._folder.path.name)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "pod/other created" in done.stdout.split("\n")
    assert done.stdout.split()[-1] == "09-pods-2"
    assert "other" not in lab.kubectl("get pods -o name")


def test_a_start_says_where_one_left(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    """Who comes back hears how far the chapter is and what comes next; who is new hears nothing."""
    said = homepage.so_far(lab.chapter)
    assert said.startswith("So far: 1 of 5 tasks, 1 of 13 points, 1 with the solution, 2 hints.")
    assert said.endswith('Go on with lab.task("fields").')
    assert homepage.so_far(syllabus.chapter("17-apply")) == ""


def test_a_new_start_in_the_same_kernel_ends_the_old(home: Path) -> None:
    """The old cluster's door is closed, the new one is empty and has the folder."""
    old = start("09-pods")
    old.kubectl("run left --image=nginx")
    new = start("09-pods")
    assert old.cluster.door is None
    assert new._folder.path.name == "09-pods"
    assert new.kubectl("get pods").strip() == "No resources found in default namespace."


def test_a_lessons_files_stay_out_of_the_notebooks(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside its own lesson a lab goes to .course/work/; anywhere else it stays where it is."""
    notebooks = tmp_path / "notebooks"
    notebooks.mkdir()
    monkeypatch.chdir(notebooks)
    start("09-pods")
    assert Path.cwd() == notebooks
    (notebooks / "09-pods.ipynb").touch()
    start("09-pods")
    assert Path.cwd() == home / "work" / "09-pods"
    labs.stop()
