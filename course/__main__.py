"""The command line: `course lab`, `course build`, `course generate`, `course grade` ... (also `python -m course`)."""

import argparse
import os
import sys
import tempfile
from pathlib import Path

from course import environment


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    parser = _parser()
    options, rest = parser.parse_known_args(arguments)
    if rest and options.command not in ("lab", "hub"):
        parser.error(f"unknown arguments: {' '.join(rest)}")
    return int(_COMMANDS[options.command](options, rest) or 0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="course", description="A Kubernetes course you can take apart.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    lab = commands.add_parser("lab", help="open the course in JupyterLab; further arguments go to jupyter lab")
    lab.add_argument("--hub", action="store_true", help=argparse.SUPPRESS)  # JupyterHub starts it so, for one user
    hub = commands.add_parser("hub", help="a class's JupyterHub (class.yaml); further arguments go to jupyterhub")
    hub.add_argument("--trial", action="store_true", help="everybody runs as you, with one password")
    check = commands.add_parser("check", help="check a task on a cluster of your own")
    check.add_argument("chapter")
    check.add_argument("task")
    check.add_argument("--context", required=True, help="the kubeconfig's context")
    check.add_argument("--learner", default="", help="whose names and numbers; yours otherwise")
    check.add_argument("--wait", type=float, default=30, metavar="SECONDS", help="how long the cluster may take")
    check.add_argument("--begin", action="store_true", help="make what the task begins with, and say what is asked")
    check.add_argument("--reset", action="store_true", help="delete what the task made or asked for")
    build = commands.add_parser("build", help="make the notebooks from their text, and run the lessons")
    build.add_argument("only", nargs="?", default="", help="only notebooks whose path has this in it")
    build.add_argument("--check", action="store_true", help="write nothing; say what differs from its text")
    commands.add_parser("new", help="make a chapter to begin with").add_argument("chapter", metavar="NN-topic")
    site = commands.add_parser("site", help="the lessons as web pages")
    site.add_argument("--to", type=Path, default=environment.ROOT / "build" / "site")
    for name, about in (
        ("generate", "make the learners' version of an assignment"),
        ("release", "put it into the exchange"),
        ("collect", "take submissions from the exchange"),
    ):
        commands.add_parser(name, help=about).add_argument("assignment")
    grade = commands.add_parser("grade", help="run and mark the submissions of an assignment")
    grade.add_argument("assignment")
    grade.add_argument("student", nargs="*", help="only these; everybody otherwise")
    grade.add_argument("--workers", type=int, default=os.cpu_count() or 2, help="how many at once")
    grade.add_argument("--dask", metavar="ADDRESS", help="on the workers of this Dask cluster, such as tcp://host:8786")
    grade.add_argument("--again", action="store_true", help="also what has not changed since it was graded")
    grade.add_argument("--trust-submissions", action="store_true", help="run their code without a sandbox")
    feedback = commands.add_parser("feedback", help="make the feedback pages of an assignment")
    feedback.add_argument("assignment")
    feedback.add_argument("--release", action="store_true", help="and put them into the exchange")
    csv = commands.add_parser("csv", help="every mark as CSV")
    csv.add_argument("file", type=Path)
    csv.add_argument("--for", dest="form", choices=("canvas", "moodle"), default="", help="as its gradebook imports it")
    csv.add_argument("--roster", type=Path, help="the file that it exports, which says who is who")
    csv.add_argument("--assignment", action="append", default=[], help="only this one; may be repeated")
    commands.add_parser("report", help="how the class did in an assignment").add_argument("assignment")
    return parser


def _lab(options: argparse.Namespace, rest: list[str]) -> int:
    from course import jupyter  # noqa: PLC0415  # each command loads only what it needs

    if options.command == "hub":
        jupyter.hub(rest, trial=options.trial)
    elif options.hub:
        jupyter.hub_user(rest)
    else:
        jupyter.lab(rest)
    return 0


def _check(options: argparse.Namespace, rest: list[str]) -> int:
    from course import syllabus  # noqa: PLC0415
    from course.elsewhere import Elsewhere, ElsewhereError  # noqa: PLC0415

    try:
        with tempfile.TemporaryDirectory() as folder:
            chapter = syllabus.chapter(options.chapter)
            there = Elsewhere(chapter, options.context, options.learner or environment.learner(), Path(folder))
            if options.reset:
                there.reset(options.task)
            if options.begin:
                there.begin(options.task)
                print(there.ask(options.task))
            if options.begin or options.reset:
                return 0
            report = there.check(options.task, options.wait)
    except KeyError:
        print(f"There is no chapter {options.chapter}.", file=sys.stderr)
        return 2
    except ElsewhereError as error:
        print(error, file=sys.stderr)
        return 2
    print(report)
    return 0 if report.passed else 1


def _build(options: argparse.Namespace, rest: list[str]) -> int:
    from course import authoring  # noqa: PLC0415

    if options.check:
        stale = authoring.stale()
        for line in stale:
            print(f"{line}; run: course build", file=sys.stderr)
        return 1 if stale else 0
    for path in authoring.build(options.only):
        print(path.relative_to(environment.ROOT))
    return 0


def _new(options: argparse.Namespace, rest: list[str]) -> int:
    from course import new  # noqa: PLC0415

    try:
        made = new.new(options.chapter)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    for path in made:
        print(path.relative_to(environment.ROOT))
    print(f"Next: course build {options.chapter}; pytest tests/course/test_proofs.py -k {options.chapter}")
    return 0


def _site(options: argparse.Namespace, rest: list[str]) -> int:
    from course import authoring  # noqa: PLC0415

    for path in authoring.site(options.to):
        print(path)
    return 0


def _grading(options: argparse.Namespace, rest: list[str]) -> int:
    from course import grading  # noqa: PLC0415

    try:
        if options.command == "grade":
            _grade(options)
        elif options.command == "feedback":
            for student in grading.feedback(options.assignment, release=options.release):
                print(f"{student} did not submit through the exchange. The page is in grading/feedback/{student}/.")
        elif options.command == "csv":
            for student in grading.csv(options.file, options.form, options.assignment, options.roster):
                print(f"{student} is not in {options.roster}, and gets no mark there.", file=sys.stderr)
        elif options.command == "report":
            _report(options.assignment)
        else:
            {"generate": grading.generate, "release": grading.release, "collect": grading.collect}[options.command](
                options.assignment
            )
    except grading.GradingError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _grade(options: argparse.Namespace) -> None:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    from course import grading  # noqa: PLC0415

    court = None
    if options.dask:
        from course.grading.many import Many  # noqa: PLC0415

        try:
            court = Many(options.dask, options.assignment, trust=options.trust_submissions)
        except ConnectionError as error:
            raise grading.GradingError(str(error)) from None
    students = options.student or grading.submitted(options.assignment)
    bar = Progress(TextColumn("grading"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), transient=True)
    with bar:
        task = bar.add_task("", total=len(students))
        for done in grading.grade(
            options.assignment,
            options.student or None,
            workers=max(options.workers, 1),
            court=court,
            trust=options.trust_submissions,
            again=options.again,
        ):
            said = "" if done.fresh else "  (unchanged)"
            bar.console.print(
                f"{done.student:<20} {done.score:6.2f} of {done.total:g}{said}", markup=False, highlight=False
            )
            for message in done.verdict.messages:
                bar.console.print(f"    {message}", markup=False, highlight=False)
            bar.advance(task)
    _report(options.assignment)


def _report(assignment: str) -> None:
    from course import grading  # noqa: PLC0415
    from course.grading import report  # noqa: PLC0415

    found, page = grading.class_report(assignment)
    print(f"\n{report.table(found)}\n\nWith a picture: {page.relative_to(environment.ROOT)}")


_COMMANDS = {
    "lab": _lab,
    "hub": _lab,
    "check": _check,
    "build": _build,
    "new": _new,
    "site": _site,
    **dict.fromkeys(("generate", "release", "collect", "grade", "feedback", "csv", "report"), _grading),
}

if __name__ == "__main__":
    sys.exit(main())
