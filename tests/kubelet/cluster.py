"""A Kubernetes of two nodes: a control plane, and kubelet and containerd twice.

DUALPATH_TEST_NODES=1 has one node only, on a machine with little memory.

Each node is the namespaces of a machine of tests/pods: /run is a file system of its own, and what
pods write to /etc, /opt and /var never reaches the real disk. The first node has the control plane
as well. Roles are enforced.

Two parts of a cluster are missing. Services have no kube-proxy: the first node has the address of
the API server's Service, and the API server asks endpoints of webhooks. Pods find no name by DNS.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.kube import build as kube
from tests.kubelet import build
from tests.pods import containerd
from tests.pods.containerd import Machine
from tests.pods.programs import programs
from tests.pods.waiting import until

NODES = ("node-1", "node-2")[: int(os.environ.get("DUALPATH_TEST_NODES", "2"))]
ADDRESSES = ("192.168.99.2", "192.168.99.3")  # on a cable between the nodes
GATEWAY = "192.168.99.1"  # nobody; kubelet wants a default route
SERVICE = "10.96.0.1"  # the API server as pods see it
SERVICES, PODS = "10.96.0.0/16", "10.244.0.0/16"
POD_SUBNETS = ("10.244.0.0/24", "10.244.1.0/24")
PORT = 443
ETCD = "http://127.0.0.1:2379"
HOME = "/run/kube"
READY_S = 120.0
LOOK_S = 1.0  # a kubectl costs a tenth of a second of CPU, which the pods need
BUSY_S = 60.0  # without an answer of an API server on a busy machine
NO_ANSWER = "TLS handshake timeout"
CGROUPS = Path("/sys/fs/cgroup")
CGROUP = f"dualpath-test/kubelet-{os.getpid()}-{{}}"

# kubelet insists on these; files over them leave the real machine's as they are.
SYSCTLS = {
    "vm/overcommit_memory": 1,
    "vm/panic_on_oom": 0,
    "kernel/panic": 10,
    "kernel/panic_on_oops": 1,
    "kernel/keys/root_maxkeys": 1000000,
    "kernel/keys/root_maxbytes": 25000000,
}
PRIVATE = ("etc", "opt", "var")
# kubelet deletes the log of a pod with it. A second link keeps it.
KEEP_LOGS = """
while sleep 0.5; do
    cp --archive --link --no-clobber /run/disk/var/upper/log/pods /run/disk/ 2>/dev/null || true
