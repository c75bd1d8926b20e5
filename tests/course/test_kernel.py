"""A notebook's kernel as the course prepares it."""

import os
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
]


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> list[nbformat.NotebookNode]:
    """The cells above, run in a kernel."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in CELLS])
    folder: Path = tmp_path_factory.mktemp("notebook")
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
