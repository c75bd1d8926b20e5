"""The commands that are part of the shell because they change it: cd, export, read, set, trap, exit ..."""

import re
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING

from k8s_core.shell.arithmetic import evaluate
from k8s_core.shell.expand import BLANKS
from k8s_core.shell.fs import Directory, FileError, normalize
from k8s_core.shell.parser import parse
from k8s_core.shell.pipes import Steps, Wait
from k8s_core.shell.process import SIGNALS
from k8s_core.shell.programs import execute
from k8s_core.shell.syntax import Group
from k8s_core.shell.variables import OPTIONS

if TYPE_CHECKING:
    from k8s_core.shell.interpreter import Shell

Builtin = Callable[["Shell", list[str]], Generator[Wait, None, int] | int | None]
"""Takes the shell and the words, its own name first; a plain function or one that waits."""
BUILTINS: dict[str, Builtin] = {}


class Leave(Exception):
    """exit, return, break and continue on their way out."""

    def __init__(self, kind: str, value: int) -> None:
        super().__init__(kind)
        self.kind, self.value = kind, value


def builtin(names: str) -> Callable[[Builtin], Builtin]:
    def enter(run: Builtin) -> Builtin:
        BUILTINS.update(dict.fromkeys(names.split(), run))
        return run

    return enter


@builtin("exit return break continue")
def _leave(shell: "Shell", words: list[str]) -> int:
    loop = words[0] in ("break", "continue")
    value = 1 if loop else shell.status
    if len(words) > 1 and words[1].lstrip("-").isdigit():
        value = int(words[1])
    raise Leave(words[0], value if loop else value & 255)


@builtin("alias")
def _alias(shell: "Shell", words: list[str]) -> int | None:
    """alias k=kubectl: a function that passes its arguments on."""
    for word in words[1:]:
        name, equals, text = word.partition("=")
        if not equals:
            shell.complain(f"alias: {name}: not found")
            return 1
        body = parse(f'{text} "$@"')
        shell.functions[name] = Group(body, False)
    return None


@builtin("time")
def _time(shell: "Shell", words: list[str]) -> Steps:
    """How long a command takes, in virtual time."""
    loop = shell.process.machine.loop
    began = loop.now
    status = (yield from execute(shell, words[1:], shell.environment())) if words[1:] else 0
    took = f"{(loop.now - began) // 60:.0f}m{(loop.now - began) % 60:.3f}s"
    shell.err(f"\nreal\t{took}\nuser\t0m0.001s\nsys\t0m0.001s\n")
    return status


@builtin(": umask ulimit history")
def _nothing(shell: "Shell", words: list[str]) -> int:
    return 0


@builtin("let")
def _let(shell: "Shell", words: list[str]) -> int:
    """let EXPRESSION ..., and (( EXPRESSION ))."""
    values = [evaluate(shell, word) for word in words[1:]]
    return int(not any(values[-1:]))


@builtin("cd")
def _cd(shell: "Shell", words: list[str]) -> int | None:
    process, bash = shell.process, shell.flavour == "bash"
    target = words[1] if len(words) > 1 else shell.get("HOME", "/root")
    if target == "-":
        target = shell.get("OLDPWD", process.cwd)
        shell.out(f"{target}\n")
    try:
        node, _ = process.fs.resolve(target, process.cwd)
        if not isinstance(node, Directory):
            raise FileError("Not a directory")
    except FileError as error:
        shell.complain(f"cd: {target}: {error}" if bash else f"cd: can't cd to {target}: {error}")
        return 1 if bash else 2
    shell.set("OLDPWD", process.cwd)
    process.cwd = normalize(target, process.cwd)
    return None


@builtin("export readonly")
def _export(shell: "Shell", words: list[str]) -> int | None:
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
    if words[1:] in ([], ["-p"]):
        shell.out("".join(f"export {n}='{shell.get(n)}'\n" for n in sorted(shell.exported & set(shell.variables))))
    return None


@builtin("local")
def _local(shell: "Shell", words: list[str]) -> int | None:
    if not shell.scopes:
        shell.complain(
            "local: can only be used in a function" if shell.flavour == "bash" else "local: not in a function"
        )
        return 1
    for word in words[1:]:
        name, equals, value = word.partition("=")
        shell.scopes[-1].setdefault(name, shell.variables.get(name))
        if equals:
            shell.set(name, value)
    return None


@builtin("unset")
def _unset(shell: "Shell", words: list[str]) -> None:
    for name in words[1:]:
        shell.variables.pop(name, None)
        shell.functions.pop(name, None)


@builtin("set")
def _set(shell: "Shell", words: list[str]) -> None:
    arguments = words[1:]
    if not arguments:
        shell.out("".join(f"{name}='{shell.get(name)}'\n" for name in sorted(shell.variables)))
    while arguments:
        word = arguments.pop(0)
        if word == "--" or word[:1] not in ("-", "+") or len(word) == 1:
            shell.positional = arguments if word == "--" else [word, *arguments]
            return
        for letter in word[1:]:
            option = OPTIONS.get(arguments.pop(0), "") if letter == "o" and arguments else letter
            if option in shell.options:
                shell.options[option] = word[0] == "-"


