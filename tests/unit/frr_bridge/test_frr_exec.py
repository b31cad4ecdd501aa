"""The command line of frr-exec."""

from __future__ import annotations

import pytest

from frr_bridge.frr_exec import _parse


def test_command_s_arguments_are_passed_on_unchanged() -> None:
    words = ["sh", "-c", "one\ntwo\x1b", "", "--netns=x", "--", "-h"]
    parsed = _parse(["--netns=pe1", "--", *words])
    assert (parsed.netns, parsed.command) == ("pe1", words)
    assert _parse(["id"]).command == ["id"]
    assert _parse(["id", "--", "-u"]).netns == "frr"


@pytest.mark.parametrize(
    "arguments", [[], ["--"], ["--netns=", "--", "id"], ["--userns-dir=", "--", "id"]]
)
def test_nonsense_is_refused_in_a_sentence(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        _parse(arguments)
    assert ended.value.code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
