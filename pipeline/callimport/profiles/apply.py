"""A recipe applied: a frame of a file's cells → the canonical call frame, still as text, row by row."""

from collections.abc import Collection
from dataclasses import dataclass

import polars as pl

from callimport.extract import reader
from callimport.profiles import columns, conditions, forms, mojibake, timestamps, timezones
from callimport.profiles.loading import ANY_WORD
from callimport.profiles.model import Origin, Profile, Span, columns_of
from callimport_schemas import call_log, checks

_FAULT = pl.Struct({"rule": pl.String, "message": pl.String})
_SHOWN = 40
_NUMERIC_DATE = r"^[0-9]{1,2}[-/. ][0-9]{1,2}[-/. ][0-9]{2}"
_YEAR_FIRST = "^[0-9]{4}[^0-9]"
# Validation reads these, fast; they are left as they are.
_PLAIN_TIME = "^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:Z|[+-][0-9]{2}:[0-9]{2})?$"
_UNDECIDED = (timestamps.Order.OPEN, timestamps.Order.CONTRADICTORY)
_WHICH_ORDER = (
    "is day and month or month and day, no date of the file tells; "
    'export it as 2024-05-31, or copy the recipe and write time_form = "dmy" or "mdy" in it'
)
_WORDS_SHOWN = 8
_AGENT = ("agent_id", "agent_email", "agent_name", "agent_extension")
_ZONE_TOLD = {
    "started_at_zone": "is in a zone that is not known; the file must name one such as America/Toronto",
    "started_at_ambiguous": "is in an hour that happens twice (clocks go back); decide with --ambiguous-hour",
    "started_at_nonexistent": "is in an hour that never was (clocks go forward); check the time and the zone",
}
# Null where the cells of a row stand in their columns.
_SWALLOWED = pl.col("_ragged").str.contains(reader.SWALLOWED, literal=True)
_EXTENSION = "customer_phone is an extension, not the number of a customer; if the call was internal, remove the row"


@dataclass(frozen=True, slots=True)
class Given:
    """What is stated beside the file. `region` is that of numbers written without a country (None: the customer's
    number is left as it stands); `own_numbers`, in E.164, are never the customer; `order` is that of day and month in
    the whole file, where times are of the form "date" (None: what the chunk tells, see `evidence`)."""

    region: str | None = None
    own_numbers: frozenset[str] = frozenset()
    ambiguous_hour: timezones.AmbiguousHour = "reject"
    order: timestamps.Order | None = None


NOTHING = Given()


def canonical(profile: Profile, frame: pl.DataFrame, given: Given = NOTHING) -> pl.DataFrame:
    """The canonical call frame of a chunk's frame, in its order.

    Columns: `_row`; `call_log.TEXT_COLUMNS` as stripped text, blank is null; `_faults`, a list of {rule, message} of
    what the recipe found wrong; `_customer_unknown`, true where the customer's side hangs on a direction that is not
    known; and, text or null: `_drop` (no call of a customer: one of `loading.DROPS`; its faults do not count), `_skip`
    (anonymous, own_number), `_machine` (one of `loading.MACHINES`: it answered, nobody did), `_group` (rows of one
    call share it), `_leg` (id of the row within it), `_chain` and, Int64, `_length` (see `model.Chain`).
    """
    found = columns.resolved(profile, frame.columns)
    work = _Work(profile, _cells(profile, frame, found, given), found, given)
    work.tell_direction()
    for name in call_log.TEXT_COLUMNS:
        work.fill(name)
    work.tell_status()
    return work.finish()


def evidence(profile: Profile, frame: pl.DataFrame) -> timestamps.Evidence:
    """What the times of a chunk tell about the order of day and month; those of all chunks are joined with `|`."""
    origin = profile.columns.get("started_at")
    if profile.time_form != "date" or origin is None:
        return timestamps.Evidence()
    found = columns.resolved(profile, frame.columns)
    cells = frame.select(
        pl.col(found[name]).str.strip_chars().alias(name) if name in found else pl.lit(None, pl.String).alias(name)
        for name in columns_of(origin)
    )
    times = cells.select(conditions.text(origin)).to_series()
    # A year is a year whatever follows it: of a million times a few beginnings are to be looked at.
    beginnings = times.str.slice(0, len("2024-")).unique()
    if beginnings.str.contains(_YEAR_FIRST).all():
        return timestamps.Evidence()
    others = times.filter(~times.str.contains(_YEAR_FIRST))
    return timestamps.evidence(others) if len(others) else timestamps.Evidence()


