"""A notebook's kernel as the course prepares it."""

import os
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

CELLS = [
    "from course import start\nlab = start('09-pods')",
    "!kubectl get nodes -o name; echo to stderr >&2; exit 3",
    "_exit_code",
    "name = 'worker1'\n!kubectl get node {name} -o name\n!echo $name\n!echo '{.spec}'",
    "%%bash\necho before\nfalse",
    "lab.check('nothing')",
    "1 / 0",
    "def wrong(object):\n    return object['no']\nlab.cluster.client().registry = sorted([{}], key=wrong)",
    "lab.advance({})",
    "%%node worker1\nhostname | tr a-z A-Z\nps -ef | grep -c containerd-shim\nfoo",
    "%node cp grep -c image: /etc/kubernetes/manifests/*.yaml | wc -l",
    "%%node worker9\nls",
    "print(lab.node('cp').run('crictl pods -q --name etcd | wc -l'), end=''); lab.node('worker2')",
    "kubectl get pods",
    "import subprocess\nraise subprocess.CalledProcessError(None, 'bash')",
    "lab.advance('-5m')",
    "lab.http('GET', 'version')",
    "!kubectl edit configmap kube-root-ca.crt",
    "lab.cluster.loop.call_soon(lambda: 1 / 0)\nlab.cluster.loop.strict = True\nlab.settle()",
    "%%bash\nPATH=/nowhere\ncrictl ps",
    "!PATH=/nowhere; systemctl status kubelet; kubect get pods",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the notebook runs, and where its course keeps its things."""
    return tmp_path_factory.mktemp("notebook")


@pytest.fixture(scope="module")
def cells(folder: Path) -> list[nbformat.NotebookNode]:
    """The cells above, run in a kernel."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in CELLS])
    client = NotebookClient(
        notebook, allow_errors=True, coalesce_streams=True, resources={"metadata": {"path": str(folder)}}
    )
    client.execute(env={**os.environ, "COURSE_HOME": str(folder)})
    return list(notebook.cells)


def text(cell: nbformat.NotebookNode) -> str:
    return "".join(output.get("text", "") or output.get("data", {}).get("text/plain", "") for output in cell.outputs)


def error(cell: nbformat.NotebookNode) -> list[str]:
    found = [output for output in cell.outputs if output.output_type == "error"]
    return list(found[0].traceback) if found else []


def test_a_command_shows_all_that_it_prints(cells: list[nbformat.NotebookNode]) -> None:
    """Both streams, in order, and the exit code for who asks."""
    assert text(cells[1]).splitlines() == ["node/cp", "node/worker1", "node/worker2", "to stderr"]
    assert text(cells[2]) == "3"


def test_a_command_may_use_variables(cells: list[nbformat.NotebookNode]) -> None:
    """{name} and $name are Python's, as in any notebook; braces that are no names stay."""
    assert text(cells[3]).splitlines() == ["node/worker1", "worker1", "{.spec}"]


def test_a_failed_shell_cell_ends_in_one_line(cells: list[nbformat.NotebookNode]) -> None:
    """The output stays, and instead of IPython's own traceback there is one line."""
    assert text(cells[4]) == "before\n"
    assert error(cells[4]) == ["The last command ended with exit code 1."]


def test_our_code_is_never_in_a_traceback(cells: list[nbformat.NotebookNode]) -> None:
    """A wrong task's name is told in one sentence; a learner's own error keeps its traceback."""
    (line,) = error(cells[5])
    assert line.startswith('There is no task "nothing" in chapter 09-pods.')
    assert any("ZeroDivisionError" in part for part in error(cells[6]))


def test_a_learners_traceback_is_theirs_and_ours_is_never_shown(
    cells: list[nbformat.NotebookNode], folder: Path
) -> None:
    """An error shows the lines of the notebook that led to it, none of the course's or the engine's, which are kept."""
    for cell, words in ((cells[7], "KeyError"), (cells[8], "Error"), (cells[18], "ZeroDivisionError")):
        told = re.sub(r"\x1b\[[\d;]*m", "", "\n".join(error(cell)))
        assert words in told
        assert "Cell In" in told
        for ours in ("course/", "k8s_core"):
            assert ours not in told, told
    assert "clock.py" in (folder / "errors.log").read_text()


def test_a_slip_is_told_in_one_line(cells: list[nbformat.NotebookNode]) -> None:
    """A command without its !, an interrupted shell cell, time that goes back, a path without its slash, an editor."""
    said = [error(cell) for cell in cells[13:17]]
    assert said[0] == ["This is a command, not Python. Write a ! before it: !kubectl get pods"]
    assert said[1] == ["The last command was interrupted."]
    assert said[2] == ["Time only goes forward. What is past can be looked at: lab.show()."]
    assert said[3] == ['"version" is no path. It begins with a slash, like "/api/v1/pods".']
    assert text(cells[17]).startswith("In a cell there is no editor.")


def test_a_cell_is_typed_on_a_node(cells: list[nbformat.NotebookNode]) -> None:
    """%%node types the cell into the node's shell, %node a line; a node that is not there is told in one sentence."""
    assert text(cells[9]) == "WORKER1\n2\nbash: foo: command not found\n"
    assert text(cells[10]) == "4\n"
    assert error(cells[11]) == ['There is no node "worker9". There are: cp, worker1, worker2.']
    assert text(cells[12]).startswith("1\n<node worker2, its files: /")


def test_what_only_nodes_have_is_said_to_be_there(cells: list[nbformat.NotebookNode]) -> None:
    """Who types crictl or systemctl where this machine does not know it, is told how to type on a node."""
    told = "crictl is on the nodes: begin the cell with %%node and a node's name, as %%node cp."
    assert error(cells[19]) == [f"The last command ended with exit code 127. {told}"]
    assert text(cells[20]).endswith(told.replace("crictl", "systemctl") + "\n")
