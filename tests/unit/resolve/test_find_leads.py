"""Leads found in the CRM, over whole runs: each number asked for once, the choice pinned, and calls without a lead
tried again as long as was promised. Night after night, with the fake at the other end of the wire."""

import io
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import anyio
import pytest
from rich.console import Console

from callimport import importer, report
from callimport.cli import status
from callimport.core import endings, errors, models
from callimport.core.settings import PREFIX, Settings
from callimport.crm import client
from tests import exporting, making
from tests.fake_crm import BASE_URL, TOKEN, FakeDealer, in_virtual_time, lead

HEADER = "call_id,direction,started_at,duration_seconds,customer_phone,agent_id"
ONE, TWO = "+15145550123", "+15145550124"
FIRST_NIGHT = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)


def _call(number: int, phone: str = ONE, day: int = 20, call_id: str | None = None) -> str:
    # Seconds differ, as they do: else these were calls of an export that has none.
    moment = f"2026-11-{day:02}T14:{number % 60:02}:{number % 59:02}-05:00"
    return f"{call_id or f'c{day}-{number}'},incoming,{moment},60,{phone},12"


@dataclass
class Nights:
    """A ledger, a CRM, and one run after the other."""

    folder: Path
    crm: FakeDealer
    night: datetime = FIRST_NIGHT
    asked: list[list[str]] = field(default_factory=list)
    heard: io.StringIO = field(default_factory=io.StringIO)

    async def run(
        self, *rows: str, header: str = HEADER, beside: tuple[Path, ...] = (), **changes: Any
    ) -> endings.Result:
        """One night: what it answered. `beside` are files that lie beside the night's own. `asked` gets the paths that
        were requested."""
        file = exporting.write(self.folder / f"{self.night:%Y-%m-%d-%H}.csv", header, *rows)
        changes = {"find_leads": True, "unknown_agent": "reject", **changes}
        settings = exporting.settings(
            file, *beside, destination=BASE_URL, ledger=self.folder / "ledger.sqlite3", state_dir=self.folder,
            rates=(models.Rate(60_000, 60.0),), settle=1.0, **changes,
        )  # fmt: skip
        began, before = anyio.current_time(), len(self.crm.received)
        clock = models.Clock(lambda: self.night + timedelta(seconds=anyio.current_time() - began), anyio.current_time)
        talk = report.Talk(Console(file=self.heard, width=200), lambda: self.night)
        tools = importer.Tools(clock=clock, talk=talk, hears_signals=False, connect=self._connect)
        result = await importer.run(settings, tools)
        exporting.assert_adds_up(result)
        self.asked.append([one.target for one in self.crm.received[before:]])
        if not settings.dry_run:
            self.night += timedelta(days=1)
        return result

    def looked_up(self) -> list[str]:
        """What the last run asked about leads as such, and not about what they hold."""
        asked = (target for target in self.asked[-1] if target.startswith(("/v2/leads?", "/v2/leads/search")))
        return [target for target in asked if "communications" not in target]

    def settings(self) -> Settings:
        return exporting.settings(ledger=self.folder / "ledger.sqlite3", state_dir=self.folder)

    def retry_refused(self) -> None:
        status.retry(self.settings(), making.clock(self.night), statuses=(models.ItemStatus.REFUSED,), keys=())

    def leads_of_calls(self) -> list[int]:
        return [int(one["lead_id"]) for one in self.crm.stored]

    @asynccontextmanager
    async def _connect(self, *_: Any, **__: Any) -> AsyncIterator[client.Destination]:
        async with self.crm.reached() as there:
            yield there


def night_after_night(story: Callable[[Nights], Awaitable[None]]) -> Callable[..., None]:
    # Not functools.wraps: pytest would look for a fixture `nights`.
    def test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(f"{PREFIX}TOKEN", TOKEN)
        in_virtual_time(story)(Nights(tmp_path, FakeDealer()))

    return test


def _calls(result: endings.Result) -> dict[str, int]:
    calls = result.summary.calls
    return {
        name: count
        for name in ("carried", "skipped", "unchanged", "delivered", "held", "pending")
        if (count := getattr(calls, name))
    }


@night_after_night
async def test_a_lead_is_found_in_the_crm_and_each_number_asked_for_once(nights: Nights) -> None:
    nights.crm.leads = [lead(11, ONE), lead(12, TWO)]
    result = await nights.run(*(_call(n, ONE) for n in range(3)), _call(7, TWO))
    assert _calls(result) == {"delivered": 4}
    assert sorted(nights.leads_of_calls()) == [11, 11, 11, 12]
    assert len(nights.looked_up()) == 2


