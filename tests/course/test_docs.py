"""The guides say what is so: their commands exist, their links lead somewhere, their examples are the template's."""

import re
import shlex
from pathlib import Path

import pytest

from course import __main__ as command
from course import environment

GUIDES = [
    environment.ROOT / name for name in ("README.md", "CONTRIBUTING.md", "docs/instructors.md", "docs/writing.md")
]


def commands(guide: Path) -> list[str]:
    """Every `course ...` that a guide tells to type."""
    found = re.findall(r"(?:^|[\s`])(?:\.venv/bin/)?course ([a-z]+(?: [^`#\n]*)?)", guide.read_text(), re.M)
    known = command._COMMANDS
    return [each.split(", and", 1)[0].split("; ")[0].strip() for each in found if each.split()[0] in known]


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.name)
def test_every_command_of_a_guide_is_one(guide: Path) -> None:
    """What a guide tells to type is taken by the command line, with these options."""
    parser = command._parser()
    for each in commands(guide):
        words = shlex.split(each)
        if len(words) > 1 or words[0] in ("lab", "build", "site", "hub"):
            parser.parse_args(words)


def test_the_guide_for_instructors_goes_the_whole_way() -> None:
    """Each step has its command, in the order in which one needs them."""
    steps = [each.split()[0] for each in commands(environment.ROOT / "docs" / "instructors.md")]
    first = [steps.index(step) for step in ("hub", "generate", "release", "collect", "grade", "feedback", "csv")]
    assert first == sorted(first)


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.name)
def test_every_link_to_a_file_leads_to_one(guide: Path) -> None:
    """Links within the project are not broken."""
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", guide.read_text()):
        assert (guide.parent / target).exists(), target


def test_the_examples_are_the_templates_own() -> None:
    """What docs/writing.md shows of a task and its proof is what `course new` makes."""
    text = (environment.ROOT / "docs" / "writing.md").read_text()
    template = environment.ROOT / "course" / "template"
    whole = "".join(path.read_text() for path in sorted(template.iterdir()) if path.is_file())
    for line in (
        "The Deployment `{app}` has one Pod. Let it have {count}, and let it work all the time.",
        "name: a Pod more, by hand",
        'Exercise(grow, owns=("deployments/{app}",), begin=_deployment)',
    ):
        assert line in text
        assert line in whole