@builtin("shift")
def _shift(shell: "Shell", words: list[str]) -> int:
    count = int(words[1]) if len(words) > 1 and words[1].isdigit() else 1
    enough = count <= len(shell.positional)
    del shell.positional[: count if enough else 0]
    return int(not enough)


@builtin("read")
def _read(shell: "Shell", words: list[str]) -> Steps:
    names, raw, arguments = list[str](), False, words[1:]
    while arguments:
        word = arguments.pop(0)
        if word == "-p" and arguments:
            shell.err(arguments.pop(0))
        elif word.startswith("-"):
            raw |= "r" in word
        else:
            names.append(word)
    text, ended = "", False
    while True:
        line = (yield from shell.stdin.read_line()).decode(errors="replace")
        text, ended = text + line.rstrip("\n"), not line.endswith("\n")
        if raw or ended or not text.endswith("\\"):
            break
        text = text[:-1]
    separators = shell.get("IFS", BLANKS)
    blanks = "".join(set(separators) & set(BLANKS))
    around = f"[{re.escape(blanks)}]*" if blanks else ""
    names = names or ["REPLY"]
    rest = text.strip(blanks) if blanks else text
    for name in names[:-1]:
        parts = re.split(f"{around}[{re.escape(separators)}]{around}", rest, maxsplit=1) if separators else [rest]
        shell.set(name, parts[0])
        rest = "".join(parts[1:])
    shell.set(names[-1], rest)
    return int(ended and not text)


def _nested(shell: "Shell", text: str) -> Steps:
    shell.enter()
    try:
        return (yield from shell.run_text(text))
    finally:
        shell.leave()


@builtin("eval")
def _eval(shell: "Shell", words: list[str]) -> Steps:
    return (yield from _nested(shell, " ".join(words[1:])))


@builtin(". source")
def _source(shell: "Shell", words: list[str]) -> Steps:
    if len(words) < 2:
        shell.complain(f"{words[0]}: filename argument required")
        return 2
    try:
        text = shell.process.read(words[1]).decode(errors="replace")
    except FileError as error:
        bash = shell.flavour == "bash"
        shell.complain(f"{words[1]}: {error}" if bash else f"{words[0]}: can't open '{words[1]}': {error}")
        return 1 if bash else 2
    return (yield from _nested(shell, text))


@builtin("exec")
def _exec(shell: "Shell", words: list[str]) -> Steps:
    if len(words) == 1:
        return 0
    shell.traps, shell.children = {}, {}
    raise Leave("exit", (yield from execute(shell, words[1:], shell.environment(), replacing=True)))


@builtin("trap")
def _trap(shell: "Shell", words: list[str]) -> int | None:
    arguments = [word for word in words[1:] if word != "--"]
    if not arguments:
        shell.out("".join(f"trap -- '{action}' {name}\n" for name, action in shell.traps.items()))
        return None
    command = None if arguments[0] == "-" or len(arguments) == 1 else arguments[0]
    numbers = {str(number): name for name, number in SIGNALS.items()} | {"0": "EXIT"}
    for word in arguments[1:] or arguments:
        name = numbers.get(word) or word.upper().removeprefix("SIG")
        if name not in SIGNALS and name != "EXIT":
            shell.complain(f"trap: {word}: invalid signal specification")
            return 1
        shell.set_trap(name, command)
    return None


@builtin("wait")
def _wait(shell: "Shell", words: list[str]) -> Steps:
    if len(words) == 1:
        yield from shell.wait_for(list(shell.children.values()))
        return 0
    known = [shell.children[int(w)] for w in words[1:] if w.isdigit() and int(w) in shell.children]
    return (yield from shell.wait_for(known)) if known else 127


@builtin("type command")
def _type(shell: "Shell", words: list[str]) -> Steps:
    quiet, arguments = words[0] == "command", words[1:]
    if quiet and arguments and arguments.pop(0) not in ("-v", "-V"):
        return (yield from execute(shell, words[1:], shell.environment()))
    status, machine = 0, shell.process.machine
    for name in arguments:
        if name in BUILTINS or name in shell.functions:
            shell.out(f"{name}\n" if quiet else f"{name} is a shell builtin\n")
        elif machine.find(name):
            path = name if "/" in name else f"{machine.bin}/{name}"
            shell.out(f"{path}\n" if quiet else f"{name} is {path}\n")
        else:
            status = 127 if quiet or shell.flavour != "bash" else 1
            shell.out("" if quiet else f"{name}: not found\n")
    return status


@builtin("jobs")
def _jobs(shell: "Shell", words: list[str]) -> None:
    running = [process for process in shell.children.values() if process.code is None]
    for index, process in enumerate(running, 1):
        shell.out(f"[{index}]+  Running                 {' '.join(process.argv)} &\n")
