"""Rows of one call become one call: none is lost, none counted twice, one bad leg keeps all from being sent."""

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import polars as pl
import pytest

from callimport.core import phones
from callimport.extract import reader
from callimport.profiles import profile
from callimport.transform import legs, validate
from tests import exporting

_NOON = datetime(2024, 5, 31, 12, tzinfo=UTC)
_SCHEMA: dict[str, pl.DataType] = {
    "_row": pl.Int64(), "_group": pl.String(), "_leg": pl.String(), "_faulty": pl.Boolean(), "status": pl.String(),
    "started_at": pl.Datetime("us", "UTC"), "duration_seconds": pl.Int64(), "agent_name": pl.String(),
    "total_seconds": pl.Int64(), "customer_phone": pl.String(), "_role": pl.String(),
}  # fmt: skip
_Row = tuple[int, str | None, str | None, str | None, int | None, int | None]


def _rows(*rows: _Row, faulty: tuple[int, ...] = ()) -> pl.DataFrame:
    """row, group, leg, status, seconds after noon, talk."""
    return pl.DataFrame(
        [
            (
                row,
                group,
                leg,
                row in faulty,
                status,
                None if at is None else _NOON + timedelta(seconds=at),
                talk,
                f"a{row}",
                None,
                "+15145550123",
                None,
            )
            for row, group, leg, status, at, talk in rows
        ],
        schema=_SCHEMA,
        orient="row",
    )


def _rule(*winner: str, talk: Literal["winner", "sum"] = "winner") -> profile.Legs:
    return profile.Legs(profile.Cell("id"), winner or ("answered", "earliest", "longest"), talk)


def _told(call: dict[str, object]) -> tuple[object, ...]:
    at = call["started_at"]
    assert isinstance(at, datetime)
    return call["_row"], call["status"], (at - _NOON).seconds, call["duration_seconds"], call["_legs"]


_RING_GROUP = (
    (2, "g", "l2", "interrupted", 0, 0),
    (3, "g", "l3", "answered", 5, 95),
    (4, "g", "l4", "interrupted", 1, 0),
)


def test_the_answered_leg_stands_for_the_call_from_its_earliest_second_on() -> None:
    joined = legs.join(_rows(*_RING_GROUP), _rule())
    assert [_told(call) for call in joined.calls.to_dicts()] == [(3, "answered", 0, 95, ["l2", "l3", "l4"])]
    assert joined.calls["agent_name"].to_list() == ["a3"]
    assert joined.joined.rows() == [(2, 3), (4, 3)]
    assert joined.rejected.is_empty()


@pytest.mark.parametrize(
    ("winner", "row"),
    [
        (("answered", "earliest"), 3),
        (("answered", "longest"), 5),
        (("earliest",), 2),
        (("latest",), 4),
        (("longest",), 5),
        (("answered", "latest"), 5),
    ],
)
def test_the_order_of_the_words_decides_who_wins(winner: tuple[str, ...], row: int) -> None:
    rows = _rows(
        (2, "g", None, "interrupted", 0, 0),
        (3, "g", None, "answered", 5, 10),
        (4, "g", None, "interrupted", 9, 0),
        (5, "g", None, "answered", 7, 20),
    )
    assert legs.join(rows, _rule(*winner)).calls["_row"].to_list() == [row]


def test_equal_legs_are_decided_by_the_order_of_the_file() -> None:
    rows = _rows((7, "g", None, "answered", 0, 5), (8, "g", None, "answered", 0, 5))
    assert legs.join(rows, _rule()).calls["_row"].to_list() == [7]


def test_talk_may_be_the_sum_of_what_was_answered() -> None:
    rows = _rows(
        (2, "g", None, "answered", 0, 13), (3, "g", None, "interrupted", 0, 8), (4, "g", None, "answered", 0, 21)
    )
    assert legs.join(rows, _rule(talk="sum")).calls["duration_seconds"].to_list() == [34]
    assert legs.join(rows, _rule()).calls["duration_seconds"].to_list() == [21]


def test_the_sum_of_a_call_that_nobody_answered_is_its_own() -> None:
    rows = _rows(
        (2, "g", None, "interrupted", 0, 0), (3, "g", None, "interrupted", 0, 0), (4, None, None, "answered", 0, 7)
    )
    assert legs.join(rows, _rule(talk="sum")).calls["duration_seconds"].to_list() == [0, 7]