@night_after_night
async def test_the_leads_file_comes_first_and_what_it_knows_is_not_asked_for(nights: Nights) -> None:
    leads = exporting.write(nights.folder / "leads.txt", "phone,lead_id", f"{ONE},99")
    nights.crm.leads = [lead(11, ONE), lead(12, TWO)]
    assert _calls(await nights.run(_call(1), _call(2, TWO), leads=leads)) == {"delivered": 2}
    assert sorted(nights.leads_of_calls()) == [12, 99]
    assert len(nights.looked_up()) == 1


@night_after_night
async def test_a_newer_lead_of_the_same_number_moves_no_old_call(nights: Nights) -> None:
    nights.crm.leads = [lead(11, ONE)]
    old = [_call(n) for n in range(3)]
    assert _calls(await nights.run(*old)) == {"delivered": 3}
    nights.crm.leads.append(lead(12, ONE, created_at="2026-11-22T12:00:00+00:00"))
    again = await nights.run(*old)
    assert (_calls(again), again.summary.exit_code) == ({"unchanged": 3}, 0)
    assert nights.looked_up() == []
    assert [target for target in nights.asked[-1] if "communications" in target] == []
    # For a new call it is not certain any more whose it is.
    new = await nights.run(*old, _call(9))
    assert exporting.rules(new) == {"lead_several": 1}
    assert "leads 11 and 12 both have this number" in new.findings[0].message
    assert _calls(new) == {"unchanged": 3}
    assert _calls(await nights.run(*old, _call(9), several_leads="newest")) == {"unchanged": 3, "delivered": 1}
    assert nights.leads_of_calls() == [11, 11, 11, 12]


@night_after_night
async def test_a_call_without_a_lead_is_delivered_once_there_is_one_though_its_file_is_gone(nights: Nights) -> None:
    first = await nights.run(_call(1, day=19), _call(2))
    assert (_calls(first), first.summary.skipped) == ({"skipped": 2}, {"no_lead": 2})
    assert first.told == ("2 calls without a lead kept: tried again for 30 days, whatever files a run has",)
    assert _calls(await nights.run(_call(2))) == {"skipped": 1}
    assert status.status(nights.settings(), making.clock()).without_lead == 2
    nights.crm.leads = [lead(11, ONE)]
    third = await nights.run(_call(2), _call(3, TWO))
    assert _calls(third) == {"carried": 1, "skipped": 1, "delivered": 2}
    assert third.told == (
        "1 call of earlier files found a lead and came along",
        "1 call without a lead kept: tried again for 30 days, whatever files a run has",
    )
    sent = nights.crm.stored[0]
    assert (sent["lead_id"], sent["call_phone"], sent["user_id"]) == (11, ONE, 12)
    assert sent["executed_at"] == "2026-11-19T19:01:01+00:00"
    assert "[ref " in sent["description"]
    assert _calls(await nights.run(_call(1, day=19), _call(2))) == {"unchanged": 2}


@night_after_night
async def test_a_call_that_nobody_got_a_lead_for_in_time_is_given_up_and_said(nights: Nights) -> None:
    await nights.run(_call(1), lead_grace=timedelta(days=2))
    await nights.run(lead_grace=timedelta(days=2))
    assert len(nights.looked_up()) > 0
    nights.night += timedelta(days=1)
    over = await nights.run(lead_grace=timedelta(days=2))
    assert over.told == ("1 call given up: no lead has come within --lead-grace",)
    nights.crm.leads = [lead(11, ONE)]
    assert _calls(await nights.run()) == {}
    assert nights.crm.stored == []


@night_after_night
async def test_with_no_grace_nothing_is_kept(nights: Nights) -> None:
    assert (await nights.run(_call(1), lead_grace=timedelta(0))).told == ()
    nights.crm.leads = [lead(11, ONE)]
    assert _calls(await nights.run()) == {}


@night_after_night
async def test_a_number_is_asked_for_again_the_next_night_and_not_before(nights: Nights) -> None:
    nights.crm.leads = [lead(12, TWO)]
    await nights.run(_call(1), _call(2, TWO))
    nights.night -= timedelta(hours=23)
    await nights.run(_call(1), _call(3, TWO))
    assert nights.looked_up() == []
    await nights.run(_call(1), _call(4, TWO))
    assert {target.partition("phone%5D=")[2][:14] for target in nights.looked_up()} >= {
        "%2B15145550123",
        "%2B15145550124",
    }
    assert nights.leads_of_calls() == [12, 12, 12]


