"""ps and top: busybox's faces and procps'.

procps' ps knows which processes (-e -A -a -x -p -C -u --ppid), in which columns (-f -l, u, -o LIST) and in which order
(--sort). Left out: threads as lines of their own, and trees (--forest).
"""

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime

from k8s_core.shell.commands.options import Table
from k8s_core.shell.pipes import Steps
from k8s_core.shell.process import Process, Row

COMMANDS = Table()
MEMORY = 3840 << 20
"""Bytes that the machine has."""


class Face:
    """A row as the columns see it, at a moment."""

    def __init__(self, row: Row, now: float) -> None:
        self.row, self.age = row, max(now - row.started, 0.0)
        self.share = 100 * row.cpu / max(self.age, 1.0)
        self.memory = 100 * row.memory / MEMORY

    @property
    def name(self) -> str:
        return self.row.argv[0].rsplit("/", 1)[-1].lstrip("-").rstrip(":")[:15]

    @property
    def terminal(self) -> str:
        return "pts/0" if self.row.tty else "?"

    @property
    def command(self) -> str:
        return " ".join(self.row.argv)

    @property
    def elapsed(self) -> str:
        days, rest = divmod(int(self.age), 86400)
        hours = f"{days}-{_clock(rest)}" if days else _clock(rest)
        return hours.removeprefix("00:") if not days else hours


def _clock(seconds: float) -> str:
    return time.strftime("%H:%M:%S", time.gmtime(seconds))


