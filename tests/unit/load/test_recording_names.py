"""A file that no row names goes to the one call that its name tells of, or to none."""

import pytest

from callimport.core import errors, models, phones
from callimport.load.recording_names import Names, Told, merge_owners, owners
from callimport.profiles import loading, profile

EPOCH = 1716836844
ID = f"{EPOCH}.12"
PHONE, OTHER = "+15145550123", "+15145550124"
FREEPBX = Names(profile.load("freepbx").recordings, None, phones.Dialling())
OUT = f"2024/05/27/out-5145550123-101-20240527-150724-{ID}.wav"


def call(key: str = "a", call_id: str | None = ID, **changes: object) -> models.Nameless[str]:
    return models.Nameless(key, call_id, "outgoing", PHONE, EPOCH)._replace(**changes)  # type: ignore[arg-type]


def told(path: str = "x.wav", call_id: str | None = ID, at: int | None = EPOCH, direction: str = "outgoing") -> Told:
    return Told(path, PHONE, direction, call_id, at)


@pytest.mark.parametrize(
    ("name", "direction", "phone"),
    [
        (f"out-5145550123-101-20240527-150724-{ID}.wav", "outgoing", PHONE),
        (f"out-15145550123-101-20240527-150724-{ID}.WAV", "outgoing", PHONE),
        (f"external-101-5145550123-20240527-150724-{ID}.wav", "incoming", PHONE),
        (f"in-4505550100-+15145550123-20240527-150724-{ID}.mp3", "incoming", PHONE),
        (f"q-600-5145550124-20240527-150724-{ID}.wav", "incoming", OTHER),
    ],
)
def test_a_name_of_freepbx_tells_direction_number_id_and_time(name: str, direction: str, phone: str) -> None:
    assert FREEPBX.read([f"2024/05/{name}"]) == [Told(f"2024/05/{name}", phone, direction, ID, EPOCH)]


def test_the_name_of_a_recording_may_have_the_outside_line() -> None:
    name = f"out-95145550123-101-20240527-150724-{ID}.wav"
    (found,) = Names(profile.load("freepbx").recordings, None, phones.Dialling("CA", "9")).read([name])
    assert found.phone == PHONE


@pytest.mark.parametrize(
    "name",
    [f"internal-102-101-20240527-150724-{ID}.wav", f"external-101-anonymous-20240527-150724-{ID}.wav", "hold.wav",
     f"external-101-102-20240527-150724-{ID}.wav"],
)  # fmt: skip
def test_a_name_without_a_customers_number_tells_nothing(name: str) -> None:
    assert FREEPBX.read([name]) == []


def test_dates_in_names_are_of_the_exports_zone() -> None:
    patterns = (profile.FileName(r"^(?P<date>\d{8})-(?P<time>\d{6})_(?P<number>\d+)"),)
    name = "20240527-150724_5145550123.mp3"
    (found,) = Names(patterns, "America/Toronto", phones.Dialling()).read([name])
    assert found.at == EPOCH
    assert [one.at for one in Names(patterns, None, phones.Dialling()).read([name])] == [None]
    assert [one.at for one in Names(patterns, "UTC", phones.Dialling()).read(["20241399-150724_5145550123.mp3"])] == [
        None
    ]


def test_the_id_and_the_number_make_it_the_calls() -> None:
    assert owners(FREEPBX.read([OUT]), [call()]).path_of == {"a": OUT}


@pytest.mark.parametrize(
    "other", [call(phone=OTHER), call(direction="incoming"), call(call_id="9.9", started_at=EPOCH + 121)]
)
def test_a_contradiction_makes_it_nobodys(other: models.Nameless[str]) -> None:
    assert owners([told()], [other]).path_of == {}


def test_without_the_id_the_time_must_be_its_own() -> None:
    assert owners([told(call_id=None)], [call(started_at=EPOCH - 119)]).path_of == {"a": "x.wav"}
    assert owners([told(call_id=None, at=None)], [call()]).path_of == {}


def test_a_file_that_fits_two_calls_is_nobodys() -> None:
    found = owners([told(call_id=None)], [call("a"), call("b", started_at=EPOCH + 60)])
    assert (found.path_of, found.unclear) == ({}, ("x.wav",))


def test_two_files_that_fit_a_call_are_nobodys() -> None:
    found = owners([told("x.wav"), told("y.wav")], [call()])
    assert (found.path_of, found.unclear) == ({}, ("x.wav", "y.wav"))


def test_an_id_says_more_than_a_time() -> None:
    """The customer called back within a minute: each call keeps its own recording."""
    files = [told("x.wav", "1.1"), told("y.wav", "2.2", EPOCH + 50)]
    calls = [call("a", "1.1"), call("b", "2.2", started_at=EPOCH + 50)]
    assert owners(files, calls).path_of == {"a": "x.wav", "b": "y.wav"}


def test_what_an_id_speaks_of_is_no_other_calls() -> None:
    found = owners([told("x.wav", "1.1")], [call("a", "1.1"), call("b", "2.2")])
    assert found.path_of == {"a": "x.wav"}


def test_a_file_whose_id_is_nobodys_is_not_a_neighbours() -> None:
    """It may be of a call that was rejected, or that is to come with the next export."""
    found = owners([told("x.wav", "1.1")], [call("b", "2.2", started_at=EPOCH + 60)])
    assert (found.path_of, found.unclear) == ({}, ("x.wav",))


@pytest.mark.parametrize("legs", ["9.9/1\n1.1/4", "1.1", "asterisk-1.1/4"])
def test_the_id_of_a_leg_makes_it_the_calls(legs: str) -> None:
    assert owners([told("x.wav", "1.1")], [call("a", "9.9", legs=legs)]).path_of == {"a": "x.wav"}
    assert owners([told("x.wav", "1.1")], [call("a", "9.9", legs="11.1/4")]).path_of == {}


@pytest.mark.parametrize(
    "written",
    ["file = '('", "file = '(?P<number>.)'", "file = '(?P<id>.)'", "file = '(?P<number>.)(?P<id>.)(?P<speed>.)'",
     "file = '(?P<number>.)(?P<id>.)'\nis = 'sideways'"],
)  # fmt: skip
def test_a_pattern_that_cannot_do_is_refused_in_one_line(written: str) -> None:
    recipe = f"{profile.text_of('canonical')}\n[[recordings]]\n{written}\n"
    with pytest.raises(errors.ConfigError, match=r"recordings\[1\]"):
        loading.parsed(recipe, "own.toml")


def test_names_of_recordings_shape_no_calls() -> None:
    """A batch is the same batch after somebody wrote down how recordings are called."""
    plain = profile.text_of("canonical")
    named = f"{plain}\n[[recordings]]\nfile = '(?P<number>.)(?P<id>.)'\n"
    assert loading.parsed(plain, "x").fingerprint == loading.parsed(named, "x").fingerprint


def test_a_file_that_fits_calls_of_two_systems_is_unclear() -> None:
    files = [told("x.wav", "1.1"), told("y.wav", "2.2")]
    one, other = owners(files, [call("a", "1.1"), call("b", "2.2")]), owners(files[:1], [call("c", "1.1")])
    found = merge_owners([one, other])
    assert (found.path_of, found.unclear) == ({"b": "y.wav"}, ("x.wav",))
    assert merge_owners([one]) == one
