"""`dualpath support-bundle`: everything that a developer needs, in one file and without secrets.

It never fails as a whole: a command that fails (no daemon, no root, no FRR) leaves a file with the
reason, and `missing.txt` lists these files. The daemon's command line has the paths of manifests,
logs and FRR.
"""

from __future__ import annotations

import io
import json
import os
import re
import socket
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

from controller.cli.command import Option
from controller.cli.options import StateDirOption, Target
from controller.cli.terminal import echo, fail
from dualpath.model.redact import MASK, redact
from dualpath.process import options
from dualpath.rpc.connect import ConnectError, unix_path

COMMAND_S = 20.0
MOST = 20_000_000  # characters of one file
LOG_LINES = "20000"
CONFIG = Path("/etc/dualpath")
FAILED = "# not available: "  # the beginning of a file that has only the reason why it is empty
SECRET = re.compile(r"(password|passphrase|secret|psk|token|privatekey)$", re.IGNORECASE)

ASKED = ("status", "audit", "vrfs", "vnis", "ports", "vteps", "nexthops", "lsps", "routes", "macs")
"""Commands of ours, the short answers first. Their answers hold no secrets."""

FRR = (
    "show version",
    "show running-config",
    "show bgp vrf all summary",
    "show bgp l2vpn evpn summary",
    "show bgp l2vpn evpn route",
    "show evpn vni detail",
    "show evpn mac vni all",
    "show vrf",
    "show interface",
    "show nexthop-group rib",
    "show ip route vrf all",
    "show ipv6 route vrf all",
    "show zebra fpm counters",
    "show zebra client",
)
KERNEL = (
    "ip -d link",
    "ip addr",
    "ip rule",
    "ip route show table all",
    "ip -6 route show table all",
    "ip -d nexthop",
    "ip neigh",
    "bridge -d link",
    "bridge fdb",
    "tc -s qdisc",
)
MACHINE = (
    "uname -a",
    "ip -d link",
    "ip addr",
    "ip netns list",
    "free -m",
    "df -h",
    "ps -eo pid,ppid,user,etime,rss,args",
    f"journalctl --no-pager -n {LOG_LINES} -u dualpath -u frr",
    f"journalctl --no-pager -k -n {LOG_LINES}",
)

GROUT = (
    "interface show",
    "nexthop show",
    "route show",
    "fdb show",
    "flood vtep show",
    "stats show software",
    "stats show hardware",
)
FRR_LOGS = Path("/var/log/frr")

Run = Callable[[Sequence[str]], str]


@dataclass(frozen=True, slots=True)
class Places:
    """The locations of the parts of one Dualpath; "" and () if unknown."""

    control: str = ""
    forwarding: str = ""
    frr_name: str = ""
    grout_sock: str = ""
    config: tuple[Path, ...] = ()
    logs: tuple[Path, ...] = ()


