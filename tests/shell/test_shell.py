"""The shell: what scripts in lessons and in Kubernetes' own examples write, and how long it takes."""

import pytest

from k8s_core.clock import Loop
from k8s_core.shell.commands import BUSYBOX, DEBIAN
from k8s_core.shell.fs import FileSystem, tree
from k8s_core.shell.pipes import Pipe, Sink
from k8s_core.shell.process import SIGNALS, Machine, Process


class Container(Machine):
    """A machine with a few files."""

    def build_fs(self) -> FileSystem:
        return FileSystem(
            tree(
                {
                    "/etc/hosts": "127.0.0.1 localhost\n",
                    "/tmp/": "",
                    "/root/": "",
                    "/a.txt": "1\n2\n",
                    "/b.txt": "3\n",
                }
            ),
            lambda: self.loop.now,
        )


class Run:
    """One `sh -c` and what came of it."""

    def __init__(self, script: str, *, stdin: bytes | None = b"", flavour: str = "ash", argv: list[str] | None = None):
        self.loop = Loop(seed=1)
        self.loop.strict = True
        self.machine = Container(self.loop, "box", BUSYBOX if flavour == "ash" else DEBIAN)
        self.machine.shell = flavour
        self.out, self.err = bytearray(), bytearray()
        self.code: int | None = None
        self.stdin = Pipe(stdin or b"", closed=stdin is not None)
        self.process: Process = self.machine.start(
            argv or ["sh", "-c", script],
            env={"HOME": "/root", "PATH": "/bin"},
            stdin=self.stdin,
            stdout=Sink(self.out.extend),
            stderr=Sink(self.err.extend),
            on_exit=self._done,
        )
        self.loop.run_ready()

    def _done(self, code: int) -> None:
        self.code = code

    @property
    def text(self) -> str:
        return self.out.decode()