done >/dev/null &
"""
USERS = {
    "admin": ("admin", "system:masters"),
    **{node: (f"system:node:{node}", "system:nodes") for node in NODES},
    "controllers": ("system:kube-controller-manager", "system:masters"),
    "scheduler": ("system:kube-scheduler", ""),
}
"""The name and group of whoever has a kubeconfig."""

KUBELET = {
    "apiVersion": "kubelet.config.k8s.io/v1beta1",
    "kind": "KubeletConfiguration",
    # `kubectl exec` and `logs` come without a client certificate.
    "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
    "authorization": {"mode": "AlwaysAllow"},
    "cgroupDriver": "cgroupfs",
    "failSwapOn": False,
    "protectKernelDefaults": True,
    "makeIPTablesUtilChains": False,
    "nodeStatusUpdateFrequency": "1s",
    "clusterDomain": "cluster.local",
    "evictionHard": {
        "memory.available": "50Mi",
        "nodefs.available": "1%",
        "imagefs.available": "1%",
    },
    "imageGCHighThresholdPercent": 100,
}


class KubectlError(Exception):
    """kubectl failed; the text is what it printed to stderr."""


class Cluster:
    """A cluster; `here` is its first node."""

    def __init__(
        self,
        machines: Mapping[str, Machine],
        parts: build.Programs,
        tools: kube.Programs,
        logs: Path,
    ) -> None:
        self.machines = machines
        self.here = machines[NODES[0]]
        self._parts = parts
        self._tools = tools
        self._logs = logs
        self._started: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        """Start every part, and return when the nodes are Ready."""
        tokens = {user: secrets.token_hex(16) for user in USERS}
        for number in range(len(NODES)):
            self._write_files(number, tokens)
        self._write_credentials(tokens)
        self._start_control_plane()
        for number in range(len(NODES)):
            self._start_kubelet(number)
        self.until(self._are_nodes_ready, "a node is not Ready")

    def kubectl(self, *arguments: str, given: str = "", user: str = "admin") -> str:
        """Run kubectl and return what it prints. Raises KubectlError."""
        command = (str(self._tools.kubectl), f"--kubeconfig={HOME}/{user}.conf", *arguments)
        deadline = time.monotonic() + BUSY_S
        while (done := self.here.call(*command, given=given)).returncode != 0:
            if NO_ANSWER not in done.stderr or time.monotonic() > deadline:
                raise KubectlError(done.stderr.strip())
        return done.stdout

    def succeeds(self, *arguments: str) -> bool:
        with suppress(KubectlError):
            self.kubectl(*arguments)
            return True
        return False

    def apply(self, manifests: Sequence[Mapping[str, Any]]) -> None:
        """Apply manifests. Fields that this Kubernetes does not know yet are dropped."""
        text = yaml.safe_dump_all(manifests)
        self.kubectl("apply", "--validate=false", "-f", "-", given=text)

    def get(self, *what: str) -> Any:  # noqa: ANN401 - JSON
        return json.loads(self.kubectl("get", *what, "-o", "json"))

    def load(self, image: str) -> None:
        """Give an image of this machine's buildah to the nodes."""
        archive = self._logs / "image.tar"
        archive.unlink(missing_ok=True)
        target = f"docker-archive:{archive}:{image}"
        done = subprocess.run(
            ["buildah", "push", "--quiet", image, target],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{image}: {done.stderr}: run `make images`"
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda machine: machine.load_archive(archive), self.machines.values()))
        archive.unlink()

    def pid_of(self, pod: Mapping[str, Any]) -> str:
        """Return the process of a pod's first container, as the node numbers it."""
        container = pod["status"]["containerStatuses"][0]["containerID"].removeprefix(
            "containerd://"
        )
        here = self.machines[pod["spec"]["nodeName"]]
        tasks = (line.split() for line in here.ctr("tasks", "list").splitlines()[1:])
        return next(task[1] for task in tasks if task[0] == container)

    def until(self, condition: Callable[[], object], what: str, limit_s: float = READY_S) -> None:
        """Wait for a condition. Fails with what every part of the cluster said last."""

        def holds() -> object:
            for name, process in self._started.items():
                assert process.poll() is None, f"{name} ended\n{self.said()}"
            return condition()

        until(holds, lambda: f"{what}\n{self.said()}", limit_s, LOOK_S)

    def said(self) -> str:
        lines = []
        pods = [path for machine in self.machines.values() for path in _logs_of_pods(machine)]
        for path in (*sorted(self._logs.rglob("*.log")), *pods):
            name = "/".join(path.parts[-3:])
            lines += [f"== {name}", path.read_text(errors="replace")[-2000:]]
        with suppress(KubectlError):
            lines += [self.kubectl("get", "pods", "-A", "-o", "wide")]
            lines += [self.kubectl("get", "events", "-A", "--sort-by=.lastTimestamp")[-4000:]]
        return "\n".join(lines)

    def _write_files(self, number: int, tokens: Mapping[str, str]) -> None:
        run = self.machines[NODES[number]].run_directory
        (run / "kube").mkdir()
        for user, token in tokens.items():
            (run / f"kube/{user}.conf").write_text(yaml.safe_dump(_kubeconfig(token)))
        kubelet = {**KUBELET, "cgroupRoot": f"/{CGROUP.format(number)}"}
        (run / "kube/kubelet.yaml").write_text(yaml.safe_dump(kubelet))
        network = run / "containerd/cni/10-pods.conflist"
        network.write_text(json.dumps(_network(POD_SUBNETS[number])))

    def _write_credentials(self, tokens: Mapping[str, str]) -> None:
        home = self.here.run_directory / "kube"
        lines = [f'{tokens[u]},{name},{u},"{group}"' for u, (name, group) in USERS.items()]
        (home / "tokens").write_text("\n".join(lines) + "\n")
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        (home / "accounts.key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.TraditionalOpenSSL,
                serialization.NoEncryption(),
            )
        )

    def keep_logs_of_pods(self) -> None:
        """Copy what pods have logged to where the other logs are."""
        for node, machine in self.machines.items():
            for path in _logs_of_pods(machine):
                pod, container, name = path.parts[-3:]
                (self._logs / node / f"{pod}-{container}-{name}").write_bytes(path.read_bytes())

    def _start_control_plane(self) -> None:
        peer = "http://127.0.0.1:2380"
        self._run(
            "etcd",
            str(self._tools.etcd),
            f"--data-dir={HOME}/etcd",
            f"--listen-client-urls={ETCD}",
            f"--advertise-client-urls={ETCD}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",
        )
        self._start(
            "kube-apiserver",
            f"--etcd-servers={ETCD}",
            f"--advertise-address={ADDRESSES[0]}",
            f"--secure-port={PORT}",
            f"--cert-dir={HOME}/pki",
            f"--service-cluster-ip-range={SERVICES}",
            f"--token-auth-file={HOME}/tokens",
            "--authorization-mode=Node,RBAC",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={HOME}/accounts.key",
            f"--service-account-signing-key-file={HOME}/accounts.key",
            "--allow-privileged=true",
            "--anonymous-auth=false",
            "--kubelet-preferred-address-types=InternalIP",
            "--enable-aggregator-routing=true",  # webhooks by endpoints: there is no kube-proxy
        )
        self.until(self._is_api_ready, "the API server is not ready")
        self._start(
            "kube-controller-manager",
            f"--kubeconfig={HOME}/controllers.conf",
            f"--service-account-private-key-file={HOME}/accounts.key",
            f"--root-ca-file={HOME}/pki/apiserver.crt",
            "--use-service-account-credentials=true",
            "--leader-elect=false",
            f"--cluster-cidr={PODS}",
            "--allocate-node-cidrs=false",
        )
        self._start(
            "kube-scheduler",
            f"--kubeconfig={HOME}/scheduler.conf",
            f"--authentication-kubeconfig={HOME}/admin.conf",
            f"--authorization-kubeconfig={HOME}/admin.conf",
            "--leader-elect=false",
        )

    def _start_kubelet(self, number: int) -> None:
        node = NODES[number]
        log = self._logs / f"kubelet-{node}.log"
        self._started[log.stem] = self.machines[node].start(
            log,
            # It asks for credentials of a cloud's registry, for 6 s, if it may.
            *("env", "AWS_EC2_METADATA_DISABLED=true"),
            self._parts["kubelet"],
            f"--kubeconfig={HOME}/{node}.conf",
            f"--config={HOME}/kubelet.yaml",
            f"--root-dir={HOME}/kubelet",
            f"--cert-dir={HOME}/kubelet-pki",
            "--container-runtime=remote",
            "--container-runtime-endpoint=unix:///run/containerd/containerd.sock",
            "--pod-infra-container-image=localhost/pause:local",
            f"--hostname-override={node}",
            f"--node-ip={ADDRESSES[number]}",
            "--v=2",
        )

    def _start(self, program: str, *options: str) -> None:
        self._run(program, self._parts[program], *options)

    def _run(self, name: str, *command: str) -> None:
        self._started[name] = self.here.start(self._logs / f"{name}.log", *command)

    def _is_api_ready(self) -> bool:
        return self.succeeds("get", "--raw=/readyz")

    def _are_nodes_ready(self) -> bool:
        with suppress(KubectlError):
            found = self.get("nodes")["items"]
            return len(found) == len(NODES) and all(is_true("Ready", node) for node in found)
        return False