def support_bundle(
    target: Target,
    file: Annotated[
        Path | None,
        Option("--file", metavar="PATH", help="The file to write (default: in this directory)."),
    ] = None,
    config: Annotated[
        list[Path] | None,
        Option("--config", metavar="PATH", help="Manifests (default: the daemon's)."),
    ] = None,
    log: Annotated[
        list[Path] | None,
        Option("--log", metavar="PATH", help="A log file in addition to the journal; repeatable."),
    ] = None,
    state_dir: StateDirOption = Path(options.STATE_DIR),
    frr_name: Annotated[
        str,
        Option("--frr-name", metavar="NAME", parse=options.frr_name, help="FRR's -N, if any."),
    ] = "",
) -> None:
    """Collect state, logs and manifests without secrets in one file.

    The daemon's answers, FRR's view, the kernel's view of each namespace, logs, and manifests with
    passwords masked. Run it as root. `missing.txt` lists what could not be collected, and why.
    Paths and names are those of the running daemon, unless options give others.

    dualpath support-bundle
    dualpath support-bundle --file /tmp/pe1.tar.gz --config /etc/dualpath
    """
    stamp = time.strftime("%Y%m%d-%H%M%S")
    name = f"dualpath-{socket.gethostname()}-{stamp}"
    written = file or Path(f"{name}.tar.gz")
    running = daemon_options(target)
    state_dir = Path(running.get("state-dir", [state_dir])[-1])
    status = _status(target)
    places = Places(
        **namespaces(status, state_dir),
        frr_name=frr_name or running.get("frr-name", [""])[-1],
        grout_sock=_grout_sock(status),
        config=tuple(config or map(Path, running.get("config", [CONFIG]))),
        logs=(*(log or ()), *sorted(state_dir.glob("*.log")), *sorted(FRR_LOGS.glob("*.log"))),
    )
    try:
        descriptor = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with (
            os.fdopen(descriptor, "wb") as opened,
            tarfile.open(fileobj=opened, mode="w:gz") as tar,
        ):
            missing = _write(tar, name, contents(target, places, run))
    except OSError as error:
        fail(f"{written}: {error.strerror}")
    echo(f"{written}: {written.stat().st_size:,} bytes; passwords are masked, addresses are not")
    if missing:
        echo(f"not collected, see missing.txt in it: {', '.join(missing)}")


def _write(tar: tarfile.TarFile, name: str, files: Iterable[tuple[str, str]]) -> list[str]:
    """Write the files; return those that contain only a reason."""
    reasons = {}
    for path, text in files:
        _add(tar, f"{name}/{path}", text)
        if text.startswith(FAILED):
            reasons[path] = text.partition("\n")[0]
    if reasons:
        lines = (f"{path}: {reason.removeprefix(FAILED)}\n" for path, reason in reasons.items())
        _add(tar, f"{name}/missing.txt", "".join(lines))
    return list(reasons)


def contents(target: Target, places: Places, execute: Run) -> Iterator[tuple[str, str]]:
    """Yield the path and the text of each file."""
    ours = _ours(target)
    for command in ("version", *ASKED):
        form = () if command == "version" else ("-o", "json")
        yield f"dualpath/{command}.json", execute([*ours, command, *form])
    for command in FRR:
        vtysh = ["vtysh", *(("-N", places.frr_name) if places.frr_name else ()), "-c", command]
        yield f"frr/{_slug(command)}.txt", redact(execute(_inside(places.control, vtysh)))
    for role, space in (("control", places.control), ("forwarding", places.forwarding)):
        for command in KERNEL if space else ():
            yield f"{role}/{_slug(command)}.txt", execute(_inside(space, command.split()))
    for command in GROUT if places.grout_sock else ():
        grcli = ["grcli", "-s", places.grout_sock, *command.split()]
        yield f"grout/{_slug(command)}.txt", execute(grcli)
    for command in MACHINE:
        yield f"machine/{_slug(command)}.txt", redact(execute(command.split()))
    for path in places.logs:
        yield f"logs{path.absolute()}", _log(path)
    for path in manifests(places.config):
        yield f"manifests{path}", without_secrets(path)


def _ours(target: Target) -> list[str]:
    """Return the command `dualpath` for the same daemon."""
    ours = [sys.executable, "-m", "controller.cli", "--connect", target.connect]
    for name, file in (("cert", target.certificate), ("key", target.key), ("ca", target.ca)):
        ours += [f"--{name}", str(file)] if file else []
    return ours


def daemon_options(target: Target) -> dict[str, list[str]]:
    """Return the options of the running daemon; {} if it is not on this host.

    A UNIX socket identifies the process that listens on it.
    """
    from dualpath.process.pidfd import listening_pid

    try:
        path = unix_path(target.connect)
        pid = listening_pid(Path(path)) if path else 0
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except (OSError, ConnectError):
        return {}
    found: dict[str, list[str]] = {}
    for word, following in pairwise([*words, ""]):
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            found.setdefault(name, []).append(value if equals else following)
    return found


def _status(target: Target) -> Any:  # noqa: ANN401 - JSON
    """Return the output of `dualpath status -o json`; {} without an answer."""
    try:
        return json.loads(run([*_ours(target), "status", "-o", "json"]))
    except ValueError:
        return {}


