"""A lock is held by one process at a time, and ends with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dualpath.process.lock import Held, alone

HOLD = """
import signal, sys
from pathlib import Path
from dualpath.process.lock import alone
with alone(Path(sys.argv[1])):
    print("held", flush=True)
    signal.pause()
"""


def test_second_holder_is_refused_at_once(tmp_path: Path) -> None:
    with alone(tmp_path / "x.lock"), pytest.raises(Held), alone(tmp_path / "x.lock"):
        pass
    with alone(tmp_path / "x.lock"):
        pass


def test_killed_holder_releases_the_lock(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path / "x.lock")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(Held), alone(tmp_path / "x.lock"):
            pass
        os.kill(holder.pid, signal.SIGKILL)
    with alone(tmp_path / "x.lock"):
        pass
