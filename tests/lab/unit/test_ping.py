"""What a flow of pings lost."""

from tests.lab.ping import FlowResult


def test_sender_that_got_no_cpu_lost_nothing_meanwhile() -> None:
    flow = FlowResult(
        transmitted=100,
        received=95,
        duplicates=0,
        refused=0,
        longest_gap_s=2.9,
        began_s=0.0,
        lost_at_s=[0.5, 0.55, 0.6, 4.0, 4.25],
    )
    assert flow.lost_spans() == [(0.5, 0.6), (4.0, 4.25)]
    assert flow.lost_for_s == 0.25