def _grout_sock(status: Any) -> str:  # noqa: ANN401 - JSON
    try:
        facts = status["datapath_status"]["facts"]
        return next((fact["value"] for fact in facts if fact["name"] == "socket"), "")
    except (KeyError, TypeError):
        return ""


def namespaces(status: Any, state_dir: Path) -> dict[str, str]:  # noqa: ANN401 - JSON
    """Return FRR's namespace and the forwarding one, from the daemon or its state directory."""
    try:
        return {"control": status["frr_netns"], "forwarding": status["netns"]}
    except (KeyError, TypeError):
        pass
    try:
        noted = json.loads((state_dir / "namespaces.json").read_text(encoding="utf-8"))
        return {"control": noted["control"], "forwarding": noted["forwarding"]}
    except (OSError, ValueError, KeyError, TypeError):
        return {"control": "", "forwarding": options.DEFAULT_NETNS}


def _inside(space: str | None, command: Sequence[str]) -> list[str]:
    """Return a command for a namespace by name or path; "" is the machine's own."""
    if not space:
        return list(command)
    path = space if space.startswith("/") else f"/run/netns/{space}"
    return ["nsenter", f"--net={path}", "--", *command]


def run(command: Sequence[str]) -> str:
    """Return a command's output, or the reason why it has none."""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=COMMAND_S,
            check=False,
            errors="replace",
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{FAILED}{error}\n"
    failed = f"{FAILED}exit code {done.returncode}: {done.stderr}" if done.returncode else ""
    return done.stdout[:MOST] + failed


def _log(path: Path) -> str:
    """Return the end of a log file."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - MOST))
            return redact(file.read(MOST).decode(errors="replace"))
    except OSError as error:
        return f"{FAILED}{error.strerror}\n"


def manifests(paths: Sequence[Path]) -> Iterator[Path]:
    """Yield the manifest files that paths stand for, absolute."""
    for path in paths:
        absolute = path.absolute()
        found = [absolute] if not path.is_dir() else absolute.rglob("*")
        yield from sorted(f for f in found if f.suffix in (".yaml", ".yml", ".json"))


def without_secrets(path: Path) -> str:
    """Return a manifest with its secrets masked, and without comments, which may contain some too.

    A text that cannot be parsed is left out, because its secrets cannot be found.
    """
    import yaml

    try:
        documents = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, yaml.YAMLError) as error:
        return f"{FAILED}{type(error).__name__}\n"
    masked = [masked_tree(document) for document in documents]
    text: str = yaml.safe_dump_all(masked, sort_keys=False, allow_unicode=True)
    return text


def masked_tree(tree: Any, *, secret: bool = False) -> Any:  # noqa: ANN401 - of YAML
    """Return a tree with the values of passwords masked, in FRR's commands too."""
    if isinstance(tree, dict):
        all_of_it = secret or tree.get("kind") == "Secret"
        return {
            key: masked_tree(value, secret=_hides(str(key), value, all_of_it=all_of_it))
            for key, value in tree.items()
        }
    if isinstance(tree, list):
        return [masked_tree(item, secret=secret) for item in tree]
    if secret and tree is not None:
        return MASK
    return redact(tree) if isinstance(tree, str) else tree


def _hides(key: str, value: object, *, all_of_it: bool) -> bool:
    """Return whether a key's value is secret; `passwordSecret` is a name, so it is shown."""
    if all_of_it:
        return key not in ("apiVersion", "kind", "metadata", "type")
    return bool(SECRET.search(key)) and key != "passwordSecret" and value is not None


def _slug(command: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", command.lower()).strip("-")[:60]


def _add(tar: tarfile.TarFile, name: str, text: str) -> None:
    data = text.encode("utf-8", "replace")
    about = tarfile.TarInfo(name)
    about.size, about.mtime, about.mode = len(data), int(time.time()), 0o600
    tar.addfile(about, io.BytesIO(data))
