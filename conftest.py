"""What every test runs in: the course's own folders instead of the user's, and lessons as they are built."""

import os
import tempfile

from course import environment

# Before anything of Jupyter's is loaded. A home for each worker: tests neither see nor change a learner's progress.
os.environ["COURSE_HOME"] = tempfile.mkdtemp(prefix="course-test-")
os.environ.update(environment.variables(), COURSE_STATIC="1", COURSE_LEARNER="reader")
