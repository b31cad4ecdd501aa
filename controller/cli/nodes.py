"""`dualpath --nodes A,B COMMAND`: the command on many nodes at once, by the system's ssh.

ssh's own configuration has users, keys and jump hosts. ssh must not ask for a password, because a
user cannot answer for fifty nodes. A node's output is not trusted: its length and time are limited,
and control characters never reach the terminal.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import tempfile
import threading
from argparse import ArgumentTypeError
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from controller.cli.options import Output
from controller.cli.output import to_yaml
from controller.cli.table import Column, print_table
from controller.cli.terminal import FAILED, USAGE, echo, fail, harmless, warn

COMMANDS = ("status", "explain", "audit")
"""Those that only look, and whose answer is one object."""
SSH = ("ssh", "-T", "-oBatchMode=yes", "-oConnectTimeout=10")
NOT_REACHED = 255  # ssh's own exit code
AT_ONCE = 32
ANSWER_S, AUDIT_S = 60.0, 700.0
LONGEST = 64 << 20  # bytes of an answer
NODE = re.compile(
    r"(?:[A-Za-z0-9_][A-Za-z0-9._-]{0,31}@)?[A-Za-z0-9_\[:][A-Za-z0-9._:%\[\]-]{0,252}"
)

SUMMARY = (
    Column("NODE", lambda answer: answer.node),
    Column("READY", lambda answer: "yes" if answer.get("ready") else "no"),
    Column("DATAPATH", lambda answer: answer.get("datapath")),
    Column("SESSION", lambda answer: f"{answer.get('session')} {answer.get('session_state')}"),
    Column("BGP UP", lambda answer: _sessions(answer)),
    Column("PROGRAMMED", lambda answer: _rows(answer)),
    Column("FAILED", lambda answer: str(_sum(answer, "failed"))),
    Column("PROBLEM", lambda answer: answer.get("not_ready") or answer.get("degraded") or "-"),
)


@dataclass(frozen=True, slots=True)
class Answer:
    """The output of the command on one node."""

    node: str
    code: int
    text: str = ""
    error: str = ""  # why there is no answer, in one line

    def parsed(self) -> Any:  # noqa: ANN401  JSON
        return json.loads(self.text)

    def get(self, field: str) -> str:
        """Return a field of `status` as text; "" if it has none."""
        value = self.parsed().get(field)
        return harmless(value) if isinstance(value, str) else str(value or "")


def nodes(text: str) -> list[str]:
    """Accept names of nodes for ssh, separated by commas."""
    found = [name for name in text.split(",") if name]
    for name in found:
        if not NODE.fullmatch(name):
            raise ArgumentTypeError(f"{name!r} is not [USER@]HOST")
    if not found:
        raise ArgumentTypeError("give one node or several, as in pe1,pe2")
    return list(dict.fromkeys(found))


def run(names: Sequence[str], command: str, words: Sequence[str], output: Output) -> None:
    """Run a command on every node, show all answers, and exit."""
    if command not in COMMANDS:
        fail(f"--nodes works with {', '.join(COMMANDS)}; use ssh for others", USAGE)
    summed = command == "status" and output is Output.TABLE
    in_full = output in (Output.JSON, Output.YAML)
    asked = [*words, "-o", "json"] if summed or output is Output.YAML else words
    line = shlex.join(["dualpath", command, *asked])
    patience_s = AUDIT_S if command == "audit" else ANSWER_S
    with ThreadPoolExecutor(min(AT_ONCE, len(names))) as pool:
        answers = list(pool.map(lambda name: ask(name, line, patience_s), names))
    if in_full or summed:
        answers = [_checked(answer, objects=summed) for answer in answers]
    if in_full:
        _print_trees(answers, output)
    elif summed:
        print_table(SUMMARY, [answer for answer in answers if not answer.error])
    else:
        for answer in answers:
            _print_section(answer)
    for answer in answers:
        if answer.error and not in_full:
            warn(f"{answer.node}: {answer.error}")
    raise SystemExit(FAILED if any(answer.code or answer.error for answer in answers) else 0)


def ask(node: str, line: str, patience_s: float) -> Answer:
    """Run one command line on a node."""
    with tempfile.TemporaryFile() as errors:
        try:
            process = subprocess.Popen(
                [*SSH, "--", node, line],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
            )
        except OSError as error:
            return Answer(node, NOT_REACHED, error=f"cannot run ssh: {error.strerror}")
        alarm = threading.Timer(patience_s, process.kill)
        alarm.start()
        try:
            assert process.stdout
            data = process.stdout.read(LONGEST + 1)
            if len(data) > LONGEST:
                process.kill()
            process.stdout.close()
            code = process.wait()
        finally:
            in_time = alarm.is_alive()
            alarm.cancel()
        reason = _last_line(errors)
    if len(data) > LONGEST:
        return Answer(node, FAILED, error=f"it answered more than {LONGEST >> 20} MiB")
    if code < 0:
        late = f"no answer within {patience_s:.0f} s"
        return Answer(node, FAILED, error="ssh was killed" if in_time else late)
    text = data.decode(errors="replace")
    failed = code == NOT_REACHED or (code and not text)
    return Answer(node, code, text, (reason or f"exit code {code}") if failed else "")


def _last_line(errors: Any) -> str:  # noqa: ANN401  a file
    """Return the last line on stderr: those before it may be banners."""
    size = errors.seek(0, 2)
    errors.seek(max(0, size - 4096))
    lines = errors.read().decode(errors="replace").strip().splitlines()
    return harmless(lines[-1]).removeprefix("dualpath: ") if lines else ""


def _checked(answer: Answer, *, objects: bool) -> Answer:
    """Return an answer whose text is JSON, or one with an error."""
    if answer.error:
        return answer
    try:
        found = answer.parsed()
    except (ValueError, RecursionError):
        return Answer(answer.node, FAILED, error="its answer is not JSON; is it an older version?")
    if objects and not isinstance(found, dict):
        return Answer(answer.node, FAILED, error="its answer is not a status")
    return answer


def _print_trees(answers: Sequence[Answer], output: Output) -> None:
    trees = [
        {
            "node": answer.node,
            "exit_code": answer.code,
            "error": answer.error,
            "answer": None if answer.error else answer.parsed(),
        }
        for answer in answers
    ]
    text = json.dumps(trees, indent=2) + "\n" if output is Output.JSON else to_yaml(trees)
    sys.stdout.write(text)


def _print_section(answer: Answer) -> None:
    if not answer.error:
        echo(f"== {answer.node}")
        echo(harmless(answer.text))


def _sessions(answer: Answer) -> str:
    found = [it for it in _list(answer, "sessions") if isinstance(it, dict)]
    up = sum(session.get("state") == "Established" for session in found)
    return f"{up} of {len(found)}"


def _rows(answer: Answer) -> str:
    return f"{_sum(answer, 'programmed')} of {_sum(answer, 'desired')}"


def _sum(answer: Answer, field: str) -> int:
    values: Iterator[object] = (
        count.get(field) for count in _list(answer, "counts") if isinstance(count, dict)
    )
    return sum(value for value in values if isinstance(value, int))


def _list(answer: Answer, field: str) -> list[Any]:
    found = answer.parsed().get(field)
    return found if isinstance(found, list) else []