def output(script: str, **options: object) -> str:
    run = Run(script, **options)  # type: ignore[arg-type]
    run.loop.advance(100)
    assert run.code is not None, "still running"
    return run.text + run.err.decode()


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("echo hello world", "hello world\n"),
        ("echo 'a  b' \"c  d\" e  f", "a  b c  d e f\n"),
        ("x=5; echo $x ${x}y ${z:-none} ${#x}", "5 5y none 1\n"),
        ("f=a.tar.gz; echo ${f%.gz} ${f%%.*} ${f#*.} ${f##*.}", "a.tar a tar.gz gz\n"),
        ("echo $((1 + 2 * 3)) $(( (1+2)*3 )) $((7/2)) $((-7%3))", "7 9 3 -1\n"),
        ("i=0; while [ $i -lt 3 ]; do echo $i; i=$((i+1)); done", "0\n1\n2\n"),
        ("for i in 1 2 3; do echo n$i; done", "n1\nn2\nn3\n"),
        ("for f in /*.txt; do echo $f; done", "/a.txt\n/b.txt\n"),
        ("echo '*.txt' \"*\" \\*", "*.txt * *\n"),
        ("if true; then echo yes; else echo no; fi", "yes\n"),
        ("if [ -f /nope ]; then echo yes; elif [ -d /tmp ]; then echo dir; fi", "dir\n"),
        ("case abc in x*) echo x;; a*|b) echo ab;; esac", "ab\n"),
        ("true && echo a || echo b; false && echo c || echo d", "a\nd\n"),
        ("cat /a.txt /b.txt | grep -v 2 | wc -l", "2\n"),
        ("echo one > /tmp/f; echo two >> /tmp/f; cat /tmp/f", "one\ntwo\n"),
        ("cat < /b.txt", "3\n"),
        ("echo $(echo inner `echo deep`)", "inner deep\n"),
        ("cat <<EOF\nhi $((1+1))\nEOF\necho done", "hi 2\ndone\n"),
        ("cat <<'EOF'\n$x\nEOF", "$x\n"),
        ("f() { echo got $1 $#; return 3; }; f a b; echo $?", "got a 2\n3\n"),
        ("(cd /tmp; pwd); pwd", "/tmp\n/\n"),
        ('set -- a \'b c\' d; for x in "$@"; do echo "<$x>"; done', "<a>\n<b c>\n<d>\n"),
        ("echo a; exit 3; echo b", "a\n"),
        ("sh -c 'exit 7'; echo $?", "7\n"),
        ("! true; echo $?", "1\n"),
        ("echo err >&2; ls /nope 2>/dev/null; echo $?", "1\nerr\n"),
        ("printf '%s-%03d\\n' a 7", "a-007\n"),
        ('seq 3 | while read n; do echo "n=$n"; done', "n=1\nn=2\nn=3\n"),
        ("echo a:b:c | cut -d: -f2; echo abc | tr a-c A-C", "b\nABC\n"),
        ("echo hello | sed 's/l\\+/L/; s/h/J/'", "JeLo\n"),
        ("echo hello | sed -e s/l/L/ -e s/h/J/", "JeLlo\n"),
        ("printf 'a\\nb\\nc\\n' | grep -e a -e c", "a\nc\n"),
        ("printf 'b\\na\\nb\\n' | sort | uniq -c", "      1 a\n      2 b\n"),
        ("export A=1; env | grep ^A=; B=2 env | grep ^B=", "A=1\nB=2\n"),
        ("x='a b'; for w in $x; do echo $w; done", "a\nb\n"),
        ("nosuch; echo $?", "127\nsh: nosuch: not found\n"),
        ("ls /nope; echo $?", "1\nls: /nope: No such file or directory\n"),
        ("cat /nope", "cat: can't open '/nope': No such file or directory\n"),
        ("set -e; false; echo unreached", ""),
        ("set -e; if false; then :; fi; false || true; echo reached", "reached\n"),
        (
            "mkdir -p /x/y && touch /x/y/z && ls -R /x && rm -r /x && ls /x",
            "/x:\ny\n\n/x/y:\nz\nls: /x: No such file or directory\n",
        ),
        ("until [ -f /tmp/go ]; do sleep 2; touch /tmp/go; done; echo went", "went\n"),
        ("test 1 -eq 1 -a 2 -gt 1 && [ ! -e /q ] && [ -z '' ] && echo ok", "ok\n"),
        ("sleep 1 & sleep 2 & wait; echo both", "both\n"),
        ("trap 'echo bye' EXIT; echo hi", "hi\nbye\n"),
        ("yes | head -n 2", "y\ny\n"),
        ('echo "q$(cat /nope 2>/dev/null)q"', "qq\n"),
        ('echo "unterminated', "sh: syntax error: unterminated quoted string\n"),
        ("if true; then", 'sh: syntax error: unexpected end of file (expecting "fi")\n'),
        ("timeout 2 sleep 10; echo $?", "143\n"),
        ("hostname; whoami; id -u", "box\nroot\n0\n"),
        (
            "mkdir /d; echo x > /d/f; tar cf - /d | tar xf - -C /tmp; cat /tmp/d/f; tar cf /t.tar d; tar tf /t.tar",
            "x\nd\nd/f\n",
        ),
        ("echo $((2**10)) $((i = 3, i++ + i)) $((0 && 1/0)) $((1 ? 2 : 1/0))", "1024 7 0 2\n"),
        ('IFS=:; set -- a b; echo "$*"; echo x:y:z | { IFS=: read p q; echo "$p,$q"; }', "a:b\nx,y:z\n"),
        (
            "exec 3>/tmp/log; echo kept >&3; echo shown; cat /tmp/log; { echo e >&2; } 2>&1 >/dev/null",
            "shown\nkept\ne\n",
        ),
        ("echo $'a\\tb\\'c'; function f { echo in $1; }; f x", "a\tb'c\nin x\n"),
        ("mkdir -p d/e; echo x > d/e/f; mv d g; cat g/e/f; chmod -R 700 g; stat -c '%a %s' g/e/f", "x\n700 2\n"),
        (
            "mkdir q; echo b > q/B.txt; grep -r b q; find q -iname 'b*'; cd q; grep -rl b .",
            "q/B.txt:b\nq/B.txt\n./B.txt\n",
        ),
        ("printf 'b\\nB\\na\\n' | sort -f | tr '\\n' ' '; printf '2M\\n10K\\n' | sort -h | head -n 1", "a B b 10K\n"),
        ("printf 'x\\nab\\nc\\n' | grep -n -B1 ab; printf 'aXbX' | sed 's/X/-/2'", "1-x\n2:ab\naXb-"),
        (
            "sort /nope; echo $?; printf 'a b\\n' | xargs -I{} echo '<{}>'",
            "2\n<a b>\nsort: /nope: No such file or directory\n",
        ),
        (
            "i=1; ((i += 2)); echo $i $?; ((i == 4)) || echo no; let j=i*2; echo $j; ((echo a); echo b)",
            "3 0\nno\n6\na\nb\n",
        ),
        (
            "x=out; f() { local x=in y=1; g; echo $x; }; g() { x=deep; }; f; echo $x,$y; local z=1; echo $?",
            "deep\nout,\n1\nsh: local: not in a function\n",
        ),
        (
            "[[ abc == a* ]] && echo glob; [[ x12 =~ ^x[0-9]+$ ]] && echo regex; [[ a != a* ]] || echo same",
            "glob\nregex\nsame\n",
        ),
        ("printf 'a b\\n' > /n; wc /n; wc -l < /n", "        1         2         4 /n\n1\n"),
        ("head -n 1 /etc/hosts; tail -1 /a.txt", "127.0.0.1 localhost\n2\n"),
    ],
)
def test_a_script_prints_what_ash_prints(script: str, expected: str) -> None:
    """Each of these prints exactly what busybox's ash prints for it."""
    assert output(script) == expected


