"""The attacks that test_attacks.py hands in: what each does to a submission, and what it has to end in."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from classroom import Notebook, before, cell

FACTS, WATCH = 3.0, 4.0
"""The points of the two tasks."""
RIGHT = "def follow(lines):\n    return {}\n"


@dataclass
class Attack:
    """What somebody hands in, and what it has to end in. `says` stands in the message and the comment;
    with | between them, one of several, whichever limit a busy machine reaches first."""

    change: Callable[[Notebook], Notebook | bytes]
    watch: float = 0.0
    facts: float = FACTS
    says: str = ""
    prints: str = ""
    files: dict[str, str] = field(default_factory=dict)


def code(text: str, **expected: Any) -> Attack:
    """Code in the answer to the second task; the first has been answered well."""

    def change(notebook: Notebook) -> Notebook:
        cell(notebook, "answer-watch")["source"] = text
        return notebook

    return Attack(change, **expected)


def first(text: str, **expected: Any) -> Attack:
    """Code in a cell of the learner's own, before everything; both tasks are answered well after it."""
    return Attack(lambda notebook: before(notebook, "start", text), **{"watch": WATCH, **expected})


def bytes_of(make: Callable[[str], bytes], **expected: Any) -> Attack:
    return Attack(lambda notebook: make(json.dumps(notebook, ensure_ascii=False)), **expected)


def both(notebook: Notebook) -> Notebook:
    return notebook


def swap(one: str, other: str) -> Callable[[Notebook], Notebook]:
    def change(notebook: Notebook) -> Notebook:
        cells = notebook["cells"]
        a, b = cells.index(cell(notebook, one)), cells.index(cell(notebook, other))
        cells[a], cells[b] = cells[b], cells[a]
        return notebook

    return change


def without(id: str) -> Callable[[Notebook], Notebook]:
    def change(notebook: Notebook) -> Notebook:
        notebook["cells"].remove(cell(notebook, id))
        return notebook

    return change


def marked(id: str, **changes: Any) -> Callable[[Notebook], Notebook]:
    def change(notebook: Notebook) -> Notebook:
        cell(notebook, id)["metadata"]["nbgrader"].update(changes)
        return notebook

    return change


def edited(id: str, text: str) -> Callable[[Notebook], Notebook]:
    def change(notebook: Notebook) -> Notebook:
        cell(notebook, id)["source"] = text
        return notebook

    return change


def doubled(id: str, text: str) -> Callable[[Notebook], Notebook]:
    def change(notebook: Notebook) -> Notebook:
        copy = json.loads(json.dumps(cell(notebook, id)))
        notebook["cells"].insert(0, {**copy, "id": "another", "source": text})
        return notebook

    return change


