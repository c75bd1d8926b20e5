"""systemctl and journalctl, typed on a node. They work on the node's units and journal (k8s_core/kubelet/units.py)."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from k8s_core.shell.commands.filters import compiled, search
from k8s_core.shell.commands.options import Spec, Table, UsageError
from k8s_core.shell.pipes import Steps, Waiters
from k8s_core.shell.process import Process

if TYPE_CHECKING:
    from k8s_core.kubelet.journal import Entry
    from k8s_core.kubelet.units import Systemd, Unit

COMMANDS = Table()

UNITS = {"s": 1, "sec": 1, "second": 1, "seconds": 1, "m": 60, "min": 60, "minute": 60, "minutes": 60, "h": 3600,
         "hour": 3600, "hours": 3600, "d": 86400, "day": 86400, "days": 86400}  # fmt: skip


def _systemd(process: Process) -> "Systemd":
    systemd: Systemd = process.machine.extra["node"].systemd
    return systemd


def _date(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).strftime("%a %Y-%m-%d %H:%M:%S UTC")


def ago(seconds: float) -> str:
    """How long ago, as systemd writes it."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s ago" if whole else "now"
    if whole < 3600:
        return f"{whole // 60}min {whole % 60}s ago" if whole % 60 and whole < 600 else f"{whole // 60}min ago"
    if whole < 86400:
        return f"{whole // 3600}h {whole % 3600 // 60}min ago"
    days = whole // 86400
    return f"{days} day{'s' if days > 1 else ''} ago"


@COMMANDS.plain("systemctl")
def systemctl(process: Process) -> int | None:
    words = [w for w in process.argv[1:] if not w.startswith("-")]
    flags = [w for w in process.argv[1:] if w.startswith("-")]
    verb, names = (words[0], words[1:]) if words else ("list-units", [])
    if "-n" in flags and names and names[-1].isdigit():
        names.pop()
    systemd = _systemd(process)
    properties = [flags[i] for i in range(len(flags)) if flags[i] in ("-p", "--property", "-t", "--type", "--state")]
    names = names[: len(names) - len(properties)] if properties and verb in ("show", "list-units") else names
    if verb in ("daemon-reload", "daemon-reexec"):
        return 0
    if verb == "is-system-running":
        failed = any(unit.state == "failed" for unit in systemd.units.values())
        process.print("degraded" if failed else "running")
        return int(failed)
    if verb in NOTHING:
        process.print(NOTHING[verb], "", f"0 {verb.removeprefix('list-')} listed.")
        return 0
    if verb in ("list-units", "list-unit-files"):
        process.out(_list(systemd, verb, "--failed" in flags))
        return 0
    if verb not in UNIT_VERBS:
        return process.fail(f"Unknown command verb '{verb}'.")
    if not names:
        process.err("Too few arguments.\n")
        return 1
    status = 0
    for name in names:
        unit = systemd.find(name)
        if unit is None:
            said, status = _unknown(verb, name if "." in name else f"{name}.service")
            process.err(said)
            continue
        status = UNIT_VERBS[verb](process, unit) or status
        if "--now" in flags and verb in ("enable", "disable"):
            (_start if verb == "enable" else _stop)(process, unit)
    return status


def _unknown(verb: str, name: str) -> tuple[str, int]:
    if verb == "status":
        return f"Unit {name} could not be found.\n", 4
    if verb == "is-active":
        return "", 4
    if verb in ("enable", "disable", "is-enabled"):
        what = verb.replace("is-enabled", "get unit file state for")
        return f"Failed to {what} unit: Unit {name} does not exist\n", 1
    return f"Failed to {verb} {name}: Unit {name} not found.\n", 5


def _start(process: Process, unit: "Unit") -> None:
    _systemd(process).start(unit)  # a simple service has started as soon as it was forked, even if it ends at once


def _stop(process: Process, unit: "Unit") -> None:
    _systemd(process).stop(unit)


