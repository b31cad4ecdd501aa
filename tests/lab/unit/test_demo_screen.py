"""What the demo prints while it waits, and how it ends."""

import time

import pytest

from tests.lab import demo_screen
from tests.lab.demo import _short
from tests.lab.demo_screen import Screen


def test_long_step_shows_that_it_waits_and_for_how_long(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo_screen, "REPORT_S", 0.01)
    shown = ""
    with Screen().waiting("BGP sessions", "BGP sessions are Established"):
        while shown.count("... waiting for BGP sessions   [0.") < 2:
            shown += capsys.readouterr().out
            time.sleep(0.001)
    assert "BGP sessions are Established   [0." in capsys.readouterr().out


def test_failed_step_is_not_marked_done(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(AssertionError), Screen().waiting("x", "done"):
        raise AssertionError
    assert "done" not in capsys.readouterr().out


def test_demo_without_a_check_fails_and_a_shell_needs_none() -> None:
    assert Screen().close() == 1
    assert Screen().close(empty=True) == 0


def test_short_status_is_the_top_and_the_counts() -> None:
    status = (
        "ready       yes\nup          3s\n\nROWS  DESIRED\nvni   2\n\nRESOURCE  READY\nx  yes\n"
    )
    assert _short(status) == "ready       yes\nup          3s\n\nROWS  DESIRED\nvni   2"
