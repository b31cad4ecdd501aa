"""Read the tc filters of one namespace's devices, add missing ones, remove extra ones."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Sequence
from typing import Self

from datapaths.base import Unsupported
from datapaths.linux.dryrun import Changes
from datapaths.linux.netns import entered
from datapaths.linux.punt import ALL_FRAMES
from datapaths.linux.wire import filters as wire
from datapaths.linux.wire.filters import Classifier, Filter
from datapaths.linux.wire.matches import Rule
from dualpath.netlink.socket import Requests, open_socket

ABSENT = (errno.ENOENT, errno.EOPNOTSUPP)  # the kernel has no such classifier


class Filters:
    """A handle on the filters of one namespace and one range of priorities.

    A kernel's refusal is an OSError. A `dry` handle writes nothing: `changes` lists what it would
    write.
    """

    def __init__(
        self, netns: str, priorities: range = wire.TWIN_PRIORITIES, *, dry: bool = False
    ) -> None:
        self._priorities = priorities
        self.dry = dry
        self.changes = Changes(dry=dry)
        with entered(netns):
            self._requests = Requests(open_socket())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._requests.close()

    def installed(self, index: int) -> list[Filter]:
        """Return our filters on a device's ingress."""
        try:
            dumped = self._requests.dump(wire.dump(index))
        except OSError as error:
            raise OSError(error.errno, f"cannot read tc filters: {error}") from error
        decoded = (wire.decode(message, self._priorities) for message in dumped)
        return [filter_ for filter_ in decoded if filter_]

    def ensure(
        self, classifier: Classifier, index: int, rules: Iterable[Rule], target: int
    ) -> bool:
        """Send the rules' frames from one device to another; return whether anything changed.

        Add before removing. Otherwise a BGP segment could reach the forwarding stack, which would
        answer it with a TCP reset.
        """
        wanted = dict(
            wire.compile_rule(classifier, rule, target, self._priorities) for rule in rules
        )
        have = self.installed(index)
        known = {(f.classifier, f.fingerprint) for f in have}
        missing = [f for f in wanted if (f.classifier, f.fingerprint) not in known]
        if missing and not self.dry:
            self._request("clsact", [wire.clsact(index)], fine=errno.EEXIST)
            self._request("add", [wire.add(index, f, wanted[f]) for f in missing])
        written = bool(self._remove_extra(index, wanted, missing, have) or missing)
        if written:
            self.changes.append(f"tc filters of device {index}")
        return written

    def _remove_extra(
        self,
        index: int,
        wanted: Iterable[Filter],
        missing: Iterable[Filter],
        have: Iterable[Filter],
    ) -> bool:
        """Remove extra filters. A filter that `add` replaced in place is gone already."""
        fingerprints = {(f.classifier, f.fingerprint) for f in wanted}
        replaced = {f.handle for f in missing if f.handle}
        extra = [
            f
            for f in have
            if (f.classifier, f.fingerprint) not in fingerprints and f.handle not in replaced
        ]
        if not self.dry:
            self._request("remove", [wire.remove(index, f) for f in extra], fine=errno.ENOENT)
        return bool(extra)

    def prepare(self, index: int) -> None:
        """Give a new device the qdisc that filters belong to, if this kernel has it.

        Do it before packets flow: the kernel deactivates a device to add an ingress qdisc, and
        drops what it sends for some milliseconds (qdisc_graft in net/sched/sch_api.c).
        """
        code = self._requests.errno_of(wire.clsact(index))
        if code not in (0, errno.EEXIST, *ABSENT):
            raise OSError(code, f"cannot add a clsact qdisc: {os.strerror(code)}")

    def has(self, rule: Rule, index: int, target: int) -> bool:
        """Return whether a filter of either classifier implements a rule."""
        have = {(f.classifier, f.fingerprint) for f in self.installed(index)}
        compiled = (wire.compile_rule(c, rule, target, self._priorities) for c in Classifier)
        return any((f.classifier, f.fingerprint) in have for f, _ in compiled)

    def clear(self, index: int) -> bool:
        """Remove our filters from a device; return whether it had any."""
        requests = [wire.remove(index, filter_) for filter_ in self.installed(index)]
        if requests:
            self.changes.append(f"tc filters of device {index}")
        if not self.dry:
            self._request("remove", requests, fine=errno.ENOENT)
        return bool(requests)

    def stop_redirecting(self, indexes: Iterable[int]) -> set[int]:
        """Remove the filters for all frames from devices; return the devices that had one.

        Reads nothing first, so with flower the kernel takes no lock of devices (RTNL).
        """
        asked = [
            (index, wire.remove(index, filter_))
            for index in indexes
            for filter_ in wire.for_all_frames(self._priorities)
        ]
        answers = self._requests.send([message for _, message in asked])
        missing = {number for number, answer in answers if answer.errno}
        return {index for number, (index, _) in enumerate(asked) if number not in missing}

    def classifier(self, index: int) -> Classifier | None:
        """Return the classifier of our filters on a device, if it has any."""
        return next((Classifier(it.classifier) for it in self.installed(index)), None)

    def detect(self, index: int, target: int) -> Classifier:
        """Return the best classifier that this kernel has. Raises Unsupported if it has none.

        Try each by installing a filter that redirects all frames from one device to another.
        """
        if self.dry:
            return self._found(index, target)
        for classifier in Classifier:
            try:
                self.ensure(classifier, index, [ALL_FRAMES], target)
            except OSError as error:
                if error.errno not in ABSENT:
                    raise
            else:
                return classifier
        text = "this kernel lacks tc modules: sch_clsact, cls_flower or cls_u32, and act_mirred"
        raise Unsupported(text)

    def _found(self, index: int, target: int) -> Classifier:
        """Return the classifier of an installed filter for all frames; list a change if none is."""
        have = {(f.classifier, f.fingerprint) for f in self.installed(index)}
        for classifier in Classifier:
            wanted, _ = wire.compile_rule(classifier, ALL_FRAMES, target, self._priorities)
            if (wanted.classifier, wanted.fingerprint) in have:
                return classifier
        self.changes.append(f"tc filters of device {index}")
        return Classifier.FLOWER

    def _request(self, verb: str, requests: Sequence[bytes], fine: int = 0) -> None:
        for _, answer in self._requests.send(requests):
            if answer.errno != fine:
                text = f"cannot {verb} tc filters: {os.strerror(answer.errno)}"
                raise OSError(answer.errno, text)