def test_a_row_without_a_group_is_a_call_of_its_own() -> None:
    rows = _rows((2, None, "x", "answered", 0, 1), (3, None, None, "answered", 0, 1), (4, "r0", None, "answered", 0, 1))
    joined = legs.join(rows, _rule())
    assert [(call["_row"], call["_legs"]) for call in joined.calls.to_dicts()] == [(2, ["x"]), (3, []), (4, [])]


def test_one_faulty_leg_rejects_all_rows_of_its_call() -> None:
    alone = (5, None, None, "answered", 0, 1)
    joined = legs.join(_rows(*_RING_GROUP, alone, faulty=(3,)), _rule())
    assert joined.rejected.rows() == [(2, 3), (3, 3), (4, 3)]
    assert joined.calls["_row"].to_list() == [5]
    assert joined.joined.is_empty()


def test_a_faulty_row_may_lack_everything() -> None:
    rows = _rows((2, "g", "a", None, None, None), (3, "g", "b", "answered", 0, 1), faulty=(2,))
    assert legs.join(rows, _rule()).rejected.rows() == [(2, 2), (3, 2)]


def test_exact_duplicates_are_one_leg() -> None:
    rows = _rows((2, "g", "a", "answered", 0, 9), (3, "g", "a", "answered", 0, 9))
    assert [_told(call) for call in legs.join(rows, _rule()).calls.to_dicts()] == [(2, "answered", 0, 9, ["a"])]


def test_rows_of_several_files_are_told_by_file_and_row() -> None:
    rows = _rows((2, "g", None, "interrupted", 0, 0), (2, "g", None, "answered", 1, 4)).with_columns(
        _source=pl.Series([0, 1])
    )
    joined = legs.join(rows, _rule(), place=("_source", "_row"))
    assert joined.joined.columns == ["_source", "_row", "_into_source", "_into_row"]
    assert joined.joined.rows() == [(0, 2, 1, 2)]


def test_nothing_becomes_nothing() -> None:
    joined = legs.join(_rows(), _rule())
    assert (joined.calls.height, joined.joined.height, joined.rejected.height) == (0, 0, 0)
    assert joined.calls.columns == [*_SCHEMA, "_legs"]


@pytest.mark.parametrize("seed", range(20))
def test_every_row_ends_in_exactly_one_place_whatever_their_order(seed: int) -> None:
    chance = random.Random(seed)
    rows = [
        (row, chance.choice([None, "a", "b", "c", "d"]), f"l{row}", chance.choice(["answered", "interrupted"]),
         chance.randrange(60), chance.randrange(100))
        for row in range(2, 30)
    ]  # fmt: skip
    faulty = tuple(chance.sample(range(2, 30), 2))
    joined = legs.join(_rows(*rows, faulty=faulty), _rule())
    endings = [*joined.calls["_row"], *joined.joined["_row"], *joined.rejected["_row"]]
    assert sorted(endings) == list(range(2, 30))
    assert set(joined.joined["_into_row"]) <= set(joined.calls["_row"])
    chance.shuffle(rows)
    again = legs.join(_rows(*rows, faulty=faulty), _rule())
    assert {call["started_at"] for call in again.calls.to_dicts()} == {
        call["started_at"] for call in joined.calls.to_dicts()
    }
    assert sorted(again.rejected["_row"]) == sorted(joined.rejected["_row"])


# ── rows without an id that follow one another ───────────────────────────────────────────────────────────────────────

_CHAIN = profile.Legs(
    profile.Cell("id"), ("answered", "earliest"), "winner", chain=profile.Chain(profile.Cell("a"), profile.Cell("b"), 3)
)


def _chained(*rows: tuple[str | None, int | None, int | None], group: str | None = None) -> list[tuple[int, int]]:
    """chain, seconds after noon, length; what each row is joined to, a call to itself."""
    frame = _rows(*((number, group, None, "interrupted", at, 0) for number, (_, at, _) in enumerate(rows)))
    frame = frame.with_columns(
        _chain=pl.Series([chain for chain, _, _ in rows], dtype=pl.String),
        _length=pl.Series([length for _, _, length in rows], dtype=pl.Int64),
        _faulty=pl.col("started_at").is_null(),
    )
    joined = legs.join(frame, _CHAIN)
    alone = [(row, row) for row in joined.calls["_row"]]
    return sorted([*alone, *joined.joined.rows(), *joined.rejected.rows()])