@night_after_night
async def test_a_call_refused_with_its_lead_is_looked_for_again(nights: Nights) -> None:
    """Its lead was merged into another: neither an answer of the same night nor the lead it had is held on to."""
    nights.crm.leads, nights.crm.merged_away = [lead(11, ONE)], {11}
    assert (await nights.run(_call(1))).summary.calls.refused == 1
    nights.crm.leads = [lead(12, ONE)]
    nights.night -= timedelta(hours=23)
    assert (await nights.run(_call(1))).summary.calls.refused == 1
    assert len(nights.looked_up()) > 0
    nights.retry_refused()
    nights.night -= timedelta(hours=23)
    assert _calls(await nights.run(_call(1))) == {"delivered": 1}
    assert nights.leads_of_calls() == [12]
    assert nights.looked_up() == []


@night_after_night
async def test_an_agent_who_left_makes_no_reject_of_a_call_that_was_delivered(nights: Nights) -> None:
    nights.crm.leads = [lead(11, ONE)]
    nights.crm.users = [{"id": 101, "first_name": "Sophie", "last_name": "Gendron", "email": None}]
    header = HEADER.replace("agent_id", "agent_name")
    old, new = (_call(n).replace(",12", ",Sophie Gendron") for n in (1, 2))
    assert _calls(await nights.run(old, header=header)) == {"delivered": 1}
    nights.crm.users = []
    later = await nights.run(old, new, header=header)
    assert _calls(later) == {"unchanged": 1}
    assert exporting.rules(later) == {"agent_unknown": 1}
    assert later.told[0].endswith(
        "of agents who are not known, rejected unless they were sent before: Sophie Gendron (2)"
    )
    assert [one["user_id"] for one in nights.crm.stored] == [101]


@night_after_night
async def test_settings_that_make_another_call_of_a_row_leave_kept_ones_alone(nights: Nights) -> None:
    """As after a night in a wrong zone: what it kept would go out at a wrong time."""
    await nights.run(_call(1), timezone="UTC")
    nights.crm.leads = [lead(11, ONE)]
    assert _calls(await nights.run()) == {}
    assert _calls(await nights.run(timezone="UTC", several_leads="newest")) == {"carried": 1, "delivered": 1}


@night_after_night
async def test_a_kept_call_that_may_be_one_of_today_under_another_id_waits(nights: Nights) -> None:
    """The next night it is a look-alike of a known call, which a person decides on."""
    await nights.run(_call(1))
    nights.crm.leads = [lead(11, ONE)]
    assert _calls(await nights.run(_call(1, call_id="other report"))) == {"delivered": 1}
    assert _calls(await nights.run()) == {"carried": 1, "held": 1}
    assert len(nights.crm.stored) == 1


@night_after_night
async def test_rows_that_tell_two_things_of_one_call_are_not_kept(nights: Nights) -> None:
    other = _call(1).replace(",60,", ",61,")
    result = await nights.run(_call(1), other, _call(2), _call(2))
    assert result.told[-1].startswith("1 call without a lead kept")


@night_after_night
async def test_a_number_that_has_two_leads_by_now_keeps_its_call_waiting(nights: Nights) -> None:
    await nights.run(_call(1))
    nights.crm.leads = [lead(11, ONE), lead(12, ONE)]
    undecided = await nights.run()
    assert _calls(undecided) == {}
    (told,) = undecided.told
    assert told.startswith(
        "1 call of +1514•••0123 kept: leads 11 and 12 both have this number; write the right one in "
    )
    leads = exporting.write(nights.folder / "leads.txt", "phone,lead_id", f"{ONE},12")
    assert _calls(await nights.run(leads=leads)) == {"carried": 1, "delivered": 1}
    assert nights.leads_of_calls() == [12]


