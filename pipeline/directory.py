"""Whose call it is: phone → lead, agent → user of the CRM. Here from files and the command line alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl

from pipeline import errors, model, privacy, source
from schemas import checks

_COLUMNS = ("phone", "lead_id")


@dataclass(frozen=True, slots=True)
class Leads:
    """The leads of each number. `sha256` is of the file, part of what a batch covers."""

    sha256: str
    by_phone: Mapping[str, tuple[int, ...]]

    @classmethod
    def from_file(cls, path: Path) -> "Leads":
        """Read a CSV or Parquet with the columns phone (E.164) and lead_id; others are ignored.

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
            for phone, lead_id in _pairs(path, chunk.frame):
                leads.setdefault(phone, set()).add(lead_id)
        return cls(opened.sha256, {phone: tuple(sorted(found)) for phone, found in leads.items()})

    def find(self, phone: str) -> tuple[int, ...]:
        """Lead ids of an E.164 number, ascending; none is ()."""
        return self.by_phone.get(phone, ())

    def resolve(self, lead_id: int | None, phone: str) -> tuple[int | None, model.Reason | None]:
        """The lead of a call: the one given, else the only one with that number. (None, None) where there is none."""
        if lead_id is not None:
            return lead_id, None
        found = self.find(phone)
        if len(found) < 2:
            return (found[0] if found else None), None
        names = f"{', '.join(map(str, found[:-1]))} and {found[-1]}"
        both = "both" if len(found) == 2 else "all"
        return None, model.Reason(
            "lead_several", f"leads {names} {both} have this number; write the right one in lead_id"
        )


def _pairs(path: Path, frame: pl.DataFrame) -> list[tuple[str, int]]:
    phone = checks.cleaned_phone(pl.col("phone").str.strip_chars())
    lead_id = pl.col("lead_id").str.strip_chars().str.replace(r"\.0+$", "").cast(pl.Int64, strict=False)
    read = frame.select(
        "_row",
        "_ragged",
        pl.col("phone", "lead_id").fill_null("").name.suffix("_text"),
        phone.alias("phone"),
        lead_id.alias("lead_id"),
        checks.is_e164(phone).fill_null(False).alias("phone_sound"),
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


@dataclass(frozen=True, slots=True)
class UnknownAgent:
    """What becomes of a call whose agent is not known (`--unknown-agent`)."""

    policy: Literal["reject", "omit", "default"]
    default_id: int | None = None

    @classmethod
    def parse(cls, text: str) -> "UnknownAgent":
        """Of `reject`, `omit` or `default:ID`. Raises ConfigError."""
        policy, _, number = text.partition(":")
        if text == "reject":
            return cls("reject")
        if text == "omit":
            return cls("omit")
        if policy == "default" and number.isascii() and number.isdigit() and int(number) > 0:
            return cls("default", int(number))
        raise errors.ConfigError(
            f'--unknown-agent "{text}" is not known; use reject, omit or default:ID with a user\'s number in the CRM'
        )

    def resolve(self, agent_id: int | None) -> tuple[int | None, model.Reason | None]:
        """Who the CRM is told conducted the call (None: nobody is named), or why the row is a reject."""
        if agent_id is not None:
            return agent_id, None
        if self.policy == "reject":
            return None, model.Reason(
                "agent_unknown",
                "agent_id is missing; fill it in, or decide with --unknown-agent omit or default:ID",
            )
        return self.default_id, None
