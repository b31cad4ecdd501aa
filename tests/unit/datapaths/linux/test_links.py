"""An attribute that `Links` does not know is an error, and is never ignored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from datapaths.linux.links import Links


@pytest.mark.parametrize(
    ("call", "given"),
    [
        (Links.change, {"mtuu": 9000}),
        (Links.change, {"Master": "red"}),
        (Links.set_port, {"learning": 0, "neigh_supress": 1}),
        (Links.set_info, {"br_aging_time": 1}),
        (Links.create, {"vxlan_identity": 110}),
        (Links.create, {"vxlan_learning": 0, "Mtu": 1500}),
    ],
)
def test_unknown_attribute_is_a_type_error(
    call: Callable[..., object], given: dict[str, Any]
) -> None:
    links = object.__new__(Links)
    kind = ("bridge",) if call is Links.create else ()
    links._links = {}
    links.get = lambda _name: None  # type: ignore[method-assign,assignment,return-value]
    with pytest.raises(TypeError, match=r"mtuu|Master|neigh_supress|br_aging_time|identity|Mtu"):
        call(links, "br110", *kind, **given)
