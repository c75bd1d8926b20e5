"""Whatever is typed, the shell answers: it never breaks, and it never holds the loop."""

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from test_shell import Run

from k8s_core.shell.parser import parse
from k8s_core.shell.syntax import SyntaxFailure

TOKENS = [
    "echo",
    "ls",
    "cat",
    "sed",
    "grep",
    "test",
    "[",
    "]",
    "cd",
    "/tmp",
    "x=1",
    "$x",
    "${x:-y}",
    "${#x}",
    "$((",
    "1+1",
    "))",
    "$(echo",
    "`echo",
    ")",
    "'",
    '"',
    "\\",
    "|",
    "||",
    "&",
    "&&",
    ";",
    ";;",
    "(",
    ")",
    "{",
    "}",
    "<",
    ">",
    ">>",
    "2>&1",
    "<<EOF",
    "EOF",
    "if",
    "then",
    "else",
    "elif",
    "fi",
    "while",
    "until",
    "do",
    "done",
    "for",
    "in",
    "case",
    "esac",
    "f()",
    "!",
    "*",
    "?",
    "[a-z]",
    "~",
    "-",
    "-n",
    "-e",
    "-c",
    "s/a/b/",
    "/etc/hosts",
    "sleep",
    "1",
    "kill",
    "-9",
    "trap",
    "wait",
    "exit",
    "3",
    "read",
    "set",
    "-e",
    "export",
    "printf",
    "%s%d",
    "seq",
    "head",
    "tail",
    "-n",
    "xargs",
    "sort",
    "uniq",
    "tr",
    "a",
    "b",
    "timeout",
    "env",
    "find",
    ".",
    "-name",
    "cut",
    "-d:",
    "-f1",
    "tee",
    "tar",
    "cf",
    "rm",
    "-r",
    "mv",
    "cp",
    "ln",
    "-s",
    "mkdir",
    "-p",
    "chmod",
    "755",
    "base64",
    "-d",
    "date",
    "+%s",
    "wget",
    "nc",
    "ps",
]


def finishes(script: str) -> None:
    run = Run(script)
    run.loop.advance(30)
    run.machine.kill_all()


@example(["for", "x", "in", "2>&1"])
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.sampled_from([*TOKENS, "\n"]), max_size=14))
def test_words_in_any_order(words: list[str]) -> None:
    """Any sequence of the shell's own words is run or refused."""
    finishes(" ".join(words))


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.text(alphabet="ab$(){}[]'\"`\\|&;<>*?!#~=/ \n1-:%", max_size=30))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    """Any text is a program or a SyntaxFailure."""
    try:
        parse(text)
    except SyntaxFailure:
        return
    finishes(text)
