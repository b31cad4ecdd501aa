"""How the DaemonSets run the images: arguments of `podman run` from deploy/node."""

from __future__ import annotations

import tomllib
from typing import Any

import yaml

from deploy.images.build import CHECKOUT, TARGETS

VERSION = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]["version"]
IMAGE = {target: f"localhost/{name}:{VERSION}" for target, (name, _) in TARGETS.items()}
PORT = 9473


def container_of(part: str) -> Any:  # noqa: ANN401 - of a PodSpec
    """Return the container of a part in deploy/node; its command and rights are tried here."""
    found = yaml.safe_load_all((CHECKOUT / f"deploy/node/{part}.yaml").read_text())
    (owner,) = (o for o in found if o["kind"] == "DaemonSet")
    (container,) = owner["spec"]["template"]["spec"]["containers"]
    return container


def controller(manifests: str, *options: str) -> list[str]:
    """Return a controller that reads the manifests of a directory."""
    return [
        *("--network=host", "--pid=host", "--privileged", "--user=0", "--read-only"),
        "--volume=/run/netns:/run/netns:rshared",
        "--volume=/run/dualpath:/run/dualpath:rshared",
        f"--volume={manifests}:/etc/dualpath:ro",
        IMAGE["controller"],
        *(*container_of("node")["command"], "--datapath=kernel", "--config=/etc/dualpath"),
        *("--bridge=external", f"--metrics=127.0.0.1:{PORT}", *options),
    ]


def router(*options: str) -> list[str]:
    """Return a router, with more options of podman."""
    rights = container_of("router")["securityContext"]
    return [
        *("--network=host", "--cap-drop=all"),
        *(f"--cap-add={each}" for each in rights["capabilities"]["add"]),
        "--security-opt=no-new-privileges",
        "--volume=/run/netns:/run/netns:rslave",
        "--volume=/run/dualpath:/run/dualpath:rslave",
        *options,
        IMAGE["router"],
    ]
