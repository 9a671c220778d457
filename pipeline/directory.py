"""Whose call it is: phone → lead. Here from files alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from pipeline import errors, model, numbers, privacy, source
from schemas import checks

_COLUMNS = ("phone", "lead_id")


@dataclass(frozen=True, slots=True)
class Leads:
    """The leads of each number. `sha256` is of the file, part of what a batch covers."""

    sha256: str
    by_phone: Mapping[str, tuple[int, ...]]

    @classmethod
    def from_file(cls, path: Path, region: str = "CA") -> "Leads":
        """Read any table with the columns phone (bare numbers are of `region`) and lead_id; others are ignored.

        Raises SourceError with the first line that is wrong: half a directory would skip calls in silence.
        """
        opened = source.open_source(path)
        missing = [name for name in _COLUMNS if name not in source.header(opened)]
        if missing:
            raise errors.SchemaMismatch(
                f"{path} has no column {' and '.join(missing)}; the leads file needs phone and lead_id"
            )
        leads: dict[str, set[int]] = {}
        for chunk in source.read(opened):
            for phone, lead_id in _pairs(path, chunk.frame, region):
                leads.setdefault(phone, set()).add(lead_id)
        return cls(opened.sha256, {phone: tuple(sorted(found)) for phone, found in leads.items()})

    def find(self, phone: str) -> tuple[int, ...]:
        """Lead ids of an E.164 number, ascending; none is ()."""
        return self.by_phone.get(phone, ())

    def resolve(self, calls: pl.DataFrame) -> tuple[pl.DataFrame, dict[int, model.Reason]]:
        """`calls` with lead_id filled in where exactly one lead has the number; a lead that is given stays. And, by
        `_row`, why not, where several have it; a number of nobody is no fault."""
        phones = pl.DataFrame(
            {"customer_phone": list(self.by_phone), "found": [list(found) for found in self.by_phone.values()]},
            schema={"customer_phone": pl.String, "found": pl.List(pl.Int64)},
        )
        joined = calls.join(phones, on="customer_phone", how="left", maintain_order="left")
        several = joined.filter(pl.col("lead_id").is_null() & (pl.col("found").list.len() > 1))
        only = pl.when(pl.col("found").list.len() == 1).then(pl.col("found").list.first())
        return (
            joined.with_columns(pl.coalesce("lead_id", only).alias("lead_id")).drop("found"),
            {row: _several(found) for row, found in several.select("_row", "found").iter_rows()},
        )


def _several(found: list[int]) -> model.Reason:
    names = f"{', '.join(map(str, found[:-1]))} and {found[-1]}"
    both = "both" if len(found) == 2 else "all"
    return model.Reason(
        "lead_several",
        f"leads {names} {both} have this number; leave the right one in the leads file, or write it in lead_id",
    )


def _pairs(path: Path, frame: pl.DataFrame, region: str) -> list[tuple[str, int]]:
    phone = numbers.read(frame["phone"], region)["e164"]
    lead_id = pl.col("lead_id").str.strip_chars().str.replace(r"\.0+$", "").cast(pl.Int64, strict=False)
    read = frame.select(
        "_row",
        "_ragged",
        pl.col("phone", "lead_id").fill_null("").name.suffix("_text"),
        phone.alias("phone"),
        lead_id.alias("lead_id"),
        phone.is_not_null().alias("phone_sound"),
        checks.is_id(lead_id).fill_null(False).alias("lead_sound"),
    )
    wrong = read.filter(pl.col("_ragged").is_not_null() | ~pl.col("phone_sound") | ~pl.col("lead_sound"))
    if wrong.is_empty():
        return list(read.select(_COLUMNS).iter_rows())
    first = wrong.row(0, named=True)
    if first["_ragged"] is not None:
        told = f"the row has {first['_ragged']}"
    elif not first["phone_sound"]:
        told = f'phone "{first["phone_text"]}" is not an international number; write it with + and the country code'
    else:
        told = f'lead_id "{first["lead_id_text"]}" is not a whole number above 0; write the lead\'s number in the CRM'
    raise errors.SourceError(f"{path}, line {first['_row']}: {privacy.scrub(told)}")
