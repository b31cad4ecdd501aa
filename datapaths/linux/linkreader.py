"""Read the devices of one namespace, and remember them for the length of one batch."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Self

from datapaths.base import Unavailable
from datapaths.linux.linkinfo import Counters, Link, read_counters, read_link
from datapaths.linux.marks import Mark
from datapaths.linux.netns import entered, exists
from datapaths.linux.rtnl import Rtnl
from datapaths.linux.wire.links import dump_request, get_request
from dualpath.netlink.message import DecodeError, Message
from dualpath.netlink.socket import Requests, open_socket


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
            self._requests = Requests(open_socket())
            self._namespace = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self._rtnl: Rtnl | None = None
        self._links: dict[str, Link] = {}
        self._names: dict[int, str] = {}  # by index; may be outdated
        self._complete = False  # whether `_links` has every device
        self._renamed: list[Link] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._requests.close()
        os.close(self._namespace)
        if self._rtnl:
            self._rtnl.close()

    @property
    def rtnl(self) -> Rtnl:
        """Return a handle for changes. It is opened when first used: most handles only read."""
        if self._rtnl is None:
            with entered(f"/proc/self/fd/{self._namespace}"):
                self._rtnl = Rtnl()
        return self._rtnl

    def all(self) -> Sequence[Link]:
        if not self._complete:
            with called_for("list devices"):
                links = [read_link(message) for message in self._requests.dump(dump_request())]
            self._links = {link.name: link for link in links}
            self._names = {link.index: link.name for link in links}
            self._complete = True
        return list(self._links.values())

    def dump(self, doing: str, request: bytes) -> list[Message]:
        """Return the reply to a dump request. Raises OSError, "cannot DOING: ..." as text."""
        with called_for(doing):
            return self._requests.dump(request)

    def marked(self, purpose: str) -> Iterator[tuple[Link, Mark]]:
        """Yield the devices that Dualpath made for one purpose."""
        for link in self.all():
            if (mark := link.mark) and mark.what == purpose:
                yield link, mark

    def renamed(self, is_renamed: Callable[[Link], bool]) -> Sequence[Link]:
        """Return the devices that another program renamed; look for them once."""
        if self._renamed is None:
            self._renamed = [link for link in self.all() if is_renamed(link)]
        return self._renamed

    def find(self, name: str) -> Link | None:
        if name and name not in self._links and not self._complete:
            with ignored(errno.ENODEV):
                self.reload(name)
        return self._links.get(name)

    def get(self, name: str) -> Link:
        """Return a device. Raises OSError (ENODEV) when there is none of that name."""
        if link := self.find(name):
            return link
        raise OSError(errno.ENODEV, f"no interface {name} in {called(self.netns)}")

    def at(self, index: int) -> Link | None:
        """Return a device by index, None when there is none."""
        link = self._links.get(self._names.get(index, ""))
        if link and link.index == index:
            return link
        if index and not self._complete:
            with ignored(errno.ENODEV), called_for(f"read device {index}"):
                return self._keep(self._requests.ask(get_request(index=index)))
        return None

    def name_of(self, index: int) -> str:
        """Return the name of a device by index, "" when there is none."""
        link = self.at(index)
        return link.name if link else ""

    def reload(self, name: str) -> Link:
        """Read a device again, after it was created or changed."""
        with called_for(f"read {name}"):
            return self._keep(self._requests.ask(get_request(name)))

    def counters(self, name: str) -> Counters:
        """Read the counters of a device; they are 0 if it is gone."""
        with ignored(errno.ENODEV), called_for(f"read {name}"):
            return read_counters(self._requests.ask(get_request(name, counters=True)))
        return Counters()

    def forget(self, name: str) -> None:
        """Drop a device from the cache: it was deleted together with another one."""
        self._links.pop(name, None)

    def _keep(self, message: Message) -> Link:
        link = read_link(message)
        self._links[link.name] = link
        self._names[link.index] = link.name
        return link


def called(netns: str) -> str:
    """Return how a message names a namespace."""
    return f"namespace {netns}" if netns else "the controller's namespace"


@contextmanager
def called_for(doing: str) -> Iterator[None]:
    """Say in an error what was being done. Raises OSError, "cannot DOING: ..." as text."""
    try:
        yield
    except DecodeError as error:
        raise OSError(errno.EBADMSG, f"cannot {doing}: {error}") from error
    except OSError as error:
        raise OSError(error.errno, f"cannot {doing}: {error.strerror}") from error


@contextmanager
def ignored(number: int) -> Iterator[None]:
    """Ignore an OSError of this errno."""
    try:
        yield
    except OSError as error:
        if error.errno != number:
            raise
