"""CNI plugins that are shell scripts, and a forwarding namespace that is a dictionary.

A plugin notes each call, and answers as the specification has it, unless a test gives it another
answer: `Scripts.answer("macvlan", "ADD", "exit 1")`.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from controller.cni import protocol, records
from controller.cni.interfaces import Namespace, Presence
from controller.cni.records import Record, Stage
from dualpath.model.cni import CniDevice

SCRIPT = """\
#!/bin/sh
here=${0%/*}
me=${0##*/}
echo "$me $CNI_COMMAND" >>"$here/calls"
env | grep ^CNI_ | sort >"$here/$me.$CNI_COMMAND.env"
cat >"$here/$me.$CNI_COMMAND.stdin"
if [ -e "$here/$me.$CNI_COMMAND.sh" ]; then
    . "$here/$me.$CNI_COMMAND.sh"
    exit
fi
case $CNI_COMMAND in
VERSION) echo '{"cniVersion": "1.1.0", "supportedVersions": ["0.4.0", "1.0.0", "1.1.0"]}' ;;
ADD) cat "$here/$me.result" ;;
esac
"""
MAC = "02:00:00:00:00:01"
RESULT = {
    "cniVersion": "1.0.0",
    "interfaces": [{"name": "net1", "mac": MAC, "sandbox": "/run/netns/fwd"}],
    "ips": [{"address": "192.168.11.10/24", "interface": 0}, {"address": "fd00:11::10/64"}],
}
PATH = "/proc/self/ns/net"


class Scripts:
    """A directory of plugins."""

    def __init__(self, directory: Path, *names: str) -> None:
        self.directory = directory
        directory.mkdir(mode=0o755)
        for name in names:
            (directory / name).write_text(SCRIPT)
            (directory / name).chmod(0o755)
            self.result(name, RESULT)

    def result(self, plugin: str, result: object) -> None:
        (self.directory / f"{plugin}.result").write_text(json.dumps(result))

    def answer(self, plugin: str, command: str, script: str) -> None:
        (self.directory / f"{plugin}.{command}.sh").write_text(script)

    def fail(self, plugin: str, command: str, code: int, message: str) -> None:
        error = json.dumps({"cniVersion": "1.0.0", "code": code, "msg": message})
        self.answer(plugin, command, f"cat <<'END'\n{error}\nEND\nexit 1\n")

    def cure(self, plugin: str, command: str) -> None:
        (self.directory / f"{plugin}.{command}.sh").unlink()

    @property
    def calls(self) -> list[str]:
        """Return the calls so far, without those to VERSION."""
        file = self.directory / "calls"
        lines = file.read_text().splitlines() if file.exists() else []
        return [line for line in lines if not line.endswith("VERSION")]

    def given(self, plugin: str, command: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(
            (self.directory / f"{plugin}.{command}.stdin").read_text()
        )
        return found

    def environment(self, plugin: str, command: str) -> dict[str, str]:
        text = (self.directory / f"{plugin}.{command}.env").read_text()
        return dict(line.split("=", 1) for line in text.splitlines())


class FakeNamespace(Namespace):
    """A namespace without a kernel: it has what ADD left, and loses what DEL was called for."""

    def __init__(self, scripts: Scripts) -> None:
        super().__init__(PATH, None)
        self._scripts = scripts
        self.foreign: dict[str, bytes] = {}
        self.lost: set[str] = set()
        self.made_nothing = False
        self.present_addresses: set[str] | None = None  # None: all of the result

    def mac(self, name: str) -> bytes | None:
        if name in self.foreign:
            return self.foreign[name]
        maker = {"net1": "macvlan", "net2": "tuning"}[name]
        made = [call for call in self._scripts.calls if call in (f"{maker} ADD", f"{maker} DEL")]
        there = bool(made) and made[-1].endswith(" ADD") and not self.made_nothing
        return bytes.fromhex(MAC.replace(":", "")) if there and name not in self.lost else None

    def addresses(self, name: str) -> set[str]:
        if self.present_addresses is not None:
            return self.present_addresses
        return set(protocol.addresses_of(RESULT))

    def presence(self, record: Record) -> Presence:
        there = record.stage is Stage.ADDED and self.mac(record.device.name) is not None
        same = records.space_of(record.space.path) == record.space
        return Presence.AS_MADE if there and same else Presence.GONE


def device(*plugins: dict[str, Any], arguments: object = None, **changes: object) -> CniDevice:
    conf = {"cniVersion": "1.0.0", "name": "fabric", "plugins": [*plugins]}
    conf["plugins"] = conf["plugins"] or [{"type": "macvlan", "master": "eth0"}]
    return CniDevice("net1", json.dumps({**conf, **changes}), json.dumps(arguments or {}))


def record(wanted: CniDevice) -> Record:
    return Record(wanted, "dualpath-pe1-fwd", records.space_of(PATH), Stage.ADDING)


def is_root() -> bool:
    return os.geteuid() == 0