def _restart(process: Process, unit: "Unit") -> None:
    _systemd(process).restart(unit)


def _kill(process: Process, unit: "Unit") -> None:
    if unit.pid:
        _systemd(process).killed(unit, 9 if {"-9", "-KILL", "--signal=KILL", "--signal=9"} & set(process.argv) else 15)


def _is_active(process: Process, unit: "Unit") -> int:
    process.print(unit.state)
    return 0 if unit.state == "active" else 3


def _is_failed(process: Process, unit: "Unit") -> int:
    process.print(unit.state)
    return int(unit.state != "failed")


def _is_enabled(process: Process, unit: "Unit") -> int:
    process.print("enabled" if unit.enabled else "disabled")
    return int(not unit.enabled)


LOAD = 0.02
"""How much of a processor a service takes, for its CPU line."""
WANTS = "/etc/systemd/system/multi-user.target.wants"


def _enable(process: Process, unit: "Unit") -> None:
    if not unit.enabled:
        process.err(f"Created symlink {WANTS}/{unit.name} → {unit.path}.\n")
    unit.enabled = True


def _disable(process: Process, unit: "Unit") -> None:
    if unit.enabled:
        process.err(f"Removed {WANTS}/{unit.name}.\n")
    unit.enabled = False


def _cat(process: Process, unit: "Unit") -> None:
    paths = [unit.path, *(f"{unit.path}.d/{name}" for name in unit.drop_ins)]
    there = [path for path in paths if process.fs.lookup(path)]
    process.out("\n".join(f"# {path}\n{process.fs.read(path).decode(errors='replace')}" for path in there))


NOTHING = {
    "list-timers": "NEXT LEFT LAST PASSED UNIT ACTIVATES", "list-jobs": "No jobs running.",
    "list-sockets": "LISTEN UNIT ACTIVATES",
}  # fmt: skip
SUB_STATE = {"active": "running", "inactive": "dead", "failed": "failed", "activating": "auto-restart"}


def _show(process: Process, unit: "Unit") -> None:
    values = {
        "Id": unit.name, "Description": unit.description, "LoadState": "loaded", "ActiveState": unit.state,
        "SubState": SUB_STATE[unit.state], "FragmentPath": unit.path, "MainPID": str(unit.pid),
        "UnitFileState": "enabled" if unit.enabled else "disabled", "NRestarts": str(unit.restarts),
        "ExecMainStatus": str(unit.last_code), "ActiveEnterTimestamp": _date(unit.since),
    }  # fmt: skip
    asked = re.findall(r"(?:-p|--property)[= ](\S+)", " ".join(process.argv))
    wanted = ",".join(asked).split(",") if asked else list(values)
    bare = "--value" in process.argv
    process.print(*(values[name] if bare else f"{name}={values[name]}" for name in wanted if name in values))


def _status(process: Process, unit: "Unit") -> int:
    now = process.machine.loop.now
    mark = {"active": "●", "inactive": "○", "failed": "×", "activating": "●"}[unit.state]
    preset = "enabled" if unit.enabled else "disabled"
    lines = [
        f"{mark} {unit.name} - {unit.description}",
        f"     Loaded: loaded ({unit.path}; {preset}; preset: enabled)",
    ]
    for index, name in enumerate(unit.drop_ins):
        lines += [f"    Drop-In: {unit.path}.d", f"             └─{name}"] if not index else [f"               {name}"]
    how = {
        "active": "active (running)", "inactive": "inactive (dead)", "failed": "failed (Result: exit-code)",
        "activating": "activating (auto-restart) (Result: exit-code)",
    }[unit.state]  # fmt: skip
    lines.append(f"     Active: {how} since {_date(unit.since)}; {ago(now - unit.since)}")
    lines.append(f"       Docs: {unit.docs}")
    if unit.state == "active":
        row = next(r for r in process.machine.rows() if r.pid == unit.pid)
        used = f"{row.memory / (1 << 20):.1f}M"
        lines += [
            f"   Main PID: {unit.pid} ({unit.program})", "      Tasks: 12 (limit: 4558)",
            f"     Memory: {used} (peak: {used})", f"        CPU: {(now - unit.since) * LOAD:.3f}s",
            f"     CGroup: /system.slice/{unit.name}", f"             └─{unit.pid} {' '.join(row.argv)}",
        ]  # fmt: skip
    elif unit.last_pid:
        result = f"code=exited, status={unit.last_code}{'/FAILURE' if unit.last_code else '/SUCCESS'}"
        lines.append(f"    Process: {unit.last_pid} ExecStart={unit.argv()[0]} ({result})")
        lines.append(f"   Main PID: {unit.last_pid} ({result})")
    entries = [e for e in _systemd(process).journal.entries if e.unit == unit.name][-10:]
    shown = "".join(f"{line}\n" for line in lines) + "\n" + "".join(_line(process, e) for e in entries)
    process.out(shown)
    return 0 if unit.state == "active" else 3