def _logs_of_pods(machine: Machine) -> list[Path]:
    """Return the logs of all pods that ran on a node, the deleted ones too."""
    return sorted((machine.run_directory / "disk/pods").glob("*/*/*.log"))


def is_true(condition: str, found: Mapping[str, Any]) -> bool:
    """Tell whether an object's condition is True."""
    conditions = found.get("status", {}).get("conditions", ())
    return any(c["type"] == condition and c["status"] == "True" for c in conditions)


@contextmanager
def cluster(logs: Path) -> Iterator[Cluster]:
    """Have a cluster for the length of a block. Raises LabError."""
    with build.built(print) as parts, kube.built(print) as tools, ExitStack() as stack:
        machines = {}
        for number, node in enumerate(NODES):
            for hierarchy in CGROUPS.iterdir():
                (hierarchy / CGROUP.format(number)).mkdir(parents=True, exist_ok=True)
            (logs / node).mkdir()
            made = containerd.machine(programs(print), logs / node, _preparation(), node)
            machines[node] = stack.enter_context(made)
        _connect(*machines.values())
        found = Cluster(machines, parts, tools, logs)
        try:
            found.start()
            yield found
        finally:
            found.keep_logs_of_pods()


def _preparation() -> str:
    """Return a script for the namespaces of a node."""
    lines = [
        f"""
        mkdir -p /run/disk/{name}/upper /run/disk/{name}/work
        mount -t overlay overlay /{name} \\
            -o lowerdir=/{name},upperdir=/run/disk/{name}/upper,workdir=/run/disk/{name}/work
        """
        for name in PRIVATE
    ]
    lines += [
        f"""
        echo {value} >/run/disk/{name.replace("/", "-")}
        mount --bind /run/disk/{name.replace("/", "-")} /proc/sys/{name}
        """
        for name, value in SYSCTLS.items()
    ]
    return "".join((*lines, KEEP_LOGS))


