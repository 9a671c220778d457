"""A recipe is checked before it is used, fits a file or says why not, and shapes rows without losing any."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest

from callimport.core import errors, models
from callimport.profiles import loading, profile
from callimport_schemas import call_log

_RECIPE = """
version = 1
name = "desk"
title = "Front desk"
system = "desk"
identity = false
duration_form = "hms"
other_columns = "error"
optional = ["agent_name"]

[columns]
started_at = "When"
duration_seconds = "Length"
customer_phone = { incoming = "From", outgoing = "To" }
direction = "Way"
agent_name = "Who"

[values.direction]
In = "incoming"
Out = "outgoing"
Internal = ""

[constants]
status = "answered"
"""


def _load(folder: Path, recipe: str) -> profile.Profile:
    path = folder / "desk.toml"
    path.write_text(recipe, "utf-8")
    return profile.load(str(path))


def _peek(*records: Sequence[str], is_typed: bool = False) -> models.Peek:
    numbered = tuple((line, tuple(cells)) for line, cells in enumerate(records, start=0 if is_typed else 1))
    return models.Peek(numbered, is_typed, "a test")


def _frame(**columns: list[str | None]) -> pl.DataFrame:
    height = len(next(iter(columns.values())))
    frame = pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String))
    return frame.with_columns(_row=pl.int_range(2, 2 + height), _ragged=pl.lit(None, dtype=pl.String))


def _rows(recipe: profile.Profile, frame: pl.DataFrame) -> list[dict[str, object]]:
    return profile.canonical(recipe, frame).to_dicts()


def _faults(row: dict[str, object]) -> list[tuple[str, str]]:
    faults = row["_faults"]
    assert isinstance(faults, list)
    return [(fault["rule"], fault["message"]) for fault in faults]


_CANONICAL = ("direction", "started_at", "customer_phone", "duration_seconds")
_TWILIO = {"sid", "direction", "status", "start_time", "duration", "from", "to"}


_SHIPPED = (
    "3cx", "aircall", "avaya-smdr", "canonical", "cucm", "dialpad", "five9", "freepbx", "ringcentral-analytics",
    "twilio",
)  # fmt: skip


def test_ten_recipes_come_with_the_program() -> None:
    assert profile.available() == _SHIPPED


@pytest.mark.parametrize("name", _SHIPPED)
def test_a_recipe_is_called_like_its_file_and_says_how_to_export(name: str) -> None:
    recipe = profile.load(name)
    assert recipe.name == name
    assert recipe.export or name == "canonical"


def test_the_canonical_recipe_needs_four_columns() -> None:
    recipe = profile.load("canonical")
    assert set(recipe.required) == {"direction", "started_at", "customer_phone", "duration_seconds"}
    assert set(recipe.known) == set(call_log.TEXT_COLUMNS)
    assert (recipe.zone, recipe.identity, recipe.other_columns) == (None, True, "error")


def test_the_twilio_recipe_is_utc_and_knows_its_calls() -> None:
    recipe = profile.load("twilio")
    assert set(recipe.required) == _TWILIO
    assert (recipe.zone, recipe.identity, recipe.system) == ("UTC", True, "twilio")


# ── which recipe ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_recipe_is_detected_by_its_required_columns() -> None:
    assert profile.detect(_peek([*_TWILIO, "price"])).profile.name == "twilio"
    assert profile.detect(_peek(_CANONICAL)).profile.name == "canonical"


def test_no_fit_names_the_nearest_recipe_and_what_is_missing() -> None:
    with pytest.raises(
        errors.SchemaMismatch, match=r"nearest there is, twilio, lacks: strat_time: did you mean start_time\?"
    ):
        profile.detect(_peek([*_TWILIO - {"start_time"}, "strat_time"]))


def test_two_that_fit_is_an_error_naming_both() -> None:
    both = [*_TWILIO, "started_at", "customer_phone", "duration_seconds"]
    with pytest.raises(errors.SchemaMismatch, match="canonical and twilio; choose one with --profile"):
        profile.detect(_peek(both))


def test_missing_and_unknown_columns_are_told_with_close_names() -> None:
    header = ["direction", "started_at", "customer_phone", "lead_di", "colour"]
    with pytest.raises(errors.SchemaMismatch) as caught:
        profile.fit(profile.load("canonical"), _peek(header))
    for said in ("duration_seconds is missing", "lead_di: did you mean lead_id?", "colour is not known"):
        assert said in str(caught.value)


def test_our_own_columns_and_ignored_ones_are_accepted() -> None:
    profile.fit(profile.load("canonical"), _peek([*_CANONICAL, "_row", "_reasons", "_source"]))
    profile.fit(profile.load("twilio"), _peek([*_TWILIO, "price"]))


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(errors.ConfigError, match=r"no profile twillio \(did you mean twilio\?\); known: 3cx, "):
        profile.load("twillio")


def test_a_path_that_is_no_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(errors.ConfigError, match="cannot be read"):
        profile.load(str(tmp_path / "none.toml"))


# ── reading a recipe ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("version = 1", "version = ", "is not TOML"),
        ("version = 1", "version = true", "version must be a whole number"),
        ("version = 1", "", "version must be a whole number"),
        ('system = "desk"', "system = 3", "system must be text"),
        ("identity = false", 'identity = "no"', "identity must be true or false"),
        (
            'duration_form = "hms"',
            'duration_form = "weeks"',
            'duration_form must be one of "seconds", "decimal_seconds", "ms"',
        ),
        ('other_columns = "error"', 'other_column = "error"', "other_column is not a known key; did you mean other_"),
        ('optional = ["agent_name"]', "optional = [[]]", "optional must be a list of texts"),
        ('optional = ["agent_name"]', "optional = [{}]", "optional must be a list of texts"),
        ('optional = ["agent_name"]', 'optional = ["agent"]', "optional must be a list of canonical columns"),
        ('title = "Front desk"', 'title = "x"\nzone = "Montreal"', '"Montreal" is no IANA time zone'),
        ('direction = "Way"', "", r"direction must be given"),
        ('agent_name = "Who"', 'agent = "Who"', r"columns.agent is not a known canonical column"),
        ('outgoing = "To"', 'out = "To"', r"columns.customer_phone.out is not a known key"),
        ('Out = "outgoing"', 'Out = "out"', r'values.direction.Out must be one of "outgoing", "incoming", ""'),
        ('Out = "outgoing"', 'IN = "outgoing"', 'values.direction."IN" is blank, or listed twice'),
        ("[values.direction]", "[values.agent_id]", "values.agent_id is not a known column"),
        ('status = "answered"', 'status = "won"', "constants.status must be one of"),
        ('status = "answered"', 'direction = "incoming"', "in one of them"),
    ],
)
def test_a_faulty_recipe_names_file_key_and_what_is_allowed(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in _RECIPE
    with pytest.raises(errors.ConfigError) as caught:
        _load(tmp_path, _RECIPE.replace(old, new))
    assert "desk.toml" in str(caught.value)
    assert said in str(caught.value)


def test_the_fingerprint_is_of_what_shapes_calls(tmp_path: Path) -> None:
    original = _load(tmp_path, _RECIPE).fingerprint
    assert len(original) == 64
    assert _load(tmp_path, "# a comment\n" + _RECIPE.replace("Front desk", "Reception")).fingerprint == original
    assert _load(tmp_path, _RECIPE.replace('In = "incoming"', 'In = "outgoing"')).fingerprint != original
    assert _load(tmp_path, _RECIPE.replace("version = 1", "version = 2")).fingerprint != original


# ── applying a recipe ────────────────────────────────────────────────────────────────────────────────────────────────


def _desk(**cells: str | None) -> pl.DataFrame:
    row = {"When": "x", "Length": "0:05", "From": "f", "To": "t", "Way": "In", "Who": None} | cells
    return _frame(**{name: [cell] for name, cell in row.items()})


def test_cells_are_stripped_and_blank_is_null() -> None:
    frame = _frame(direction=[" incoming\u00a0"], started_at=["  "], customer_phone=[""], duration_seconds=[None])
    (row,) = _rows(profile.load("canonical"), frame)
    assert (row["direction"], row["started_at"], row["customer_phone"], row["lead_id"]) == (
        "incoming",
        None,
        None,
        None,
    )
    assert row["_row"] == 2


def test_the_customer_is_on_the_far_side(tmp_path: Path) -> None:
    recipe = _load(tmp_path, _RECIPE)
    (came_in,) = _rows(recipe, _desk(Way="in"))
    (went_out,) = _rows(recipe, _desk(Way=" OUT "))
    assert (came_in["direction"], came_in["customer_phone"]) == ("incoming", "f")
    assert (went_out["direction"], went_out["customer_phone"]) == ("outgoing", "t")
    assert not came_in["_customer_unknown"]


def test_a_word_that_is_not_in_the_map_is_a_fault_naming_the_known_ones(tmp_path: Path) -> None:
    (row,) = _rows(_load(tmp_path, _RECIPE), _desk(Way="sideways"))
    assert row["direction"] is None
    assert row["_customer_unknown"]
    assert _faults(row) == [
        ("direction_unknown", 'direction: "sideways" is not a word that profile desk knows; known: in, out, internal')
    ]


def test_a_word_may_mean_absent(tmp_path: Path) -> None:
    (row,) = _rows(_load(tmp_path, _RECIPE), _desk(Way="Internal"))
    assert (row["direction"], _faults(row)) == (None, [])


def test_a_constant_stands_in_every_row(tmp_path: Path) -> None:
    assert [row["status"] for row in _rows(_load(tmp_path, _RECIPE), _desk())] == ["answered"]


def test_an_optional_column_may_be_missing(tmp_path: Path) -> None:
    recipe = _load(tmp_path, _RECIPE)
    frame = _desk().drop("Who")
    profile.fit(recipe, _peek(frame.columns))
    assert [row["agent_name"] for row in _rows(recipe, frame)] == [None]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0:00", "0"), ("1:05", "65"), ("90:00", "5400"), ("00:01:05", "65"), ("1:00:00", "3600"), (None, None)],
)
def test_clock_durations_become_seconds(tmp_path: Path, text: str | None, seconds: str | None) -> None:
    (row,) = _rows(_load(tmp_path, _RECIPE), _desk(Length=text))
    assert (row["duration_seconds"], _faults(row)) == (seconds, [])


@pytest.mark.parametrize("text", ["65", "1:60", "1:2:3", "1:61:00", "-0:05", "soon"])
def test_a_duration_of_another_form_is_a_fault(tmp_path: Path, text: str) -> None:
    (row,) = _rows(_load(tmp_path, _RECIPE), _desk(Length=text))
    assert [rule for rule, _ in _faults(row)] == ["duration_number"]
    assert row["duration_seconds"] is None


def test_a_row_of_another_width_is_a_fault() -> None:
    frame = _frame(direction=["incoming"]).with_columns(_ragged=pl.lit("3 cells where the header has 4"))
    (row,) = _rows(profile.load("canonical"), frame)
    assert _faults(row) == [("ragged", "the row has 3 cells where the header has 4")]


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("completed", None),
        ("busy", "unanswered"),
        ("No-Answer", "unanswered"),
        ("canceled", "unanswered"),
        ("failed", "error"),
    ],
)
def test_twilio_words_of_calls_that_are_over(word: str, status: str | None) -> None:
    (row,) = _rows(profile.load("twilio"), _frame(status=[word], direction=["outbound-dial"]))
    assert (row["status"], row["direction"], _faults(row)) == (status, "outgoing", [])


@pytest.mark.parametrize("word", ["queued", "ringing", "in-progress"])
def test_a_twilio_call_that_is_not_over_is_a_fault(word: str) -> None:
    (row,) = _rows(profile.load("twilio"), _frame(status=[word], direction=["inbound"]))
    assert [rule for rule, _ in _faults(row)] == ["status_unknown"]


@pytest.mark.parametrize("text", ["a = " + "9" * 5_000, "a = " + "[" * 100_000])
def test_toml_that_python_cannot_parse_is_a_config_error(text: str) -> None:
    with pytest.raises(errors.ConfigError, match=r"profile mine\.toml cannot be read as TOML"):
        loading.parsed(text, "mine.toml")