def _cells(profile: Profile, frame: pl.DataFrame, found: dict[str, str], given: Given) -> pl.DataFrame:
    """The cells that the recipe looks at, under its names for them."""
    cells = frame.select(
        "_row",
        "_ragged",
        *(
            pl.col(found[name]).str.strip_chars().replace("", None).alias(name)
            if name in found
            else pl.lit(None, dtype=pl.String).alias(name)
            for name in profile.used
        ),
    )
    kinds = [
        forms.numbers(cells[name], given.region or "CA")["kind"].alias(conditions.kind_column(name))
        for name in conditions.asked_kinds(profile.conditions())
    ]
    return cells.with_columns(kinds) if kinds else cells


class _Work:
    """A frame on its way: the cells it was read from, and beside them what has been made of them."""

    def __init__(self, profile: Profile, cells: pl.DataFrame, present: Collection[str], given: Given) -> None:
        self._profile, self._cells, self._present, self._given = profile, cells, present, given
        self._made: dict[str, pl.Expr] = {}
        told = pl.lit("the row has ") + pl.col("_ragged")
        self._faults = [_fault("swallowed_rows", _SWALLOWED, told), _fault("ragged", ~_SWALLOWED, told)]
        if profile.damaged:
            said = conditions.first_of(profile.damaged, present)
            self._faults.append(_fault("damaged", said.is_not_null(), said))

    # ── what everything else hangs on ────────────────────────────────────────────────────────────────────────────

    def tell_direction(self) -> None:
        profile = self._profile
        direction, fault = self._worded("direction")
        if profile.direction:
            direction = pl.coalesce(conditions.first_of(profile.direction, self._present), direction)
            fault = None if fault is None else fault & direction.is_null()
            if fault is None:
                untold = pl.lit("direction: nothing in the row tells whether the call came in or went out")
                self._faults.append(_fault("direction_unknown", direction.is_null(), untold))
        if fault is not None:
            self._fault_of_word("direction", fault)
        # As it is written where it is no word of ours: validation says what is wrong with it.
        self._cells = self._cells.with_columns(direction.alias("direction as written"))
        lowered = checks.lowered(self._cells["direction as written"])
        self._cells = self._cells.with_columns(lowered.alias("_direction"))
        self._made["direction"] = pl.col("direction as written")

    def tell_status(self) -> None:
        """By the rules, by the words of the file, and not answered where a machine answered."""
        profile = self._profile
        status, fault = self._worded("status")
        if profile.status:
            status = pl.coalesce(conditions.first_of(profile.status, self._present), status)
        if fault is not None:
            self._fault_of_word("status", fault & status.is_null() if profile.status else fault)
        machine: pl.Expr = pl.lit(None, dtype=pl.String)
        if profile.machine:
            could_be = status.is_null() | (status == "answered")
            machine = pl.when(could_be).then(conditions.first_of(profile.machine, self._present))
            status = pl.when(machine.is_not_null()).then(pl.lit("unanswered")).otherwise(status)
        self._made["status"] = status
        self._made["_machine"] = machine
        for name in _AGENT if profile.machine else ():
            # A menu is nobody; a voicemail is somebody's.
            is_nobody = machine.is_in(["ivr", "announcement"]).fill_null(False)
            self._made[name] = pl.when(~is_nobody).then(self._made[name])

    def _worded(self, name: str) -> tuple[pl.Expr, pl.Expr | None]:
        """The canonical word of a cell, null where its word is not listed, and where that is the case."""
        profile = self._profile
        origin = profile.columns.get(name)
        if origin is None:
            return pl.lit(profile.constants.get(name), dtype=pl.String), None
        cell = conditions.text(origin)
        if name not in profile.values:
            return cell, None
        words = {word: meant for word, meant in profile.values[name].items() if word != ANY_WORD}
        word = cell.str.to_lowercase()
        other = profile.values[name].get(ANY_WORD)
        default = pl.when(cell.is_not_null()).then(pl.lit(other, dtype=pl.String)) if other is not None else None
        meant = word.replace_strict(list(words), list(words.values()), default=default, return_dtype=pl.String)
        unknown = None if other is not None else ~word.is_in(list(words)).fill_null(True)
        return meant.replace("", None), unknown

    def _fault_of_word(self, name: str, unknown: pl.Expr) -> None:
        known = list(self._profile.values[name])
        words = ", ".join(known[:_WORDS_SHOWN]) + (", …" if len(known) > _WORDS_SHOWN else "")
        right = f"is not a word that profile {self._profile.name} knows; known: {words}"
        cell = conditions.text(self._profile.columns[name])
        self._faults.append(_fault(f"{name}_unknown", unknown, _complaint(name, cell, right)))

    # ── the other columns ────────────────────────────────────────────────────────────────────────────────────────

    def fill(self, name: str) -> None:
        origin = self._profile.columns.get(name)
        if name in ("direction", "status"):
            return
        if origin is None:
            self._made[name] = pl.lit(self._profile.constants.get(name), dtype=pl.String)
        elif name == "started_at":
            self._start(origin)
        elif name == "duration_seconds":
            self._duration(origin)
        elif name == "customer_phone" and self._given.region is not None:
            self._customer(conditions.text(origin), self._given.region)
        else:
            self._made[name] = conditions.text(origin)
            if name == "agent_name" and any(column in self._present for column in columns_of(origin)):
                names = self._cells.select(conditions.text(origin)).to_series()
                self._cells = self._cells.with_columns(mojibake.mended(names).alias("_agent name"))
                self._made[name] = pl.col("_agent name")
            if name.startswith("agent_") and self._profile.no_agent is not None:
                nobody = conditions.holds(self._profile.no_agent, self._present)
                self._made[name] = pl.when(~nobody).then(self._made[name])

    def _start(self, origin: Origin) -> None:
        zone = self._profile.zone_rule
        if zone is None and (self._profile.time_form == "iso" or self._is_plain(origin)):
            self._made["started_at"] = conditions.text(origin)
            return
        read = self._instants(origin)
        self._cells = self._cells.with_columns(read.select(pl.all().name.prefix("_start ")))
        raw, fault = pl.col("_start raw"), pl.col("_start fault")
        if zone is not None:
            for rule, wrong in _ZONE_TOLD.items():
                self._faults.append(_fault(rule, fault == rule, _complaint("started_at", raw, wrong)))
        if self._profile.time_form == "date":
            order = self._given.order or timestamps.evidence(read["raw"]).order
            undecided = pl.col("_start read").is_null() & raw.str.contains(_NUMERIC_DATE) & (order in _UNDECIDED)
            self._faults.append(_fault("started_at_unreadable", undecided, _complaint("started_at", raw, _WHICH_ORDER)))
        # What could not be read stays as it was, for validation to say so.
        plain = pl.when(raw.str.contains(_PLAIN_TIME) & (self._profile.time_form == "date")).then(raw)
        self._made["started_at"] = pl.when(fault.is_null()).then(pl.coalesce("_start exact", plain, "_start read", raw))

    def _is_plain(self, origin: Origin) -> bool:
        is_plain = conditions.text(origin).str.contains(_PLAIN_TIME)
        return self._profile.time_form == "date" and bool(self._cells.select(is_plain.all()).item())

    def _instants(self, origin: Origin) -> pl.DataFrame:
        """Of the times of an origin: `raw`, `read` (ISO text), `exact` (the same in UTC where the zone is known),
        `instant` and `fault` of the zone."""
        raw = self._cells.select(conditions.text(origin).alias("raw")).to_series()
        read = forms.started(raw, self._profile.time_form, self._given.order)
        zone = self._profile.zone_rule
        if zone is None:
            naive = read.str.slice(0, 19).str.to_datetime("%Y-%m-%dT%H:%M:%S", strict=False, time_unit="us")
            settled = pl.DataFrame({"instant": naive.dt.replace_time_zone("UTC")}).with_columns(
                pl.lit(None, dtype=pl.String).alias("fault"), pl.lit(None, dtype=pl.String).alias("exact")
            )
        else:
            times = self._cells.with_columns(read.alias("_read"))
            settled = timezones.settled(times, zone, "_read", self._given.ambiguous_hour).with_columns(
                pl.col("instant").dt.strftime("%Y-%m-%dT%H:%M:%SZ").alias("exact")
            )
        return settled.with_columns(raw.alias("raw"), read.alias("read"))

    def _duration(self, origin: Origin) -> None:
        if isinstance(origin, Span):
            since, until = self._instants(origin.since), self._instants(origin.until)
            seconds = (until["instant"] - since["instant"]).dt.total_seconds().cast(pl.String)
            self._cells = self._cells.with_columns(seconds.alias("_span"))
            self._made["duration_seconds"] = pl.col("_span")
            return
        cell = conditions.text(origin)
        if self._profile.duration_form == "seconds":
            # Validation reads them, and says what is wrong with others.
            self._made["duration_seconds"] = cell
            return
        seconds_read = forms.seconds(cell, self._profile.duration_form)
        right = f"is not a duration of the form {self._profile.duration_form}; check the cell, or the recipe"
        unreadable = cell.is_not_null() & seconds_read.is_null()
        self._faults.append(_fault("duration_number", unreadable, _complaint("duration_seconds", cell, right)))
        self._made["duration_seconds"] = seconds_read.cast(pl.String)

    def _customer(self, text: pl.Expr, region: str) -> None:
        cells = self._cells.select(text.alias("customer")).to_series()
        read = forms.numbers(cells, region).select(pl.all().name.prefix("_customer "))
        own = [
            (forms.numbers(self._cells[column], region)["e164"] == read["_customer e164"]).alias(f"_own {column}")
            for column in self._profile.own_numbers
        ]
        self._cells = self._cells.with_columns(cells.alias("_customer"), *read, *own)
        kind, e164 = pl.col("_customer kind"), pl.col("_customer e164")
        # Said without the cell: what is shown of a number is not the whole of it.
        told = pl.lit("customer_phone ") + pl.col("_customer wrong")
        self._faults.append(_fault("customer_phone_e164", pl.col("_customer wrong").is_not_null(), told))
        self._faults.append(_fault("customer_phone_e164", kind == "extension", pl.lit(_EXTENSION)))
        self._made["customer_phone"] = pl.when(kind != "anonymous").then(pl.coalesce(e164, "_customer"))
        hidden = kind == "anonymous"
        if self._profile.blank_caller == "anonymous":
            hidden |= (kind == "missing") & (pl.col("_direction") == "incoming")
        ours = pl.any_horizontal(e164.is_in(list(self._given.own_numbers)), *(pl.col(column.name) for column in own))
        self._made["_skip"] = pl.when(hidden).then(pl.lit("anonymous")).when(ours).then(pl.lit("own_number"))

    # ── the frame ────────────────────────────────────────────────────────────────────────────────────────────────

    def finish(self) -> pl.DataFrame:
        profile = self._profile
        unknown = pl.lit(False)
        if conditions.hangs_on_direction(profile.columns.get("customer_phone")):
            unknown = ~pl.col("_direction").is_in(call_log.DIRECTIONS).fill_null(False)
        blank = pl.lit(None, dtype=pl.String)
        return self._cells.select(
            "_row",
            *(self._made[name].alias(name) for name in call_log.TEXT_COLUMNS),
            pl.concat_list(self._faults).list.drop_nulls().alias("_faults"),
            unknown.alias("_customer_unknown"),
            self._dropped().alias("_drop"),
            # A row whose cells do not stand in their columns does not tell who called.
            pl.when(pl.col("_ragged").is_null()).then(self._made.get("_skip", blank)).alias("_skip"),
            self._made["_machine"].alias("_machine"),
            *self._joining(),
        )

    def _joining(self) -> list[pl.Expr]:
        rule = self._profile.legs
        blank = pl.lit(None, dtype=pl.String)
        chain = rule.chain if rule else None
        length = pl.lit(None, dtype=pl.Int64)
        if chain is not None:
            length = forms.seconds(conditions.text(chain.length), self._profile.duration_form)
        return [
            (conditions.text(rule.join) if rule else blank).alias("_group"),
            (conditions.text(rule.leg) if rule and rule.leg else blank).alias("_leg"),
            (conditions.text(chain.join) if chain else blank).alias("_chain"),
            length.alias("_length"),
        ]

    def _dropped(self) -> pl.Expr:
        """A row whose cells do not stand in their columns is not dropped for what stands there, unless it is a sum."""
        said = conditions.first_of(self._profile.drop, self._present)
        is_sum = (said == "totals") & ~_SWALLOWED
        return pl.when(pl.col("_ragged").is_null() | is_sum).then(said)


def _complaint(name: str, cell: pl.Expr, right: str) -> pl.Expr:
    shown = pl.when(cell.str.len_chars() > _SHOWN).then(cell.str.slice(0, _SHOWN - 1) + "…").otherwise(cell)
    return pl.concat_str(pl.lit(f'{name}: "'), shown, pl.lit(f'" {right}'))


def _fault(rule: str, broken: pl.Expr, message: pl.Expr) -> pl.Expr:
    return pl.when(broken).then(pl.struct(pl.lit(rule).alias("rule"), message.alias("message"))).cast(_FAULT)
