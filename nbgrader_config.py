"""nbgrader's configuration: `exercises/` is its source tree; what it makes goes to `grading/`.

Works as it is, from this folder, with `nbgrader ...`, the formgrader in JupyterLab and `course grade`. For a class,
COURSE_EXCHANGE names a folder that everybody can reach, and COURSE_GRADEBOOK the gradebook's URL if it is not the
SQLite file, such as postgresql+psycopg://user:password@host/gradebook.
"""

import os
import sys
from pathlib import Path

c = get_config()  # noqa: F821  # given by the loader
root = Path(__file__).resolve().parent
home = Path(os.environ.get("COURSE_HOME") or root / ".course")
exchange = Path(os.environ.get("COURSE_EXCHANGE") or home / "exchange")
exchange.mkdir(parents=True, exist_ok=True)
(root / "grading").mkdir(exist_ok=True)
# nbgrader starts alembic, and learners' cells kubectl, by name.
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])

c.CourseDirectory.course_id = "kubernetes-apart"
c.CourseDirectory.root = str(root)
c.CourseDirectory.source_directory = "exercises"
for step in ("release", "submitted", "autograded", "feedback"):
    setattr(c.CourseDirectory, f"{step}_directory", f"grading/{step}")
c.CourseDirectory.db_url = os.environ.get("COURSE_GRADEBOOK") or f"sqlite:///{root / 'grading' / 'gradebook.db'}"
# *.md is the assignments' text, with the solutions
c.CourseDirectory.ignore = [".ipynb_checkpoints", "*.pyc", "__pycache__", "feedback", "*.md"]
c.Exchange.root = str(exchange)

# Answers are shell cells, in which nbgrader's Python stub would be an error.
c.ClearSolutions.code_stub = {"python": "# YOUR CODE HERE"}
# Submissions are judged from outside the kernel, in a sandbox; links are not followed.
c.Autograde.exporter_class = "course.grading.converter.Judged"
c.Autograde.pre_convert_hook = "course.grading.converter.refuse_links"
c.ExchangeFactory.collect = "course.grading.converter.Collect"