def test_sleep_passes_in_virtual_time() -> None:
    """`sleep` ends at its very second, neither before nor after."""
    run = Run("sleep 5; echo woke; date +%s")
    run.loop.advance(4.9)
    assert run.text == ""
    run.loop.advance(0.2)
    assert run.text == f"woke\n{int(run.loop.now)}\n"


def test_a_busy_loop_does_not_hold_the_loop() -> None:
    """A script that never sleeps is slowed down instead of hanging everybody."""
    run = Run("while true; do :; done")
    run.loop.advance(3600)
    assert run.code is None


def test_a_single_command_takes_the_shells_place() -> None:
    """`sh -c "sleep 9"` is the process sleep, with the shell's PID."""
    run = Run("sleep 9")
    assert [p.argv for p in run.machine.processes.values()] == [["sleep", "9"]]


def test_pid_1_ignores_sigterm_but_not_sigkill() -> None:
    """As in a container: no handler, no effect; SIGKILL always works."""
    run = Run("sleep 60; echo x")
    run.process.signal(SIGNALS["TERM"])
    run.loop.advance(1)
    assert run.code is None
    run.process.signal(SIGNALS["KILL"])
    run.loop.run_ready()
    assert run.code == 137


def test_a_trap_runs_when_the_foreground_command_is_done() -> None:
    """trap ... TERM lets a script end by itself."""
    run = Run("trap 'echo term; exit 0' TERM; while true; do sleep 1; done")
    run.loop.advance(2.5)
    run.process.signal(SIGNALS["TERM"])
    run.loop.advance(1)
    assert (run.text, run.code) == ("term\n", 0)


def test_wait_is_interrupted_by_a_trap() -> None:
    """`sleep 1000 & wait` answers a signal at once."""
    run = Run("trap 'exit 5' TERM; sleep 1000 & wait")
    run.loop.advance(1)
    run.process.signal(SIGNALS["TERM"])
    run.loop.advance(0.1)
    assert run.code == 5


def test_kill_ends_a_background_job() -> None:
    """A signal without a handler ends a process other than PID 1."""
    assert output("sleep 100 & kill $!; wait $!; echo $?") == "143\n"


