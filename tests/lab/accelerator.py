"""Whether QEMU may use KVM here: /dev/kvm alone does not say that a guest runs in it."""

import dataclasses
import os
from pathlib import Path

from tests.lab import machine
from tests.lab.errors import LabError
from tests.lab.machine import Accelerator, Job, Mode, Settings
from tests.lab.rootfs import cache_directory

KVM = Path("/dev/kvm")
BOOT = Path("/proc/sys/kernel/random/boot_id")
LONG_ENOUGH_S = 15.0  # a guest in KVM has run a command after three


def with_best(settings: Settings) -> Settings:
    """Return the settings with KVM where it works, which is tried once per boot."""
    return dataclasses.replace(settings, accelerator=_best(settings))


def _best(settings: Settings) -> Accelerator:
    if not os.access(KVM, os.R_OK | os.W_OK):
        return Accelerator.TCG
    known = cache_directory() / "accelerator"
    boot = BOOT.read_text().strip()
    if known.exists() and known.read_text().startswith(boot):
        return Accelerator(known.read_text().split()[1])
    found = Accelerator.KVM if _kvm_works(settings) else Accelerator.TCG
    known.write_text(f"{boot} {found}\n")
    return found


def _kvm_works(settings: Settings) -> bool:
    trial = dataclasses.replace(settings, accelerator=Accelerator.KVM, timeout_s=LONG_ENOUGH_S)
    try:
        return machine.run(trial, Job("true", Mode.QEMU), lambda _: None) == 0
    except LabError:
        return False
