"""What a desk dialled went out, whatever stood before the public number; what stayed in the house is no customer's."""

from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callimport.core import phones
from callimport.profiles import profile

_HOUSE = "5145550199"
_NUMBER = "+15145550123"
_PREFIXES = ("", "9", "91", "9 1 ", "1", "*67", "*67 ", "*67,", "*679", "9*67", "*82", "*31#", "#31#", "9011 1 ")
_LOCAL = ("", "9", "*67", "*67 9")


def _made(name: str, dialling: phones.Dialling, *rows: dict[str, str]) -> list[dict[str, Any]]:
    """What the profile makes of rows, of which only these cells are filled."""
    its = profile.load(name)
    cells = {column: [row.get(column) for row in rows] for column in its.known}
    frame = pl.DataFrame(cells, schema=dict.fromkeys(cells, pl.String)).with_columns(
        pl.int_range(2, 2 + len(rows), eager=True).cast(pl.Int64).alias("_row"),
        pl.lit(None, pl.String).alias("_ragged"),
    )
    return profile.canonical(its, frame, profile.Given(dialling)).to_dicts()


def _freepbx(src: str, dst: str, **changes: str) -> dict[str, str]:
    row = {
        "calldate": "2024-05-31 14:05:09", "src": src, "dst": dst, "dcontext": "from-internal", "billsec": "40",
        "channel": "PJSIP/101-0000000b", "dstchannel": "PJSIP/trunk-0000000c", "lastapp": "Dial",
        "disposition": "ANSWERED", "uniqueid": "1717179009.11",
    }  # fmt: skip
    return row | changes


def _cucm(calling: str, called: str, **changes: str) -> dict[str, str]:
    row = {
        "globalCallID_callManagerId": "1", "globalCallID_callId": "7", "dateTimeOrigination": "1717178709",
        "dateTimeConnect": "1717178715", "duration": "60", "callingPartyNumber": calling,
        "finalCalledPartyNumber": called, "originalCalledPartyNumber": called, "origCause_value": "16",
        "destCause_value": "0", "origDeviceName": "SEP00000000A001", "destDeviceName": "GW-PSTN",
    }  # fmt: skip
    return row | changes


_CA = phones.Dialling()
_EXTENSIONS = st.integers(10, 999_999).map(str)


@settings(deadline=None, derandomize=True, database=None, max_examples=60)
@given(
    extension=_EXTENSIONS,
    shown=st.sampled_from(["", _HOUSE]),
    line=st.integers(0, 99).map("{:02}".format),
    prefix=st.sampled_from(_PREFIXES),
    context=st.sampled_from(["from-internal", "macro-dialout-trunk", ""]),
)
def test_what_a_desk_dialled_went_out_whatever_the_prefix(
    extension: str, shown: str, line: str, prefix: str, context: str
) -> None:
    """The house's number may be shown in place of the extension."""
    dialled = f"{prefix}51455501{line}"
    freepbx = _freepbx(shown or extension, dialled, channel=f"PJSIP/{extension}-0000000b", dcontext=context)
    for row in (*_made("freepbx", _CA, freepbx), *_made("cucm", _CA, _cucm(shown or extension, dialled))):
        assert (row["direction"], row["_drop"], row["_faults"]) == ("outgoing", None, [])
        assert row["customer_phone"] == f"+151455501{line}"


@pytest.mark.parametrize("prefix", _LOCAL)
def test_seven_digits_went_out_and_need_a_stated_area_code(prefix: str) -> None:
    rows = (("freepbx", _freepbx("101", f"{prefix}5550123")), ("cucm", _cucm("1001", f"{prefix}5550123")))
    for name, row in rows:
        (unstated,) = _made(name, _CA, row)
        assert (unstated["direction"], unstated["_drop"]) == ("outgoing", None)
        (fault,) = unstated["_faults"]
        assert "--area-code" in fault["message"]
        (stated,) = _made(name, phones.Dialling(area_code="514"), row)
        assert (stated["direction"], stated["customer_phone"], stated["_faults"]) == ("outgoing", _NUMBER, [])