UNIT_VERBS: dict[str, Callable[[Process, "Unit"], int | None]] = {
    "start": _start, "stop": _stop, "restart": _restart, "reload": _restart, "status": _status,
    "is-active": _is_active, "is-enabled": _is_enabled, "is-failed": _is_failed, "enable": _enable,
    "disable": _disable, "cat": _cat, "show": _show, "kill": _kill, "try-restart": _restart,
}  # fmt: skip


def _list(systemd: "Systemd", verb: str, failed: bool) -> str:
    units = sorted((u for u in systemd.units.values() if not failed or u.state == "failed"), key=lambda u: u.name)
    if verb == "list-unit-files":
        rows = "".join(f"{u.name:<20} {'enabled' if u.enabled else 'disabled':<8} enabled\n" for u in units)
        return f"{'UNIT FILE':<20} {'STATE':<8} PRESET\n{rows}\n{len(units)} unit files listed.\n"
    rows = "".join(f"  {u.name:<18} loaded {u.state:<10} {SUB_STATE[u.state]:<12} {u.description}\n" for u in units)
    return f"  {'UNIT':<18} LOAD   {'ACTIVE':<10} {'SUB':<12} DESCRIPTION\n{rows}\n{len(units)} loaded units listed.\n"


# --- journalctl ----------------------------------------------------------------------------------------------------
STAMPS = {"short": "%b %d %H:%M:%S", "short-iso": "%Y-%m-%dT%H:%M:%S+00:00", "short-precise": "%b %d %H:%M:%S.%f",
          "short-full": "%a %Y-%m-%d %H:%M:%S UTC", "with-unit": "%b %d %H:%M:%S"}  # fmt: skip
PRIORITIES = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")


def _line(process: Process, entry: "Entry", form: str = "short") -> str:
    """An entry in one of journalctl's forms (-o)."""
    if form == "cat":
        return f"{entry.text}\n"
    if form.startswith("json"):
        told = {
            "__REALTIME_TIMESTAMP": f"{entry.time * 1e6:.0f}", "_HOSTNAME": process.machine.hostname,
            "PRIORITY": str(_priority(entry)), "SYSLOG_IDENTIFIER": entry.program, "_PID": str(entry.pid),
            "_SYSTEMD_UNIT": entry.unit, "MESSAGE": entry.text,
        }  # fmt: skip
        return json.dumps(told, indent="\t" if form == "json-pretty" else None) + "\n"
    stamp = datetime.fromtimestamp(entry.time, UTC).strftime(STAMPS.get(form, STAMPS["short"]))
    return f"{stamp} {process.machine.hostname} {entry.program}[{entry.pid}]: {entry.text}\n"


def _priority(entry: "Entry") -> int:
    """As a line tells it: klog's letter of a service, and systemd's own words."""
    if entry.program == "systemd":
        return 4 if "Failed with result" in entry.text else 5 if "Main process exited" in entry.text else 6
    level = re.match(r"([EWIF])\d{4} ", entry.text)
    return {"F": 2, "E": 3, "W": 4}.get(level[1], 6) if level else 6


