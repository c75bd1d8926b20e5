"""What grading a class showed: the spread of marks, points for each task, the commonest failed points, and submissions
that are equal where others differ. As text for the terminal, and as a page with a picture.

`summary` is plain data, made of verdicts alone. Two submissions are suspicious if they share what is rare in the class:
a short command looks the same from everybody, and says nothing. It is a hint for an instructor, and no verdict.
"""

import base64
import html
import io
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

from course import authoring, syllabus, tasks
from course.grading.verdict import Result

BINS = 10
"""Bars in the picture of the spread."""
SHINGLE = 5
"""Words in a row that are compared as one piece."""
RARE = 0.1
"""A piece is rare if at most this share of the class has it (and two always may)."""
PIECES, SHARE = 8, 0.6
"""Two submissions are suspicious if they share so many rare pieces, and such a share of all that the smaller has."""
HANDFUL = 5
COMMONEST = 10


@dataclass(frozen=True, slots=True)
class TaskPoints:
    """One graded task over the class; `full` is how many got all points, `commonest` the point that most failed."""

    task: str
    total: float
    mean: float
    full: int
    marked: int
    commonest: str
    times: int


@dataclass(frozen=True, slots=True)
class Summary:
    """One assignment. `scores` are by student; `alike` are pairs with the share of rare pieces that they have alike."""

    assignment: str
    total: float
    scores: dict[str, float]
    tasks: tuple[TaskPoints, ...]
    failed: tuple[tuple[str, str, int], ...]
    alike: tuple[tuple[str, str, float], ...]
    odd: tuple[tuple[str, str], ...]


def summary(results: Iterable[Result]) -> Summary:
    """The figures. ValueError without a single submission."""
    results = sorted(results, key=lambda result: result.student)
    if not results:
        raise ValueError("nothing was graded")
    assignment = results[0].verdict.assignment
    marks = defaultdict(list)
    failed: dict[str, Counter[str]] = defaultdict(Counter)
    for result in results:
        for mark in result.verdict.marks:
            marks[mark.task].append(mark)
            failed[mark.task].update(_everybodys(point, result) for point in mark.failed)
    figures = []
    for task, found in marks.items():
        given = [mark.score for mark in found if mark.score is not None]
        commonest, times = (failed[task].most_common(1) or [("", 0)])[0]
        total = max(mark.total for mark in found)
        mean = sum(given) / len(given) if given else 0.0
        figures.append(
            TaskPoints(task, total, mean, sum(score >= total for score in given), len(given), commonest, times)
        )
    points = Counter({(task, point): count for task, counts in failed.items() for point, count in counts.items()})
    return Summary(
        assignment,
        max(result.total for result in results),
        {result.student: result.score for result in results},
        tuple(figures),
        tuple((task, point, count) for (task, point), count in points.most_common(COMMONEST)),
        alike({each.student: [mark.answer for mark in each.verdict.marks] for each in results}, _solutions(assignment)),
        tuple((each.student, message) for each in results for message in each.verdict.messages),
    )


def _everybodys(point: str, result: Result) -> str:
    """A point's words with {names} where this learner's own values stand, so that it is the same point for all."""
    for name, value in _values(result.verdict.assignment, result.student):
        point = re.sub(rf"(?<![\w.-]){re.escape(value)}(?![\w-])", f"{{{name}}}", point)
    return point


@cache
def _values(assignment: str, student: str) -> tuple[tuple[str, str], ...]:
    """A learner's own values, the longest first; nothing for an assignment that is not the course's."""
    try:
        values, _ = tasks.load(syllabus.chapter(assignment), student)
    except KeyError:
        return ()
    own = [(name, str(value)) for name, value in vars(values).items() if isinstance(value, (str, int)) and str(value)]
    return tuple(sorted(own, key=lambda each: (-len(each[1]), each[0])))


def _solutions(assignment: str) -> list[str]:
    """What the reference solutions say, which everybody may have found."""
    try:
        chapter = syllabus.chapter(assignment)
    except KeyError:
        return []
    return [authoring.solution(chapter, task) for task in chapter.tasks]


def alike(answers: dict[str, list[str]], known: Iterable[str] = ()) -> tuple[tuple[str, str, float], ...]:
    """Pairs of students whose answers share what is rare in the class, the most alike first.

    What is in `known`, too, says nothing. In a class of a handful nothing is rare, and nobody is named.
    """
    if len(answers) < HANDFUL:
        return ()
    expected = {piece for text in known for piece in _shingles(text)}
    pieces = {
        student: {piece for text in texts for piece in _shingles(text)} - expected for student, texts in answers.items()
    }
    owners: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for student, own in pieces.items():
        for piece in own:
            owners[piece].append(student)
    most = max(2, int(RARE * len(answers)))
    common: Counter[tuple[str, str]] = Counter()
    rare: Counter[str] = Counter()
    for have in owners.values():
        if len(have) <= most:
            rare.update(have)
            common.update(combinations(sorted(have), 2))
    found = [(a, b, count / min(rare[a], rare[b])) for (a, b), count in common.items() if count >= PIECES]
    return tuple(sorted((pair for pair in found if pair[2] >= SHARE), key=lambda pair: (-pair[2], pair)))


def _shingles(text: str) -> Iterable[tuple[str, ...]]:
    words = re.findall(r"\w+|[^\w\s]", text)
    return (tuple(words[at : at + SHINGLE]) for at in range(len(words) - SHINGLE + 1))


