"""The command line becomes settings, or is refused in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.settings import DATAPATHS, GroutSettings, parse
from controller.start.backends import BACKENDS


def test_datapath_is_the_only_required_option() -> None:
    told = parse(["--datapath=kernel"])
    assert told.fpm_address == ("127.0.0.1", 2620)
    assert told.bus == Path("/run/dualpath/bus.sock")
    assert told.listen == "unix:/run/dualpath/inspect.sock"
    assert (told.metrics, told.config, told.tls, told.netns, told.frr_netns) == (
        "",
        (),
        None,
        None,
        None,
    )


def test_given_options_become_settings() -> None:
    options = (
        "--datapath=kernel --frr-netns frr --netns fwd --fpm [::1]:2621 --metrics 127.0.0.1:9100 "
        "--config /etc/x --config /etc/y --state-dir /tmp/s --frr-name pe1 --bridge external "
        "--hold 0 --node-name pe1 --node-index 3"
    )
    told = parse(options.split())
    assert told.fpm_address == ("::1", 2621)
    assert (told.frr_netns, told.netns, told.bridge, told.hold_s) == ("frr", "fwd", "external", 0)
    assert (told.node_name, told.node_index, told.frr_name) == ("pe1", 3, "pe1")
    assert told.bus == Path("/tmp/s/bus.sock")
    assert told.config == (Path("/etc/x"), Path("/etc/y"))


@pytest.fixture(autouse=True)
def certificates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run in a directory with files named c, k and a."""
    monkeypatch.chdir(tmp_path)
    for name in ("c", "k", "a"):
        (tmp_path / name).touch()


def test_the_page_is_served_on_loopback_and_to_an_api_without_certificates() -> None:
    assert parse(["--datapath=kernel", "--ui=[::1]:8470"]).ui == "[::1]:8470"
    assert parse(["--datapath=kernel"]).ui == ""


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("--ui=192.0.2.1:80", "the page is served on loopback only"),
        ("--ui=unix:/x", "give ADDRESS:PORT"),
        ("--ui=[::1]:80 --tls-cert c --tls-key k --tls-ca a", "not with --tls-*"),
    ],
)
def test_the_page_elsewhere_is_refused(
    words: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as refused:
        parse(["--datapath=kernel", *words.split()])
    assert (refused.value.code, reason in capsys.readouterr().err) == (2, True)


def test_certificate_key_and_ca_are_given_together() -> None:
    told = parse(["--datapath=kernel", "--tls-cert", "c", "--tls-key", "k", "--tls-ca", "a"])
    assert told.tls == (Path("c"), Path("k"), Path("a"))


def test_grout_options_become_settings() -> None:
    assert parse(["--datapath=dpdk"]).grout == GroutSettings()
    options = (
        "--datapath=dpdk --grout-sock /x.sock --start-grout --grout-netns g --grout-cpus 2,3 "
        "--grout-memory test --agent 192.0.2.1:7443 --agent-cert c --agent-key k --agent-ca a"
    )
    assert parse(options.split()).grout == GroutSettings(
        agent="192.0.2.1:7443",
        agent_tls=(Path("c"), Path("k"), Path("a")),
        sock=Path("/x.sock"),
        start=True,
        netns="g",
        cpus="2,3",
        hugepages=False,
    )


def test_kernel_with_a_grout_of_its_own_namespace_can_switch() -> None:
    words = ["--datapath=kernel", "--start-grout", "--grout-netns", "grout"]
    assert parse(words).grout.second
    assert not parse(["--datapath=kernel"]).grout.second


def test_every_datapath_choice_has_a_backend() -> None:
    assert set(BACKENDS) == set(DATAPATHS)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "--datapath"),
        (["--datapath=magic"], "invalid choice"),
        (["--nonsense"], "--datapath"),
        (["--datapath=kernel", "--tls-cert", "c"], "give all three"),
        (["--datapath=kernel", "--start-grout"], "needs --start-grout and --grout-netns"),
        (["--datapath=kernel", "--agent", "unix:/x"], "needs --start-grout and --grout-netns"),
        (["--datapath=dpdk", "--agent-cert", "c"], "give all three"),
        (["--datapath=dpdk", "--grout-cpus", "1"], "need --start-grout"),
        (["--datapath=dpdk", "--grout-max-mtu", "9000"], "need --start-grout"),
        (["--datapath=dpdk", "--grout-memory", "huge"], "invalid choice"),
    ],
)
def test_invalid_options_are_refused_in_one_sentence(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(arguments)
    assert ended.value.code == 2
    assert sentence in capsys.readouterr().err


def test_help_and_version_need_no_other_option(capsys: pytest.CaptureFixture[str]) -> None:
    for option in ("--help", "--version"):
        with pytest.raises(SystemExit) as ended:
            parse([option])
        assert ended.value.code == 0
    assert "examples:" in capsys.readouterr().out


def test_dry_run_and_confirmation_are_options() -> None:
    told = parse(["--datapath=kernel", "--dry-run", "-o", "json"])
    assert (told.dry_run, told.as_json, told.confirm_s) == (True, True, 0.0)
    told = parse(["--datapath=kernel", "--config=c", "--confirm-within=90"])
    assert (told.dry_run, told.confirm_s) == (False, 90.0)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["-o", "json"], "needs --dry-run"),
        (["--dry-run", "-o", "xml"], "invalid choice"),
        (["--confirm-within=60"], "needs --config"),
        (["--config=c", "--confirm-within=0"], "1 or more"),
        (["--config=c", "--confirm-within=soon"], "give seconds"),
    ],
)
def test_conflicting_uses_of_dry_run_and_confirmation_are_refused(
    options: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(["--datapath=kernel", *options])
    assert ended.value.code == 2
    assert why in capsys.readouterr().err
