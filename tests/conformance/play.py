"""Play a session of kubectl commands against a cluster and compare what it answers with what it should.

    python tests/conformance/play.py              play all sessions, print what differs
    python tests/conformance/play.py NAME ...     these sessions
    python tests/conformance/play.py --update     write the answers into the sessions instead (then read the diff!)

With KUBECONFIG_UNDER_TEST set, the sessions are played on that cluster instead of one of ours: so they can be
compared with a real one.

A session is sessions/NAME.yaml: {about, profile, arguments: [flags of `serve`], files: {name: text}, steps: [{run,
out, err, rc, why}]}. `run` is a line of bash in an empty folder with the session's files; out and err are what it
prints ("" if not given), rc is its exit code (0 if not given). What differs from run to run is masked on both sides
before comparing.
"""

import argparse
import contextlib
import difflib
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
RANDOM = "[bcdfghjklmnpqrstvwxz2456789]"

MASKS: list[tuple[str, str]] = [
    (r"^Waiting for .*\n", ""),  # how much of a rollout kubectl sees under way depends on how quick the machine is
    # client-go's own log: whether kubectl's time is up while a watch begins depends on the machine.
    (r"^[EW]\d{4} [\d:.]+ +\d+ reflector\.go:.*\n", ""),
    (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UID"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "TIME"),
    (r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}", "TIME"),
    (r'("?resourceVersion"?: ?)"?\d+"?', r"\1VERSION"),
    (rf"-{RANDOM}{{8,10}}-{RANDOM}{{5}}\b", "-HASH-NAME"),
    (rf"(?<=-){RANDOM}{{5}}(?=[\s\"',):]|$)", "NAME"),
    (r"\b10\.(3[2-9]|4[0-7])\.\d+\.\d+\b", "POD_IP"),
    (r"\b10\.(9[6-9]|10\d|11[01])\.\d+\.\d+\b", "SERVICE_IP"),
    (r"\b(\d+[dhms])+(?=\s|$|\))", "AGE"),
    (r":3[0-2]\d{3}/", ":NODE_PORT/"),
    (r"https://[\w.]+:\d+", "SERVER"),
    (r"[ \t]+", " "),
]


def masked(text: str) -> str:
    """The text with what changes from run to run replaced, and the columns' widths evened out."""
    for pattern, replacement in MASKS:
        text = re.sub(pattern, replacement, text, flags=re.M)
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


@contextlib.contextmanager
def serving(profile: str, arguments: Iterable[str] = ()) -> Iterator[Path]:
    """A cluster of its own on a free port; yields the path of its kubeconfig."""
    with tempfile.TemporaryDirectory(prefix="conformance-") as folder:
        kubeconfig = Path(folder, "config")
        command = [sys.executable, "-m", "k8s_core", "serve", "--profile", profile, "--clock", "elastic"]
        command += ["--secure-port", "0", "--write-kubeconfig", str(kubeconfig), *arguments]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=sys.stderr, text=True)
        try:
            assert server.stdout is not None
            assert server.stdout.readline(), "the server said nothing"
            yield kubeconfig
        finally:
            server.terminate()
            server.wait(timeout=20)


def cluster_for(session: dict[str, Any]) -> contextlib.AbstractContextManager[Path]:
    """The cluster that a session is played on."""
    return serving(session.get("profile", "bare"), session.get("arguments", ()))


def environment(kubeconfig: Path, cache: str) -> dict[str, str]:
    return {
        **os.environ,
        "KUBECONFIG": str(kubeconfig),
        "KUBECACHEDIR": cache,
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "LANG": "C.UTF-8",
        "TERM": "dumb",
    }


def play(session: dict[str, Any], kubeconfig: Path) -> list[dict[str, Any]]:
    """Run every step; the answers as [{run, out, err, rc}]."""
    answers = []
    with tempfile.TemporaryDirectory(prefix="session-") as folder, tempfile.TemporaryDirectory() as cache:
        for name, text in (session.get("files") or {}).items():
            Path(folder, name).write_text(text)
        for step in session["steps"]:
            done = subprocess.run(
                ["bash", "-c", step["run"]],
                cwd=folder,
                env=environment(kubeconfig, cache),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            answers.append({"run": step["run"], "out": done.stdout, "err": done.stderr, "rc": done.returncode})
    return answers


def differences(step: dict[str, Any], answer: dict[str, Any]) -> list[str]:
    """What is not as the step says, as lines to print; none if all is well."""
    lines = []
    if answer["rc"] != step.get("rc", 0):
        lines.append(f"exit code {answer['rc']} instead of {step.get('rc', 0)}")
    for part in ("out", "err"):
        want, got = masked(step.get(part, "")), masked(answer[part])
        if want != got:
            diff = difflib.unified_diff(
                want.splitlines(), got.splitlines(), f"expected {part}", f"got {part}", "", "", 1
            )
            lines += [line.rstrip("\n") for line in diff]
    return lines


def load(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_text())
    return found


class _Writer(yaml.SafeDumper):
    """Texts of several lines as blocks, keys in the order they are given."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Writer.add_representer(str, _text)


def update(path: Path, answers: list[dict[str, Any]]) -> None:
    """Write the answers into the session, without the blanks that kubectl pads its columns with."""
    session = load(path)
    steps = []
    for step, answer in zip(session["steps"], answers, strict=True):
        found: dict[str, Any] = {key: step[key] for key in ("why", "run") if key in step}
        for part in ("out", "err"):
            if answer[part].strip():
                found[part] = "\n".join(line.rstrip() for line in answer[part].expandtabs().splitlines()) + "\n"
        if answer["rc"]:
            found["rc"] = answer["rc"]
        steps.append(found)
    session["steps"] = steps
    path.write_text(yaml.dump(session, Dumper=_Writer, sort_keys=False, width=1000, allow_unicode=True))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--update", action="store_true")
    options = parser.parse_args()
    wrong = 0
    for path in sorted((HERE / "sessions").glob("*.yaml")):
        if options.names and path.stem not in options.names:
            continue
        session = load(path)
        elsewhere = os.environ.get("KUBECONFIG_UNDER_TEST")
        with contextlib.nullcontext(Path(elsewhere)) if elsewhere else cluster_for(session) as config:
            answers = play(session, config)
        if options.update:
            update(path, answers)
            continue
        for step, answer in zip(session["steps"], answers, strict=True):
            lines = differences(step, answer)
            if lines:
                wrong += 1
                print(f"\n{path.stem}$ {step['run']}", *lines, sep="\n")
    return min(wrong, 1)


if __name__ == "__main__":
    sys.exit(main())