def test_rows_that_follow_one_another_without_a_gap_are_one_call() -> None:
    assert _chained(("n", 0, 13), ("n", 13, 6), ("n", 22, 45)) == [(0, 0), (1, 0), (2, 0)]


def test_a_gap_ends_a_call() -> None:
    assert _chained(("n", 0, 13), ("n", 17, 6)) == [(0, 0), (1, 1)]


def test_a_row_inside_a_longer_one_does_not_end_it() -> None:
    assert _chained(("n", 0, 60), ("n", 5, 2), ("n", 62, 9)) == [(0, 0), (1, 0), (2, 0)]


def test_the_order_of_the_file_does_not_matter_to_a_chain() -> None:
    assert _chained(("n", 22, 45), ("n", 13, 6), ("n", 0, 13)) == [(0, 2), (1, 2), (2, 2)]


def test_other_callers_are_other_calls() -> None:
    assert _chained(("n", 0, 13), ("m", 13, 6), (None, 13, 6), (None, 13, 6)) == [(0, 0), (1, 1), (2, 2), (3, 3)]


def test_an_id_goes_before_a_chain() -> None:
    assert _chained(("n", 0, 1), ("n", 500, 1), group="g") == [(0, 0), (1, 0)]


def test_a_row_whose_beginning_or_length_nobody_knows_is_in_no_chain_or_has_no_length() -> None:
    assert _chained(("n", 0, None), ("n", 3, None), ("n", 7, 1), ("n", None, 5)) == [(0, 0), (1, 0), (2, 2), (3, 3)]


# ── who talked ───────────────────────────────────────────────────────────────────────────────────────────────────────

_TRANSFERRED = (
    (2, "g", None, "interrupted", 0, 0),
    (3, "g", None, "answered", 5, 90),
    (4, "g", None, "answered", 60, 10),
    (5, "g", None, "answered", 95, 40),
    (6, "g", None, "interrupted", 140, 0),
)


@pytest.mark.parametrize(("agent", "name"), [("first", "a3"), ("last", "a5"), ("longest", "a3")])
def test_a_transferred_call_gets_the_agent_that_is_asked_for(agent: legs.Agent, name: str) -> None:
    for chance in range(5):
        rows = _rows(*random.Random(chance).sample(_TRANSFERRED, len(_TRANSFERRED)))
        assert legs.join(rows, _rule(), agent=agent).calls["agent_name"].to_list() == [name]


def test_a_row_without_an_agent_leaves_the_call_to_a_row_with_one() -> None:
    rows = _rows(*_TRANSFERRED).with_columns(pl.when(pl.col("_row") != 5).then("agent_name").alias("agent_name"))
    assert legs.join(rows, _rule()).calls["agent_name"].to_list() == ["a4"]
    nobody = rows.with_columns(pl.lit(None, pl.String).alias("agent_name"))
    assert legs.join(nobody, _rule()).calls["agent_name"].to_list() == [None]


def test_the_talk_of_a_repeated_row_counts_once() -> None:
    rows = _rows((2, "g", "a", "answered", 0, 72), (3, "g", "a", "answered", 0, 72), (4, "g", "b", "answered", 80, 5))
    same = rows.with_columns(pl.lit("Ana").alias("agent_name"))
    assert legs.join(same, _rule(talk="sum")).calls["duration_seconds"].to_list() == [77]


# ── is it one call? ──────────────────────────────────────────────────────────────────────────────────────────────────


def _customers(rows: pl.DataFrame, **customers: str | None) -> pl.DataFrame:
    """Rows with other customers: r3="+15145550124" is that of row 3."""
    of_row = {int(row[1:]): customer for row, customer in customers.items()}
    return rows.with_columns(
        pl.col("_row")
        .replace_strict(of_row, default=pl.col("customer_phone"), return_dtype=pl.String)
        .alias("customer_phone")
    )


