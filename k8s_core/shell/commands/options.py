"""Option parsing for commands: getopt with the error words of the real programs."""

from k8s_core.shell.process import Process


class UsageError(Exception):
    """An unknown option; the text is what the program says."""


def parse(
    process: Process, flags: str = "", valued: str = "", long: dict[str, str] | None = None
) -> tuple[dict[str, str], list[str]]:
    """(options by letter, operands). `flags` take nothing, `valued` take a value, `long` maps --names to letters."""
    found: dict[str, str] = {}
    operands: list[str] = []
    arguments = process.argv[1:]
    name = process.argv[0].rsplit("/", 1)[-1]
    while arguments:
        argument = arguments.pop(0)
        if argument == "--":
            operands += arguments
            break
        if argument.startswith("--"):
            key, equals, value = argument[2:].partition("=")
            letter = (long or {}).get(key)
            if letter is None:
                raise UsageError(f"{name}: unrecognized option '{argument}'")
            if letter in valued and not equals:
                value = arguments.pop(0) if arguments else ""
            found[letter] = value
        elif len(argument) > 1 and argument[0] == "-":
            letters = argument[1:]
            while letters:
                letter, letters = letters[0], letters[1:]
                if letter in valued:
                    if not letters and not arguments:
                        raise UsageError(f"{name}: option requires an argument: {letter}")
                    found[letter] = letters or arguments.pop(0)
                    break
                if letter not in flags:
                    raise UsageError(f"{name}: unrecognized option: {letter}")
                found[letter] = found.get(letter, "") + letter
        else:
            operands.append(argument)
    return found, operands


def usage(process: Process, error: UsageError) -> int:
    process.err(f"{error}\n")
    return 1
