"""Which of two datapaths has each port's traffic, now and after an order.

The second datapath has the ports in `SwitchState.ports`, the first has all others. The state is in
a file too, because both datapaths outlive the controller:

    state                 kernel, second exists, ports ("pe-e-100",)
    wanted()              pe-e-100: True, eth1: False                    True is the second
    after(switch dpdk)    ("pe-e-100", "eth1")                           all ports, if it names none
    speaker(those)        the second, because it has every port
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from controller.core.planes import Plane
from controller.core.switchcontracts import Environment, SwitchState
from dualpath.model.kinds import Kind
from dualpath.model.links import Port
from dualpath.model.switch import Order, SwitchRefused


class PortAssignment:
    """The lasting state of a switch, applied to the ports that the node has now."""

    def __init__(self, environment: Environment) -> None:
        self._at = environment
        self._planes = environment.planes
        first = self._planes.first.name
        found = environment.store.read()
        known = (first, environment.second.name)
        usable = found and found.active in known and found.to in ("", *known)
        self.state = found if found and usable else SwitchState(first)
        self._planes.shared = self.state.second

    def save(self, state: SwitchState) -> None:
        """Write the state, then use it. Raises OSError."""
        self._at.store.write(state)
        self.adopt(state)

    def adopt(self, state: SwitchState) -> None:
        """Use a state, whether the file has it or not."""
        self.state = state
        self._planes.shared = state.second

    # -- ports ----------------------------------------------------------------------------

    @property
    def names(self) -> list[str]:
        return [port.name for port in self._ports()]

    def named(self, names: Sequence[str]) -> list[Port]:
        """Return the ports with these names: host legs first, then uplinks."""
        return [port for port in self._ports() if port.name in names]

    def wanted(self, ports: Sequence[str]) -> dict[str, bool]:
        """Return for each port whether the second has it: new ones too, if it has all others."""
        everything = bool(ports) and self.state.active == self._at.second.name
        return {name: everything or name in ports for name in self.names}

    def owners(self, *, down: bool) -> Mapping[str, str]:
        """Return the name of the datapath that has each port; the first if the second is down."""
        names = {True: self._at.second.name, False: self._planes.first.name}
        wanted = self.wanted(self.state.ports)
        return {port: names[has and not down] for port, has in wanted.items()}

    def differing(self, ports: Sequence[str]) -> list[str]:
        """Return the ports that move if the second gets exactly these."""
        return [name for name in self.names if (name in ports) != (name in self.state.ports)]

    def speaker(self, ports: Sequence[str]) -> Plane:
        """Return the plane that speaks for the node: the second if it has every port."""
        second = self._planes.second
        return second if second and ports and set(ports) >= {*self.names} else self._planes.first

    def _ports(self) -> list[Port]:
        """Return all ports: host legs first, then uplinks."""
        table = self._planes.first.state.records[Kind.PORT]
        found = [table.desired(key) or table.programmed(key) for key in table]
        ports = [port for port in found if isinstance(port, Port) and not port.loopback]
        return sorted(ports, key=lambda port: (port.host is None, port.name))

    # -- orders ---------------------------------------------------------------------------

    def after(self, order: Order) -> tuple[str, ...]:
        """Return the ports that the second has after an order. Raises SwitchRefused."""
        first, second = self._planes.first.name, self._at.second.name
        if order.to not in (first, second):
            raise SwitchRefused(f"no datapath {order.to}; this controller has {first} and {second}")
        if why := self._at.not_ready():
            raise SwitchRefused(f"not ready: {why}; wait until `dualpath status` says ready")
        if self.state.deadline:
            raise SwitchRefused(f"the last switch is not confirmed; {self.trial()}")
        known = self.names
        if strange := [port for port in order.ports if port not in known]:
            raise SwitchRefused(f"no port {strange[0]}; existing: {', '.join(known) or 'none'}")
        chosen = order.ports or known
        if order.to == second:
            return tuple(port for port in known if port in chosen or port in self.state.ports)
        return tuple(port for port in known if port in self.state.ports and port not in chosen)

    def trial(self) -> str:
        """Return when an unconfirmed switch will be undone; "" if there is none."""
        if not self.state.deadline:
            return ""
        left = max(0.0, self.state.deadline - self._at.now())
        return f"undone in {left:.0f} s unless confirmed: dualpath switch --confirm"
