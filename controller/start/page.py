"""`controller --ui`: the page of `dualpath ui`, served by a process beside the controller.

A browser that asks much takes no time of the process that programs routes.
"""

from __future__ import annotations

import logging
import sys
from typing import NoReturn

from controller.node.supervisor import Child
from controller.settings import Settings
from controller.ui.address import FILE

log = logging.getLogger(__name__)


async def keep(settings: Settings) -> NoReturn:
    """Keep the page's server running until cancelled; remove the file with its address then."""
    file = settings.state_dir / FILE
    command = (
        *(sys.executable, "-P", "-m", "controller.cli"),
        *("--connect", settings.listen),
        *("ui", "--listen", settings.ui, "--address-file", str(file), "--until-eof"),
    )
    log.info("the page is at http://%s; %s has its address with the key", settings.ui, file)
    try:
        await Child("dualpath ui", command).run()
    finally:
        file.unlink(missing_ok=True)