def _minutes(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def _state(face: Face) -> str:
    return "R" if face.name in ("ps", "top") else "S"


Shown = Callable[[Face], object]
COLUMNS: dict[str, tuple[str, str, Shown]] = {
    "user": ("USER", "<8", lambda f: f.row.user), "UID": ("UID", "<8", lambda f: f.row.user),
    "uid": ("UID", ">5", lambda f: f.row.user.replace("root", "0")), "pid": ("PID", ">7", lambda f: f.row.pid),
    "ppid": ("PPID", ">7", lambda f: f.row.parent), "pgid": ("PGID", ">7", lambda f: f.row.pid),
    "sid": ("SID", ">7", lambda f: f.row.pid), "c": ("C", ">2", lambda f: int(f.share)),
    "%cpu": ("%CPU", ">4", lambda f: f"{f.share:.1f}"), "%mem": ("%MEM", ">4", lambda f: f"{f.memory:.1f}"),
    "vsz": ("VSZ", ">6", lambda f: f.row.memory // 256), "rss": ("RSS", ">5", lambda f: f.row.memory // 1024),
    "tty": ("TTY", "<8", lambda f: f.terminal), "tt": ("TT", "<8", lambda f: f.terminal),
    "stat": ("STAT", "<4", lambda f: _state(f) + ("s" if f.row.pid == 1 else "")), "s": ("S", "<1", _state),
    "stime": ("STIME", "<5", lambda f: _clock(f.row.started)[:5]),
    "start": ("START", "<5", lambda f: _clock(f.row.started)[:5]),
    "lstart": ("STARTED", ">24", lambda f: datetime.fromtimestamp(f.row.started, UTC).strftime("%a %b %e %H:%M:%S %Y")),
    "etime": ("ELAPSED", ">11", lambda f: f.elapsed), "etimes": ("ELAPSED", ">7", lambda f: int(f.age)),
    "time": ("TIME", ">8", lambda f: _clock(f.row.cpu)), "bsdtime": ("TIME", ">6", lambda f: _minutes(f.row.cpu)),
    "ni": ("NI", ">3", lambda f: 0), "pri": ("PRI", ">3", lambda f: 19), "nlwp": ("NLWP", ">4", lambda f: 1),
    "f": ("F", "<1", lambda f: 4), "wchan": ("WCHAN", "<6", lambda f: "-"),
    "comm": ("COMMAND", "<15", lambda f: f.name), "ucmd": ("CMD", "<15", lambda f: f.name),
    "args": ("COMMAND", "<27", lambda f: f.command), "cmd": ("CMD", "<27", lambda f: f.command),
}  # fmt: skip
"""What -o can name: (heading, alignment and width, what stands there)."""
ALIASES = {"pcpu": "%cpu", "pmem": "%mem", "command": "args", "tname": "tty", "state": "s", "start_time": "stime",
           "cputime": "time", "euser": "user", "ruser": "user", "vsize": "vsz", "rssize": "rss"}  # fmt: skip
SHORT = "pid,tty,time,ucmd"
FORMATS = (
    (("-f", "-F"), "UID,pid,ppid,c,stime,tty,time,cmd"), (("-l",), "f,s,uid,pid,ppid,c,pri,ni,tty,time,ucmd"),
    ((" u",), "user,pid,%cpu,%mem,vsz,rss,tty,stat,start,bsdtime,args"),
    (("-j", " j"), "ppid,pid,pgid,sid,tty,stat,uid,bsdtime,args"), ((" a", " x"), "pid,tty,stat,bsdtime,args"),
)  # fmt: skip
"""The flags that ask for more columns, and which."""
VALUED = {"-o": "o", "-p": "p", "-C": "C", "-u": "u", "-U": "u", "-q": "p", "o": "o", "p": "p", "--pid": "p",
          "--ppid": "P", "--user": "u", "--format": "o", "--sort": "k", "-N": ""}  # fmt: skip


class Asked:
    """The words after `ps`: flags with a dash, BSD's without, and long ones."""

    def __init__(self, words: list[str]) -> None:
        self.values: dict[str, list[str]] = {}
        self.flags = ""
        self.headless = False
        while words:
            word = words.pop(0)
            name, equals, value = word.partition("=")
            if word in ("--no-headers", "--noheaders", "h"):
                self.headless = True
            elif name.startswith("--"):
                if name in VALUED:
                    self._keep(VALUED[name], value if equals or not words else words.pop(0))
            elif word.isdigit() or re.fullmatch(r"\d+(,\d+)*", word):
                self._keep("p", word)
            else:
                self._letters(word, words)

    def _letters(self, word: str, words: list[str]) -> None:
        dash = word[:1] if word.startswith("-") else ""
        letters = word.removeprefix("-")
        while letters:
            letter, letters = letters[0], letters[1:]
            kind = VALUED.get(dash + letter)
            if kind and (letter != "u" or dash):
                self._keep(kind, letters or (words.pop(0) if words else ""))
                return
            self.flags += f"-{letter}" if dash else f" {letter}"

    def _keep(self, kind: str, value: str) -> None:
        self.values.setdefault(kind, []).append(value)

    def listed(self, kind: str) -> list[str]:
        return [each for value in self.values.get(kind, ()) for each in re.split(r"[,\s]+", value) if each]

    def has(self, *flags: str) -> bool:
        """Whether one of these was given, as "-f" or, in BSD's way, " u"."""
        return any(flag in self.flags for flag in flags)

    def chosen(self, rows: list[Row], process: Process) -> list[Row]:
        wanted = {kind: self.listed(kind) for kind in "pCuP" if kind in self.values}
        if wanted:
            facts: dict[str, Callable[[Row], object]] = {
                "p": lambda r: str(r.pid), "P": lambda r: str(r.parent), "u": lambda r: r.user,
                "C": lambda r: Face(r, 0).name,
            }  # fmt: skip
            return [r for r in rows if any(facts[kind](r) in names for kind, names in wanted.items())]
        if self.has("-e", "-A", " a", " x", "-a", "-d"):
            return rows
        return [r for r in rows if r.tty == any(each.tty for each in rows)]

    def columns(self) -> list[tuple[str, str, Shown]]:
        """(heading, alignment, what to show); raises KeyError for a name that is not known."""
        found = []
        for value in self.values.get("o", ()):
            name, equals, heading = value.partition("=")
            # `pid=,comm=` takes the headings away; `pid=Number` gives the last column its own.
            for each in re.split(r"[,\s]+", value if equals and "," in heading else name):
                key, bare, _ = each.partition("=")
                known = COLUMNS[ALIASES.get(key, key)]
                found.append(("" if bare else known[0], *known[1:]))
            if equals and "," not in heading:
                found[-1] = (heading, *found[-1][1:])
        if found:
            return found
        names = next((names for flags, names in FORMATS if self.has(*flags)), SHORT)
        return [COLUMNS[name] for name in names.split(",")]


@COMMANDS.plain("ps")
def ps(process: Process) -> Steps:
    machine = process.machine
    yield 0.0  # the other commands of a pipeline have begun when a real ps looks
    rows = sorted(machine.rows(), key=lambda p: p.pid)
    if process.ash:
        process.print("PID   USER     TIME  COMMAND")
        process.print(*(f"{p.pid:5} {p.user:8} {_minutes(p.cpu):>5} {' '.join(p.argv)}" for p in rows))
        return 0
    asked = Asked(process.argv[1:])
    try:
        columns = asked.columns()
    except KeyError as error:
        process.err(f"error: unknown user-defined format specifier {str(error)[1:-1]!r}\n\nUsage:\n ps [options]\n")
        return 1
    faces = [Face(row, machine.loop.now) for row in asked.chosen(rows, process)]
    for key in reversed(asked.listed("k")):
        known = COLUMNS.get(ALIASES.get(key.lstrip("+-"), key.lstrip("+-")))
        if known:
            faces.sort(key=lambda face, show=known[2]: _order(show(face)), reverse=key.startswith("-"))  # type: ignore[misc]
    if not asked.headless and any(heading for heading, *_ in columns):
        process.print(_line([heading for heading, *_ in columns], columns))
    process.print(*(_line([str(show(face)) for *_, show in columns], columns) for face in faces))
    return int(not faces)


def _order(value: object) -> tuple[float, str]:
    text = str(value)
    return (float(text), "") if re.fullmatch(r"-?\d+(\.\d+)?", text) else (0.0, text)


def _line(texts: list[str], columns: list[tuple[str, str, Shown]]) -> str:
    cells = [f"{text:{width}}" for text, (_, width, _) in zip(texts, columns, strict=True)]
    return " ".join([*cells[:-1], texts[-1] if columns[-1][1][0] == "<" else cells[-1]])


@COMMANDS.plain("top")
def top(process: Process) -> None:
    """Once, as `top -bn1` shows it: there is no screen."""
    machine = process.machine
    faces = sorted((Face(row, machine.loop.now) for row in machine.rows()), key=lambda f: (-f.share, f.row.pid))
    if process.ash:
        process.print(
            "Mem: 2987040K used, 945120K free, 3120K shrd, 93312K buff, 1081384K cached",
            "CPU:   0% usr   0% sys   0% nic 100% idle   0% io   0% irq   0% sirq\nLoad average: 0.08 0.03 0.01",
            "  PID  PPID USER     STAT   VSZ %VSZ CPU %CPU COMMAND",
        )
        for f in sorted(faces, key=lambda f: f.row.pid):
            process.print(f"{f.row.pid:5} {f.row.parent:5} {f.row.user:8} S     4400   0%   0   0% {f.command}")
        return
    minutes = int(machine.loop.now - machine.started) // 60
    used, total = sum(f.row.memory for f in faces) / (1 << 20), MEMORY / (1 << 20)
    process.print(
        f"top - {_clock(machine.loop.now)} up {minutes} min,  0 users,  load average: 0.08, 0.03, 0.01",
        f"Tasks: {len(faces):3} total, {1:3} running, {len(faces) - 1:3} sleeping,   0 stopped,   0 zombie",
        "%Cpu(s):  0.3 us,  0.2 sy,  0.0 ni, 99.5 id,  0.0 wa,  0.0 hi,  0.0 si,  0.0 st",
        f"MiB Mem : {total:8.1f} total, {max(total - used - 1056, 0):8.1f} free, {used:8.1f} used,   1056.0 buff/cache",
        f"MiB Swap:      0.0 total,      0.0 free,      0.0 used. {total - used:8.1f} avail Mem",
        "",
        "    PID USER      PR  NI    VIRT    RES    SHR S  %CPU  %MEM     TIME+ COMMAND",
    )
    for f in faces:
        sizes = f"{f.row.memory // 256:7} {f.row.memory // 1024:6} {f.row.memory // 2048:6}"
        spent = f"{_minutes(f.row.cpu)}.{int(f.row.cpu * 100) % 100:02}"
        shares = f"{f.share:5.1f} {f.memory:5.1f} {spent:>9}"
        process.print(f"{f.row.pid:7} {f.row.user:8}  20   0 {sizes} {_state(f)} {shares} {f.name}")