@settings(deadline=None, derandomize=True, database=None, max_examples=60)
@given(
    extension=_EXTENSIONS,
    dialled=st.one_of(_EXTENSIONS, st.sampled_from(["911", "*60", "*97", "#70", "*8101", "*725145550123", "**102"])),
    dialling=st.sampled_from([_CA, phones.Dialling(outside_line="9", area_code="514")]),
)
def test_what_stayed_in_the_house_is_dropped(extension: str, dialled: str, dialling: phones.Dialling) -> None:
    (row,) = _made("freepbx", dialling, _freepbx(extension, dialled, dstchannel=""))
    assert row["_drop"] == "internal"


def test_extensions_of_seven_digits_are_told_by_their_channels() -> None:
    inside = {"channel": "PJSIP/5550101-0000000b", "dstchannel": "PJSIP/5550102-0000000c"}
    outside = {"channel": "PJSIP/5550101-0000000b", "dstchannel": "PJSIP/trunk-0000000c"}
    to_desk, went_out = _made(
        "freepbx", _CA, _freepbx("5550101", "5550102", **inside), _freepbx("5550101", "5145550123", **outside)
    )
    assert to_desk["_drop"] == "internal"
    assert (went_out["_drop"], went_out["direction"], went_out["customer_phone"]) == (None, "outgoing", _NUMBER)


def test_too_many_digits_that_a_desk_dialled_went_out_and_are_rejected_as_a_number() -> None:
    (row,) = _made("freepbx", _CA, _freepbx("101", "0115215550123"))
    assert row["direction"] == "outgoing"
    assert [fault["rule"] for fault in row["_faults"]] == ["customer_phone_e164"]


# ── who called ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _called(caller: str, dialling: phones.Dialling) -> list[dict[str, Any]]:
    trunk = {"dcontext": "from-pstn", "channel": "PJSIP/trunk-0000000b", "dstchannel": "PJSIP/101-0000000c"}
    gateway = {"origDeviceName": "GW-PSTN", "destDeviceName": "SEP00000000A001"}
    return [
        *_made("freepbx", dialling, _freepbx(caller, "101", **trunk)),
        *_made("cucm", dialling, _cucm(caller, "1001", **gateway)),
    ]


@pytest.mark.parametrize("dialling", [_CA, phones.Dialling(outside_line="9")])
def test_a_caller_may_be_shown_with_the_outside_line(dialling: phones.Dialling) -> None:
    for row in _called("95145550123", dialling):
        assert (row["direction"], row["customer_phone"], row["_faults"]) == ("incoming", _NUMBER, [])


def test_a_caller_who_may_be_of_another_country_is_not_guessed() -> None:
    """Whoever states the outside line has decided; the profile's own is what most desks dial."""
    for row in _called("917026123456", _CA):
        assert [fault["rule"] for fault in row["_faults"]] == ["customer_phone_e164"]
        assert "state that digit with --outside-line" in row["_faults"][0]["message"]
    for row in _called("917026123456", phones.Dialling(outside_line="9")):
        assert (row["customer_phone"], row["_faults"]) == ("+17026123456", [])
    for row in _called("95145550123", phones.Dialling(outside_line="")):
        assert [fault["rule"] for fault in row["_faults"]] == ["customer_phone_e164"]


@pytest.mark.parametrize("gateway", ["SEPT-ILES-GW", "ANALOG-GW", "ATALAYA-TRUNK", "GW-PSTN"])
def test_a_gateway_is_no_phone_whatever_its_name_begins_with(gateway: str) -> None:
    (row,) = _made("cucm", _CA, _cucm("1001", "95145550123", destDeviceName=gateway))
    assert (row["_drop"], row["direction"]) == (None, "outgoing")
