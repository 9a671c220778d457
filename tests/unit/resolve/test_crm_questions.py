"""What is asked of the CRM before rows become calls: only what is needed, and once."""

from pathlib import Path
from typing import Any

import pytest

from callimport.core import errors, models
from callimport.core.settings import Settings
from callimport.crm.retry import Courier
from callimport.ledger import Ledger
from callimport.resolve.crm_questions import Inquiry
from callimport.resolve.inputs import Inputs
from callimport.resolve.resolution import Resolution
from callimport.transform.staging import Staging
from tests import exporting, making
from tests.fake_crm import FakeDealer, in_virtual_time, reply
from tests.unit.crm.test_retry import pace

WHOSE = models.Account(7, "Concession fictive")
SOPHIE = {"id": 101, "first_name": "Sophie", "last_name": "Gendron", "email": "sophie@example.com"}


def _opened(its: Settings) -> Inputs:
    return Inputs(its, exporting.NOW, Staging(Path("state")))


def _export(folder: Path, column: str, **changes: Any) -> Inputs:
    export = folder / f"{column}.csv"
    exporting.write(
        export,
        f"lead_id,direction,started_at,duration_seconds,customer_phone,{column}",
        "5003,incoming,2024-05-31T14:05:00-04:00,9,+15145550123,Sophie Gendron",
    )
    return _opened(exporting.settings(export, **changes))


async def _answer(crm: FakeDealer, *several: Inputs, files: tuple[Path, ...] = ()) -> list[Resolution]:
    """What is known of each one's calls then."""
    ledger = Ledger.of_nothing(making.clock())
    async with crm.reached() as there:
        inquiry = Inquiry(
            exporting.settings(*files), Courier(there, pace()), WHOSE, exporting.NOW, exporting.tools().talk
        )
        resolutions = [exporting.resolution(one) for one in several]
        for one, resolution in zip(several, resolutions, strict=True):
            await inquiry.answer(one, resolution, ledger)
        return resolutions


def test_users_are_asked_for_once(tmp_path: Path) -> None:
    @in_virtual_time
    async def story() -> None:
        crm = FakeDealer([SOPHIE, {"id": "102", "first_name": None, "email": None}])
        export = _export(tmp_path, "agent_name")
        second = _opened(exporting.settings(tmp_path / "agent_name.csv"))
        first, too = await _answer(crm, export, second)
        assert crm.asked("/account") == ["/v2/account?include%5B%5D=users"]
        assert first.agents.users == too.agents.users
        assert first.agents.users == (
            models.User(101, "sophie@example.com", "Sophie Gendron"),
            models.User(102, "", ""),
        )
        (call,) = exporting.calls(first)
        assert call["executed_by"] == 101

    story()


def test_users_whom_the_agents_file_names_by_number_are_asked_for_too(tmp_path: Path) -> None:
    """Else calls of somebody who has left would be credited to him without a word."""
    file = exporting.write(tmp_path / "agents.txt", "name,user_id", "Sophie Gendron,999")

    @in_virtual_time
    async def story() -> None:
        crm = FakeDealer([SOPHIE])
        export = _export(tmp_path, "agent_extension", agents=file)
        found, _ = await _answer(crm, export, export)
        assert len(crm.asked("/account")) == 1
        assert [user.id for user in found.agents.users or ()] == [101]

    story()


def test_where_no_users_are_shown_the_numbers_of_the_agents_file_are_believed(tmp_path: Path) -> None:
    file = exporting.write(tmp_path / "agents.txt", "extension,user_id", "Sophie Gendron,999")

    @in_virtual_time
    async def story() -> None:
        crm = FakeDealer()
        crm.script.append(reply(200, {"data": [{"id": 7, "name": "A"}]}))
        export = _export(tmp_path, "agent_extension", agents=file)
        second = _opened(exporting.settings(tmp_path / "agent_extension.csv", agents=file))
        found, _ = await _answer(crm, export, second)
        assert len(crm.received) == 1
        assert exporting.calls(found)[0]["executed_by"] == 999

    story()


def test_nothing_is_asked_where_no_row_names_an_agent(tmp_path: Path) -> None:
    @in_virtual_time
    async def story() -> None:
        crm = FakeDealer()
        await _answer(crm, _export(tmp_path, "agent_id"), _export(tmp_path, "agent_extension"))
        assert crm.received == []

    story()


@pytest.mark.parametrize(("agent_id", "asks"), [("12", False), ("", True)])
def test_users_are_asked_for_only_where_a_row_names_somebody_without_a_number(
    tmp_path: Path, agent_id: str, asks: bool
) -> None:
    export = exporting.write(
        tmp_path / "calls.csv",
        "lead_id,direction,started_at,duration_seconds,customer_phone,agent_id,agent_name",
        f"5003,incoming,2024-05-31T14:05:00-04:00,9,+15145550123,{agent_id},Sophie Gendron",
        "5003,incoming,2024-05-31T14:06:00-04:00,9,+15145550123,,",
    )

    @in_virtual_time
    async def story() -> None:
        crm = FakeDealer([SOPHIE])
        await _answer(crm, _opened(exporting.settings(export)), files=(export,))
        assert len(crm.received) == asks

    story()


@pytest.mark.parametrize(
    "body",
    [
        {"data": [{"id": 7, "name": "A"}]},
        {"data": [{"id": 8, "name": "B", "users": [SOPHIE]}]},
        {"data": [{"id": 7, "users": [{"email": "a@example.com"}]}]},
    ],
    ids=["no users", "another account's", "no id"],
)
def test_half_an_answer_stops_the_run(tmp_path: Path, body: object) -> None:
    @in_virtual_time
    async def story() -> None:
        crm = FakeDealer()
        crm.script.append(reply(200, body))
        with pytest.raises(
            errors.DestinationUnusable, match=r"does not show this key its users .* user_id in --agents"
        ):
            await _answer(crm, _export(tmp_path, "agent_name"))

    story()


def test_of_a_group_the_accounts_own_users_are_taken(tmp_path: Path) -> None:
    @in_virtual_time
    async def story() -> None:
        crm = FakeDealer()
        other = {"id": 8, "name": "B", "users": [{"id": 9}]}
        crm.script.append(reply(200, {"data": [other, {"id": 7, "name": "A", "users": [SOPHIE]}]}))
        (found,) = await _answer(crm, _export(tmp_path, "agent_name"))
        assert [user.id for user in found.agents.users or ()] == [101]

    story()
