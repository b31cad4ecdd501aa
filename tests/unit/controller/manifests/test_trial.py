"""A trial is begun, then either confirmed or claimed."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

import pytest

from controller.manifests import trial
from controller.manifests.trial import NothingOnTrial, TooLate, Trial
from dualpath.process.lock import alone


def begun(state_dir: Path, deadline: float = 100.0, boot: str = "") -> Trial:
    one = Trial(deadline, boot or trial.boot(), os.getpid(), first=False, keeps=("eth1", "eth2"))
    trial.begin(state_dir, one)
    return one


def test_trial_file_is_readable_by_root_only(tmp_path: Path) -> None:
    one = begun(tmp_path)
    assert trial.read(tmp_path) == one
    assert (tmp_path / trial.NAME).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"deadline": 1}', "\x00", '{"keeps": 3}'])
def test_malformed_file_is_no_trial(tmp_path: Path, text: str) -> None:
    (tmp_path / trial.NAME).write_text(text)
    assert trial.read(tmp_path) is None


@pytest.mark.parametrize(
    "wrong",
    [{"deadline": "soon"}, {"deadline": float("nan")}, {"deadline": float("inf")}, {"pid": "1"}],
)
def test_trial_without_finite_deadline_is_ignored(tmp_path: Path, wrong: dict[str, object]) -> None:
    one = begun(tmp_path)
    (tmp_path / trial.NAME).write_text(json.dumps({**asdict(one), **wrong}))
    assert trial.read(tmp_path) is None


def test_reboot_ends_a_trial(tmp_path: Path) -> None:
    begun(tmp_path, boot="another")
    assert trial.read(tmp_path) is None
    with pytest.raises(NothingOnTrial):
        trial.confirm(tmp_path, 0.0)
    assert trial.claim(tmp_path) is None


def test_confirmed_trial_cannot_be_claimed(tmp_path: Path) -> None:
    begun(tmp_path)
    trial.confirm(tmp_path, 99.9)
    confirmed = trial.read(tmp_path)
    assert confirmed is not None
    assert confirmed.confirmed
    assert trial.claim(tmp_path) is None
    with pytest.raises(NothingOnTrial):
        trial.confirm(tmp_path, 99.9)


def test_claimed_trial_cannot_be_confirmed(tmp_path: Path) -> None:
    one = begun(tmp_path)
    claimed = trial.claim(tmp_path)
    assert claimed
    assert (claimed.deadline, claimed.claimed, claimed.keeps) == (one.deadline, True, one.keeps)
    with pytest.raises(TooLate):
        trial.confirm(tmp_path, 0.0)
    assert trial.claim(tmp_path) == claimed  # the process that claimed it may have died
    trial.end(tmp_path)
    assert trial.read(tmp_path) is None


def test_confirmation_at_the_deadline_is_too_late(tmp_path: Path) -> None:
    begun(tmp_path)
    with pytest.raises(TooLate):
        trial.confirm(tmp_path, 100.0)
    assert trial.read(tmp_path) is not None


def test_without_a_state_directory_nothing_is_on_trial(tmp_path: Path) -> None:
    with pytest.raises(NothingOnTrial):
        trial.confirm(tmp_path / "none", 0.0)
    assert not (tmp_path / "none").exists()


def test_lock_held_too_long_is_an_error_with_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun(tmp_path)
    monkeypatch.setattr(trial, "_TURNS", 1)
    with alone(tmp_path / trial.LOCK), pytest.raises(OSError, match="another process holds"):
        trial.confirm(tmp_path, 0.0)
