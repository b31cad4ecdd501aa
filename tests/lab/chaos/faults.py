"""The faults, by name, and how long each may stop packets: DESIGN section 9, row by row."""

import contextlib
import math
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from tests.lab.chaos import hands
from tests.lab.chaos.world import World
from tests.lab.plan import Datapath
from tests.lab.processes import CommandFailed, run
from tests.lab.product import grout_socket, signal_grout

NONE_S = 0.0  # no packet may be lost
HANG_S = 20.0  # longer than zebra waits for its peer (15 s)
DISK_S = 8.0
BGP_BACK_S = 45.0  # after an uplink was down: sessions, routes, MACs
HUNG_S = 10.0  # FRR 10.7's OPEN lets peers drop its routes, until coalesce-time: decision 0113
GROUT_S = 60.0  # grout maps and clears its memory, and gets every row again
OF_L3VNI = ("manifest:one-more", "manifest:two-faults")
STRAIGHT = "straight"  # the lab's mode in which the guest's clock is this machine's


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens, and the longest gap that a flow may have because of it."""

    inject: Callable[[World], object]
    gap_s: float = NONE_S
    frr_dies: bool = False  # nobody answers what somebody changed in its namespace
    frr_answers: bool = False  # the gap ends once FRR has repeated what it lost
    repairs_hang: bool = False  # nobody repairs what another fault changed, for HANG_S


def allowed_s(faults: Sequence[Fault]) -> float:
    """Return the longest gap that faults at once may cost."""
    if any(fault.frr_dies for fault in faults) and any(fault.frr_answers for fault in faults):
        return math.inf  # FRR obeyed the change, and died before it could take that back
    gap_s = sum(fault.gap_s for fault in faults)
    return gap_s + HANG_S if gap_s and any(fault.repairs_hang for fault in faults) else gap_s


def every(datapath: Datapath, *, bridged_only: bool = False) -> Mapping[str, Fault]:
    """Return the faults by name: those of both datapaths, and those of one."""
    found = _every(datapath)
    if not bridged_only:
        return found
    tenants = {f"hand:{name}" for name in hands.of_l3vni()}
    return {name: it for name, it in found.items() if name not in {*OF_L3VNI, *tenants}}


def _every(datapath: Datapath) -> dict[str, Fault]:
    found = {**_daemons(), **_ours(), **_disks(), **_inputs(), **_clocks()}
    for name, hand in hands.CONTROL.items():
        found[f"hand:{name}"] = replace(_hand(hand), frr_answers=True)
    if datapath is Datapath.KERNEL:
        found |= {f"hand:{name}": _hand(hand) for name, hand in hands.KERNEL.items()}
    else:
        found |= _grout()
        found |= {f"hand:{name}": _hand(hand) for name, hand in hands.GROUT.items()}
    return found


def _hand(hand: hands.Hand) -> Fault:
    def inject(world: World) -> None:
        plan = world.pe1.plan
        grcli = f"grcli -s {grout_socket(plan)}"
        world.sh(hand.script.format(F=plan.name, C=plan.control, N=plan.node, grcli=grcli))

    return Fault(inject, hand.gap_s)


# -- FRR ----------------------------------------------------------------------------------


def _daemons() -> dict[str, Fault]:
    found = {"kill:frr": Fault(_kill_frr), "namespace:control": Fault(_delete_control)}
    found["frr.conf:full"] = Fault(_configuration_full, BGP_BACK_S)
    for name in ("zebra", "bgpd", "mgmtd", "staticd", "bfdd"):
        found[f"kill:{name}"] = Fault(_daemon(name, signal.SIGKILL))
    found["term:zebra"] = Fault(_daemon("zebra", signal.SIGTERM))
    # A bgpd that ends in order tells its peers so, and these drop its routes: see OPERATIONS.
    found["term:bgpd"] = Fault(_daemon("bgpd", signal.SIGTERM), BGP_BACK_S)
    found["stop:zebra"] = Fault(_hanging(partial(_pid, "zebra")))
    found["stop:bgpd"] = Fault(_hanging(partial(_pid, "bgpd")), HUNG_S)
    return {name: replace(fault, frr_dies=True) for name, fault in found.items()}


def _daemon(name: str, number: int) -> Callable[[World], None]:
    def inject(world: World) -> None:
        if name in world.pe1.router.pids():
            world.pe1.router.kill(name, number=number)
            time.sleep(1)
            world.frr_died = True

    return inject


def _pid(name: str, world: World) -> int:
    return world.pe1.router.pids().get(name, 0)


def _kill_frr(world: World) -> None:
    world.pe1.router.kill()
    time.sleep(2)
    world.frr_died = True


def _delete_control(world: World) -> None:
    world.pe1.router.stop()
    try:
        run(["ip", "netns", "delete", world.control])
    except CommandFailed as error:
        # EBUSY: the controller gave the name back between ip(8)'s umount and its unlink.
        if "busy" not in str(error):
            raise
    time.sleep(2)
    world.frr_died = True


# -- our own processes --------------------------------------------------------------------


def _ours() -> dict[str, Fault]:
    return {
        "kill:bridge": Fault(lambda world: _signal(world.bridge_pid, signal.SIGKILL)),
        "term:bridge": Fault(lambda world: _signal(world.bridge_pid, signal.SIGTERM)),
        "stop:bridge": Fault(_hanging(lambda world: world.bridge_pid), repairs_hang=True),
        "kill:controller": Fault(lambda world: world.pe1.controller.kill()),
        "term:controller": Fault(lambda world: world.pe1.controller.stop()),
        "stop:controller": Fault(
            _hanging(lambda world: world.pe1.controller.pid), repairs_hang=True
        ),
    }


def _signal(pid: int, number: int) -> None:
    if pid:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _hanging(pid_of: Callable[[World], int]) -> Callable[[World], None]:
    """Return what stops a process for longer than others wait for it."""

    def inject(world: World) -> None:
        if pid := pid_of(world):
            _signal(pid, signal.SIGSTOP)
            world.later(HANG_S, lambda: _signal(pid, signal.SIGCONT))

    return inject


def _grout() -> dict[str, Fault]:
    def agent(world: World) -> int:
        found = world.sh(f"pgrep -of 'agent.*{grout_socket(world.pe1.plan)}'").split()
        return int(found[0]) if found else 0

    def hang(world: World) -> None:
        signal_grout(world.pe1.plan, "STOP")
        world.later(HANG_S, lambda: signal_grout(world.pe1.plan, "CONT"))

    return {
        "kill:agent": Fault(lambda world: _signal(agent(world), signal.SIGKILL)),
        "term:agent": Fault(lambda world: _signal(agent(world), signal.SIGTERM)),
        "stop:agent": Fault(_hanging(agent), repairs_hang=True),
        "kill:grout": Fault(lambda world: signal_grout(world.pe1.plan, "KILL"), GROUT_S),
        "term:grout": Fault(lambda world: signal_grout(world.pe1.plan, "TERM"), GROUT_S),
        "stop:grout": Fault(hang, GROUT_S + HANG_S),
    }


# -- disks, inputs, clocks ----------------------------------------------------------------


def _disks() -> dict[str, Fault]:
    return {
        "state:full": Fault(_full),
        "state:read-only": Fault(_read_only),
        "state:deleted": Fault(_deleted),
        "state:sockets": Fault(partial(_delete, r"\( -name '*.sock' -o -name '*.lock' \)")),
    }


def _full(world: World) -> None:
    """Fill the file system of the state directory, and make frr-bridge need it."""
    world.sh("dd if=/dev/zero of=/run/filler bs=64k", 120)
    world.later(DISK_S, lambda: Path("/run/filler").unlink(missing_ok=True))
    _signal(world.bridge_pid, signal.SIGKILL)


def _read_only(world: World) -> None:
    state = world.pe1.plan.state
    world.sh(f"mount --bind {state} {state} && mount -o remount,bind,ro {state}")
    world.later(DISK_S, lambda: world.sh(f"mount -o remount,bind,rw {state}; umount -l {state}"))
    _signal(world.bridge_pid, signal.SIGKILL)


def _deleted(world: World) -> None:
    """Delete what is in the directory, also the manifest: what it says stays in force."""
    _delete("", world)
    world.later(3.0, lambda: world.pe1.write_manifest(world.good))


def _delete(which: str, world: World) -> None:
    """Delete files of the state directory, but not the socket of grout, which nobody can renew."""
    world.sh(f"find {world.pe1.plan.state} -mindepth 1 {which} ! -name grout.sock -delete")


def _configuration_full(world: World) -> None:
    """Fill the disk while frr.conf is written: FRR keeps the former configuration."""
    world.sh("dd if=/dev/zero of=/etc/frr/filler bs=64k", 120)
    world.manifest.write_text(
        world.good.replace("gracefulRestart: {}", "gracefulRestart: {restartTime: 150}")
    )

    def again() -> None:
        world.manifest.write_text(world.good)
        Path("/etc/frr/filler").unlink(missing_ok=True)

    world.later(DISK_S, again)


def _inputs() -> dict[str, Fault]:
    return {
        "fpm:garbage": Fault(_fpm_garbage),
        "fpm:cut": Fault(_fpm_cut),
        "manifest:broken": Fault(_manifest("{{{")),
        "manifest:empty-document": Fault(_manifest("---\n{good}---\n")),
        "manifest:two-faults": Fault(
            _manifest(
                "{good}---\napiVersion: network.openperouter.io/v1alpha1\nkind: L3VNI\n"
                "metadata: {{name: blue}}\nspec: {{vrf: blue, vni: 100}}\n"
            )
        ),
        "manifest:one-more": Fault(
            _manifest(
                "{good}---\napiVersion: network.openperouter.io/v1alpha1\nkind: L3VNI\n"
                "metadata: {{name: blue}}\nspec: {{vrf: blue, vni: 200}}\n---\n"
                "apiVersion: network.openperouter.io/v1alpha1\nkind: L2VNI\n"
                "metadata: {{name: extra}}\nspec: {{vni: 210}}\n"
            )
        ),
        "flap:short": Fault(_flap(0.3), BGP_BACK_S),
        "flap:long": Fault(_flap(4.0), 4.0 + BGP_BACK_S),
        "burst:control": Fault(_burst),
    }


def _manifest(form: str) -> Callable[[World], None]:
    def inject(world: World) -> None:
        world.manifest.write_text(form if form == "{{{" else form.format(good=world.good))
        world.later(5.0, lambda: world.manifest.write_text(world.good))

    return inject


def _flap(down_s: float) -> Callable[[World], None]:
    def inject(world: World) -> None:
        world.fabric.cut(world.pe1)
        world.later(down_s, lambda: world.fabric.mend(world.pe1))

    return inject


_CALLERS = """
import os, socket
long = b"\\1\\1\\xff\\xff" + b"A" * 3000
for data in (os.urandom(2000), long, b"\\1\\1\\0\\3", b"", b"\\1\\1\\0"):
    caller = socket.create_connection(("127.0.0.1", 2620))
    caller.sendall(data)
    caller.close()
