"""Every recipe on invented exports of its system's exact shape: what each of their rows must become.

Beside each file of tests/exports lies what was worked out by hand: `ending` is "call", "joined 5", "dropped internal",
"skipped anonymous", "rejected <rule>" or, for the sound rows of a call with a faulty one, "rejected with 7".
"""

import csv
import random
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from callimport.core import errors, models, phones
from callimport.profiles import profile
from callimport.transform import legs, validate
from tests.rehearsal import ROOT

EXPORTS = sorted(path for path in (ROOT / "tests" / "exports").glob("*.csv") if not path.stem.endswith(".calls"))
_ZONE = "America/Toronto"
_READING = validate.Reading(_ZONE, "reject", datetime(2026, 11, 22, tzinfo=UTC))
_GIVEN = profile.Given(phones.Dialling())
_BY_NAME_ONLY = {"five9", "avaya-smdr"}


def records(path: Path) -> list[tuple[int, tuple[str, ...]]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file)
        return [(reader.line_num, tuple(cells)) for cells in reader if any(cells)]


def peek(path: Path) -> models.Peek:
    return models.Peek(tuple(records(path)[:200]), is_typed=False, told="a test")


def frame(path: Path, layout: models.Layout) -> pl.DataFrame:
    width = len(layout.names)
    rows = [(line, cells) for line, cells in records(path) if line >= layout.first_row]
    ragged = [None if len(cells) >= width and not any(cells[width:]) else f"{len(cells)} cells" for _, cells in rows]
    squared = [(*cells, *[""] * width)[:width] for _, cells in rows]
    return pl.DataFrame(squared, schema=dict.fromkeys(layout.names, pl.String), orient="row").with_columns(
        pl.Series("_row", [line for line, _ in rows], dtype=pl.Int64), pl.Series("_ragged", ragged, dtype=pl.String)
    )


def _endings(match: profile.Match, rows: pl.DataFrame) -> list[dict[str, str]]:
    """What has become of each row, in the words of the files beside the exports."""
    made = legs.attach_all_internal(profile.canonical(match.profile, rows, _GIVEN))
    found: dict[int, dict[str, str]] = {}
    for row, drop, skip in made.select("_row", "_drop", "_skip").rows():
        if drop or skip:
            found[row] = {"ending": f"dropped {drop}" if drop else f"skipped {skip}"}
    kept = made.filter(pl.col("_drop").is_null() & pl.col("_skip").is_null())
    validated = validate.validate(kept, _READING)
    for row, reasons in validated.rejects.items():
        found[row] = {"ending": f"rejected {' '.join(reason.rule for reason in reasons)}"}
    typed = legs.rows_of(kept, validated)
    joined = legs.join(typed, match.profile.legs or profile.Legs(profile.Cell("none"), ("earliest",), "winner"))
    for one in joined.implausible:
        found |= {row: {"ending": f"rejected {one.rule}"} for (row,) in one.places}
    for row, into in joined.joined.rows():
        found[row] = {"ending": f"joined {into}"}
    for row, into in joined.rejected.rows():
        found.setdefault(row, {"ending": f"rejected with {into}"})
    for call in joined.calls.to_dicts():
        agent = (call["agent_name"], call["agent_email"], call["agent_extension"])
        found[call["_row"]] = {
            "ending": "call",
            "call_id": call["call_id"] or "",
            "direction": call["direction"],
            "status": call["status"],
            "started_at": f"{call['started_at']:%Y-%m-%dT%H:%M:%SZ}",
            "duration": str(call["duration_seconds"]),
            "customer": call["customer_phone"],
            "agent": " ".join(text for text in agent if text),
            "recording": call["recording"] or "",
        }
    return [{"row": str(row)} | told for row, told in sorted(found.items())]


def _expected(path: Path) -> list[dict[str, str]]:
    with path.with_suffix(".calls.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [row if row["ending"] == "call" else {"row": row["row"], "ending": row["ending"]} for row in rows]


def _match(path: Path) -> profile.Match:
    chosen = next((name for name in _BY_NAME_ONLY if path.stem.startswith(name)), None)
    return profile.fit(profile.load(chosen), peek(path)) if chosen else profile.detect(peek(path))


@pytest.mark.parametrize("path", EXPORTS, ids=lambda path: path.stem)
def test_an_export_becomes_the_calls_that_were_worked_out(path: Path) -> None:
    match = _match(path)
    assert path.stem.startswith(match.profile.name)
    rows = frame(path, match.layout)
    endings = _endings(match, rows)
    assert endings == _expected(path)
    assert [int(told["row"]) for told in endings] == rows["_row"].to_list()


def test_every_recipe_has_an_export() -> None:
    assert {name for name in profile.available() for path in EXPORTS if path.stem.startswith(name)} == set(
        profile.available()
    )


@pytest.mark.parametrize("path", EXPORTS, ids=lambda path: path.stem)
def test_chunks_make_the_same_of_rows_as_the_whole_file(path: Path) -> None:
    match = _match(path)
    rows = frame(path, match.layout)
    dates = profile.evidence(match.profile, rows)
    given = profile.Given(phones.Dialling(), dates=dates)
    whole = profile.canonical(match.profile, rows, given)
    pieces = pl.concat([profile.canonical(match.profile, rows.slice(at, 2), given) for at in range(0, rows.height, 2)])
    assert pieces.equals(whole)


_ODD = (
    None, "", " ", "0", "-1", "x", "101", "5145550123", "+15145550123", "5.145550100E+9", "Anonymous", "s", "ANSWERED",
    "answered", "Inbound", "I", "outbound-api", "2024-05-31 14:05:09", "31/05/2024 14:05", "05/06/2024", "1717178709",
    "1717178709.1", "9999999999999.1", "America/Toronto", "Mars", "00:01:12", "PT5S", "99999999999999999999", "=1+1",
    "\u0000", "é\u202e", "{When}", "Totals", "SIP/101-0a", "V9501", "b002179144511001", "a" * 500,
)  # fmt: skip


@pytest.mark.parametrize("name", profile.available())
@pytest.mark.parametrize("height", [0, 1, 300])
def test_no_row_is_lost_whatever_stands_in_it(name: str, height: int) -> None:
    chance = random.Random(height)
    recipe = profile.load(name)
    cells = {column: [chance.choice(_ODD) for _ in range(height)] for column in recipe.known}
    rows = pl.DataFrame(cells, schema=dict.fromkeys(cells, pl.String)).with_columns(
        pl.int_range(2, 2 + height, eager=True).cast(pl.Int64).alias("_row"),
        pl.Series("_ragged", [None] * height, dtype=pl.String),
    )
    made = profile.canonical(recipe, rows, _GIVEN)
    assert made["_row"].to_list() == rows["_row"].to_list()
    kept = made.filter(pl.col("_drop").is_null() & pl.col("_skip").is_null())
    validated = validate.validate(kept, _READING)
    assert validated.accepted.height + len(validated.rejects) == kept.height


@pytest.mark.parametrize("name", sorted(_BY_NAME_ONLY))
def test_a_recipe_never_tried_on_a_real_export_is_named_and_not_chosen(name: str) -> None:
    with pytest.raises(errors.SchemaMismatch, match=f"looks like {name}, .* say --profile {name}"):
        profile.detect(peek(next(path for path in EXPORTS if path.stem == name)))