def _roles(rows: pl.DataFrame, role: str, *of: int) -> pl.DataFrame:
    return rows.with_columns(pl.when(pl.col("_row").is_in(of)).then(pl.lit(role)).otherwise("_role").alias("_role"))


def test_rows_of_two_customers_are_not_one_call() -> None:
    rows = _customers(_rows(*_RING_GROUP, (5, "h", None, "answered", 0, 1)), r4="+15145550124")
    joined = legs.join(rows, _rule())
    (one,) = joined.implausible
    assert (one.rule, one.places) == ("legs_customers", ((2,), (3,), (4,)))
    assert one.told.format(one="row 2", other="row 4").startswith(
        "row 2 and row 4 have the same call id and different customers (+1514•••0123 and +1514•••0124): not joined"
    )
    assert joined.calls["_row"].to_list() == [5]
    assert joined.joined.is_empty()


@pytest.mark.parametrize(
    ("start", "is_joined"),
    [(4 * 3600 + 600, True), (4 * 3600 + 601, False), (26 * 3600, False)],
)
def test_a_row_that_begins_hours_after_the_others_ended_is_another_call(start: int, is_joined: bool) -> None:
    rows = _rows((2, "g", None, "answered", 0, 600), (3, "g", None, "answered", start, 60))
    joined = legs.join(rows, _rule())
    assert joined.calls.height == is_joined
    assert [one.rule for one in joined.implausible] == ([] if is_joined else ["legs_apart"])


def test_ringing_counts_as_time_in_which_a_call_goes_on() -> None:
    rows = _rows((2, "g", None, "interrupted", 0, 0), (3, "g", None, "answered", 5 * 3600, 60))
    assert legs.join(rows, _rule()).calls.is_empty()
    ringing = rows.with_columns(pl.when(pl.col("_row") == 2).then(3 * 3600).alias("total_seconds"))
    assert legs.join(ringing, _rule()).calls.height == 1


@pytest.mark.parametrize(("answered", "is_joined"), [(50, True), (51, False)])
def test_more_answered_rows_than_a_call_can_have_are_several_calls(answered: int, is_joined: bool) -> None:
    rows = _rows(*((row, "g", None, "answered", row, 1) for row in range(2, 2 + answered)))
    joined = legs.join(rows, _rule())
    assert joined.calls.height == is_joined
    assert [one.rule for one in joined.implausible] == ([] if is_joined else ["legs_many"])


def test_a_call_may_ring_on_more_phones_than_it_is_answered_on() -> None:
    rows = _rows(*((row, "g", None, "interrupted", row, 0) for row in range(2, 200)))
    assert legs.join(rows, _rule()).calls.height == 1


def test_a_number_that_a_call_is_sent_on_to_is_no_customer() -> None:
    rows = _roles(_customers(_rows(*_RING_GROUP), r3="+15145550199"), "forwarded", 3)
    (call,) = legs.join(rows, _rule()).calls.to_dicts()
    assert (call["_row"], call["customer_phone"]) == (2, "+15145550123")


def test_where_every_row_was_sent_on_the_number_is_the_customers() -> None:
    rows = _roles(_rows(*_RING_GROUP), "forwarded", 2, 3, 4)
    assert legs.join(rows, _rule()).calls["customer_phone"].to_list() == ["+15145550123"]
    rows = _customers(rows, r4="+15145550124")
    assert [one.rule for one in legs.join(rows, _rule()).implausible] == ["legs_customers"]


def test_an_internal_row_joins_and_changes_nothing_but_the_agent() -> None:
    rows = _rows((2, "g", "a", "answered", 10, 30), (3, "g", "b", "answered", 0, 500), (4, "g", "c", "answered", 35, 9))
    rows = _customers(_roles(rows, "internal", 3, 4), r3=None, r4=None)
    joined = legs.join(rows, _rule(talk="sum"))
    assert [_told(call) for call in joined.calls.to_dicts()] == [(2, "answered", 10, 30, ["a"])]
    assert joined.calls["agent_name"].to_list() == ["a4"]
    assert joined.joined.rows() == [(3, 2), (4, 2)]


# ── whatever stands in a file ────────────────────────────────────────────────────────────────────────────────────────

