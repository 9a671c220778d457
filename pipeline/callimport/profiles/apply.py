"""A recipe applied: a frame of a file's cells → the canonical call frame, still as text, row by row."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

import polars as pl

from callimport.core import phones
from callimport.extract import reader
from callimport.profiles import blanks, columns, conditions, forms, mojibake, timestamps, timezones
from callimport.profiles.loading import ANY_WORD
from callimport.profiles.model import Origin, Profile, Span, Zone, columns_of
from callimport_schemas import call_log, checks

_FAULT = pl.Struct({"rule": pl.String, "message": pl.String})
_SHOWN = 40
_NUMERIC_DATE = r"^(?:\p{L}+[.,]* )?[0-9]{1,2}[-/. ][0-9]{1,2}[-/. ][0-9]{2}"
_YEAR_FIRST = "^[0-9]{4}[^0-9]"
# Validation reads these, fast; they are left as they are.
_PLAIN_TIME = "^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:Z|[+-][0-9]{2}:[0-9]{2})?$"
_UNDECIDED = (timestamps.Order.OPEN, timestamps.Order.CONTRADICTORY)
_NUMERIC_FORMS = ("dmy", "mdy", "ymd")
# What systems write if there is no duration, and if there is no instant.
_NO_DURATION = r"(?i)^(?:[-\u{2010}-\u{2015}\u{2212}.:\s_]+|n\.?/?a\.?|null|none|nil)$"
_NEVER = r"(?i)^(?:[-\u{2010}-\u{2015}\u{2212}0.,:/\sT_]+Z?|[0-9/.-]{6,10}[T ][-.:\s]+|n\.?/?a\.?|null|none|nil)$"
_WORDS_SHOWN = 8
# As Excel and pandas shorten a long number: 5.78068E+15.
_SCIENTIFIC = r"^[+-]?(?:[0-9]+[.,][0-9]+[eE]\+?|[0-9]+[eE]\+)[0-9]{1,3}$"
# A spreadsheet keeps 15 digits of a number and writes zeros for the rest. Of 5.78068E+15 it keeps six digits.
_LONG_ID, _KEPT_15_DIGITS, _KEPT_FEW_DIGITS = "^[0-9]{10,}$", "^[0-9]{15}0+$", "^[0-9]{5,}0{5}$"
_DAMAGED_ID = (
    "{} lost its last digits in a spreadsheet, so different calls have the same id; "
    "import the file as the phone system wrote it"
)
_AGENT = ("agent_id", "agent_email", "agent_name", "agent_extension")
_ZONE_TOLD = {
    "started_at_zone": "is in a zone that is not known; the file must name one such as America/Toronto",
    "started_at_ambiguous": "is in an hour that happens twice (clocks go back); decide with --ambiguous-hour",
    "started_at_nonexistent": "is in an hour that never was (clocks go forward); check the time and the zone",
}
_NO_ZONE = "has no offset and no zone is known; state it with --timezone"
_OFFSET = r"[+-]\d{2}:\d{2}$"
# Null for a row whose cells stand in their columns.
_SWALLOWED = pl.col("_ragged").str.contains(reader.SWALLOWED, literal=True)
_EXTENSION = "customer_phone is an extension, not the number of a customer; if the call was internal, remove the row"


@dataclass(frozen=True, slots=True)
class Given:
    """What is stated beside the file.

    `dialling` says how numbers are read (None: the customer's number stays as it is). `own_numbers`, in E.164, are
    never the customer. `dates` says what the whole file tells of the order of day and month, for times of the form
    "date" (None: only the chunk is asked, see `evidence`). `zone` is the IANA zone of times without an offset,
    if the profile knows no zone.
    """

    dialling: phones.Dialling | None = None
    own_numbers: frozenset[str] = frozenset()
    ambiguous_hour: timezones.AmbiguousHour = "reject"
    dates: timestamps.Evidence | None = None
    zone: str | None = None


NOTHING = Given()


def canonical(
    profile: Profile, frame: pl.DataFrame, given: Given = NOTHING, blanked: blanks.Counts | None = None
) -> pl.DataFrame:
    """The canonical call frame of a chunk's frame, in its order.

    Words that mean "nothing" are read as blank (see `blanks`) and counted in `blanked`, by column and word.

    Columns: `_row`; `call_log.TEXT_COLUMNS` as stripped text, blank is null; `_faults`, a list of {rule, message} of
    what the recipe found wrong; `_customer_unknown`, true where the customer's side hangs on a direction that is not
    known; and, text or null: `_drop` (no call of a customer: one of `loading.DROPS`; its faults do not count), `_skip`
    (anonymous, own_number), `_machine` (one of `loading.MACHINES`: it answered, nobody did), `_group` (rows of one
    call share it), `_leg` (id of the row within it), `_role` (internal or forwarded, see `model.Legs`), `_chain` and,
    Int64, `_length` (see `model.Chain`).
    """
    found = columns.resolved(profile, frame.columns)
    blanked = Counter() if blanked is None else blanked
    work = _Work(profile, _cells(profile, frame, found, given, blanked), found, given, blanked)
    work.tell_direction()
    for name in call_log.TEXT_COLUMNS:
        work.fill(name)
    work.tell_status()
    return work.finish()


def evidence(profile: Profile, frame: pl.DataFrame, source: str = "") -> timestamps.Evidence:
    """What the times of a chunk tell about the order of day and month. Join the evidence of all chunks with `|`.
    `source` is the name of the file, if there are several files."""
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
    is_other = ~times.str.contains(_YEAR_FIRST)
    others = times.filter(is_other)
    if others.is_empty():
        return timestamps.Evidence()
    return timestamps.evidence(others, frame["_row"].filter(is_other), source)


def _cells(
    profile: Profile, frame: pl.DataFrame, found: dict[str, str], given: Given, blanked: blanks.Counts
) -> pl.DataFrame:
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
    cells = blanks.blanked(cells, blanks.words_of(profile), blanked)
    dialling = (given.dialling or phones.Dialling()).with_default_outside_line(profile.outside_line)
    kinds = [
        forms.kinds(cells[name], dialling).alias(conditions.kind_column(name))
        for name in conditions.asked_kinds(profile.conditions())
    ]
    return cells.with_columns(kinds) if kinds else cells


class _Work:
    """A frame on its way: the cells it was read from, and beside them what has been made of them."""

    def __init__(
        self,
        profile: Profile,
        cells: pl.DataFrame,
        present: Collection[str],
        given: Given,
        blanked: blanks.Counts,
    ) -> None:
        self._profile, self._cells, self._present, self._given = profile, cells, present, given
        self._blanked = blanked
        self._made: dict[str, pl.Expr] = {}
        told = pl.lit("the row has ") + pl.col("_ragged")
        self._faults = [_fault("swallowed_rows", _SWALLOWED, told), _fault("ragged", ~_SWALLOWED, told)]
        if profile.damaged:
            said = conditions.first_of(profile.damaged, present)
            self._faults.append(_fault("damaged", said.is_not_null(), said))
        for column in profile.id_columns:
            is_cut = _lost_digits(cells[column])
            if is_cut.any():
                self._faults.append(_fault("damaged", pl.lit(is_cut), pl.lit(_DAMAGED_ID.format(column))))

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
        elif name == "customer_phone" and self._given.dialling is not None:
            self._customer(conditions.text(origin), self._given.dialling)
        elif name in blanks.IDS:
            self._id(name, origin)
        else:
            self._made[name] = conditions.text(origin)
            if name == "agent_name" and any(column in self._present for column in columns_of(origin)):
                names = self._cells.select(conditions.text(origin)).to_series()
                self._cells = self._cells.with_columns(mojibake.mended(names).alias("_agent name"))
                self._made[name] = pl.col("_agent name")
        if name.startswith("agent_") and self._profile.no_agent is not None:
            nobody = conditions.holds(self._profile.no_agent, self._present)
            self._made[name] = pl.when(~nobody).then(self._made[name])

    def _id(self, name: str, origin: Origin) -> None:
        """Read a placeholder as a blank id, so that it never makes two rows one call."""
        profile, text = self._profile, conditions.text(origin)
        is_placeholder = blanks.is_placeholder(text, profile)
        if self._cells.select(is_placeholder.any()).item():
            blanks.count(self._cells, ", ".join(columns_of(origin)), is_placeholder, text, self._blanked)
        self._made[name] = blanks.id_text(origin, profile, parts_are_ids=name == "call_id")

    def _start(self, origin: Origin) -> None:
        zone, form = self._profile.zone_rule, self._profile.time_form
        if zone is None and (form == "iso" or self._is_plain(origin)):
            self._made["started_at"] = conditions.text(origin)
            return
        read = self._instants(origin, zone)
        unread, wrong_time, _ = self._unread(read)
        columns = read.with_columns(unread.alias("unread")).select(pl.all().name.prefix("_start "))
        self._cells = self._cells.with_columns(columns)
        raw, fault = pl.col("_start raw"), pl.col("_start fault")
        if zone is not None:
            for rule, wrong in _ZONE_TOLD.items():
                self._faults.append(_fault(rule, fault == rule, _complaint("started_at", raw, wrong)))
        if wrong_time is not None:
            told = _complaint("started_at", raw, wrong_time)
            self._faults.append(_fault("started_at_unreadable", pl.col("_start unread"), told))
        # What could not be read stays as it was, for validation to say so.
        plain = pl.when(raw.str.contains(_PLAIN_TIME) & (form == "date")).then(raw)
        self._made["started_at"] = pl.when(fault.is_null()).then(pl.coalesce("_start exact", plain, "_start read", raw))

    def _is_plain(self, origin: Origin) -> bool:
        is_plain = conditions.text(origin).str.contains(_PLAIN_TIME)
        return self._profile.time_form == "date" and bool(self._cells.select(is_plain.all()).item())

    def _unread(self, times: pl.DataFrame) -> tuple[pl.Series, str | None, bool]:
        """Return which times (see `_instants`) are not of the profile's form; what to say of them (None: validation
        says it); and whether only the order of day and month is unknown."""
        unread = times["read"].is_null() & times["raw"].is_not_null()
        if self._profile.time_form != "date":
            return unread, forms.wrong_time(self._profile.time_form), False
        undecided = unread & times["raw"].str.contains(_NUMERIC_DATE).fill_null(False)
        dates = self._dates(times["raw"]) if undecided.any() else timestamps.Evidence()
        if dates.order in _UNDECIDED:
            return undecided, _undecided(dates), True
        return unread, None, False

    def _dates(self, raw: pl.Series) -> timestamps.Evidence:
        if self._given.dates is not None:
            return self._given.dates
        is_other = ~raw.str.contains(_YEAR_FIRST).fill_null(True)
        return timestamps.evidence(raw.filter(is_other), self._cells["_row"].filter(is_other))

    def _instants(self, origin: Origin, zone: Zone | None) -> pl.DataFrame:
        """Of the times of an origin: `raw`, `read` (ISO text), `exact` (the same in UTC where the zone is known),
        `instant` and `fault` of the zone. Without a zone, times without an offset are read as UTC."""
        raw = self._cells.select(conditions.text(origin).alias("raw")).to_series()
        read = self._read(raw)
        if zone is None:
            naive = read.str.slice(0, 19).str.to_datetime("%Y-%m-%dT%H:%M:%S", strict=False, time_unit="us")
            settled = pl.DataFrame({"instant": naive.dt.replace_time_zone("UTC")}).with_columns(
                pl.lit(None, dtype=pl.String).alias("fault"), pl.lit(None, dtype=pl.String).alias("exact")
            )
        else:
            times = self._cells.with_columns(read.alias("_read"))
            settled = timezones.settled(times, zone, "_read", self._given.ambiguous_hour, self._given.zone)
            settled = settled.with_columns(pl.col("instant").dt.strftime("%Y-%m-%dT%H:%M:%SZ").alias("exact"))
        return settled.with_columns(raw.alias("raw"), read.alias("read"))

    def _read(self, raw: pl.Series) -> pl.Series:
        """Read times as ISO texts. If no date tells the order of day and month, the epoch of the row tells it."""
        form, zone = self._profile.time_form, self._profile.zone_rule
        if form != "date":
            return forms.started(raw, form)
        dates = self._dates(raw)
        read = forms.started(raw, form, dates.order)
        if zone is not None and zone.by == "epoch" and dates.order in _UNDECIDED:
            near = timezones.near_epoch(self._cells, zone, [forms.started(raw, numeric) for numeric in _NUMERIC_FORMS])
            read = read.to_frame("read").select(pl.coalesce("read", near)).to_series()
        return read

    def _duration(self, origin: Origin) -> None:
        if isinstance(origin, Span):
            self._span(origin)
            return
        cell = conditions.text(origin)
        if self._profile.duration_form == "seconds":
            # Validation reads them, and says what is wrong with others.
            texts = self._cells.select(cell).to_series()
            if texts.cast(pl.Int64, strict=False).null_count() > texts.null_count():
                cell = pl.when(~cell.str.contains(_NO_DURATION)).then(cell)
            self._made["duration_seconds"] = cell
            return
        cell = pl.when(~cell.str.contains(_NO_DURATION)).then(cell)
        seconds_read = forms.seconds(cell, self._profile.duration_form)
        right = f"is not a duration of the form {self._profile.duration_form}; check the cell, or the recipe"
        unreadable = cell.is_not_null() & seconds_read.is_null()
        self._faults.append(_fault("duration_number", unreadable, _complaint("duration_seconds", cell, right)))
        self._made["duration_seconds"] = seconds_read.cast(pl.String)

    def _span(self, origin: Span) -> None:
        """Make the duration from two instants, and note why it is not known."""
        zone_told = _ZONE_TOLD if self._profile.zone_rule else _ZONE_TOLD | {"started_at_zone": _NO_ZONE}
        for name, part in (("_since", origin.since), ("_until", origin.until)):
            end = self._end(part)
            unread, wrong_time, is_order = self._unread(end)
            columns = end.with_columns(unread.alias("unread")).select(pl.all().name.prefix(f"{name} "))
            self._cells = self._cells.with_columns(columns)
            raw, fault = pl.col(f"{name} raw"), pl.col(f"{name} fault")
            for rule, wrong in zone_told.items():
                self._faults.append(_fault(rule, fault == rule, _complaint("duration_seconds", raw, wrong)))
            told = _complaint(
                "duration_seconds", raw, wrong_time or "is not a time; write it as 2024-05-31T14:05:09-04:00"
            )
            kind = "started_at_unreadable" if is_order else "duration_number"
            self._faults.append(_fault(kind, pl.col(f"{name} unread"), told))
        since, until = pl.col("_since instant"), pl.col("_until instant")
        ends = [pl.col(f"{name} read").str.replace("T", " ", literal=True) for name in ("_since", "_until")]
        turned = pl.concat_str(
            pl.lit("duration_seconds: the call ends ("), ends[1], pl.lit(") before it begins ("), ends[0],
            pl.lit("); check both cells, and the date of the second one"),
        )  # fmt: skip
        self._faults.append(_fault("duration_range", until < since, turned))
        seconds = pl.when(until >= since).then((until - since).dt.total_seconds())
        self._made["duration_seconds"] = seconds.cast(pl.String)

    def _end(self, origin: Origin) -> pl.DataFrame:
        """The instants of one end of a span (see `_instants`), in the zone of the profile or else the stated zone. What
        systems write if there is no instant is blank."""
        stated = Zone("fixed", name=self._given.zone) if self._given.zone else None
        found = self._instants(origin, self._profile.zone_rule or stated)
        if self._profile.zone_rule is not None and stated is not None:
            other = self._instants(origin, stated)
            is_open = found["instant"].is_null() & found["fault"].is_null()
            found = found.with_columns(
                pl.when(is_open).then(other[name]).otherwise(name).alias(name) for name in ("instant", "fault")
            )
        lacks_zone = pl.lit(self._profile.zone_rule is None and stated is None) | pl.col("instant").is_null()
        lacks_zone &= pl.col("read").is_not_null() & ~pl.col("read").str.contains(_OFFSET)
        return found.with_columns(
            pl.when(~pl.col("raw").str.contains(_NEVER)).then("raw").alias("raw"),
            pl.coalesce("fault", pl.when(lacks_zone).then(pl.lit("started_at_zone"))).alias("fault"),
        )

    def _customer(self, text: pl.Expr, stated: phones.Dialling) -> None:
        cells = self._cells.select(text.alias("customer")).to_series()
        dialling = stated.with_default_outside_line(self._profile.outside_line)
        read = forms.numbers(cells, dialling).select(pl.all().name.prefix("_customer "))
        own = [
            (forms.numbers(self._cells[column], dialling)["e164"] == read["_customer e164"]).alias(f"_own {column}")
            for column in self._profile.own_numbers
        ]
        self._cells = self._cells.with_columns(cells.alias("_customer"), *read, *own)
        kind, e164 = pl.col("_customer kind"), pl.col("_customer e164")
        # Said without the cell: what is shown of a number is not the whole of it.
        told = pl.lit("customer_phone ") + pl.col("_customer wrong")
        wrong = pl.col("_customer wrong").is_not_null()
        # A number behind an outside line is certain if a desk dialled it, or if the outside line was stated.
        is_sure = pl.lit(stated.outside_line is not None) | (pl.col("_direction") == "outgoing").fill_null(False)
        wrong &= (kind != "number") | ~is_sure
        self._faults.append(_fault("customer_phone_e164", wrong, told))
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
        profile, rule = self._profile, self._profile.legs
        blank = pl.lit(None, dtype=pl.String)
        chain = rule.chain if rule else None
        length = pl.lit(None, dtype=pl.Int64)
        if chain is not None:
            length = forms.seconds(conditions.text(chain.length), self._profile.duration_form)
        is_call_id = rule is not None and rule.join == profile.columns.get("call_id")
        roles = {"internal": rule.internal, "forwarded": rule.forwarded} if rule else {}
        role = blank
        for name, condition in roles.items():
            if condition is not None:
                holds = conditions.holds(condition, self._present) & pl.col("_ragged").is_null()
                role = pl.when(holds & role.is_null()).then(pl.lit(name)).otherwise(role)
        return [
            role.alias("_role"),
            (blanks.id_text(rule.join, profile, parts_are_ids=is_call_id) if rule else blank).alias("_group"),
            (blanks.id_text(rule.leg, profile) if rule and rule.leg else blank).alias("_leg"),
            (blanks.id_text(chain.join, profile) if chain else blank).alias("_chain"),
            length.alias("_length"),
        ]

    def _dropped(self) -> pl.Expr:
        """A row whose cells do not stand in their columns is not dropped for what stands there, unless it is a sum."""
        said = conditions.first_of(self._profile.drop, self._present)
        is_sum = (said == "totals") & ~_SWALLOWED
        return pl.when(pl.col("_ragged").is_null() | is_sum).then(said)


def _lost_digits(ids: pl.Series) -> pl.Series:
    """Which ids of a column a spreadsheet has cut: short forms such as 5.78068E+15, and ids that end in zeros if too
    many of them do."""
    # Hardly any id can be cut. To match the pattern against every id takes ten times as long.
    odd = ids.filter(ids.str.contains_any(["E+", "e+", "E1", "e1", "E2", "e2"]) | ids.str.ends_with("0"))
    cut = odd.filter(odd.str.contains(_SCIENTIFIC)).unique()
    rounded = odd.filter(odd.str.contains(_KEPT_15_DIGITS) | odd.str.contains(_KEPT_FEW_DIGITS))
    if len(rounded) > 2:
        # One call may have many rows, and one in ten ids ends in a zero.
        evidence = ((ids.unique(), _KEPT_15_DIGITS), (ids, _KEPT_FEW_DIGITS))
        counts = [(some.str.contains(pattern).sum(), some.str.contains(_LONG_ID).sum()) for some, pattern in evidence]
        if any(cut_off > 2 and (cut_off == long or cut_off > max(5, long / 2)) for cut_off, long in counts):
            cut = cut.append(rounded.unique())
    return ids.is_in(cut.implode()) if len(cut) else pl.repeat(False, len(ids), dtype=pl.Boolean, eager=True)


def _complaint(name: str, cell: pl.Expr, right: str) -> pl.Expr:
    shown = pl.when(cell.str.len_chars() > _SHOWN).then(cell.str.slice(0, _SHOWN - 1) + "…").otherwise(cell)
    return pl.concat_str(pl.lit(f'{name}: "'), shown, pl.lit(f'" {right}'))


def _undecided(dates: timestamps.Evidence) -> str:
    """What to say of a date that can be read in several orders, or if no order fits all dates."""
    *words, last = (f'"{order}"' for order in dates.fitting or (timestamps.Order.DMY, timestamps.Order.MDY))
    right = f"export it as 2024-05-31, or copy the profile and write time_form = {', '.join(words)} or {last} in it"
    if not dates.fitting:
        return f"cannot be read, because the dates of the file contradict each other: {dates.contradiction()}; {right}"
    return f"has {timestamps.first_of(dates.fitting)} first, no date of the file tells which; {right}"


def _fault(rule: str, broken: pl.Expr, message: pl.Expr) -> pl.Expr:
    return pl.when(broken).then(pl.struct(pl.lit(rule).alias("rule"), message.alias("message"))).cast(_FAULT)