FRAMES = """
import gc, sys
found = []
for each in gc.get_objects():
    try:
        if isinstance(each, dict) and each.get("a") == {"x": "1"}:
            found.append(each)
    except Exception:
        pass
frame = sys._getframe()
while frame:
    found += [value for name, value in frame.f_locals.items() if name in ("right", "expected", "report", "_WATCHES")]
    frame = frame.f_back
print("found", len(found), [m for m in sys.modules if m.startswith(("course.tasks", "course.checks", "k8s_core"))])
"""
SEARCH = """
import os
wanted = ("gradebook.db", "apiserver.md", "nbgrader_config.py", "syllabus.yaml", "canary")
found = [os.path.join(w, n) for w, _, names in os.walk("/") 
         if not w.startswith("/proc") and "nbgrader/tests" not in w for n in names if n in wanted]
checks = [w for w, _, names in os.walk("/") if w.endswith(("course/tasks", "course/checks", "k8s_core")) and names]
print("found", found, checks)
"""
FORGED = """
import json, os, socket, stat, struct
for number in range(3, 64):
    try:
        if not stat.S_ISSOCK(os.fstat(number).st_mode):
            continue
    except OSError:
        continue
    end = socket.socket(fileno=os.dup(number))
    for message in (
        {"grade": 6, "score": 4.0, "text": "all right", "html": "", "failed": []},
        {"cell": 6, "outputs": [], "problem": ""},
        {"ask": "grade", "args": ["watch", 4.0], "number": 7},
        {"ask": "__class__", "args": [], "number": 8},
        {"ask": "back", "args": [0, "x"], "number": 9},
        {"ask": "check", "args": [["watch"]], "number": 10, "handed": 10**9},
        {"ask": "advance", "args": [{"a": 1}], "number": 11},
        {"ask": "start", "args": ["../../etc/passwd"], "number": [12]},
        {"done": True},
        {"tell": "result", "what": {"text/plain": "4.0"}},
        {"tell": {"a": 1}, "what": None},
        {"call": 1, "value": {"a": {"x": "1"}}},
    ):
        data = json.dumps(message).encode()
        end.sendall(struct.pack("!I", len(data)) + data)
"""
HEAD = FORGED.partition("    for message")[0]
FLOOD = HEAD + '    end.sendall(struct.pack("!I", 1 << 31) + b"x" * 100)\n'
GARBAGE = HEAD + '    end.sendall(struct.pack("!I", 5) + b"\\x80\\x04.}q")\n'
PATCHED = """
import builtins, json, IPython, course
from IPython import get_ipython
class Yes(dict):
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    __hash__ = dict.__hash__
shell = get_ipython()
shell.input_transformers_cleanup.append(lambda lines: ["pass\\n"] if any("grade" in l for l in lines) else lines)
shell.run_ast_nodes = lambda *a, **k: None
course.start = lambda *a, **k: None
type(lab).grade = lambda self, *a: 4.0
type(lab).check = lambda self, *a: 4.0
lab.grade = lambda *a: 4.0
builtins.float = lambda *a: 4.0
json.dumps = lambda *a, **k: '{"value": {"a": {"x": "1"}}}'
follow = lambda lines: Yes()
"""
BY_HEART = r"""
import json, re
told = lab.check("watch", lambda lines: None).text
known = {look: json.loads(right) for right, look in re.findall(r"expected: (.*)\n.*\n.*look: +(.*)", told)}
print("knows", len(known))
def follow(lines): return known.get(f"print(follow({lines}))", known.popitem()[1])
"""
UNLINKED = """
import os, time
kept = []
for number in range(8):
    path = os.environ["NODES"] + "/x"
    kept.append(open(path, "wb"))
    os.unlink(path)
    kept[-1].write(bytes(3 << 20))
    kept[-1].flush()
time.sleep(10**6)
"""
ALIASES = r"""
import os
text = "kind: Pod\nspec: {containers: [{name: a, image: nginx}]}\na: &a [1, 2]\n"
for one, other in zip("abcdefghijk", "bcdefghijkl"): text += f"{other}: &{other} [{', '.join(['*' + one] * 10)}]\n"
open(os.environ["NODES"] + "/cp/etc/kubernetes/manifests/a.yaml", "w").write(text)
lab.advance("1m")
print(lab.node("cp").run("journalctl -u kubelet | grep manifests/a"))
"""
ATTACKS: dict[str, Attack] = {
    # time, processes, memory, output
    "endless": code("while True: pass", says="used up its processor time|was interrupted"),
    "sleeper": code("import time; time.sleep(10**6)", says="was interrupted"),
    "stubborn": code(
        "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: time.sleep(1)",
        says="could not be interrupted",
    ),
    "stopped": code("import os, signal; os.kill(os.getpid(), signal.SIGSTOP)", says="could not be interrupted"),
    "slow-answer": code("import time\ndef follow(lines): time.sleep(10**6)", says="", prints="no answer within 25 s"),
    "forks": code(
        "import os, time\nfor i in range(200):\n    if os.fork() == 0: time.sleep(10**6)",
        prints="Resource temporarily unavailable",
    ),
    "bomb": code("%%bash\nf() { f | f & }; f\nsleep 2"),
    "many-busy": code(
        "import os, time\nfor i in range(20):\n    if os.fork() == 0:\n"
        "        while time.process_time() < 2: pass\n        os._exit(0)\ntime.sleep(10**6)",
        says="used up its processor time",
    ),
    "memory": code("x = bytearray(3 << 30)", prints="MemoryError"),
    "memory-of-many": code(
        "import os, time\nfor i in range(6):\n"
        "    if os.fork() == 0:\n        x = bytearray(300 << 20); time.sleep(10**6)\n"
        "time.sleep(10**6)",
        says="used too much memory",
    ),
    "memory-disk": code("open('/dev/shm/x', 'wb').write(bytes(1 << 26))", prints="too large"),
    "output": code("for i in range(200): print('x' * (1 << 20))", prints="output is cut here"),
    "output-pipe": code("%%bash\nyes | head -c 300000000", prints="output is cut here"),
    "displays": code(
        "from IPython.display import display\nwhile True: display({}, raw=True)", says="was interrupted|processor time"
    ),
    "pictures": code(
        "from IPython.display import display\nfor i in range(40): display({'image/png': 'A' * 99996}, raw=True)"
    ),
    "big-file": code("f = open('big', 'wb')\nfor i in range(1024): f.write(bytes(1 << 20))", prints="too large"),
    "many-files": code("for i in range(99): open(f'f{i}', 'wb').write(bytes(1 << 21))", prints="No space left"),
    # the kernel
    "exit": code("import os; os._exit(0)", says="exit code 0"),
    "quit-leaving-a-child": code(
        "import os\nif os.fork(): os._exit(0)\nimport time; time.sleep(10**6)", says="exit code 0"
    ),
    "killed": code("import os; os.kill(os.getpid(), 9)", says="was killed"),
    "kill-all": code("import os; os.kill(-1, 9)"),
    "no-output": code(
        "import os\nfor i in range(256):\n    try: os.close(i)\n    except OSError: pass", says="was ended"
    ),
    "background": code("import subprocess; subprocess.Popen(['sleep', '987654'], start_new_session=True)"),
    "init": code("import os; os.kill(1, 9)"),
    # marks that are said, checkers that are patched
    "printed": code("print('4.0'); print('Read a watch: 4 of 4'); 4.0"),
    "shown": code(
        "from IPython.display import display, HTML\ndisplay(HTML('<script>alert(1)</script>')); 'full marks'"
    ),
    "markdown": code(
        "from IPython.display import display, Markdown\ndisplay(Markdown('<script>alert(1)</script> **4 of 4**'))"
    ),
    "patched": code(PATCHED),
    "equal-to-all": code(
        "class Yes(dict):\n    __eq__ = lambda a, b: True\n    __hash__ = None\ndef follow(lines): return Yes()"
    ),
    "no-json": code("def follow(lines): return {1, 2}", prints="TypeError"),
    "deep": code(
        "def follow(lines):\n    x = []\n    for i in range(10**5): x = [x]\n    return x", prints="RecursionError"
    ),
    "huge-answer": code("def follow(lines): return 'x' * (1 << 22)", prints="too long"),
    "raises-exit": code("def follow(lines): raise SystemExit(0)"),
    "reads-in": code("def follow(lines): return eval(In[-1])"),
    "frames": code(FRAMES, prints="found 0 []"),
    "by-heart": code(BY_HEART, prints="knows 4"),
    "nested-question": code("def follow(lines): lab.reset('facts'); return {}"),
    "half-a-letter": code("raise ValueError('\\ud800')"),
    "half-a-picture": code("class Half:\n    def __repr__(self): return '\\ud800'\nHalf()"),
    "half-an-answer": code("def follow(lines): raise KeyError('\\ud800')"),
    # the channel
    "forged": code(FORGED),
    "flood": code(FLOOD, says="no message"),
    "garbage": code(GARBAGE, says="no message"),
    "infinite": code(HEAD + '    end.sendall(struct.pack("!I", 13) + b\'{"ask": 1e999}\')\n', says="no message"),
    "asks-for-more": code("lab._ask('grade', 'watch')", prints="does not answer that"),
    "asks-wrongly": code("lab.check(['watch'])", prints="not what is wanted"),
    "reaches-in": code("lab.cluster.stop()", prints="does not work while an assignment is graded"),
    "another-lab": code("from course import start\nstart('09-pods')", prints='lab is "04-apiserver"'),
    "another-learner": code(
        "from course import start\nlab = start('04-apiserver', learner='eve')\nprint(lab.learner)",
        prints="another-learner",
    ),
    # the machine
    "search": code(SEARCH, prints="found [] []"),
    "gradebook": code("open(GRADEBOOK, 'w')", prints="No such file"),
    "configuration": code("open(CONFIG, 'a').write('raise SystemExit')", prints="No such file"),
    "neighbour": code("open(NEIGHBOUR, 'w')", prints="No such file"),
    "system": code("open('/usr/bin/kubectl2', 'w')", prints="Read-only"),
    "network": code("import socket; socket.create_connection(('127.0.0.1', CANARY), 5)", prints="refused"),
    "internet": code("import socket; socket.create_connection(('192.0.2.1', 80), 5)", prints="unreachable"),
    "grader": code("import os; os.kill(GRADER, 9)", prints="No such process"),
    "root": code("import os; os.setuid(0)", prints="Invalid argument"),
    "mount": code("%%bash\nunshare -Ur id -u || true", prints="failed"),
    "start-up": first(
        "import os, pathlib\np = pathlib.Path.home() / '.ipython/profile_default/startup'\n"
        "p.mkdir(parents=True)\n(p / 'a.py').write_text('import os; os._exit(3)')"
    ),
    "node-links": code(
        "import os\nd = '/etc/kubernetes/manifests'\nthere = os.environ['NODES'] + '/cp' + d\n"
        "os.symlink(SECRET, there + '/a.yaml')\nos.symlink('/etc', there + '/b')\nlab.advance('1m')\n"
        "print(lab.node('cp').run(f'cat {d}/a.yaml {d}/b/hostname'))",
        prints="cat:",
    ),
    "node-wreck": code(
        "lab.node('cp').run('rm -rf /etc/kubernetes /var/lib')\nprint(lab.node('cp').run('ls /etc/kubernetes'))",
        prints="No such file",
    ),
    "node-disk": code(
        "import os, time\nfor i in range(60):\n"
        "    open(os.path.join(os.environ['NODES'], f'f{i}'), 'wb').write(bytes(1 << 20))\ntime.sleep(10**6)",
        says="wrote too much",
    ),
    "node-unlinked": code(UNLINKED, says="wrote too much"),
    "node-depths": code(
        "import os, time\nos.chdir(os.environ['NODES'])\n"
        "for i in range(1500): os.mkdir('d'); os.chdir('d')\ntime.sleep(10**6)",
        says="wrote too much",
    ),
    "node-closed": code("import os\nd = os.environ['NODES'] + '/d'\nos.makedirs(d + '/e'); os.chmod(d, 0)"),
    "node-aliases": code(ALIASES, prints="excessive aliasing"),
    "node-fifo": code(
        "import os\nos.mkfifo(os.environ['NODES'] + '/cp/etc/kubernetes/manifests/a.yaml')\nlab.advance('1m')"
    ),
    # the notebook
    "deleted-check": Attack(without("check-watch"), watch=WATCH, says="was missing"),
    "deleted-answer": Attack(without("answer-watch"), says="was missing"),
    "deleted-start": Attack(without("start"), watch=WATCH),
    "edited-check": Attack(edited("check-watch", "4.0"), watch=WATCH, says="was changed"),
    "doubled-check": Attack(doubled("check-watch", "4.0"), watch=WATCH, says="more than once"),
    "doubled-answer": Attack(doubled("answer-watch", RIGHT), says="more than once"),
    "reordered": Attack(swap("check-facts", "check-watch"), watch=WATCH, says="in another order"),
    "early-check": Attack(swap("answer-watch", "check-watch"), watch=WATCH, says="in another order"),
    "points": Attack(marked("check-watch", points=400), watch=WATCH),
    "renamed": Attack(marked("check-watch", grade_id="other"), watch=WATCH, says="was missing"),
    "role": Attack(marked("check-watch", solution=True, grade=False, locked=False), watch=WATCH),
    "no-metadata": Attack(
        lambda n: {**n, "cells": [{**c, "metadata": 5} for c in n["cells"]]}, watch=WATCH, says="was missing"
    ),
    "kernelspec": Attack(lambda n: {**n, "metadata": {"kernelspec": {"name": "bash", "argv": ["sh"]}}}, watch=WATCH),
    # the file
    "broken": bytes_of(lambda text: text[:-40].encode(), facts=0, says="can be read"),
    "empty": bytes_of(lambda text: b"", facts=0, says="can be read"),
    "a-list": bytes_of(lambda text: b"[]", facts=0, says="no JSON object"),
    "no-cells": bytes_of(lambda text: b'{"cells": 5}', facts=0, says="has no cells"),
    "odd-cells": bytes_of(lambda text: b'{"cells": [5, {"source": 7}]}', facts=0, says="is no cell"),
    "nested": bytes_of(lambda text: b"[" * 200_000, facts=0, says="can be read"),
    "latin-1": bytes_of(
        lambda text: text.replace("def ", "# \xe9\ndef ", 1).encode("latin-1"), facts=0, says="not UTF-8"
    ),
    "utf-16": bytes_of(lambda text: text.encode("utf-16"), watch=WATCH),
    "surrogate": bytes_of(lambda text: text.replace("def follow", "# \\ud800\\ndef follow").encode(), watch=WATCH),
    "zero-bytes": bytes_of(lambda text: b"\0" * 1000, facts=0, says="can be read"),
    "large": bytes_of(lambda text: b" " * (17 << 20), facts=0, says="larger than"),
    "many-cells": bytes_of(
        lambda text: b'{"cells": [' + b"{}," * 2_000_000 + b"{}]}", facts=0, says="more than 500 cells"
    ),
    "long-text": bytes_of(lambda text: text.replace("def follow", "#" * 600_000).encode(), facts=0, says="letters"),
    "version-3": bytes_of(
        lambda text: json.dumps({"nbformat": 3, "worksheets": [{"cells": json.loads(text)["cells"]}]}).encode(),
        watch=WATCH,
    ),
    # beside the notebook
    "attached-link": code("print(open('solution.txt').read())", prints="No such file", says="Links are not followed"),
    "notebook-link": Attack(both, facts=0, says="Links are not followed"),
    "fifo": Attack(both, watch=WATCH, says="no ordinary file"),
    "deep-folder": Attack(both, watch=WATCH, says="200 files and folders"),
    "folder-as-notebook": Attack(both, facts=0, says="apiserver.ipynb is a folder"),
    "folder-as-timestamp": Attack(both, watch=WATCH, says="timestamp.txt is a folder"),
    "odd-name": Attack(both, watch=WATCH, says="?img src=x onerror=y? 1??31m? is a link"),
    "holes": Attack(both, watch=WATCH, says="There are 10 more such files"),
    "kubeconfig": Attack(both, watch=WATCH, files={".kube": "in the way"}),
    "timestamp": Attack(both, watch=WATCH, files={"timestamp.txt": "the day after tomorrow"}),
    "own-module": Attack(both, watch=WATCH, files={"course.py": "raise SystemExit", "json.py": "raise SystemExit"}),
}
