"""What of a guest's console reaches the person."""

import pytest

from tests.lab.console import BEGIN, END, Console

RAW = b"kernel says hello\r\n" + BEGIN + b".. passed -\n-- done\n" + END + b"power down\n"
WANTED = b".. passed -\n-- done\n"


@pytest.mark.parametrize("cut", range(len(RAW) + 1))
def test_only_the_commands_output_is_passed_on_wherever_the_stream_is_cut(cut: int) -> None:
    written: list[bytes] = []
    console = Console(written.append)
    console.feed(RAW[:cut])
    console.feed(RAW[cut:])
    assert b"".join(written) == WANTED


def test_output_is_passed_on_before_the_end_of_a_line() -> None:
    written: list[bytes] = []
    console = Console(written.append)
    console.feed(BEGIN + b"..")
    console.feed(b".")
    assert b"".join(written) == b"..."


def test_tail_of_the_console_is_shown_if_the_guest_never_started() -> None:
    console = Console(lambda data: pytest.fail(f"{data!r} was passed on"))
    console.feed(b"Kernel panic - not syncing\r\n")
    assert console.tail() == "Kernel panic - not syncing"
