"""An agent is who the file says, else the one user with that email, else with that name; never a guess."""

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callimport.core import errors, models
from callimport.resolve import agents_file
from callimport.resolve.agents import Agents, UnknownAgent

USERS = (
    models.User(101, "sophie@example.com", "Sophie Gendron"),
    models.User(102, "jean@example.com", "Jean Roy"),
    models.User(103, "jean.roy@example.com", "Jean Roy"),
    models.User(104, "twice@example.com", ""),
    models.User(106, "twice@example.com", "Zoé Thériault"),
)
_SCHEMA = pl.Schema(
    {
        "_row": pl.Int64(),
        "agent_id": pl.Int64(),
        "agent_email": pl.String(),
        "agent_name": pl.String(),
        "agent_extension": pl.String(),
        "started_at": pl.Datetime("us", "UTC"),
        "status": pl.String(),
    }
)
_NOON = datetime(2024, 5, 31, 16, 0, tzinfo=UTC)


def _file(folder: Path, *lines: str) -> agents_file.AgentsFile:
    path = folder / "agents.csv"
    path.write_text("extension,name,login,email,user_id,from,until\n" + "".join(f"{line}\n" for line in lines), "utf-8")
    return agents_file.read(path)


def _calls(
    *agents: tuple[str | None, str | None, str | None], at: datetime = _NOON, status: str = "answered"
) -> pl.DataFrame:
    rows = [(row, None, *agent, at, status) for row, agent in enumerate(agents, start=2)]
    return pl.DataFrame(rows, schema=_SCHEMA, orient="row")


def _who(
    agents: Agents, email: str | None = None, name: str | None = None, extension: str | None = None
) -> tuple[int | None, models.Reason | None]:
    resolved, reasons = agents.resolve(_calls((email, name, extension)))
    return resolved["executed_by"].item(), reasons.get(2)


def _agents(policy: str = "reject", file: agents_file.AgentsFile | None = None, *, asked: bool = True) -> Agents:
    agents = Agents(UnknownAgent.parse(policy), file, "America/Toronto")
    agents.users = USERS if asked else None
    return agents


@pytest.mark.parametrize(
    ("text", "unknown"),
    [
        ("reject", UnknownAgent("reject")),
        ("omit", UnknownAgent("omit")),
        ("default:12", UnknownAgent("default", 12)),
    ],
)
def test_the_policy_for_unknown_agents_is_parsed(text: str, unknown: UnknownAgent) -> None:
    assert UnknownAgent.parse(text) == unknown


@pytest.mark.parametrize("text", ["", "Reject", "default", "default:", "default:0", "default:x", "default:²", "omit:1"])
def test_another_policy_is_an_error(text: str) -> None:
    with pytest.raises(errors.ConfigError, match="use reject, omit or default:ID"):
        UnknownAgent.parse(text)


def test_a_stated_user_is_used_as_it_is() -> None:
    calls = _calls((None, "Sophie Gendron", None)).with_columns(pl.lit(12, pl.Int64).alias("agent_id"))
    resolved, reasons = _agents().resolve(calls)
    assert (resolved["executed_by"].item(), reasons) == (12, {})


def test_a_row_that_names_nobody_is_rejected_left_out_or_replaced() -> None:
    nobody, reason = _who(_agents())
    assert nobody is None
    assert reason is not None
    assert (reason.rule, reason.message.split(";")[0]) == ("agent_unknown", "agent_id is missing")
    assert _who(_agents("omit")) == (None, None)
    assert _who(_agents("default:7")) == (7, None)


def test_a_user_is_found_by_email_then_by_a_name_that_only_one_has() -> None:
    agents = _agents()
    assert _who(agents, email="SOPHIE@example.com", name="Jean Roy") == (101, None)
    assert _who(agents, email="left@example.com", name="sophie  GENDRON") == (101, None)
    assert _who(agents, name="zoe\u0301 thériault") == (106, None)


