"""What plugins are given, and what is made of what they write."""

from __future__ import annotations

import json

import pytest

from controller.cni import protocol
from controller.cni.protocol import Place, PluginError
from tests.fakes.cni import MAC, RESULT, device

TUNING = {"type": "tuning", "capabilities": {"mac": True, "ips": False}}


def test_plugin_gets_the_name_and_version_of_its_list_and_no_capabilities() -> None:
    wanted = device({"type": "macvlan", "mode": "bridge"}, TUNING, arguments={"mac": MAC})
    assert protocol.execution(wanted, 0, None) == {
        "cniVersion": "1.0.0",
        "name": "fabric",
        "type": "macvlan",
        "mode": "bridge",
    }
    assert protocol.execution(wanted, 1, RESULT) == {
        "cniVersion": "1.0.0",
        "name": "fabric",
        "type": "tuning",
        "runtimeConfig": {"mac": MAC},
        "prevResult": RESULT,
    }


def test_plugin_without_the_capability_gets_no_argument() -> None:
    wanted = device({"type": "macvlan"}, TUNING, arguments={"mac": MAC, "ips": []})
    assert "runtimeConfig" not in protocol.execution(wanted, 0, None)
    assert protocol.execution(wanted, 1, None)["runtimeConfig"] == {"mac": MAC}


def test_only_dhcp_gets_our_socket_and_not_over_another() -> None:
    ours = device({"type": "macvlan", "ipam": {"type": "dhcp"}})
    theirs = device({"type": "macvlan", "ipam": {"type": "dhcp", "daemonSocketPath": "/run/x"}})
    static = device({"type": "macvlan", "ipam": {"type": "static"}})
    found = [
        protocol.execution(each, 0, None, "/run/ours")["ipam"].get("daemonSocketPath")
        for each in (ours, theirs, static)
    ]
    assert found == ["/run/ours", "/run/x", None]
    assert [protocol.needs_daemon(each) for each in (ours, theirs, static)] == [True, False, False]


def test_parameters_without_a_value_are_absent() -> None:
    place = Place("c", "", "net1")
    assert place.environment("DEL", "/a:/b") == {
        "CNI_COMMAND": "DEL",
        "CNI_CONTAINERID": "c",
        "CNI_IFNAME": "net1",
        "CNI_PATH": "/a:/b",
    }


@pytest.mark.parametrize(
    ("node", "namespace", "found"),
    [
        ("pe1", "fwd", "dualpath-pe1-fwd"),
        ("pe1.example.org", "/proc/1/ns/net", "dualpath-pe1-example-org--proc-1-ns-net"),
        ("é", "", "dualpath---"),
    ],
)
def test_container_id_has_only_what_the_specification_allows(
    node: str, namespace: str, found: str
) -> None:
    assert protocol.container_of(node, namespace) == found


@pytest.mark.parametrize(
    ("output", "errors", "status", "words"),
    [
        ('{"code": 7, "msg": "no master"}', "", 1, "no master (code 7); correct rawConfig"),
        ('{"code": 11, "msg": "later"}', "", 1, "later (code 11)"),
        ('{"code": "7", "msg": "odd"}', "", 1, "odd"),
        ('{"code": 100, "msg": "a\\nb\\u001b[1m"}', "", 1, "a b [1m (code 100)"),
        ("", "panic: x\ngoroutine 1", 2, "exit status 2, no error object: goroutine 1"),
        ("[]", "", 2, "exit status 2, no error object"),
        ("\xff", "", -9, "killed by signal 9, no error object"),
        ("[" * 100_000, "", 1, "exit status 1, no error object"),
    ],
)
def test_error_says_which_plugin_failed_why_and_what_to_do(
    output: str, errors: str, status: int, words: str
) -> None:
    error = protocol.error_of("macvlan", "ADD", output.encode(), errors.encode(), status)
    assert str(error) == f"CNI plugin macvlan, ADD: {words}"


def test_words_of_a_plugin_are_bounded() -> None:
    error = protocol.error_of("x", "ADD", json.dumps({"msg": "y" * 9999}).encode(), b"", 1)
    assert len(str(error)) < 400


@pytest.mark.parametrize(
    ("result", "fault"),
    [
        ([], "no JSON object"),
        ({**RESULT, "cniVersion": "0.4.0"}, "cniVersion is not 1.0.0"),
        ({**RESULT, "ips": {}}, "ips is no list"),
        ({**RESULT, "ips": ["10.0.0.1/24"]}, "ips has an item that is no object"),
        ({**RESULT, "ips": [{"address": "10.0.0.300/24"}]}, "ips has an item without an address"),
        ({**RESULT, "ips": [{}]}, "ips has an item without an address"),
        ({**RESULT, "interfaces": [{}] * 65}, "interfaces is no list of up to 64"),
        ({**RESULT, "routes": 5}, "routes is no list"),
    ],
)
def test_malformed_result_is_refused(result: object, fault: str) -> None:
    with pytest.raises(PluginError, match=fault):
        protocol.result_of("macvlan", json.dumps(result).encode(), "1.0.0")


def test_result_has_addresses_and_the_mac_in_the_sandbox() -> None:
    found = protocol.result_of("macvlan", json.dumps(RESULT).encode(), "1.0.0")
    assert protocol.addresses_of(found) == ["192.168.11.10/24", "fd00:11::10/64"]
    assert protocol.mac_of(found, "net1") == bytes.fromhex("020000000001")
    host_end = {"interfaces": [{"name": "net1", "mac": MAC}]}
    odd = {"interfaces": [{"name": "net1", "mac": "zz", "sandbox": "x"}]}
    assert [protocol.mac_of(r, "net1") for r in (host_end, odd, {})] == [b""] * 3
    assert protocol.addresses_of({"ips": None}) == []