"""


def _fpm_garbage(world: World) -> None:
    world.sh(f"nsenter --net=/run/netns/{world.control} python3 -c '{_CALLERS}'")


def _fpm_cut(world: World) -> None:
    """Reset zebra's FPM connection, in the middle of whatever it sends."""
    world.sh(f"ip netns exec {world.control} ss -K dst 127.0.0.1 dport = 2620")


def _burst(world: World) -> None:
    """Overrun netlink sockets in FRR's namespace: ten thousand neighbors come and go."""
    rows = (
        "for i in $(seq 0 39); do for j in $(seq 0 249); do "
        'echo "neigh {} 10.99.$i.$j {} dev br110 {}"; done; done'
    )
    add = rows.format("replace", "lladdr 02:99:00:00:00:01", "nud noarp extern_learn")
    world.sh(f"{add} > /tmp/burst; ip -n {world.control} -batch /tmp/burst", 120)
    world.sh(
        f"{rows.format('del', '', '')} > /tmp/burst; ip -n {world.control} -batch /tmp/burst", 120
    )


def _clocks() -> dict[str, Fault]:
    if os.environ.get("DUALPATH_LAB_MODE", STRAIGHT) == STRAIGHT:
        return {}  # it would be this machine's
    return {
        "clock:forward": Fault(lambda world: world.sh("date -s '+1 hour'")),
        "clock:back": Fault(lambda world: world.sh("date -s '-1 day'")),
    }
