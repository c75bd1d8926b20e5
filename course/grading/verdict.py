"""What grading a submission ends in: marks, the failed points behind them, messages, and what the cells printed.

A verdict is plain data. The judge makes it, maybe on another machine; the gradebook takes it in; the report is made
of it. `Verdict.data()` and `Verdict.of()` carry it as JSON.
"""

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Mark:
    """One graded cell. `score` is None where an instructor has to read; `failed` names the points that failed.

    `answer` is the cell that the learner filled in for it, as it was submitted.
    """

    cell: str
    task: str
    score: float | None
    total: float
    failed: tuple[str, ...] = ()
    message: str = ""
    answer: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One submission. `messages` say what was odd about it; `notebooks` are the notebooks as they were run, by name.

    `digest` tells what was graded with what: the same digest needs no second grading. `seconds` is how long it took.
    """

    assignment: str
    student: str
    marks: tuple[Mark, ...]
    messages: tuple[str, ...] = ()
    digest: str = ""
    seconds: float = 0.0
    notebooks: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def score(self) -> float:
        """Points that the judge gave; what an instructor gives by hand is in the gradebook only."""
        return sum(mark.score or 0.0 for mark in self.marks)

    @property
    def total(self) -> float:
        return sum(mark.total for mark in self.marks)

    def data(self) -> dict[str, Any]:
        """As JSON can carry it."""
        return asdict(self)

    @classmethod
    def of(cls, data: dict[str, Any]) -> "Verdict":
        marks = tuple(Mark(**{**mark, "failed": tuple(mark["failed"])}) for mark in data["marks"])
        return cls(**{**data, "marks": marks, "messages": tuple(data["messages"])})


@dataclass(frozen=True, slots=True)
class Result:
    """What `grade` yields. `score` and `total` are the gradebook's, marks given by hand and late penalties included.

    `fresh` is False if the submission had been graded before and has not changed.
    """

    verdict: Verdict
    score: float
    total: float
    fresh: bool = True

    @property
    def student(self) -> str:
        return self.verdict.student