def test_interactive_reading_goes_line_by_line() -> None:
    """A shell on a pipe runs each line as it comes and ends with its input."""
    run = Run("", stdin=None, argv=["sh"])
    run.stdin.write(b"echo one\nif true\n")
    run.loop.run_ready()
    assert run.text == "one\n"
    run.stdin.write(b"then echo two; fi\nfalse\n")
    run.loop.run_ready()
    assert run.text == "one\ntwo\n"
    run.stdin.close()
    run.loop.run_ready()
    assert run.code == 1


def test_bash_words() -> None:
    """bash says `command not found`."""
    run = Run("foo", flavour="dash", argv=["bash", "-c", "foo"])
    assert (run.code, bytes(run.err)) == (127, b"bash: line 1: foo: command not found\n")


HOSTILE = [
    "$(" * 500,
    "((" * 300,
    "{ " * 400,
    "echo " + "$((" * 200,
    "echo " + "$((" * 40 + "x" + " )" * 80,
    "f() { f; }; f",
    "x=a; while true; do x=$x$x; done",
    "i=0; x=$(seq 20000); while true; do i=$((i+1)); eval v$i='$x'; done",
    "i=0; while true; do i=$((i+1)); dd if=/dev/zero of=/tmp/$i bs=1M count=4; done",
    ":(){ :|:& };:",
    "eval eval " * 200,
    "seq 99999999999; date -d @9e99; echo $((9" + "9" * 5000 + "))",
    "x=$(seq 9000); echo ${x%%*1*2*3*}",
    "echo aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa! | grep -E '(a+)+$'",
    "x=$(yes '' | head -n 200000 | tr '\\n' ' '); echo \"$x\" | { read a; read b c; }; echo ${x// /y} | wc -c",
    "x=$(seq 99999); case $x in *1*2*3*4*5*6*7*8*9*0*x) ;; esac; echo ${x/*1*2*3*z/}",
    "echo $((" + "(" * 3000 + "1" + ")" * 3000 + ")) $((2**99999999999)) $((" + "-" * 9000 + "1)) $((1<<99999999))",
    "printf '%9999999d' 1; printf '%s' \"$(printf '%.9999999s' x)\"; head -c 99999999999 /dev/zero",
    "yes | sed 's/\\(a*\\)*b/x/'; yes | grep -E '(.*)(.*)(.*)(.*)(.*)(.*)$'; echo | sed 's/a\\{1,99999999\\}//'",
    'exec 9>/dev/null; for i in $(seq 3000); do eval "exec $i>/tmp/$i"; done; cat <&1; read x <&2',
    "while :; do mkdir a; cd a; done; ls -R /",
    "ln -s . l; ls l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l/l; cp -r . l/x; find .",
    "mkdir a; cp -r a a/b; cp -r . here; mv a a/b; tar cf a/t.tar a; rm -rf / ; ls /",
    "yes aaaaaaaaaaaaaaaaaaaaaaaa | head -n 2000 | tr -d '\\n' | grep 'a.*a.*a.*a.*b'",
]


@pytest.mark.parametrize("script", HOSTILE)
def test_hostile_scripts_end_or_are_held(script: str) -> None:
    """Deep nesting, recursion and growth neither crash nor hang the loop."""
    run = Run(script)
    run.loop.advance(2)
    run.machine.kill_all()


@pytest.mark.parametrize(
    ("program", "printed"),
    [
        ("{print $1}", ["NAME", "web", "db"]),
        ('NR>1 {print $1 ":" $NF}', ["web:1/1", "db:0/1"]),
        ("/web/", ["web 1/1"]),
        ("!/NAME/{print NR, NF}", ["2 2", "3 2"]),
        ('$2 == "0/1" {print $1}', ["db"]),
        ('BEGIN {print "all"} END {print NR}', ["all", "3"]),
    ],
)
def test_awk_prints_fields(program: str, printed: list[str]) -> None:
    """Patterns choose lines; words are fields, numbers and texts."""
    assert output(f"printf 'NAME READY\\nweb 1/1\\ndb 0/1\\n' | awk '{program}'").splitlines() == printed


def test_awk_says_what_it_cannot_do() -> None:
    """A program with variables is refused, not run in part."""
    assert Run("echo 1 | awk '{sum += $1} END {print sum}'").code == 2
