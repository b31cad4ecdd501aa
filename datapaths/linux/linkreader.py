"""Read the devices of one namespace, and remember them for the length of one batch."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

from datapaths.base import Unavailable
from datapaths.linux.linkinfo import Link, read_link
from datapaths.linux.marks import Mark
from datapaths.linux.netns import entered, exists
from datapaths.linux.rtnl import Rtnl


class LinkReader:
    """A short-lived handle that reads one namespace's devices. Use it in the thread that made it.

    It caches what it read and does not listen to notifications, so a handle lives for one batch.
    Every refusal of the kernel is an OSError that names the device. Raises Unavailable when the
    namespace does not exist.
    """

    def __init__(self, netns: str) -> None:
        if not exists(netns):
            raise Unavailable(f"no network namespace {netns}")
        self.netns = netns
        with entered(netns):
            self.rtnl = Rtnl()
        self._links: dict[str, Link] = {}
        self._complete = False  # whether `_links` has every device

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.rtnl.close()

    def all(self) -> Sequence[Link]:
        if not self._complete:
            messages = self.rtnl.call("list devices", "link", "dump")
            self._links = {link.name: link for link in map(read_link, messages)}
            self._complete = True
        return list(self._links.values())

    def marked(self, purpose: str) -> Iterator[tuple[Link, Mark]]:
        """Yield the devices that Dualpath made for one purpose."""
        for link in self.all():
            if (mark := link.mark) and mark.what == purpose:
                yield link, mark

    def find(self, name: str) -> Link | None:
        if name not in self._links and not self._complete:
            with ignored(errno.ENODEV):
                self.reload(name)
        return self._links.get(name)

    def get(self, name: str) -> Link:
        """Return a device. Raises OSError (ENODEV) when there is none of that name."""
        if link := self.find(name):
            return link
        raise OSError(errno.ENODEV, f"no interface {name} in {called(self.netns)}")

    def name_of(self, index: int) -> str:
        """Return the name of a device by index, "" when there is none."""
        for link in self._links.values():
            if link.index == index:
                return link.name
        if index and not self._complete:
            with ignored(errno.ENODEV):
                [message] = self.rtnl.call(f"read device {index}", "link", "get", index=index)
                return self._keep(message).name
        return ""

    def reload(self, name: str) -> Link:
        """Read a device again, after it was created or changed."""
        [message, *_] = self.rtnl.call(f"read {name}", "link", "get", ifname=name)
        return self._keep(message)

    def forget(self, name: str) -> None:
        """Drop a device from the cache: it was deleted together with another one."""
        self._links.pop(name, None)

    def _keep(self, message: Any) -> Link:  # noqa: ANN401  pyroute2 is not typed
        link = read_link(message)
        self._links[link.name] = link
        return link


def called(netns: str) -> str:
    """Return how a message names a namespace."""
    return f"namespace {netns}" if netns else "the controller's namespace"


@contextmanager
def ignored(number: int) -> Iterator[None]:
    """Ignore an OSError of this errno."""
    try:
        yield
    except OSError as error:
        if error.errno != number:
            raise
