"""Let the product find an older FRR where Debian installs FRR: vtysh, frr-reload.py, the daemons.

The older FRR has a root filesystem of its own (`Version.tree`), which shares /run, /tmp and
/etc/frr with the lab. Its programs run by that tree's own loader and libraries, so that FRR's user
can run them too, or in a chroot where they do not.
"""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from tests.lab.frr import Version
from tests.lab.processes import run

LIBRARY = Path("/usr/lib/frr")
VTYSH = Path("/usr/bin/vtysh")
LOADER = "lib64/ld-linux-x86-64.so.2"
LIBRARIES = ("usr/lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu/frr")
MADE = Path("/run/frr-programs")


@contextlib.contextmanager
def installed(version: Version) -> Iterator[None]:
    """Put the programs of `version` where the product looks, for the length of a block."""
    if version is Version.SID:
        yield
        return
    library = MADE / version.value
    library.mkdir(parents=True, exist_ok=True)
    for program in (version.tree / "usr/lib/frr").iterdir():
        _wrap(version, program, library / program.name)
    shutil.copy(version.tree / "usr/lib/frr/frr-reload.py", library / "frr-reload.py")
    _wrap(version, version.tree / "usr/bin/vtysh", library / "vtysh")
    with contextlib.ExitStack() as stack:
        for source, target in ((library, LIBRARY), (library / "vtysh", VTYSH)):
            run(["mount", "--bind", str(source), str(target)])
            stack.callback(run, ["umount", "--lazy", str(target)])
        yield


def _wrap(version: Version, program: Path, wrapper: Path) -> None:
    path = ":".join(str(version.tree / directory) for directory in LIBRARIES)
    loader = version.tree / LOADER
    if version is Version.BOOKWORM:  # vtysh 8.4 crashes under another loader
        wrapper.write_text(_chroot(version, program))
        wrapper.chmod(0o755)
        return
    wrapper.write_text(f'#!/bin/sh\nexec {loader} --library-path {path} {program} "$@"\n')
    wrapper.chmod(0o755)


def _chroot(version: Version, program: Path) -> str:
    """Return a script that runs a program in its tree; chroot(2) takes root, if only for a while.

    FRR's user is root in a user namespace of its own, over its own files as ever.
    """
    inside = f'/usr/sbin/chroot {version.tree} /{program.relative_to(version.tree)} "$@"'
    return (
        "#!/bin/sh\n"
        f'[ "$(/usr/bin/id -u)" = 0 ] && exec {inside}\n'
        f"exec /usr/bin/unshare --user --map-root-user {inside}\n"
    )
