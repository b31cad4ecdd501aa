"""VRFs whose device was deleted, and whose routes zebra does not all withdraw.

When a VRF is deleted, zebra withdraws only some of its routes. This module withdraws the others by
table number, before the next VRF with that number brings its own routes:

    netlink: red (table 1100) deleted    FPM: routes of table 1100    netlink: blue (1100) created

In that order, the routes of the two VRFs can be told apart. But FPM and netlink are two sockets,
and a dump shows only the end result. When the order is lost, only zebra knows which routes belong
to which VRF. Then frr-bridge ends the FPM session, so that zebra connects again and repeats all
routes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from frr_bridge.overlay.devices import ShadowDevices
from frr_bridge.rib import Rib

log = logging.getLogger(__name__)


class DeletedVrfs:
    """The table numbers of deleted VRFs whose routes are still there."""

    def __init__(
        self,
        rib: Rib,
        devices: ShadowDevices,
        obeying: Callable[[], bool],
        replay: Callable[[], None],
    ) -> None:
        self._rib = rib
        self._devices = devices
        self._obeying = obeying
        self._replay = replay
        self._tables: set[int] = set()
        self.fpm_ahead = False  # FPM frames were read before the netlink messages that precede them

    def deleted(self, table: int) -> None:
        self._tables.add(table)

    def created(self, table: int) -> None:
        self._tables.discard(table)

    def swept(self) -> None:
        """Drop the tables that another VRF uses now: a sweep removed the old routes."""
        self._tables -= self._devices.vrfs().keys()

    def withdraw(self) -> None:
        """Withdraw the routes of deleted VRFs, if withdrawals are applied now."""
        if not self._tables or not self._obeying():
            return
        reused = self._tables & self._devices.vrfs().keys()
        if reused or self.fpm_ahead:
            log.info(
                "a VRF device was replaced while netlink was behind; "
                "ending the FPM session, so that zebra repeats its routes"
            )
            self._tables -= reused
            self.fpm_ahead = False
            self._replay()
            return
        for number in self._tables:
            self._rib.end(number)
