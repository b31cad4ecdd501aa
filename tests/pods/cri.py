"""A kubelet's part in the life of a pod, as calls of CRI."""

from __future__ import annotations

import json
import sys
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import grpc

SERVICE = "/runtime.v1.RuntimeService"
CALL_S = 60.0
NAMESPACE = "dualpath-system"


def _messages() -> ModuleType:
    """Compile the messages beside this file; only developers have the compiler."""
    from grpc_tools import protoc  # type: ignore[import-untyped]  # it has no types

    with tempfile.TemporaryDirectory() as directory:
        here = str(Path(__file__).parent)
        assert protoc.main(["protoc", f"-I{here}", f"--python_out={directory}", "cri.proto"]) == 0
        sys.path.insert(0, directory)
        try:
            import cri_pb2  # type: ignore[import-not-found]  # just made
        finally:
            sys.path.remove(directory)
    module: ModuleType = cri_pb2
    return module


@dataclass(frozen=True, slots=True)
class Container:
    """What runs in a pod."""

    image: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    mounts: Mapping[str, Path] = field(default_factory=dict)  # read-only
    shared: Mapping[str, Path] = field(
        default_factory=dict
    )  # written to; mounts come from the node
    capabilities: Sequence[str] = ()


class Kubelet:
    """Makes and ends pods at a runtime's socket."""

    def __init__(self, socket: Path, logs: Path) -> None:
        self._pb: Any = _messages()
        self._channel = grpc.insecure_channel(f"unix:{socket}")
        self._logs = logs

    def close(self) -> None:
        self._channel.close()

    def start(self, name: str, container: Container) -> Pod:
        """Start a pod with a network namespace of its own, and one container."""
        pb = self._pb
        uid = str(uuid.uuid4())
        labels = {
            "io.kubernetes.pod.name": name,
            "io.kubernetes.pod.namespace": NAMESPACE,
            "io.kubernetes.pod.uid": uid,
            "app": name,
        }
        sandbox = pb.SandboxConfig(
            metadata=pb.Metadata(name=name, uid=uid, namespace=NAMESPACE),
            hostname=name,
            log_directory=str(self._logs),
            labels=labels,
            linux=pb.SandboxLinux(cgroup_parent="/dualpath-test"),
        )
        request = pb.SandboxRequest(config=sandbox)
        pod = Pod(self, name, self.call("RunPodSandbox", request, pb.SandboxId).id, sandbox)
        pod.run(container)
        return pod

    def call(self, method: str, request: Any, reply: Any) -> Any:  # noqa: ANN401 - generated
        call = self._channel.unary_unary(
            f"{SERVICE}/{method}", type(request).SerializeToString, reply.FromString
        )
        return call(request, timeout=CALL_S)

    @property
    def pb(self) -> Any:  # noqa: ANN401 - generated
        return self._pb


class Pod:
    """A pod that runs."""

    def __init__(self, kubelet: Kubelet, name: str, id_: str, sandbox: object) -> None:
        self._kubelet = kubelet
        self._name = name
        self._id = id_
        self._sandbox = sandbox
        self._container = ""

    def run(self, container: Container) -> None:
        """Start the pod's container, or another one in its place."""
        pb = self._kubelet.pb
        mounts = [
            pb.Mount(container_path=inside, host_path=str(path), readonly=True)
            for inside, path in container.mounts.items()
        ]
        mounts += [
            pb.Mount(container_path=inside, host_path=str(path), propagation=pb.HOST_TO_CONTAINER)
            for inside, path in container.shared.items()
        ]
        security = pb.ContainerSecurity(
            capabilities=pb.Capability(add=container.capabilities, drop=["ALL"]), no_new_privs=True
        )
        config = pb.ContainerConfig(
            metadata=pb.ContainerMetadata(name=self._name),
            image=pb.ImageSpec(image=container.image),
            command=container.command,
            envs=[
                pb.KeyValue(key=key, value=value) for key, value in container.environment.items()
            ],
            mounts=mounts,
            log_path=f"{self._name}.log",
            linux=pb.ContainerLinux(security_context=security),
        )
        request = pb.ContainerRequest(pod=self._id, config=config, sandbox=self._sandbox)
        self._container = self._kubelet.call("CreateContainer", request, pb.ContainerId).id
        self._call("StartContainer", pb.ContainerId(id=self._container))

    def namespace(self) -> str:
        """Return the file of its network namespace."""
        return str(
            next(
                each["path"]
                for each in self._info()["runtimeSpec"]["linux"]["namespaces"]
                if each["type"] == "network"
            )
        )

    def exec(self, *command: str) -> str:
        """Run a command in the container; return what it prints."""
        pb = self._kubelet.pb
        request = pb.ExecRequest(id=self._container, cmd=command, timeout=30)
        done = self._kubelet.call("ExecSync", request, pb.ExecResponse)
        assert done.exit_code == 0, f"{command}: {done.stdout.decode()}{done.stderr.decode()}"
        return str(done.stdout.decode())

    def kill(self) -> None:
        """Kill the container, as the kernel does when it has too little memory."""
        pb = self._kubelet.pb
        self._call("StopContainer", pb.StopRequest(id=self._container, timeout=0))
        self._call("RemoveContainer", pb.ContainerId(id=self._container))

    def delete(self) -> None:
        """End the pod; its network namespace goes with it."""
        pb = self._kubelet.pb
        self.kill()
        self._call("StopPodSandbox", pb.SandboxId(id=self._id))
        self._call("RemovePodSandbox", pb.SandboxId(id=self._id))

    def _info(self) -> Any:  # noqa: ANN401 - JSON
        pb = self._kubelet.pb
        request = pb.StatusRequest(id=self._id, verbose=True)
        reply = self._kubelet.call("PodSandboxStatus", request, pb.StatusResponse)
        return json.loads(reply.info["info"])

    def _call(self, method: str, request: object) -> None:
        self._kubelet.call(method, request, self._kubelet.pb.Empty)
