"""A task on a cluster of one's own, chosen by a kubeconfig context: `course check CHAPTER TASK --context C`.

The checks are those of the lab, and see the cluster through kubectl alone. Looking changes nothing; `begin` and `reset`
make and delete what the task says, in the namespace default. Left out are tasks that take the course's own cluster
apart (files of its nodes, stopped components), tasks that judge a function, which lives in a notebook's kernel, and a
cluster's past, which a real one does not keep: a check that would need it says so in its report.
"""

import json
import os
import re
import shlex
import subprocess
import time
from pathlib import Path
from typing import Any

from course import environment, syllabus, tasks
from course.checks import Look, Report, run
from course.checks.look import Kubectl

PAUSE = 2.0
"""Seconds between two looks while the cluster comes to rest."""


class ElsewhereError(Exception):
    """What cannot be done there, in one sentence."""


class Elsewhere:
    """The tasks of a chapter on the cluster of a context. `folder` takes a kubeconfig that knows this context alone."""

    def __init__(self, chapter: syllabus.Chapter, context: str, learner: str, folder: Path):
        self.chapter, self.context = chapter, context
        self.values, self._exercises = tasks.load(chapter, learner)
        config = folder / "kubeconfig"
        own = environment.kubectl_variables(config, folder / "cache")
        self._environment = {**os.environ, **environment.variables(), **own}
        found = subprocess.run(
            ["kubectl", "config", "view", "--raw", "--minify", "--flatten", f"--context={context}"],
            env={**os.environ, "PATH": self._environment["PATH"], "KUBERC": "off"},
            capture_output=True,
            text=True,
            check=False,
        )
        if found.returncode:
            raise ElsewhereError(found.stderr.strip())
        config.touch(0o600)
        config.write_text(found.stdout)
        self._run("kubectl config set-context --current --namespace=default")

    def ask(self, id: str) -> str:
        """What is asked, with the learner's own names and numbers."""
        task = self.chapter.task(id)
        return f"{task.title}. {tasks.fill(task.ask, self.values)}"

    def begin(self, id: str) -> None:
        """Make what the task begins with."""
        exercise = self._exercise(id)
        if exercise.begin:
            self._run("kubectl create -f -", exercise.begin(self.values), fine="AlreadyExists")
        for command in exercise.then:
            self._rest()
            self._run(f"kubectl {tasks.fill(command, self.values)}")

    def reset(self, id: str) -> None:
        """Delete what the task made or asked for."""
        for owned in self._exercise(id).owns:
            kind, name = tasks.fill(owned, self.values).split("/")
            which = f"--selector={name}" if "=" in name else name
            self._run(f"kubectl delete {kind} {which} --ignore-not-found --now")

    def check(self, id: str, seconds: float) -> Report:
        """Look again and again, until all is right or so many seconds have gone by."""
        exercise, task = self._exercise(id), self.chapter.task(id)
        see = Look(Kubectl(self._environment))
        end = time.monotonic() + seconds
        while True:
            report = run(task.title, exercise.check, see, self.values, task.points)
            if see.wanted:
                raise ElsewhereError(f'"{id}" judges a function of yours. Check it in the notebook of its exercises.')
            if report.passed or time.monotonic() + PAUSE > end:
                return report
            time.sleep(PAUSE)

    def _exercise(self, id: str) -> tasks.Exercise:
        known = [task.id for task in self.chapter.tasks if task.id in self._exercises]
        if id not in known:
            raise ElsewhereError(
                f'There is no task "{id}" to check in chapter {self.chapter.id}. There are: {", ".join(known)}.'
            )
        exercise = self._exercises[id]
        if exercise.apart:
            raise ElsewhereError(f'"{id}" takes the course\'s own cluster apart. It cannot be done elsewhere.')
        return exercise

    def _rest(self) -> None:
        """Wait until every Deployment is observed and available, or for as long as a broken one may take."""
        deployments: dict[str, Any] = json.loads(self._run("kubectl get deployments -o json"))
        for each in deployments["items"]:
            self._run(
                f"kubectl rollout status deployment/{each['metadata']['name']} --timeout=20s", fine="timed out|deadline"
            )

    def _run(self, command: str, text: str = "", fine: str = "") -> str:
        done = subprocess.run(
            shlex.split(command), input=text, env=self._environment, capture_output=True, text=True, check=False
        )
        if done.returncode and not (fine and re.search(fine, done.stderr)):
            raise ElsewhereError(f"{command}: {done.stderr.strip()}")
        return done.stdout
