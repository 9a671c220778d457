"""Whose call it is: phone → lead, where that is certain or was decided. From a file, or from what the CRM answered."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from callimport.core import errors, models, normal_form
from callimport.core import phones as phone_numbers
from callimport.extract import reader
from callimport.profiles import blanks
from callimport.resolve import lookup_file
from callimport_schemas import checks

SEVERAL = ("reject", "at-call", "newest", "oldest")
# These are not worked with in the CRM; another lead is the customer's.
NEVER_CHOSEN = ("duplicate", "invalid")
# So long after a call its lead may have been entered.
LATEST_AFTER_THE_CALL = timedelta(days=30)
_CANADA = phone_numbers.Dialling()
_OPTIONAL = ("created_at", "status")
_KIND = (
    "(?:home|work|office|business|day|evening|mobile|cell|main|primary|secondary|alternate|other|customer|client|lead)?"
)
_SORTE = "(?:principal|autre|maison|domicile|bureau|travail|mobile|cellulaire|portable|client)?"
# For each meaning the pattern of its header names, see `lookup_file.plain`.
_HEADERS = {
    "phone": (
        rf"(?:{_KIND}(?:(?:tele)?phones?|tel)(?:numbers?|no)?{_KIND}"
        rf"|(?:(?:numero|no|number)(?:de)?)?(?:telephones?|tel|cellulaire|mobile|portable){_SORTE}"
        "|(?:cellular|cell|mobile)(?:numbers?|no)?)[1-9]?"
    ),
    "lead_id": (
        "(?:(?:crm|activix)?lead|activix|crm)(?:id|number|no|identifier)|(?:id|identifiant)(?:du)?(?:lead|activix|crm)"
        "|(?:numero|no)(?:de|du)?lead"
    ),
    "created_at": "(?:lead)?(?:created(?:at|on|date)?|datecreated|creation(?:date)?)|datede(?:la)?creation|cree?le",
    "status": "(?:lead)?(?:status|statut)|statutdulead",
}
_BETWEEN_NUMBERS = re.compile(r"[;,/|\n]|\s(?:or|ou|and|et)\s")
_EXTENSION = "is an extension or too short; write the whole number with + and the country code"
_HOW = {
    "file": "leave the right one in the leads file, write it in lead_id, or decide with --several-leads",
    "crm": "write the right one in lead_id or in a leads file, or decide with --several-leads",
}


@dataclass(frozen=True, slots=True)
class Leads:
    """The leads of each number, ascending by id. `several` is one of SEVERAL: what becomes of a number that has more
    than one. `sha256` is of the file they are from, part of what a batch covers; "" is the CRM. Of `undecided` numbers
    it does not show every lead: there are some, and none is certain. `columns_told` says how header names of the file
    were read. `unused` says which rows are not used."""

    sha256: str
    by_phone: Mapping[str, tuple[models.Lead, ...]]
    several: str = "reject"
    undecided: Collection[str] = ()
    columns_told: str = ""
    unused: tuple[str, ...] = ()

    @classmethod
    def from_file(cls, path: Path, dialling: phone_numbers.Dialling = _CANADA, several: str = "reject") -> "Leads":
        """Read any table with the columns phone (bare numbers are of the region) and lead_id, and perhaps created_at
        (an instant, or a day, which begins in UTC) and status (of the CRM's words). `_HEADERS` has their other names.
        Every column of phones is read; columns with unknown names are ignored.

        A row without a phone (blank, n/a, unknown) is not used. A bad row is not used either: its phone is not a whole
        number, its lead_id or created_at cannot be read, or it has too many cells or too few. Its number is then not
        listed. Raises SourceError if no row can be used, or if more than 5 % of the rows (and at least 3) are bad.
        """
        opened = reader.open_source(path)
        columns = _columns(path, reader.header(opened))
        rows = lookup_file.Rows(path, "no phone")
        leads: dict[str, dict[int, models.Lead]] = {}
        for chunk in reader.read(opened):
            rows.refuse_swallowed(chunk.frame)
            for phones, lead in _rows(rows, blanks.cleaned(chunk.frame), columns, dialling):
                for phone in phones:
                    leads.setdefault(phone, {}).setdefault(lead.id, lead)
        rows.refuse_too_many()
        by_phone = {phone: _ascending(found.values()) for phone, found in leads.items()}
        return cls(opened.sha256, by_phone, several, columns_told=columns.told, unused=tuple(rows.told()))

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


def _columns(path: Path, header: Sequence[str]) -> lookup_file.Columns:
    columns = lookup_file.columns(path, header, _HEADERS, several=("phone",))
    if "lead_id" not in columns.of and any(lookup_file.plain(name) == "id" for name in header):
        columns = lookup_file.columns(path, header, _HEADERS | {"lead_id": "id"}, several=("phone",))
    missing = [name for name in ("phone", "lead_id") if name not in columns.of]
    if missing:
        raise errors.SchemaMismatch(
            f"{path} has no column {' and '.join(missing)}; the leads file needs phone and lead_id"
        )
    return columns


def _rows(
    rows: lookup_file.Rows, frame: pl.DataFrame, columns: lookup_file.Columns, dialling: phone_numbers.Dialling
) -> Iterator[tuple[list[str], models.Lead]]:
    """The phones and the lead of each row that can be used. Other rows are noted in `rows`."""
    id_column = str(columns.one("lead_id"))
    lead_id = pl.col(id_column).str.strip_chars().str.replace(r"\.0+$", "").cast(pl.Int64, strict=False)
    nothing = pl.lit(None, pl.String)
    read = frame.select(
        "_row",
        "_ragged",
        pl.col(id_column).fill_null("").alias("lead_text"),
        pl.when(checks.is_id(lead_id)).then(lead_id).alias("lead_id"),
        *(pl.col(its).alias(name) if (its := columns.one(name)) else nothing.alias(name) for name in _OPTIONAL),
    )
    phones = [phone_numbers.read(frame[name], dialling.without_outside_line).rows() for name in columns.of["phone"]]
    cells = [frame[name].to_list() for name in columns.of["phone"]]
    for number, (row, ragged, lead_text, lead, created, status) in enumerate(read.iter_rows()):
        rows.read += 1
        found: list[str] = []
        wrong: list[str] = []
        for name, of_column, its_cells in zip(columns.of["phone"], phones, cells, strict=True):
            e164, _, kind, fault = of_column[number]
            if e164 is not None:
                found.append(e164)
            elif kind not in (phone_numbers.Kind.MISSING, phone_numbers.Kind.ANONYMOUS):
                several = _several(its_cells[number], dialling.without_outside_line)
                found += several
                wrong += [] if several else [f"{name} {fault or _EXTENSION}"]
        created_at = _created_at(created)
        if ragged is not None:
            rows.bad[row] = f"the row has {ragged}"
        elif not found and not wrong:
            rows.blank.append(row)
        elif lead is None:
            rows.bad[row] = f'lead_id "{lead_text}" is not a whole number above 0; write the lead\'s number in the CRM'
        elif isinstance(created_at, str):
            rows.bad[row] = created_at
        elif not found:
            rows.bad[row] = "; ".join(wrong)
        else:
            if wrong:
                rows.cells[row] = "; ".join(wrong)
            rows.used += 1
            yield found, models.Lead(lead, created_at, (status or "").strip().lower())


def _several(cell: str, dialling: phone_numbers.Dialling) -> list[str]:
    """The numbers of a cell that holds several numbers and nothing else; empty for any other cell."""
    parts = pl.Series([part for part in _BETWEEN_NUMBERS.split(cell) if part.strip()], dtype=pl.String)
    read = phone_numbers.read(parts, dialling)["e164"].to_list() if len(parts) > 1 else []
    return [] if None in read else read


def _created_at(cell: str | None) -> datetime | str | None:
    """The instant; None if the cell is blank; a text that says what is wrong if it is no time."""
    text = (cell or "").strip()
    if not text:
        return None
    moment = normal_form.instant(text.replace(" ", "T", 1))
    if moment is None:
        try:
            moment = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
        except ValueError:
            return f'created_at "{text}" is no time; write it as 2024-05-31T14:05:09-04:00, or as the day, 2024-05-31'
    return moment
