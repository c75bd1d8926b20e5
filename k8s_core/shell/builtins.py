"""The commands that are part of the shell because they change it: cd, export, read, set, trap, exit ..."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from k8s_core.shell import expand
from k8s_core.shell.fs import Directory, FileError, normalize
from k8s_core.shell.pipes import Steps
from k8s_core.shell.process import SIGNALS

if TYPE_CHECKING:
    from k8s_core.shell.interpreter import Shell

Builtin = Callable[["Shell", list[str]], Steps]


class Leave(Exception):
    """exit, return, break and continue on their way out."""

    def __init__(self, kind: str, value: int) -> None:
        super().__init__(kind)
        self.kind, self.value = kind, value


def _leave(kind: str) -> Builtin:
    def run(shell: "Shell", words: list[str]) -> Steps:
        default = 1 if kind in ("break", "continue") else shell.status
        value = int(words[1]) if len(words) > 1 and words[1].lstrip("-").isdigit() else default
        raise Leave(kind, value if kind in ("break", "continue") else value & 255)
        yield 0.0

    return run


def _colon(shell: "Shell", words: list[str]) -> Steps:
    return 0
    yield 0.0


def _cd(shell: "Shell", words: list[str]) -> Steps:
    process = shell.process
    target = words[1] if len(words) > 1 else shell.get("HOME", "/root")
    if target == "-":
        target = shell.get("OLDPWD", process.cwd)
        shell.streams.stdout.write(f"{target}\n".encode())
    try:
        node, _ = process.fs.resolve(target, process.cwd)
    except FileError as error:
        bash = shell.flavour == "bash"
        shell.complain(f"cd: {target}: {error}" if bash else f"cd: can't cd to {target}: {error}")
        return 1 if bash else 2
    if not isinstance(node, Directory):
        shell.complain(f"cd: can't cd to {target}: Not a directory")
        return 1
    shell.set("OLDPWD", process.cwd)
    process.cwd = normalize(target, process.cwd)
    return 0
    yield 0.0


def _export(shell: "Shell", words: list[str]) -> Steps:
    for word in words[1:]:
        name, equals, value = word.partition("=")
        if name == "-p":
            continue
        if not name.isidentifier():
            shell.complain(f"export: {name}: bad variable name")
            return 2
        if equals:
            shell.set(name, value)
        if name in shell.variables:
            shell.exported.add(name)
    if len(words) == 1 or words[1] == "-p":
        for name in sorted(shell.exported & set(shell.variables)):
            shell.streams.stdout.write(f"export {name}='{shell.get(name)}'\n".encode())
    return 0
    yield 0.0


def _local(shell: "Shell", words: list[str]) -> Steps:
    for word in words[1:]:
        name, _, value = word.partition("=")
        shell.set(name, value)
    return 0
    yield 0.0


def _unset(shell: "Shell", words: list[str]) -> Steps:
    for name in words[1:]:
        shell.variables.pop(name, None)
        shell.functions.pop(name, None)
    return 0
    yield 0.0


_LONG_OPTIONS = {"errexit": "e", "nounset": "u", "xtrace": "x", "noglob": "f"}


def _set(shell: "Shell", words: list[str]) -> Steps:
    arguments = words[1:]
    if not arguments:
        for name in sorted(shell.variables):
            shell.streams.stdout.write(f"{name}='{shell.get(name)}'\n".encode())
        return 0
    while arguments:
        word = arguments.pop(0)
        if word in ("-o", "+o") and arguments:
            option = _LONG_OPTIONS.get(arguments.pop(0))
            if option:
                shell.options[option] = word == "-o"
        elif word == "--":
            shell.positional = arguments
            break
        elif word[:1] in "-+" and len(word) > 1:
            for letter in word[1:]:
                if letter in shell.options:
                    shell.options[letter] = word[0] == "-"
                elif letter == "o" and arguments:
                    option = _LONG_OPTIONS.get(arguments.pop(0))
                    if option:
                        shell.options[option] = word[0] == "-"
        else:
            shell.positional = [word, *arguments]
            break
    return 0
    yield 0.0


def _shift(shell: "Shell", words: list[str]) -> Steps:
    count = int(words[1]) if len(words) > 1 and words[1].isdigit() else 1
    if count > len(shell.positional):
        return 1
    del shell.positional[:count]
    return 0
    yield 0.0


def _read(shell: "Shell", words: list[str]) -> Steps:
    names, raw = [], False
    arguments = words[1:]
    while arguments:
        word = arguments.pop(0)
        if word == "-p" and arguments:
            shell.streams.stderr.write(arguments.pop(0).encode())
        elif word.startswith("-"):
            raw |= "r" in word
        else:
            names.append(word)
    line = (yield from shell.streams.stdin.read_line()).decode(errors="replace")
    ended, text = not line.endswith("\n"), line.rstrip("\n")
    while not raw and text.endswith("\\") and not ended:
        line = (yield from shell.streams.stdin.read_line()).decode(errors="replace")
        ended, text = not line.endswith("\n"), text[:-1] + line.rstrip("\n")
    separators = shell.get("IFS", expand.BLANKS)
    names = names or ["REPLY"]
    rest = text.strip(" \t") if separators == expand.BLANKS else text
    for index, name in enumerate(names):
        if index == len(names) - 1 or not separators:
            shell.set(name, rest)
        else:
            cut = next((i for i, char in enumerate(rest) if char in separators), len(rest))
            shell.set(name, rest[:cut])
            rest = rest[cut + 1 :].lstrip(" \t") if separators == expand.BLANKS else rest[cut + 1 :]
    return int(ended and not text)


def _eval(shell: "Shell", words: list[str]) -> Steps:
    shell._enter()
    try:
        return (yield from shell.run_text(" ".join(words[1:])))
    finally:
        shell._calls -= 1


def _source(shell: "Shell", words: list[str]) -> Steps:
    if len(words) < 2:
        shell.complain(f"{words[0]}: filename argument required")
        return 2
    try:
        text = shell.process.fs.read(words[1], shell.process.cwd).decode(errors="replace")
    except FileError:
        shell.complain(f"{words[0]}: can't open '{words[1]}': No such file or directory")
        return 2
    shell._enter()
    try:
        return (yield from shell.run_text(text))
    finally:
        shell._calls -= 1


def _exec(shell: "Shell", words: list[str]) -> Steps:
    if len(words) == 1:
        return 0
    shell.traps = {}
    shell.children = {}
    raise Leave("exit", (yield from shell.execute(words[1:], shell.environment(), replacing=True)))


def _trap(shell: "Shell", words: list[str]) -> Steps:
    arguments = [w for w in words[1:] if w != "--"]
    if not arguments:
        for name, action in shell.traps.items():
            shell.streams.stdout.write(f"trap -- '{action}' {name}\n".encode())
        return 0
    command = None if arguments[0] == "-" or len(arguments) == 1 else arguments[0]
    numbers = {str(number): name for name, number in SIGNALS.items()} | {"0": "EXIT"}
    for word in arguments[1:] or arguments:
        name = numbers.get(word) or word.upper().removeprefix("SIG")
        if name not in SIGNALS and name != "EXIT":
            shell.complain(f"trap: {word}: invalid signal specification")
            return 1
        shell.set_trap(name, command)
    return 0
    yield 0.0


def _wait(shell: "Shell", words: list[str]) -> Steps:
    if len(words) == 1:
        yield from shell.wait_for(list(shell.children.values()))
        return 0
    known = [shell.children[int(w)] for w in words[1:] if w.isdigit() and int(w) in shell.children]
    return (yield from shell.wait_for(known)) if known else 127


def _type(shell: "Shell", words: list[str]) -> Steps:
    quiet = words[0] == "command"
    arguments = words[1:]
    if quiet and arguments[:1] and arguments[0] not in ("-v", "-V"):
        return (yield from shell.execute(arguments, shell.environment()))
    status = 0
    for name in arguments[1:] if quiet else arguments:
        if name in BUILTINS or name in shell.functions:
            shell.streams.stdout.write((name if quiet else f"{name} is a shell builtin").encode() + b"\n")
        elif shell.process.machine.find(name):
            path = name if "/" in name else f"{shell.process.machine.bin}/{name}"
            shell.streams.stdout.write((path if quiet else f"{name} is {path}").encode() + b"\n")
        else:
            status = 127 if quiet else 1
            if not quiet:
                shell.streams.stdout.write(f"{name}: not found\n".encode())
    return status


def _jobs(shell: "Shell", words: list[str]) -> Steps:
    for index, process in enumerate(p for p in shell.children.values() if p.code is None):
        shell.streams.stdout.write(f"[{index + 1}]+  Running                 {' '.join(process.argv)} &\n".encode())
    return 0
    yield 0.0


BUILTINS: dict[str, Builtin] = {
    ":": _colon,
    "cd": _cd,
    "export": _export,
    "readonly": _export,
    "local": _local,
    "unset": _unset,
    "set": _set,
    "shift": _shift,
    "read": _read,
    "eval": _eval,
    ".": _source,
    "source": _source,
    "exec": _exec,
    "trap": _trap,
    "wait": _wait,
    "type": _type,
    "command": _type,
    "jobs": _jobs,
    "umask": _colon,
    "ulimit": _colon,
    "exit": _leave("exit"),
    "return": _leave("return"),
    "break": _leave("break"),
    "continue": _leave("continue"),
}
