"""Whose call it is: phone → lead, where that is certain or was decided. From a file, or from what the CRM answered."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from callimport.core import errors, models, normal_form, privacy
from callimport.core import phones as phone_numbers
from callimport.extract import reader
from callimport_schemas import checks

SEVERAL = ("reject", "at-call", "newest", "oldest")
# These are not worked with in the CRM; another lead is the customer's.
NEVER_CHOSEN = ("duplicate", "invalid")
# So long after a call its lead may have been entered.
LATEST_AFTER_THE_CALL = timedelta(days=30)
_CANADA = phone_numbers.Dialling()
_COLUMNS = ("phone", "lead_id")
_OPTIONAL = ("created_at", "status")
_HOW = {
    "file": "leave the right one in the leads file, write it in lead_id, or decide with --several-leads",
    "crm": "write the right one in lead_id or in a leads file, or decide with --several-leads",
}


@dataclass(frozen=True, slots=True)
class Leads:
    """The leads of each number, ascending by id. `several` is one of SEVERAL: what becomes of a number that has more
    than one. `sha256` is of the file they are from, part of what a batch covers; "" is the CRM. Of `undecided` numbers
    it does not show every lead: there are some, and none is certain."""

    sha256: str
    by_phone: Mapping[str, tuple[models.Lead, ...]]
    several: str = "reject"
    undecided: Collection[str] = ()

    @classmethod
    def from_file(cls, path: Path, dialling: phone_numbers.Dialling = _CANADA, several: str = "reject") -> "Leads":
        """Read any table with the columns phone (bare numbers are of the region) and lead_id, and perhaps created_at
        (an instant, or a day, which begins in UTC) and status (of the CRM's words); others are ignored.

        Raises SourceError with the first line that is wrong: half a directory would skip calls in silence.
        """
        opened = reader.open_source(path)
        missing = [name for name in _COLUMNS if name not in reader.header(opened)]
        if missing:
            raise errors.SchemaMismatch(
                f"{path} has no column {' and '.join(missing)}; the leads file needs phone and lead_id"
            )
        leads: dict[str, dict[int, models.Lead]] = {}
        for chunk in reader.read(opened):
            for row in _rows(path, chunk.frame, dialling):
                created_at = _created_at(path, row)
                lead = models.Lead(row["lead_id"], created_at, (row["status"] or "").strip().lower())
                leads.setdefault(row["phone"], {}).setdefault(lead.id, lead)
        return cls(opened.sha256, {phone: _ascending(found.values()) for phone, found in leads.items()}, several)

    @classmethod
    def of_the_crm(
        cls, by_phone: Mapping[str, Sequence[models.Lead]], several: str, undecided: Collection[str] = ()
    ) -> "Leads":
        """What the CRM answered."""
        return cls("", {phone: _ascending(found) for phone, found in by_phone.items()}, several, undecided)

    def resolve(self, calls: pl.DataFrame) -> tuple[pl.DataFrame, dict[int, models.Reason]]:
        """`calls` with lead_id filled in where one lead has the number, or one of several is chosen; a lead that is
        given stays. And, by `_row`, why none is, where several have it; a number of nobody is no fault."""
        fit = {phone: _fit(found) for phone, found in self.by_phone.items()}
        phones = pl.DataFrame(
            {
                "customer_phone": list(fit),
                "_only": [found[0].id if len(found) == 1 else None for found in fit.values()],
                "_several": [len(found) > 1 for found in fit.values()],
            },
            schema={"customer_phone": pl.String, "_only": pl.Int64, "_several": pl.Boolean},
        )
        joined = calls.join(phones, on="customer_phone", how="left", maintain_order="left")
        several = joined.filter(pl.col("lead_id").is_null() & pl.col("_several"))
        chosen: dict[int, int] = {}
        reasons: dict[int, models.Reason] = {}
        for row, phone, started_at in several.select("_row", "customer_phone", "started_at").iter_rows():
            lead = _chosen(fit[phone], started_at, self.several)
            if lead is None:
                reasons[row] = self._reason(fit[phone])
            else:
                chosen[row] = lead.id
        of_row = pl.col("_row").replace_strict(chosen, default=None, return_dtype=pl.Int64)
        return joined.with_columns(pl.coalesce("lead_id", "_only", of_row)).drop("_only", "_several"), reasons

    def knows(self, phone: str) -> bool:
        """Whether a lead that may be chosen has the number, or may have it."""
        return phone in self.undecided or bool(_fit(self.by_phone.get(phone, ())))

    def lead_of(self, phone: str, started_at: datetime) -> int | None:
        """The lead of one call, None where there is none or it is not decided which."""
        fit = _fit(self.by_phone.get(phone, ()))
        lead = fit[0] if len(fit) == 1 else _chosen(fit, started_at, self.several)
        return lead.id if lead else None

    def why_undecided(self, phone: str) -> str:
        """Of a number that several have: their ids, and what decides."""
        return self._reason(_fit(self.by_phone.get(phone, ()))).message

    def _reason(self, found: Sequence[models.Lead]) -> models.Reason:
        if len(found) < 2:
            told = "the CRM does not show every lead that it finds for this number; write the right one in a leads file"
            return models.Reason("lead_several", told)
        names = f"{', '.join(str(lead.id) for lead in found[:-1])} and {found[-1].id}"
        told = f"leads {names} {'both' if len(found) == 2 else 'all'} have this number"
        if self.several != "reject" and any(lead.created_at is None for lead in found):
            told += ", and it is not known when each was created"
        elif self.several == "at-call":
            told += ", and none was created before the call or within 30 days after it"
        return models.Reason("lead_several", f"{told}; {_HOW['file' if self.sha256 else 'crm']}")


def _fit(found: Sequence[models.Lead]) -> tuple[models.Lead, ...]:
    return tuple(lead for lead in found if lead.status not in NEVER_CHOSEN)


def _chosen(found: Sequence[models.Lead], started_at: datetime, several: str) -> models.Lead | None:
    """One of several leads, by what was decided; None where that tells none."""
    dated = sorted((lead.created_at, lead.id, lead) for lead in found if lead.created_at is not None)
    if several == "reject" or len(dated) < len(found) or not dated:
        return None
    if several == "newest":
        return dated[-1][2]
    if several == "oldest":
        return dated[0][2]
    before = [lead for created_at, _, lead in dated if created_at <= started_at]
    soon = [lead for created_at, _, lead in dated if started_at < created_at <= started_at + LATEST_AFTER_THE_CALL]
    return before[-1] if before else soon[0] if soon else None


def _ascending(found: Any) -> tuple[models.Lead, ...]:
    return tuple(sorted(found, key=lambda lead: lead.id))


def _rows(path: Path, frame: pl.DataFrame, dialling: phone_numbers.Dialling) -> list[dict[str, Any]]:
    numbers = phone_numbers.read(frame["phone"], dialling.undialled)
    phone = numbers["e164"]
    lead_id = pl.col("lead_id").str.strip_chars().str.replace(r"\.0+$", "").cast(pl.Int64, strict=False)
    nothing = pl.lit(None, pl.String)
    read = frame.select(
        "_row",
        "_ragged",
        pl.col("phone", "lead_id").fill_null("").name.suffix("_text"),
        phone.alias("phone"),
        lead_id.alias("lead_id"),
        phone.is_not_null().alias("phone_sound"),
        numbers["wrong"].alias("phone_wrong"),
        checks.is_id(lead_id).fill_null(False).alias("lead_sound"),
        *(pl.col(name) if name in frame.columns else nothing.alias(name) for name in _OPTIONAL),
    )
    wrong = read.filter(pl.col("_ragged").is_not_null() | ~pl.col("phone_sound") | ~pl.col("lead_sound"))
    if wrong.is_empty():
        return read.select("_row", *_COLUMNS, *_OPTIONAL).to_dicts()
    first = wrong.row(0, named=True)
    if first["_ragged"] is not None:
        told = f"the row has {first['_ragged']}"
    elif not first["phone_sound"]:
        told = first["phone_wrong"] or "is not an international number; write it with + and the country code"
        told = f'phone "{first["phone_text"]}" {told}'
    else:
        told = f'lead_id "{first["lead_id_text"]}" is not a whole number above 0; write the lead\'s number in the CRM'
    raise errors.SourceError(f"{path}, line {first['_row']}: {privacy.scrub(told)}")


def _created_at(path: Path, row: Mapping[str, Any]) -> datetime | None:
    text = (row["created_at"] or "").strip()
    if not text:
        return None
    moment = normal_form.instant(text.replace(" ", "T", 1))
    if moment is None:
        try:
            moment = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
        except ValueError:
            told = f'created_at "{text}" is no time; write it as 2024-05-31T14:05:09-04:00, or as the day, 2024-05-31'
            raise errors.SourceError(f"{path}, line {row['_row']}: {privacy.scrub(told)}") from None
    return moment
