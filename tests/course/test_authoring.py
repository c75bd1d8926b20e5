"""From text to notebooks."""

from pathlib import Path

import nbformat
import pytest

from course import authoring


def test_notebooks_are_what_their_text_says() -> None:
    """Making every notebook and the README's table again gives no difference (outputs are nbval's work)."""
    assert authoring.stale() == []


def test_a_cell_keeps_its_id_when_another_changes(tmp_path: Path) -> None:
    """Ids come from what a cell says; equal cells are numbered; reading twice gives the same notebook."""
    text = tmp_path / "note.md"
    text.write_text("# A\n\n```{code-cell}\n1\n```\n\n```{code-cell}\n1\n```\n\nend\n")
    first = authoring.read(text)
    assert nbformat.writes(first) == nbformat.writes(authoring.read(text))
    text.write_text("# B\n\n```{code-cell}\n1\n```\n\n```{code-cell}\n1\n```\n\nend\n")
    second = authoring.read(text)
    assert [cell.id for cell in first.cells[1:]] == [cell.id for cell in second.cells[1:]]
    assert first.cells[0].id != second.cells[0].id
    assert len({cell.id for cell in first.cells}) == len(first.cells)


def test_an_unknown_mark_is_an_error(tmp_path: Path) -> None:
    """A heading that asks the syllabus for something it does not have does not pass in silence."""
    text = tmp_path / "note.md"
    text.write_text("# {{task nothing}}\n")
    with pytest.raises(ValueError, match="means nothing"):
        authoring.read(text)


def test_the_assignment_is_ready_for_nbgrader() -> None:
    """Each task has one answer cell and one graded cell with the syllabus' points; answers have a solution."""
    notebook = authoring.read(authoring.environment.EXERCISES / "09-pods" / "pods.md")
    marked = {cell.metadata.nbgrader.grade_id: cell for cell in notebook.cells if "nbgrader" in cell.metadata}
    for task in ("fields", "sidecar", "init", "crash"):
        answer, check = marked[f"answer-{task}"], marked[f"check-{task}"]
        assert "### BEGIN SOLUTION" in answer.source
        assert not answer.metadata.nbgrader.locked
        assert check.metadata.nbgrader.points > 0
        assert check.source == f'lab.grade("{task}")'
    assert marked["why"].cell_type == "markdown"
    assert marked["why"].metadata.nbgrader.points == 2