def _connect(first: Machine, *others: Machine) -> None:
    """Give the nodes their addresses, and routes to each other's pods."""
    first.run("ip", "link", "add", "node0", "type", "veth", "peer", "name", "other")
    first.run("ip", "link", "set", "other", "up")  # a lone node has its address on it, too
    for second in others:
        first.give("other", second, "node0")
        second.run("ip", "address", "add", f"{ADDRESSES[1]}/24", "dev", "node0")
    first.run("ip", "address", "add", f"{ADDRESSES[0]}/24", "dev", "node0")
    first.run("ip", "address", "add", f"{SERVICE}/32", "dev", "lo")
    for number, machine in enumerate((first, *others)):
        machine.run("ip", "link", "set", "node0", "up")
        machine.run("ip", "route", "add", "default", "via", GATEWAY)
        for other in range(len(NODES)):
            if other != number:
                machine.run("ip", "route", "add", POD_SUBNETS[other], "via", ADDRESSES[other])
    for second in others:
        second.run("ip", "route", "add", SERVICE, "via", ADDRESSES[0])


def _network(subnet: str) -> dict[str, Any]:
    """Return the pod network of a node. Unlike that of tests/pods, it has a default route."""
    bridge = {
        "type": "bridge",
        "bridge": "cni0",
        "isDefaultGateway": True,
        "ipMasq": False,
        "ipam": {"type": "host-local", "ranges": [[{"subnet": subnet}]]},
    }
    return {"cniVersion": "0.4.0", "name": "pods", "plugins": [bridge]}


def _kubeconfig(token: str) -> dict[str, Any]:
    server = {"server": f"https://{ADDRESSES[0]}:{PORT}", "insecure-skip-tls-verify": True}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [{"name": "test", "cluster": server}],
        "users": [{"name": "test", "user": {"token": token}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
    }