@night_after_night
async def test_a_number_whose_leads_are_not_all_shown_waits_alone(nights: Nights) -> None:
    """The one that is shown may be the wrong one; the calls of other numbers go."""
    nights.crm.leads = [lead(12, TWO), *(lead(number, ONE) for number in range(100, 701))]
    with mock.patch.object(report.Talk, "warn") as warn:
        first = await nights.run(_call(1), _call(2, TWO), several_leads="newest")
    (warned,) = [call.args[0] for call in warn.call_args_list if "the CRM does not say" in call.args[0]]
    assert warned.startswith(
        "whose +1514•••0123 is the CRM does not say (it finds more than 5 pages of leads for a number): its calls have"
    )
    assert (_calls(first), first.summary.skipped) == ({"skipped": 1, "delivered": 1}, {"no_lead": 1})
    assert nights.leads_of_calls() == [12]
    nights.crm.leads = [lead(11, ONE)]
    # That it was not decided is not remembered: it is asked for again.
    nights.night -= timedelta(hours=23)
    assert _calls(await nights.run()) == {"carried": 1, "delivered": 1}
    assert nights.leads_of_calls() == [12, 11]


@night_after_night
async def test_a_plan_looks_leads_up_and_writes_the_lead_cache_alone(nights: Nights) -> None:
    nights.crm.leads = [lead(11, ONE)]
    planned = await nights.run(_call(1), _call(2, TWO), dry_run=True)
    assert _calls(planned) == {"skipped": 1, "pending": 1}
    assert planned.told[0].startswith("1 call without a lead would be kept: ")
    assert len(nights.looked_up()) == 2
    assert not (nights.folder / "ledger.sqlite3").exists()
    assert (nights.folder / "ledger.sqlite3.leads").exists()
    sent = await nights.run(_call(1), _call(2, TWO), plan=planned.plan)
    assert _calls(sent) == {"skipped": 1, "delivered": 1}
    # What the dry run was told still holds.
    assert nights.looked_up() == []


@night_after_night
async def test_own_numbers_and_hidden_ones_are_never_asked_for(nights: Nights) -> None:
    nights.crm.leads = [lead(11, ONE)]
    result = await nights.run(_call(1), _call(2, "anonymous"), own_numbers=(ONE,))
    assert "no_lead" not in result.summary.skipped
    assert nights.looked_up() == []
    assert nights.crm.stored == []


@night_after_night
async def test_ten_thousand_calls_of_fifteen_hundred_numbers_cost_sixty_reads(nights: Nights) -> None:
    numbers = [f"+1514{number:07}" for number in range(5_550_000, 5_551_500)]
    nights.crm.leads = [lead(n + 1, numbers[n % 1500]) for n in range(1500)]
    nights.crm.leads += [lead(n + 1, f"+1418555{n % 100:04}") for n in range(1500, 5900)]
    rows = [
        f"c{n},incoming,2026-11-{n // 1440 + 1:02}T{n // 60 % 24:02}:{n % 60:02}:{n % 59:02}-05:00,60,"
        f"{numbers[n % 1500]},12"
        for n in range(10_000)
    ]
    result = await nights.run(*rows, dry_run=True)
    assert _calls(result) == {"pending": 10_000}
    assert len(nights.looked_up()) == 59


@night_after_night
async def test_leads_that_are_not_shown_as_documented_end_in_one_line(nights: Nights) -> None:
    nights.crm.leads = [lead(11, ONE) | {"id": "eleven"}]
    with pytest.raises(errors.DestinationUnusable, match="does not show its leads as documented"):
        await nights.run(_call(1))


def test_check_asks_no_crm_and_counts_the_numbers(tmp_path: Path) -> None:
    file = exporting.write(tmp_path / "calls.csv", HEADER, _call(1), _call(2), _call(3, TWO))
    result = exporting.check(file, find_leads=True)
    assert result.summary.skipped == {"no_lead": 3}
    assert result.told[-1] == (
        "3 calls of 2 numbers have no lead in the files: run looks them up in the CRM (--find-leads)"
    )


@night_after_night
async def test_where_the_exit_code_tells_of_rejects_what_is_left_is_told_as_well(nights: Nights) -> None:
    nights.crm.leads = [lead(11, ONE)]
    result = await nights.run(_call(1), _call(2), "c9,incoming,soon,60,+15145550123,12", limit=1)
    assert (result.summary.exit_code, result.summary.calls.pending) == (3, 1)
    assert "stopped as asked, 1 pending call left: run again to go on" in result.told


@night_after_night
async def test_that_the_crm_is_not_asked_again_yet_is_said(nights: Nights) -> None:
    await nights.run(_call(1))
    assert "asked again" not in nights.heard.getvalue()
    nights.night -= timedelta(hours=20)
    await nights.run(_call(1))
    told = "1 number without a lead when the CRM was asked last: asked again 20 hours after that"
    assert told in nights.heard.getvalue()
