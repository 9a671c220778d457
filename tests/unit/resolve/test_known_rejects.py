"""A rejected row is news once. A row that a person has mended is never a call again in its first form."""

from pathlib import Path

from callimport.core import endings, errors, limits
from tests import exporting
from tests.fake_crm import lead
from tests.unit.resolve.test_find_leads import HEADER, ONE, TWO, Nights, night_after_night

_BROKEN = f"c1,incoming,2026-11-20T14:01:01-05:00,abc,{ONE},12"
_SOUND = f"c2,incoming,2026-11-20T15:00:00-05:00,60,{ONE},12"


def _told(result: endings.Result) -> tuple[int, int, int]:
    """Rejected rows, the known ones of them, and the exit code."""
    return result.summary.rows.rejected, result.summary.known_rejects, result.summary.exit_code


def _mended(rejects: Path, *changes: tuple[str, str]) -> tuple[str, str]:
    """Header and first row of a reject file, as a person has mended it."""
    header, row = rejects.read_text(encoding="utf-8-sig").splitlines()[:2]
    for wrong, right in changes:
        row = row.replace(wrong, right)
    return header, row


def _talks(nights: Nights) -> list[int]:
    return [one["call_duration"] for one in nights.crm.stored]


@night_after_night
async def test_same_rejected_row_is_news_once(nights: Nights) -> None:
    nights.crm.leads = [lead(11, ONE)]
    assert _told(await nights.run(_BROKEN)) == (1, 0, 3)
    again = await nights.run(_SOUND, _BROKEN)
    assert (_told(again), exporting.rules(again), again.summary.calls.delivered) == ((1, 1, 0), {}, 1)
    other = _BROKEN.replace("abc", "abd")
    assert _told(await nights.run(_BROKEN, other)) == (2, 1, 3)


@night_after_night
async def test_known_reject_is_in_the_reject_file_and_counts_for_the_guard(nights: Nights) -> None:
    nights.crm.leads = [lead(11, ONE)]
    await nights.run(_BROKEN)
    rejects = nights.folder / "rejects.csv"
    await nights.run(_BROKEN, rejects=rejects)
    assert "abc" in rejects.read_text("utf-8-sig")
    stopped = await nights.run(_BROKEN, max_rejects=limits.max_rejects("0"))
    assert stopped.summary.exit_code == errors.ExitCode.GUARD


@night_after_night
async def test_reject_of_a_dry_run_or_of_a_stopped_run_is_news_again(nights: Nights) -> None:
    nights.crm.leads = [lead(11, ONE)]
    await nights.run(_BROKEN, dry_run=True)
    stopped = await nights.run(_BROKEN, max_rejects=limits.max_rejects("0"))
    assert stopped.summary.exit_code == errors.ExitCode.GUARD
    assert _told(await nights.run(_BROKEN)) == (1, 0, 3)


@night_after_night
async def test_known_reject_that_is_valid_now_is_a_call(nights: Nights) -> None:
    nights.crm.leads = [lead(11, ONE)]
    row = _SOUND.replace(",12", ",Nobody")
    header = HEADER.replace("agent_id", "agent_name")
    assert _told(await nights.run(row, header=header)) == (1, 0, 3)
    now = await nights.run(row, header=header, unknown_agent="omit")
    assert (_told(now), now.summary.calls.delivered) == ((0, 0, 0), 1)


@night_after_night
async def test_original_of_a_mended_row_is_no_call_though_it_is_valid_by_now(nights: Nights) -> None:
    nights.crm.leads = [lead(11, ONE), lead(12, TWO)]
    rejects = nights.folder / "rejects.csv"
    row = _SOUND.replace(",12", ",Nobody")
    header = HEADER.replace("agent_id", "agent_name")
    await nights.run(row, header=header, rejects=rejects)
    mended_header, mended = _mended(rejects, (ONE, TWO), ("c2", "c3"), ("Nobody", ""))
    assert (await nights.run(mended, header=mended_header, unknown_agent="omit")).summary.calls.delivered == 1
    again = await nights.run(row, header=header, unknown_agent="omit")
    assert (_told(again), again.summary.calls.total) == ((1, 1, 0), 0)
    assert nights.leads_of_calls() == [12]


@night_after_night
async def test_original_in_the_same_run_as_its_mended_row_is_no_call(nights: Nights) -> None:
    nights.crm.leads = [lead(11, ONE)]
    rejects = nights.folder / "rejects.csv"
    await nights.run(_BROKEN, rejects=rejects)
    header, mended = _mended(rejects, ("abc", "60"))
    mended_file = exporting.write(nights.folder / "mended.csv", header, mended)
    both = await nights.run(_BROKEN, beside=(mended_file,))
    assert (_told(both), both.summary.calls.delivered) == ((1, 1, 0), 1)


@night_after_night
async def test_row_that_was_mended_and_is_wrong_again_is_news(nights: Nights) -> None:
    nights.crm.leads = [lead(11, ONE)]
    rejects = nights.folder / "rejects.csv"
    await nights.run(_BROKEN, rejects=rejects)
    header, untouched = _mended(rejects)
    assert _told(await nights.run(untouched, header=header)) == (1, 1, 0)
    wrong = _mended(rejects, ("abc", "1:00:00:00"))[1]
    first = await nights.run(wrong, header=header)
    assert (_told(first), exporting.rules(first)) == ((1, 0, 3), {"duration_number": 1})
    assert _told(await nights.run(wrong, header=header)) == (1, 1, 0)


@night_after_night
async def test_row_that_is_mended_to_a_second_call_is_rejected_and_told(nights: Nights) -> None:
    nights.crm.leads = [lead(11, ONE), lead(12, TWO)]
    rejects = nights.folder / "rejects.csv"
    await nights.run(_BROKEN, rejects=rejects)
    header, mended = _mended(rejects, ("abc", "60"))
    assert (await nights.run(mended, header=header)).summary.calls.delivered == 1
    second = await nights.run(_mended(rejects, ("abc", "60"), ("c1", "c9"), (ONE, TWO))[1], header=header)
    assert (_told(second), exporting.rules(second)) == ((1, 0, 3), {"mended_before": 1})
    assert nights.leads_of_calls() == [11]


@night_after_night
async def test_row_that_a_person_deleted_beside_the_one_kept_is_no_call(nights: Nights) -> None:
    """Two rows of one id contradict each other. A person keeps the first in the reject file, and deletes the other."""
    nights.crm.leads = [lead(11, ONE)]
    rejects = nights.folder / "rejects.csv"
    rows = (_SOUND, _SOUND.replace(",60,", ",90,"))
    assert _told(await nights.run(*rows, rejects=rejects)) == (2, 0, 3)
    header, kept = _mended(rejects)
    assert (await nights.run(kept, header=header)).summary.calls.delivered == 1

    again = await nights.run(*rows)
    assert (_told(again), again.summary.calls.total, _talks(nights)) == ((2, 2, 0), 0, [60])
