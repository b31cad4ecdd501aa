"""Every command in README and docs is run by the lab, or is listed with a reason why not."""

from __future__ import annotations

import re
import shlex

import pytest

from tests.lab.documented import COMMANDS, NOT_RUN, OTHER, RUN, Block, blocks, pages

ALL = [found for page in pages() for found in blocks(page)]
WITH_COMMANDS = [found for found in ALL if found.language in COMMANDS]


@pytest.mark.parametrize("page", pages())
def test_every_block_has_a_language(page: str) -> None:
    untold = [b.text.splitlines()[0] for b in blocks(page) if b.language not in COMMANDS | OTHER]
    assert not untold


def test_every_block_of_commands_is_run_or_listed_with_a_reason() -> None:
    keys = [found.key for found in WITH_COMMANDS]
    assert len(keys) == len(set(keys)), "two blocks of a page begin with the same command"
    assert set(keys) == {*RUN, *NOT_RUN}
    assert not {*RUN} & {*NOT_RUN}
    assert all(NOT_RUN.values())


def test_console_blocks_have_commands_and_their_output() -> None:
    found = Block("x.md", "console", "$ ip link\nlo\n$ ip rule\n0: from all\n")
    assert (found.commands, found.key) == ("ip link\nip rule\n", ("x.md", "ip link"))


@pytest.mark.parametrize("found", WITH_COMMANDS, ids=lambda b: f"{b.page}-{b.key[1][:30]}")
def test_commands_have_no_placeholders(found: Block) -> None:
    """No <placeholder>, and nothing that a shell cannot read."""
    assert not re.search(r"<[a-z][a-z -]*>", found.commands)
    shlex.split(found.commands, comments=True)
