"""A call without a lead whose id is another call's is a reject, and nothing else."""

from tests.unit.resolve.test_find_leads import ONE, TWO, Nights, night_after_night
from tests.unit.resolve.test_find_leads import _call as call


@night_after_night
async def test_leadless_call_with_the_id_of_a_waiting_call_counts_as_rejected_alone(nights: Nights) -> None:
    first = await nights.run(call(1, ONE))
    second = await nights.run(call(1, TWO))

    assert first.summary.skipped == {"no_lead": 1}
    assert (second.summary.rows.rejected, second.summary.calls.total, second.summary.skipped) == (1, 0, {})