@pytest.mark.parametrize(
    ("email", "name", "ids"), [(None, "Jean Roy", "102 and 103"), ("twice@example.com", None, "104 and 106")]
)
def test_two_users_of_one_name_are_never_chosen_from(email: str | None, name: str | None, ids: str) -> None:
    who, reason = _who(_agents(), email=email, name=name)
    assert who is None
    assert reason is not None
    assert reason.rule == "agent_ambiguous"
    assert f"may be users {ids} of the CRM" in reason.message
    assert _who(_agents("default:7"), email=email, name=name) == (7, None)


def test_an_agent_who_is_no_active_user_is_named_and_goes_by_the_policy() -> None:
    agents = _agents()
    who, reason = _who(agents, name="Benoît Lafleur")
    assert who is None
    assert reason is not None
    assert reason.message.startswith('"Benoît Lafleur" is no active user of the CRM; ')
    assert agents.told() == (
        "1 call of agents who are not known, rejected unless they were sent before: Benoît Lafleur (1)",
    )
    kept = _agents("omit")
    assert _who(kept, extension="201") == (None, None)
    assert "or the key's own user (--unknown-agent omit): extension 201 (1)" in kept.told()[0]
    replaced = _agents("default:7")
    assert _who(replaced) == (7, None)
    assert replaced.told() == (
        "1 call of agents who are not known, credited to user 7 (--unknown-agent default): nobody named (1)",
    )


@pytest.mark.parametrize("policy", ["reject", "omit", "default:7"])
@pytest.mark.parametrize("status", ["attempted", "interrupted", "error"])
def test_a_call_that_nobody_answered_needs_no_agent(policy: str, status: str) -> None:
    agents = _agents(policy)
    calls = _calls(
        (None, None, None), (None, "Benoît Lafleur", None), (None, "Jean Roy", None), (None, "Sophie Gendron", None),
        status=status,
    )  # fmt: skip
    resolved, reasons = agents.resolve(calls)
    assert resolved["executed_by"].to_list() == [None, None, None, 101]
    assert reasons == {}
    assert agents.told() == (
        "3 calls that nobody answered, without a known agent: the CRM will name nobody, or the key's own user",
    )


@settings(deadline=None, derandomize=True, database=None)
@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from(["answered", "attempted", "interrupted", "error"]),
            st.sampled_from([None, "Sophie Gendron", "Jean Roy", "Benoît Lafleur"]),
        )
    ),
    policy=st.sampled_from(["reject", "omit", "default:7"]),
)
def test_the_policy_concerns_answered_calls_alone(rows: list[tuple[str, str | None]], policy: str) -> None:
    calls = [_calls((None, name, None), status=status) for status, name in rows]
    frame = pl.concat([_calls().clear(), *calls]).with_columns(pl.int_range(pl.len()).alias("_row"))
    resolved, reasons = _agents(policy).resolve(frame)
    known = [101 if name == "Sophie Gendron" else None for _, name in rows]
    concerned = {row for row, (status, _) in enumerate(rows) if status == "answered" and known[row] is None}
    assert set(reasons) == (concerned if policy == "reject" else set())
    default = 7 if policy == "default:7" else None
    assert resolved["executed_by"].to_list() == [
        default if row in concerned else user for row, user in enumerate(known)
    ]


def test_an_extension_alone_needs_the_file() -> None:
    _, reason = _who(_agents(asked=False), extension="201")
    assert reason is not None
    assert reason.message.startswith('"extension 201" stands in no agents file; ')


def test_the_file_comes_before_the_users(tmp_path: Path) -> None:
    file = _file(
        tmp_path,
        "201,,,,104,,",
        "202,,,jean@example.com,,,",
        ",Sophie Gendron,,,106,,",
        ",,jroy,jean.roy@example.com,,,",
        ",,,moved@example.com,101,,",
        "204,,,left@example.com,,,",
    )
    agents = _agents(file=file)
    assert _who(agents, extension="201") == (104, None)
    assert _who(agents, extension="202") == (102, None)
    assert _who(agents, name="Sophie Gendron", email="sophie@example.com") == (106, None)
    assert _who(agents, name="JRoy") == (103, None)
    assert _who(agents, email="moved@example.com") == (101, None)
    # Whom the file names is not looked for under another name.
    who, reason = _who(agents, extension="204", name="Sophie Gendron X")
    assert who is None
    assert reason is not None


