"""The sh command itself: a text after -c, a script, or commands as they are typed."""

from k8s_core.shell.builtins import Leave
from k8s_core.shell.fs import FileError
from k8s_core.shell.interpreter import Shell
from k8s_core.shell.parser import parse
from k8s_core.shell.pipes import BrokenPipe, Killed, Steps
from k8s_core.shell.process import SIGNALS, Process
from k8s_core.shell.syntax import Simple, SyntaxFailure
from k8s_core.shell.variables import OPTIONS


def sh(process: Process) -> Steps:
    """The sh command: `sh`, `sh -c text [name args]`, `sh file args`, `sh -i`."""
    arguments = process.argv[1:]
    options: dict[str, bool] = {}
    flags = ""
    while arguments and arguments[0][:1] in "-+" and len(arguments[0]) > 1:
        flag = arguments.pop(0)
        if flag == "--":
            break
        if flag in ("-o", "+o") and arguments:
            arguments.pop(0)
        elif not flag.startswith("--"):
            flags += flag[1:]
            options |= {letter: flag[0] == "-" for letter in flag[1:] if letter in OPTIONS.values()}
    from_text, interactive = "c" in flags, "i" in flags
    if from_text and not arguments:
        return process.fail("-c requires an argument" if process.ash else "-c: option requires an argument", 2)
    shell = Shell(process, name=process.argv[0])
    shell.options |= options
    if from_text:
        shell.name, shell.positional = (arguments[1] if len(arguments) > 1 else process.argv[0]), arguments[2:]
        return (yield from _to_the_end(shell, _run_program(shell, arguments[0])))
    if arguments:
        try:
            text = process.read(arguments[0]).decode(errors="replace")
        except FileError:
            return process.fail(f"can't open '{arguments[0]}': No such file or directory", 2)
        shell.name, shell.positional = arguments[0], arguments[1:]
        return (yield from _to_the_end(shell, shell.run_text(text)))
    shell.interactive = interactive or process.tty
    return (yield from _to_the_end(shell, _read_commands(shell)))


def typed(process: Process, text: str) -> Steps:
    """What an interactive shell does with a text that is typed: one complete command after another."""
    shell = Shell(process, name="bash")
    shell.interactive = True
    return (yield from _to_the_end(shell, _line_by_line(shell, text)))


def _line_by_line(shell: Shell, text: str) -> Steps:
    pending = ""
    for line in text.splitlines(keepends=True):
        pending += line
        try:
            body = parse(pending, typed=True)
        except SyntaxFailure as error:
            if not error.incomplete:
                shell.complain(str(error))
                shell.status, pending = 2, ""
            continue
        pending = ""
        yield from shell.run_list(body)
    return (yield from shell.run_text(pending)) if pending else shell.status


def _to_the_end(shell: Shell, steps: Steps) -> Steps:
    """Run a shell's commands, and its EXIT trap when it leaves."""
    try:
        status = yield from steps
    except Leave as leave:
        status = leave.value
    except BrokenPipe:
        status = 141
    return (yield from shell.run_exit_trap(status))


def _run_program(shell: Shell, text: str) -> Steps:
    """`sh -c`: a single simple command takes the shell's place, as ash, dash and bash do it."""
    try:
        body = parse(text)
    except SyntaxFailure as error:
        shell.complain(str(error))
        return 2
    command = body[0].alone() if len(body) == 1 and not body[0].background else None
    if isinstance(command, Simple):
        return (yield from shell.run_command(command, replacing=True))
    return (yield from shell.run_list(body))


def _prompt(shell: Shell, more: bool) -> str:
    machine, cwd = shell.process.machine, shell.process.cwd
    if more:
        return "> "
    end = "#" if machine.uid == 0 else "$"
    home = shell.get("HOME", "/root")
    shown = "~" if cwd == home else cwd
    if shell.flavour == "bash":
        return f"{machine.user}@{machine.hostname}:{shown}{end} "
    return f"{shown} {end} " if shell.flavour == "ash" else f"{end} "


def _read_commands(shell: Shell) -> Steps:
    process, pending = shell.process, ""
    while True:
        if shell.interactive:
            shell.err(_prompt(shell, bool(pending)))
        try:
            line = (yield from process.stdin.read_line()).decode(errors="replace")
            if not line and not pending:
                if shell.interactive and shell.flavour == "bash":
                    shell.err("exit\n")
                break
            text = pending + line
            try:
                body = parse(text, typed=bool(line))
            except SyntaxFailure as error:
                if error.incomplete and line:
                    pending = text
                    continue
                shell.complain(str(error))
                shell.status, pending = 2, ""
                continue
            pending = ""
            process.machine.rested()
            yield from shell.run_list(body)
        except Killed as killed:
            if killed.signal != SIGNALS["INT"] or killed.process is process:
                raise
            pending, shell.status = "", 130
        except Leave as leave:
            if leave.kind == "exit":
                raise
    return shell.status