def _moment(process: Process, text: str) -> float:
    """--since and --until: "5 min ago", "-10m", "2026-01-01 10:00:00", "10:00", "today", "now"."""
    now = process.machine.loop.now
    match = re.fullmatch(r"-?\s*(\d+)\s*([a-z]+)(?:\s+ago)?", text.strip())
    if match and match[2] in UNITS:
        return now - int(match[1]) * UNITS[match[2]]
    today = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d")
    named = {"now": now, "today": datetime.fromisoformat(f"{today} 00:00+00:00").timestamp()}
    if text in named:
        return named[text]
    try:
        full = text if "-" in text else f"{today} {text}"
        return datetime.fromisoformat(f"{full}+00:00" if ":" in full else f"{full} 00:00+00:00").timestamp()
    except ValueError:
        raise UsageError(f"Failed to parse timestamp: {text}") from None


JOURNAL = Spec(
    "u;n:S:U:o:p:g:t:frexbqkal unit=u lines=n since=S until=U output=o follow=f reverse=r no-pager=P pager-end=e "
    "catalog=x boot=b no-hostname=P quiet=q priority=p grep=g identifier=t dmesg=k all=a utc=P no-full=P full=l "
    "disk-usage=D list-boots=L"
)


def _level(word: str) -> int:
    return int(word) if word.isdigit() else PRIORITIES.index(word)


@COMMANDS.plain("journalctl")
def journalctl(process: Process) -> Steps:
    try:
        options, rest = JOURNAL.parse(process)
    except UsageError as error:
        raise UsageError(str(error).splitlines()[0]) from None
    if rest:
        process.err(f"Failed to add match '{rest[0]}': Invalid argument\n")
        return 1
    journal = _systemd(process).journal
    if "D" in options:
        process.print("Archived and active journals take up 8.0M in the file system.")
        return 0
    if "L" in options:
        process.print("IDX BOOT ID                          FIRST ENTRY                 LAST ENTRY")
        first = _date(_systemd(process).booted)
        process.print(f"  0 {'0' * 32} {first} {_date(process.machine.loop.now)}")
        return 0
    lowest, _, highest = options.get("p", "debug").rpartition("..")
    try:
        least, most = (_level(word) for word in (lowest or "emerg", highest))
    except ValueError:
        process.err(f"Unknown log level {highest}\n")
        return 1
    units = {name if "." in name else f"{name}.service" for name in options.get("u", "").splitlines()}
    since = _moment(process, options["S"]) if "S" in options else float("-inf")
    until = _moment(process, options["U"]) if "U" in options else float("inf")

    pattern = options.get("g", "")
    flags = re.I if pattern == pattern.lower() else 0

    def wanted(entry: "Entry") -> bool:
        return (
            (not units or entry.unit in units)
            and since <= entry.time <= until
            and least <= _priority(entry) <= most
            and ("k" not in options or not entry.unit)
            and options.get("t", entry.program) == entry.program
            and ("g" not in options or bool(search(compiled(pattern, flags), entry.text)))
        )

    def tell(entries: "list[Entry]") -> None:
        process.out("".join(_line(process, entry, options.get("o", "short")) for entry in entries))

    found = [entry for entry in journal.entries if wanted(entry)]
    count = options.get("n", "10" if "f" in options else "")
    if count.isdigit():
        found = found[-int(count) :] if int(count) else []
    if "r" in options:
        found.reverse()
    if not found and "f" not in options:
        process.print("-- No entries --")
    tell(found)
    if "f" in options:
        came: list[Entry] = []
        waiters = Waiters()

        def reader(entry: "Entry") -> None:
            came.append(entry)
            waiters.notify()

        journal.readers.append(reader)
        process.at_exit.append(lambda: journal.readers.remove(reader))
        while True:
            yield waiters
            tell([entry for entry in came if wanted(entry)])
            came.clear()
    return 0