def test_two_lines_that_name_two_people_are_never_chosen_from(tmp_path: Path) -> None:
    file = _file(tmp_path, "201,,,,12,,", ",Bo,,,13,,")
    who, reason = _who(_agents(file=file), extension="201", name="Bo")
    assert who is None
    assert reason is not None
    assert reason.message.startswith('"Bo" is 12 and 13 by the agents file; ')


def test_an_extension_that_changed_hands_is_who_had_it_on_that_day(tmp_path: Path) -> None:
    agents = _agents(file=_file(tmp_path, "201,,,,101,,2024-05-31", "201,,,,102,2024-06-01,"))
    # In Toronto it is still May.
    evening = _calls((None, None, "201"), at=datetime(2024, 6, 1, 3, 59, tzinfo=UTC))
    morning = _calls((None, None, "201"), at=datetime(2024, 6, 1, 4, 0, tzinfo=UTC))
    assert agents.resolve(evening)[0]["executed_by"].item() == 101
    assert agents.resolve(morning)[0]["executed_by"].item() == 102


def test_days_without_a_zone_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(errors.ConfigError, match="--timezone America/Toronto"):
        Agents(UnknownAgent("reject"), _file(tmp_path, "201,,,,12,,2024-05-31"), None)
    Agents(UnknownAgent("reject"), _file(tmp_path, "201,,,,12,,"), None)


def test_offline_an_agent_whom_only_the_crm_knows_is_no_reject_but_said() -> None:
    agents = _agents(asked=False)
    assert not _agents(asked=False).has_open
    assert _who(agents, name="Sophie Gendron") == (None, None)
    assert agents.has_open
    assert _who(agents, email="sophie@example.com") == (None, None)
    assert agents.told() == (
        "2 calls of agents to be looked up among the CRM's users: Sophie Gendron (1), sophie@example.com (1)",
    )


def test_users_who_have_left_are_named_though_the_row_or_the_file_states_them(tmp_path: Path) -> None:
    calls = _calls((None, "Sophie Gendron", None)).with_columns(pl.lit(105, pl.Int64).alias("agent_id"))
    agents = _agents()
    assert agents.resolve(calls)[0]["executed_by"].to_list() == [105]
    assert agents.told() == ("1 call of users who are not active in the CRM any more: user 105 (1)",)


@pytest.mark.parametrize(("policy", "user"), [("reject", None), ("omit", None), ("default:104", 104)])
def test_a_user_of_the_file_who_has_left_is_an_unknown_agent(tmp_path: Path, policy: str, user: int | None) -> None:
    agents = _agents(policy, _file(tmp_path, "201,,,,105,,"))
    who, reason = _who(agents, extension="201")
    assert who == user
    if policy == "reject":
        assert reason is not None
        assert reason.rule == "agent_unknown"
        assert '"extension 201" is user 105 by the agents file, who is no active user of the CRM' in reason.message
    assert agents.told()[-1] == "1 call of users who are not active in the CRM any more: user 105 (1)"
    # As long as nobody has asked, the file is believed.
    assert _who(_agents(policy, agents.file, asked=False), extension="201") == (105, None)


def test_of_many_agents_the_most_frequent_are_named() -> None:
    agents = _agents("omit")
    agents.resolve(_calls(*((None, f"Agent {number:02}", None) for number in range(12)), (None, "Agent 11", None)))
    assert agents.told()[0].endswith(
        ": Agent 11 (2), " + ", ".join(f"Agent {n:02} (1)" for n in range(9)) + " and 2 more"
    )


def test_only_what_the_users_can_tell_needs_them(tmp_path: Path) -> None:
    by_email, by_id = _file(tmp_path, "201,,,a@example.com,,,"), _file(tmp_path, "201,,,,12,,")
    assert not _agents().may_need_users(["agent_extension"])
    assert _agents().may_need_users(["agent_name"])
    assert _agents(file=by_email).may_need_users(["agent_extension"])
    assert not _agents(file=by_email).may_need_users([])
    assert not _agents(file=by_id).may_need_users(["agent_extension"])