_GIVEN = profile.Given(phones.Dialling())
_READING = validate.Reading("America/Toronto", "first", exporting.NOW)


def _mixed(frame: pl.DataFrame, chance: random.Random) -> pl.DataFrame:
    """Rows of an export, some again and again, in which cells of some columns have changed places."""
    rows = frame[[chance.randrange(frame.height) for _ in range(2 * frame.height)]]
    columns = [name for name in frame.columns if name not in ("_row", "_ragged") and chance.random() < 0.4]
    moved = [rows[name].sample(fraction=1, shuffle=True, seed=chance.randrange(2**32)) for name in columns]
    return rows.with_columns(*moved, pl.int_range(1, rows.height + 1, dtype=pl.Int64).alias("_row"))


def _whose(rows: pl.DataFrame, joined: legs.Joined) -> dict[int, set[Any]]:
    """The customers that the rows of each call name, by the row that stands for the call."""
    names = dict(rows.filter(pl.col("_role").is_null()).select("_row", "customer_phone").iter_rows())
    found = {row: {names.get(row)} for row in joined.calls["_row"]}
    for row, into in joined.joined.iter_rows():
        found[into].add(names.get(row))
    return {row: customers - {None} for row, customers in found.items()}


def _profile_of(sample: Path) -> profile.Profile:
    names = [name for name in profile.available() if sample.stem.startswith(name)]
    return profile.load(max(names, key=len))


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize(
    "sample", [one for one in exporting.SAMPLES if _profile_of(one).legs], ids=lambda sample: sample.stem
)
def test_rows_of_different_customers_never_end_in_one_call(sample: Path, seed: int) -> None:
    chance = random.Random(f"{sample.stem} {seed}")
    opened = reader.open_source(sample)
    match = profile.fit(_profile_of(sample), reader.peek(opened))
    assert match.profile.legs is not None
    (chunk,) = reader.read(opened, match.layout)
    made = legs.attach_all_internal(profile.canonical(match.profile, _mixed(chunk.frame, chance), _GIVEN))
    kept = made.filter(pl.col("_drop").is_null() & pl.col("_skip").is_null())
    rows = legs.rows_of(kept, validate.validate(kept, _READING))
    joined = legs.join(rows, match.profile.legs)
    assert all(len(customers) <= 1 for customers in _whose(rows, joined).values())
    implausible = [row for one in joined.implausible for (row,) in one.places]
    endings = [*joined.calls["_row"], *joined.joined["_row"], *joined.rejected["_row"], *implausible]
    assert sorted(endings) == kept["_row"].to_list()


# ── calls that are skipped ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("caller", ["anonymous", "+15145550199"])
def test_a_call_of_nobody_that_is_sent_on_makes_no_call_of_the_number_it_is_sent_to(
    tmp_path: Path, caller: str
) -> None:
    header = "sid,direction,status,start_time,duration,from,to,parent_call_sid"
    rows = (
        f"CA1,inbound,completed,2024-05-31T14:00:00Z,60,{caller},+15145550198,",
        f"CA2,outbound-dial,completed,2024-05-31T14:00:05Z,50,{caller},+15145550177,CA1",
    )
    path = exporting.write(tmp_path / "calls.csv", header, *rows)
    summary = exporting.check(path, own_numbers=("+15145550199",)).summary
    assert (summary.rows.joined, summary.calls.skipped, summary.calls.total) == (1, 1, 1)


@pytest.mark.parametrize("did", ["", "-", "0", "unknown", "s", "out.wav49", "a/b.flac", "out-5145550125-101"])
def test_what_is_no_number_in_did_makes_no_call_that_came_in(tmp_path: Path, did: str) -> None:
    header = "calldate,src,dst,dcontext,channel,dstchannel,lastapp,billsec,disposition,uniqueid,did"
    row = "2024-05-31 14:05:09,4165550199,5145550125,from-internal,PJSIP/101-1,SIP/x-2,Dial,40,ANSWERED,1717178709.1"
    found = exporting.calls_of(exporting.write(tmp_path / "calls.csv", header, f"{row},{did}"))
    assert [(call["direction"], call["customer_phone"]) for call in found] in ([("outgoing", "+15145550125")], [])
