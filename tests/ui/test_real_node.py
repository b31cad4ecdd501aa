"""The page of `controller --ui` on a node with real FRR, in a fabric of a guest of the lab."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from tests.lab.plan import pe_plans
from tests.lab.shown import TOPOLOGY
from tests.ui.conftest import HIGH, WIDE, Look
from tests.ui.guest import Guest, showing

pytestmark = [pytest.mark.ui, pytest.mark.long]

ONE, TWO, THREE = pe_plans(TOPOLOGY)
SEEN_MS = 120_000  # a guest has one CPU, and BGP's hold time has to pass
SAMPLES_MS = 40_000  # for a time line in which something is seen


@pytest.fixture(scope="module")
def guest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guest]:
    with showing(tmp_path_factory.mktemp("guest")) as made:
        yield made


@pytest.fixture(scope="module")
def seen(guest: Guest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Look]:
    """The page in a Chromium that is in the guest's namespace."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    assert chromium, "no Chromium: run `make ui`"
    inside = tmp_path_factory.mktemp("browser") / "chromium"
    inside.write_text(f'#!/bin/sh\nexec ip netns exec {guest.namespace} {chromium} "$@"\n')
    inside.chmod(0o755)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=inside, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDE, "height": HIGH}, color_scheme="light")
        page.set_default_timeout(SEEN_MS)
        look = Look(page, [], [])
        page.on("console", lambda message: look.said.append(message.text))
        page.on("pageerror", lambda error: look.said.append(str(error)))
        page.goto(guest.address)
        for drawn in ("#ports tbody tr", "#counts tbody tr", "#sessions tbody tr"):
            page.wait_for_selector(drawn)
        yield look
        browser.close()


def items(page: Any, place: str) -> set[str]:  # noqa: ANN401
    return set(page.locator(f"{place} .name").all_inner_texts())


def test_all_is_well_on_a_real_node(seen: Look) -> None:
    page = seen.page
    page.wait_for_selector('#notice-text:has-text("none refused")')
    page.wait_for_selector('#sessions tr:has-text("Established") >> nth=3')
    found = items(page, "#columns")
    assert {"red", "blue", "100", "110", "200", "210", "eth1", "eth2"} <= found
    assert {TWO.vtep, THREE.vtep} <= found
    assert page.locator("#columns .is-failed").count() == 0


def test_the_path_to_a_host_behind_another_node(seen: Look) -> None:
    page = seen.page
    page.select_option("#search-vrf", "red")
    page.fill("#search-address", TWO.routed_addresses[0])
    page.press("#search-address", "Enter")
    page.wait_for_selector(".hop")
    hops = page.locator(".hop b").all_inner_texts()
    address = TWO.routed_addresses[0]  # a route of its own, by EVPN type 2, or its network's
    assert hops[1] in {f"{address}/32", TWO.pools[0]}
    assert [hops[0], *hops[2:]] == [address, "VNI 100", TWO.vtep, "eth1, eth2"]
    seen.picture("node-path")
    page.click("#path-close")


def test_a_lost_uplink_is_seen_and_so_is_its_return(seen: Look, guest: Guest) -> None:
    page, peer = seen.page, ONE.uplinks[1].spine_address
    guest.order("cut")
    page.wait_for_selector('.item.is-failed:has-text("eth2")')
    page.wait_for_selector(f'#notice-text:has-text("1 BGP session down: {peer}")')
    page.wait_for_selector(f'#entries .bad-line:has-text("BGP {peer}")')
    page.wait_for_selector('#entries .bad-line:has-text("port eth2")')
    assert page.title().startswith("✕")
    seen.picture("node-peer-down")
    guest.order("mend")
    page.wait_for_selector('#notice-text:has-text("none refused")')
    page.wait_for_selector('.item.is-failed:has-text("eth2")', state="detached")
    page.wait_for_selector('#sessions tr:has-text("Established") >> nth=3')
    page.wait_for_timeout(SAMPLES_MS)  # measured time; nothing is waited for
    seen.picture("node")
    # Chromium says so of an address that is not loopback: users have a tunnel to one.
    assert [text for text in seen.said if "Cross-Origin-Opener-Policy" not in text] == []
