"""`course new NN-topic`: a chapter to begin with. It can be built, played and graded at once, and then rewritten.

The template is in course/template/: a lesson, an assignment, the tasks' checks, their proof, and the entry in the
syllabus, which is put in where its number belongs.
"""

import re
from pathlib import Path

from course import environment, syllabus

TEMPLATE = Path(__file__).parent / "template"
_NAME = re.compile(r"\d\d-[a-z][a-z0-9]*(-[a-z0-9]+)*")


def new(id: str, root: Path = environment.ROOT) -> list[Path]:
    """Write the chapter's files; returns them. ValueError for a name that will not do or is taken."""
    if not _NAME.fullmatch(id):
        raise ValueError(f'"{id}" will not do. A chapter is named by two digits and a topic, such as 21-storage.')
    number, topic = id.split("-", 1)
    targets = {
        "lesson.md": root / "notebooks" / f"{id}.md",
        "exercises.md": root / "exercises" / id / f"{topic}.md",
        "tasks.py": root / "course" / "tasks" / f"{topic.replace('-', '_')}.py",
        "proofs.yaml": root / "tests" / "course" / "proofs" / f"{id}.yaml",
    }
    for taken in (each for each in syllabus.chapters() if each.topic == topic or each.id.startswith(number)):
        raise ValueError(f"{id} is taken: there is {taken.id}.")
    for target in targets.values():
        if target.exists():
            raise ValueError(f"{target.relative_to(root)} is there already.")
    for name, target in targets.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(_filled(name, number, topic))
    manifest = root / "course" / "syllabus.yaml"
    manifest.write_text(_with_entry(manifest.read_text(), _filled("syllabus.yaml", number, topic), number))
    return [*targets.values(), manifest]


def _filled(name: str, number: str, topic: str) -> str:
    text = (TEMPLATE / name).read_text()
    return re.sub(r"\bNN\b", number, text.replace("NN-topic", f"{number}-{topic}").replace("NN: topic", f"NN: {topic}"))


def _with_entry(manifest: str, entry: str, number: str) -> str:
    """The syllabus with the entry before the first chapter that has a higher number, or at its end."""
    for found in re.finditer(r"^      - \{?id: (\d\d)-", manifest, re.M):
        if found[1] > number:
            return manifest[: found.start()] + entry + manifest[found.start() :]
    return manifest.rstrip("\n") + "\n" + entry