def table(found: Summary) -> str:
    """The report for a terminal."""
    scores = sorted(found.scores.values())
    lines = [
        f"{found.assignment}: {len(scores)} submissions, mean {sum(scores) / len(scores):.2f}, "
        f"median {_median(scores):g}, of {found.total:g} points",
        "",
        *(f"  {label:>9}  {'█' * count} {count or ''}".rstrip() for label, count in _bins(found)),
        "",
        f"  {'task':<16} {'mean':>6} {'of':>4} {'all':>5}  commonest failed point",
    ]
    for task in found.tasks:
        if not task.marked:
            lines.append(f"  {task.task:<16} {'-':>6} {task.total:>4g} {'-':>5}  read by an instructor")
            continue
        point = f"{task.commonest} ({task.times})" if task.commonest else ""
        lines.append(f"  {task.task:<16} {task.mean:>6.2f} {task.total:>4g} {task.full:>5}  {point}".rstrip())
    if found.odd:
        lines += ["", "  odd submissions", *(f"    {student}: {message}" for student, message in found.odd)]
    if found.alike:
        lines += ["", "  alike where others differ", *(f"    {a}, {b}: {share:.0%}" for a, b, share in found.alike)]
    return "\n".join(lines)


def picture(found: Summary) -> bytes:
    """A PNG: the spread, the mean of each task, the commonest failed points."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415  # slow to load
    from matplotlib.figure import Figure  # noqa: PLC0415
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415

    figure = Figure(figsize=(11, 7), layout="constrained")
    FigureCanvasAgg(figure)
    rows: Any = figure.subfigures(2, 1)
    (spread, means), failed = rows[0].subplots(1, 2), rows[1].subplots()
    labels, counts = zip(*_bins(found), strict=True)
    spread.bar(labels, counts, color="#326ce5", width=0.9)
    spread.set(title=f"{found.assignment}: {len(found.scores)} submissions", xlabel="points", ylabel="submissions")
    spread.tick_params(axis="x", labelrotation=45)
    spread.yaxis.set_major_locator(MaxNLocator(integer=True))
    shown = [task for task in found.tasks if task.marked]
    means.barh([t.task for t in shown], [100 * t.mean / t.total for t in shown], color="#2e7d32")
    means.set(title="mean of each task", xlabel="% of its points", xlim=(0, 100))
    means.invert_yaxis()
    names = [_short(f"{task}: {point}") for task, point, _ in found.failed]
    failed.barh(range(len(names)), [count for *_, count in found.failed], color="#c62828")
    failed.set(title="the commonest failed points", xlabel="submissions", yticks=range(len(names)), yticklabels=names)
    failed.xaxis.set_major_locator(MaxNLocator(integer=True))
    failed.invert_yaxis()
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=100, metadata={"Software": None})
    return out.getvalue()


def page(found: Summary) -> str:
    """The report as one page of HTML, picture included."""
    shown = base64.b64encode(picture(found)).decode()
    figures = [
        (t.task, f"{t.mean:.2f}", f"{t.total:g}", t.full, f"{t.commonest} ({t.times})" if t.commonest else "")
        for t in found.tasks
        if t.marked
    ]
    pairs = [(one, other, f"{share:.0%}") for one, other, share in found.alike]
    marks = [(student, f"{score:g}") for student, score in found.scores.items()]
    sections = (
        _section("Tasks", ("task", "mean", "of", "all points", "commonest failed point"), figures),
        _section("Odd submissions", ("student", "what"), found.odd),
        _section("Alike where others differ", ("one", "the other", "rare parts alike"), pairs),
        _section("Marks", ("student", "points"), marks),
    )
    title = html.escape(f"{found.assignment}: how the class did")
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title><style>{_STYLE}</style>"
        f'<h1>{title}</h1><img alt="spread of marks, mean of each task, commonest failed points" '
        f'src="data:image/png;base64,{shown}">{"".join(sections)}'
    )


def write(results: Iterable[Result], folder: Path) -> tuple[Summary, Path]:
    """Write ASSIGNMENT.html, .png and .txt into a folder; returns the figures and the page."""
    found = summary(results)
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{found.assignment}.html"
    target.write_text(page(found))
    target.with_suffix(".png").write_bytes(picture(found))
    target.with_suffix(".txt").write_text(table(found) + "\n")
    return found, target


_STYLE = (
    "body{font:16px/1.5 sans-serif;max-width:70em;margin:2em auto;padding:0 1em}"
    "td,th{text-align:left;padding:.1em 1em .1em 0}img{max-width:100%}"
)


def _section(title: str, head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    if not rows:
        return ""
    top = "".join(f"<th scope=col>{html.escape(each)}" for each in head)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(str(each))}" for each in row) for row in rows)
    return f"<h2>{title}</h2><table><thead><tr>{top}</thead><tbody>{body}</tbody></table>"


def _bins(found: Summary) -> list[tuple[str, int]]:
    """How many have how many points, from the fewest: ("0-1.5", 3)."""
    width = found.total / BINS or 1.0
    counts = Counter(min(int(score / width), BINS - 1) for score in found.scores.values())
    return [(f"{at * width:.3g}-{(at + 1) * width:.3g}", counts[at]) for at in range(BINS)]


def _median(scores: Sequence[float]) -> float:
    middle = len(scores) // 2
    return scores[middle] if len(scores) % 2 else (scores[middle - 1] + scores[middle]) / 2


def _short(text: str, most: int = 70) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
