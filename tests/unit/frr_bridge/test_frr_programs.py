"""FRR's programs as they are run: without a shell, and with an end."""

from __future__ import annotations

from pathlib import Path

import pytest

from frr_bridge import frr_apply
from frr_bridge.frr_apply import Finished, run_program
from tests.fakes.waiting import until


async def test_hanging_program_is_killed_and_reported() -> None:
    with pytest.raises(TimeoutError):
        await run_program(["/bin/sleep", "60"], time_limit_s=0.001)


PARENTS = {
    "waits": 'sleep 60 & echo $! >>"$0"; sleep 60 & echo $! >>"$0"; echo $$ >>"$0"; wait',
    "ends": 'sleep 60 & echo $! >>"$0"; sleep 60 & echo $! >>"$0"',
    "ignores SIGTERM": """trap '' TERM; sleep 60 & echo $! >>"$0"; echo $$ >>"$0"; wait""",
    "has grandchildren": 'sh -c \'sleep 60 & echo $! >>"$0"; wait\' "$0" & echo $! >>"$0"; wait',
}


@pytest.mark.parametrize("script", PARENTS.values(), ids=PARENTS)
async def test_a_program_that_hangs_ends_with_its_children(tmp_path: Path, script: str) -> None:
    pids = tmp_path / "pids"
    with pytest.raises(TimeoutError):
        await run_program(["/bin/sh", "-c", script, str(pids)], time_limit_s=0.5)
    started = [int(pid) for pid in pids.read_text().split()]
    assert len(started) >= 2
    await until(lambda: not any(map(lives, started)))


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("to", ["", " >&2"])
async def test_a_program_that_writes_without_end_is_killed_and_named(
    monkeypatch: pytest.MonkeyPatch, to: str
) -> None:
    monkeypatch.setattr(frr_apply, "OUTPUT_MAX", 1 << 20)
    with pytest.raises(OSError, match="wrote more than 1 MiB") as caught:
        await run_program(["/bin/sh", "-c", f"yes{to}"], time_limit_s=20)
    assert caught.value.filename == "/bin/sh"


async def test_a_program_is_run_without_a_shell_and_both_its_outputs_are_kept() -> None:
    done = await run_program(["/bin/echo", "$HOME; *"])
    assert done == Finished(0, "$HOME; *\n")
    assert (await run_program(["/bin/false"])).code == 1
