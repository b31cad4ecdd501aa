"""A pytest plugin by which guests that run the same tests share them out, a file at a time.

Whoever is free claims the next file: `pytest -p tests.lab.claims --claims DIRECTORY`, where the
directory is one that all of them see. So none is done long before the others.
"""

from collections.abc import Iterable
from itertools import groupby, pairwise
from pathlib import Path

import pytest

GROUT_WEIGHT = 10


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--claims", metavar="DIRECTORY", help="run only the files claimed in there")


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Run what we claim; None leaves it to pytest's own loop, which runs everything."""
    directory = session.config.getoption("claims")
    if directory is None or session.config.option.collectonly or session.testsfailed:
        return None
    files = [list(items) for _, items in groupby(session.items, key=lambda item: item.path)]
    for items in sorted(files, key=weight, reverse=True):  # what takes long must not come last
        if claim(Path(directory), str(items[0].path.relative_to(session.config.rootpath))):
            _run(session, items)
    return True


def weight(items: Iterable[pytest.Item]) -> int:
    """Return about how long a file takes; grout takes long to start."""
    return sum(GROUT_WEIGHT if item.get_closest_marker("grout") else 1 for item in items)


def claim(directory: Path, file: str) -> bool:
    """Claim a file, once among all who share the directory."""
    try:
        (directory / file.replace("/", ".")).mkdir(parents=True)
    except FileExistsError:
        return False
    return True


def _run(session: pytest.Session, items: Iterable[pytest.Item]) -> None:
    for item, following in pairwise([*items, None]):
        assert item is not None
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.shouldfail:
            raise session.Failed(session.shouldfail)
        if session.shouldstop:
            raise session.Interrupted(session.shouldstop)
