"""Draw a story from a seed: a CRM, nights with their exports, what people do, what goes wrong, and the truth of it all.

All people and numbers are made up. Numbers are 555-0100 to 555-0199.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from tests.blackbox import exports
from tests.blackbox.exports import Row
from tests.blackbox.truth import Call, Facts, Rows, Truth

FEATURES = (
    "changed", "waiting", "rejected", "mended", "shown_again", "duplicate", "contradiction", "existing", "recordings",
    "excluded", "too_old", "refused", "no_reference", "no_call_id", "unfinished", "late_legs", "limit", "pilot", "plan",
    "dry_run", "check",
)  # fmt: skip
# These are rare, because they take more time or exclude other features.
_CHANCES = {"no_reference": 0.15, "no_call_id": 0.15, "refused": 0.25, "contradiction": 0.25}
USERS = {101: ("Sophie", "Gendron"), 102: ("Mark", "Ellison"), 103: ("Frédéric", "Pâquet"), 104: ("Karen", "Stoddard")}
AREAS = ("514", "438", "450", "418", "613", "905")
NO_SUCH_LEAD = 999001
# A quiet week, the week in which clocks go back, and the one in which they go forward.
WEEKS = ((2024, 6, 10), (2025, 10, 31), (2026, 3, 6))
# The calls of a day are spread over 12 hours, far enough apart that no two look alike.
MINUTES_OF_A_DAY = 12 * 60
CREATED = "/communications"
_CREATES = {"method": "POST", "path": CREATED}
_UPDATES = {"method": "PUT", "path": "/communications/:id"}
_UPLOADS = {"method": "POST", "path": "/communications/:id/recording"}
_READS = {"method": "GET", "path": "/leads/:id"}
# Late commits come well within the settle time, so that a slow machine causes no false finding.
SETTLE_SECONDS = 3
FAULTS: tuple[dict[str, Any], ...] = (
    {"kind": "drop_before_commit", **_CREATES},
    {"kind": "drop_before_commit", "reset": True, **_CREATES},
    {"kind": "html_502", **_CREATES},
    {"kind": "html_503", **_CREATES},
    {"kind": "limit_429", "retry_after": 1, **_CREATES},
    {"kind": "status_500", **_CREATES},
    {"kind": "late_commit", "seconds": 1.5, **_CREATES},
    {"kind": "late_commit", "seconds": 1.2, "answer": "drop", **_CREATES},
    {"kind": "late_commit", "seconds": 0.3, "answer": "wait", **_CREATES},
    {"kind": "commit_then_drop", **_CREATES},
    {"kind": "commit_then_drop", "reset": True, **_CREATES},
    {"kind": "commit_then_500", **_CREATES},
    {"kind": "commit_then_500", "status": 502, **_CREATES},
    {"kind": "commit_then_stall", "seconds": 0.5, **_CREATES},
    {"kind": "truncated", **_CREATES},
    {"kind": "empty_2xx", **_CREATES},
    {"kind": "drop_before_commit", **_READS},
    {"kind": "html_502", **_READS},
    {"kind": "truncated", **_READS},
    {"kind": "commit_then_drop", **_UPDATES},
    {"kind": "html_502", **_UPDATES},
    {"kind": "commit_then_drop", **_UPLOADS},
    {"kind": "html_503", **_UPLOADS},
)
SIGNALS = ("KILL", "KILL", "KILL", "KILL", "INT", "TERM")
# Faults with the same result whichever call they meet. Comparisons use only these.
SAME_END = ("drop_before_commit", "commit_then_drop", "commit_then_500", "truncated", "empty_2xx", "limit_429")


@dataclass(frozen=True, slots=True)
class Kill:
    """A run that gets `signal` once it has sent `after` creates and `delay_seconds` have passed."""

    signal: str
    after: int
    delay_seconds: float


@dataclass(frozen=True, slots=True)
class Night:
    """`mends` maps the description of a rejected row to its corrected cells. The mended file is imported a night later.

    `first` is a run before the full run: limit, pilot or plan.
    """

    files: dict[str, bytes]
    rows: Rows
    leads: bytes | None
    recordings: dict[str, bytes]
    mends: dict[str, Row]
    new: int
    checks: bool = False
    dry_run: bool = False
    first: str = ""
    first_count: int = 0
    kills: tuple[Kill, ...] = ()
    is_finished: bool = True
    faults: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Story:
    seed: int
    kind: str
    features: tuple[str, ...]
    crm: dict[str, Any]
    options: tuple[str, ...]
    sending: tuple[str, ...]
    files: dict[str, bytes]
    nights: tuple[Night, ...]
    truth: Truth
    by_url: bool
    latency_ms: int

    @property
    def calls(self) -> int:
        return len(self.truth.calls)


@dataclass(slots=True)
class _Draft:
    """A call while its story is drawn. `shown` are the nights whose exports show it, from the first one on."""

    name: str
    call_id: str
    lead_id: int
    phone: str
    user_id: int
    facts: Facts
    shown: tuple[int, ...]
    fate: str = "stored"
    lead_from: int = 0
    later: Facts | None = None
    extensions: tuple[int, ...] = ()
    recording: str = ""
    twin: dict[str, Any] | None = None

    def facts_on(self, night: int) -> Facts:
        return self.later if self.later and night > self.shown[0] else self.facts


def draw(seed: int, *, compares: bool = False, without: Sequence[str] = (), is_short: bool = False) -> Story:
    """Draw the story of a seed. One that compares two programs has no kills, and faults that hit the nth request."""
    return _Author(seed, compares=compares, without=without, is_short=is_short).story()


@dataclass
class _Author:
    seed: int
    compares: bool
    without: Sequence[str]
    is_short: bool
    chance: random.Random = field(init=False)
    calls: list[_Draft] = field(default_factory=list)
    seeded: dict[int, list[dict[str, Any]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        chance = self.chance = random.Random(f"black box {self.seed} {self.compares}")
        drawn = {name for name in FEATURES if chance.random() < _CHANCES.get(name, 0.5)}
        self.features = drawn - set(self.without)
        if self.is_short:
            self.features -= {"check", "dry_run", "limit", "pilot", "plan"}
        if self.compares:
            # Each of these may depend on time or on a choice that a later version makes otherwise.
            self.features -= {"unfinished", "pilot", "shown_again"}
        self.kind = "asterisk" if chance.random() < 0.25 else "canonical"
        self.leads_by = chance.choice(("file", "find", "file find"))
        if self.kind == "canonical":
            self.leads_by = chance.choice(("column", self.leads_by))
            self.features.discard("late_legs")
        else:
            self.features -= {"rejected", "mended", "contradiction", "no_call_id", "recordings", "duplicate"}
        if "file" not in self.leads_by:
            self.features.discard("waiting")
        if self.kind == "asterisk" and "file" not in self.leads_by:
            self.features.discard("refused")
        if "mended" in self.features:
            self.features.add("rejected")
        self.on_change = chance.choice(("update", "update", "update", "report", "skip"))
        self.existing = chance.choice(("skip", "skip", "report", "send"))
        if self.on_change != "update":
            self.features.discard("unfinished")
        self.has_offset = chance.random() < 0.5
        self.form = chance.choice(exports.FORMS)
        self.nights = 1 if self.is_short else 2 if self.compares else chance.choice((2, 2, 3))
        self.first_day = datetime(*chance.choice(WEEKS), 8, tzinfo=exports.TORONTO)
        self.leads = self._people()

    def _people(self) -> dict[int, str]:
        """Return the number of each lead. Leads from 5050 on have none in the CRM."""
        numbers = [f"+1{area}5550{line}" for area in AREAS for line in range(100, 199)]
        picked = self.chance.sample(numbers, 16)
        known = self.chance.randint(5, 12)
        return {5001 + n: picked[n] for n in range(known)} | {5050 + n: picked[12 + n] for n in range(4)}

    def story(self) -> Story:
        for night in range(self.nights):
            self._calls_of(night)
        nights = tuple(self._night(night) for night in range(self.nights))
        last = self.nights - 1
        stored = tuple(
            self._true(one) for one in self.calls if one.fate in ("stored", "mended") and one.lead_from <= last
        )
        refused = tuple(self._true(one) for one in self.calls if one.fate == "refused")
        return Story(
            seed=self.seed,
            kind=self.kind,
            features=tuple(sorted(self.features)),
            crm=self._crm(),
            options=tuple(self._options()),
            sending=tuple(self._sending()),
            files=self._files(),
            nights=nights,
            truth=Truth(
                stored, refused, phones=tuple(self.leads.values()), has_references="no_reference" not in self.features
            ),
            by_url=self.chance.random() < 0.5,
            latency_ms=self.chance.choice((0, 20, 50)),
        )

    def _calls_of(self, night: int) -> None:
        """Draw the calls that begin on this day, in the order of time."""
        chance, count = self.chance, self.chance.randint(8, 14) if self.is_short or self.compares else 0
        count = count or self.chance.randint(10, 20)
        wide = MINUTES_OF_A_DAY // count
        day = self.first_day + timedelta(days=night)
        known = [lead for lead in self.leads if lead < 5050]
        for number in range(count):
            minute = number * wide + chance.randrange(wide - 8)
            at = (day + timedelta(minutes=minute, seconds=chance.randrange(60))).astimezone(UTC)
            lead = chance.choice(known)
            shown = (night, night + 1) if night + 1 < self.nights and chance.random() < 0.6 else (night,)
            one = _Draft(
                name=f"call {len(self.calls)}",
                call_id=f"{at.timestamp():.0f}.{100 + len(self.calls)}",
                lead_id=lead,
                phone=self.leads[lead],
                user_id=chance.choice(list(USERS)),
                facts=self._facts(at, f"story call {len(self.calls)}"),
                shown=shown,
            )
            self.calls.append(one)
        mine = self.calls[-count:]
        chance.shuffle(mine)
        self._give_fates(night, mine)
        for one in mine:
            self._give_particulars(one)

    def _facts(self, at: datetime, text: str) -> Facts:
        chance = self.chance
        direction = chance.choice(("incoming", "outgoing"))
        said = chance.choice(("", ", dit « à demain »", "; wants the blue one, not the grey one", ' - "rappeler"'))
        described = text + said if self.kind == "canonical" else ""
        if chance.random() < 0.6:
            return Facts(direction, "answered", at, chance.randint(3, 900), described)
        missed = "interrupted" if direction == "incoming" else "attempted"
        status = "error" if self.kind == "canonical" and chance.random() < 0.15 else missed
        return Facts(direction, status, at, 0, described)

    def _give_fates(self, night: int, mine: list[_Draft]) -> None:
        """Decide which of these calls are not simply stored. `mine` is in random order, and used up from its end."""
        left = list(mine)
        if "waiting" in self.features:
            for one in [left.pop() for _ in range(2)]:
                one.lead_id = self.chance.choice((5050, 5051))
                one.phone = self.leads[one.lead_id]
        if "excluded" in self.features and night == 0:
            one = left.pop()
            one.lead_id, one.fate = 5053, "excluded"
            one.phone = self.leads[one.lead_id]
        if "too_old" in self.features and night == 0:
            one = left.pop()
            one.fate = "too_old"
            one.facts = replace(one.facts, started_at=one.facts.started_at - timedelta(days=40))
            one.call_id = f"{one.facts.started_at.timestamp():.0f}.1"
        if "refused" in self.features and night == 0:
            # The newest of the night goes last: a first call that is refused stops the run.
            one = max(left, key=lambda each: each.facts.started_at)
            left.remove(one)
            one.fate = "refused"
            if self.leads_by == "column" or self.kind == "canonical":
                one.lead_id = NO_SUCH_LEAD
            else:
                one.lead_id, one.phone = NO_SUCH_LEAD, self.leads[5052]
        if "existing" in self.features:
            one = left.pop()
            one.twin = self._twin(one)
            if self.existing == "skip":
                one.fate = "existing"
        if "mended" in self.features and night + 1 < self.nights:
            one = left.pop()
            one.fate, one.shown = "mended", (night, night + 1) if "shown_again" in self.features else (night,)

    def _twin(self, one: _Draft) -> dict[str, Any]:
        """Return the same call as a person typed it in, a little earlier or later."""
        facts = one.facts
        moved = facts.started_at + timedelta(seconds=self.chance.randint(-90, 90))
        return {
            "method": "phone", "type": facts.direction, "executed_at": moved.isoformat(), "call_phone": one.phone,
            "call_duration": facts.duration_seconds, "call_status": facts.status, "description": "Typed in by hand",
        }  # fmt: skip

    def _give_particulars(self, one: _Draft) -> None:
        chance = self.chance
        if one.twin:
            self.seeded.setdefault(one.lead_id, []).append(one.twin)
        is_shown_again = len(one.shown) > 1 and one.fate == "stored" and not one.twin
        if "waiting" in self.features and one.lead_id in (5050, 5051):
            one.lead_from = self.lead_from(one.lead_id)
            # A waiting call is sent with its latest facts. Stories do not cover that.
            is_shown_again = False
        if self.kind == "asterisk":
            extension = one.user_id + 100
            others = [user + 100 for user in USERS if user != one.user_id]
            is_passed_on = one.facts.duration_seconds and one.facts.direction == "incoming"
            one.extensions = (*chance.sample(others, chance.randrange(3) if is_passed_on else 0), extension)
        if is_shown_again and "late_legs" in self.features and chance.random() < 0.5:
            missed = "interrupted" if one.facts.direction == "incoming" else "attempted"
            talk = one.facts.duration_seconds or 77
            one.later = replace(one.facts, status="answered", duration_seconds=talk)
            one.facts = replace(one.facts, status=missed, duration_seconds=0)
            one.extensions = (one.user_id + 100,) * 2
        elif is_shown_again and "changed" in self.features and self.kind == "canonical" and chance.random() < 0.35:
            one.later = self._changed(one.facts)
        if "recordings" in self.features and chance.random() < 0.4 and one.fate != "existing":
            one.recording = f"r-{one.name.rpartition(' ')[2]}.wav"

    def _changed(self, facts: Facts) -> Facts:
        how = self.chance.choice(("duration", "description", "start"))
        if how == "start" and "no_call_id" not in self.features:
            return replace(facts, started_at=facts.started_at + timedelta(seconds=self.chance.randint(1, 20)))
        if how == "description":
            return replace(facts, description=f"{facts.description} (corrected)")
        talk = facts.duration_seconds + self.chance.randint(1, 60)
        return replace(facts, status="answered", duration_seconds=talk)

    def lead_from(self, lead_id: int) -> int:
        """Return the night on which the leads file first names the number of this lead. `self.nights` means never."""
        return 1 if lead_id == 5050 else self.nights

    def _night(self, night: int) -> Night:
        rows: list[Row] = []
        counted = {"rejected": 0, "joined": 0, "dropped": 0, "duplicate": 0, "refused": 0, "changed": 0, "settled": 0}
        skipped: dict[str, int] = {}
        mends: dict[str, Row] = {}
        for one in self.calls:
            if night not in one.shown:
                continue
            made = self._rows_of(one, night)
            counted["joined"] += len(made) - 1
            if one.fate == "mended":
                right = made[0]
                made = [right | {"duration_seconds": "soon"}]
                if night == one.shown[0]:
                    mends[one.facts.description] = {"duration_seconds": right["duration_seconds"]}
                    counted["rejected"] += 1
                else:
                    counted["settled"] += 1
            elif (why := self._skip(one, night)) is not None:
                skipped[why] = skipped.get(why, 0) + 1
            elif one.fate == "refused":
                counted["refused"] += 1
            elif self._is_told_otherwise(one, night):
                counted["changed"] += 1
            if self._is_doubled(one, night):
                made = made * 2
                counted["duplicate"] += 1
            rows += made
        for row, kind in self._others(night):
            rows.append(row)
            counted[kind] += 1
        self.chance.shuffle(rows)
        mended = [one for one in self.calls if one.fate == "mended" and one.shown[0] == night - 1]
        columns = exports.CANONICAL if self.kind == "canonical" else exports.ASTERISK
        form = self.form if self.kind == "canonical" else exports.FORMS[0]
        new = sum(one.shown[0] == night and one.fate == "stored" and one.lead_from <= night for one in self.calls)
        return Night(
            files={f"export-{night + 1}{form[0]}": exports.table(columns, rows, form)},
            rows=Rows(read=len(rows) + len(mended), skipped=skipped, **counted),
            leads=self._leads_file(night),
            recordings={
                one.recording: exports.silence(one.recording)
                for one in self.calls
                if one.recording and self._recorded_from(one) == night
            },
            mends=mends,
            new=new,
            **self._course(night, new, mends),
        )

    def _is_doubled(self, one: _Draft, night: int) -> bool:
        is_plain = one.fate == "stored" and not one.twin and one.lead_from <= night
        return is_plain and "duplicate" in self.features and self.chance.random() < 0.15

    def _course(self, night: int, new: int, mends: dict[str, Row]) -> dict[str, Any]:
        """Draw what people do on this night and what goes wrong."""
        chance = self.chance
        firsts = [name for name in ("limit", "pilot", "plan") if name in self.features]
        first = chance.choice(firsts) if firsts and chance.random() < 0.6 else ""
        faults: list[dict[str, Any]] = []
        kills: tuple[Kill, ...] = ()
        if self.compares and chance.random() < 0.5:
            kinds = [rule for rule in FAULTS if rule["kind"] in SAME_END and rule["path"] == CREATED]
            faults = [{**rule, "nth": chance.randint(2, 7)} for rule in chance.sample(kinds, 2)]
        elif not self.compares:
            share = chance.choice((0.0, 0.1, 0.2))
            # One fault that commits late, one that commits and hides it, and others. Mishandled, they cause duplicates.
            late = [rule for rule in FAULTS if rule["kind"] == "late_commit" and rule.get("answer") != "wait"]
            silent = [rule for rule in FAULTS if rule["kind"].startswith("commit_then") and rule["path"] == CREATED]
            rules = [chance.choice(late), chance.choice(silent), *chance.sample(FAULTS, 3)]
            faults = [{**rule, "probability": share / 2} for rule in (rules if share else ())]
            faults.append({"kind": "read_lag", "seconds": 0.03, **_READS})
            many = chance.choice((0, 1, 1, 2))
            kills = tuple(
                Kill(chance.choice(SIGNALS), chance.randint(1, max(1, new // 2)), chance.random() / 10)
                for _ in range(max(1, many) if self.is_short else many)
            )
        is_last = night == self.nights - 1
        return {
            "checks": "check" in self.features and chance.random() < 0.5,
            "dry_run": "dry_run" in self.features and chance.random() < 0.5,
            "first": first,
            "first_count": chance.randint(1, 5),
            "faults": tuple(faults),
            "kills": kills,
            "is_finished": is_last or bool(mends) or "unfinished" not in self.features or chance.random() < 0.5,
        }

    def _rows_of(self, one: _Draft, night: int) -> list[Row]:
        chance, facts = self.chance, one.facts_on(night)
        if self.kind == "asterisk":
            made = exports.legs(one.call_id, one.phone, one.extensions, facts)
            return made[:1] if one.later and night == one.shown[0] else made
        first, last = USERS[one.user_id]
        agent = chance.choice(
            (
                {"agent_id": str(one.user_id)},
                {"agent_email": f"user{one.user_id}@example.com"},
                {"agent_name": f"{first} {last}"},
            )
        )
        # A refused call is on a lead that only the row itself can name.
        has_lead = self.leads_by == "column" or one.lead_id == NO_SUCH_LEAD
        has_lead = has_lead or (one.lead_id < 5050 and chance.random() < 0.2)
        return [
            {
                "call_id": "" if "no_call_id" in self.features else one.call_id,
                "lead_id": str(one.lead_id) if has_lead else "",
                "direction": facts.direction,
                "status": exports.status_words(facts, chance),
                "started_at": exports.moment(facts.started_at, has_offset=self.has_offset),
                "duration_seconds": str(facts.duration_seconds),
                "customer_phone": chance.choice(exports.PHONE_FORMS)(one.phone),
                "description": facts.description,
                "recording": one.recording,
                **agent,
            }
        ]

    def _skip(self, one: _Draft, night: int) -> str | None:
        if one.fate in ("excluded", "existing"):
            return one.fate
        if one.fate == "too_old":
            return "outside_dates"
        return "no_lead" if one.lead_from > night else None

    def _is_told_otherwise(self, one: _Draft, night: int) -> bool:
        return bool(one.later) and night > one.shown[0] and self.on_change != "update"

    def _others(self, night: int) -> Iterator[tuple[Row, str]]:
        """Yield rows that are no calls, each with what becomes of it."""
        at = self.first_day + timedelta(days=night, hours=13)
        lead = 5001
        if self.kind == "asterisk":
            for number in range(self.chance.randrange(3)):
                when = at + timedelta(minutes=number)
                yield exports.internal(f"{when.timestamp():.0f}.{number}", when), "dropped"
            return
        sound = {
            "lead_id": str(lead), "direction": "incoming", "status": "answered", "customer_phone": self.leads[lead],
            "started_at": exports.moment(at, has_offset=self.has_offset), "duration_seconds": "60", "agent_id": "101",
        }  # fmt: skip
        broken = (
            {"duration_seconds": "a while"},
            {"direction": "sideways"},
            {"status": "dancing"},
            {"started_at": "31/02/2024"},
        )
        for number in range(self.chance.randint(1, 3) if "rejected" in self.features else 0):
            wrong = self.chance.choice(broken)
            yield sound | {"call_id": f"broken-{night}-{number}", "description": f"row {number}"} | wrong, "rejected"
        if "contradiction" in self.features:
            for duration in ("61", "62"):
                twice = {"call_id": f"contradiction-{night}", "duration_seconds": duration, "description": "twice"}
                yield sound | twice, "rejected"

    def _leads_file(self, night: int) -> bytes | None:
        if "file" not in self.leads_by:
            return None
        rows = [
            {"phone": self.chance.choice(exports.PHONE_FORMS)(phone), "lead_id": str(lead)}
            for lead, phone in self.leads.items()
            if lead < 5050 or lead == 5053 or (lead in (5050, 5051) and self.lead_from(lead) <= night)
        ]
        if self.kind == "asterisk":
            rows.append({"phone": self.leads[5052], "lead_id": str(NO_SUCH_LEAD)})
        return exports.table(("phone", "lead_id"), rows)

    def _recorded_from(self, one: _Draft) -> int:
        """Return the night on which the recording arrives. Some are late by a night, some never come."""
        digit = int(sha256(one.recording.encode()).hexdigest(), 16) % 5
        return one.shown[0] + (digit == 0) if digit != 1 else self.nights

    def _true(self, one: _Draft) -> Call:
        versions = (one.facts, one.later) if one.later and self.on_change == "update" else (one.facts,)
        has_sound = bool(one.recording) and self._recorded_from(one) < self.nights and one.fate in ("stored", "mended")
        sound = sha256(exports.silence(one.recording)).hexdigest() if has_sound else None
        return Call(one.name, one.lead_id, one.phone, one.user_id, versions, sound)

    def _crm(self) -> dict[str, Any]:
        users = [
            {"id": user, "first_name": first, "last_name": last, "email": f"user{user}@example.com"}
            for user, (first, last) in USERS.items()
        ]
        leads = [
            {
                "id": lead, "first_name": "Lead", "last_name": str(lead), "communications": self.seeded.get(lead, []),
                "phones": [phone] if lead < 5050 or (lead == 5053 and "file" not in self.leads_by) else [],
            }
            for lead, phone in self.leads.items()
        ]  # fmt: skip
        return {"accounts": [{"id": 301, "name": "Rehearsal Motors", "users": users, "leads": leads}]}

    def _files(self) -> dict[str, bytes]:
        agents = [{"extension": str(user + 100), "user_id": str(user)} for user in USERS]
        return {
            "agents.csv": exports.table(("extension", "user_id"), agents),
            "excluded.txt": f"{self.leads[5053]}\n".encode(),
        }

    def _options(self) -> Iterator[str]:
        """Yield the options that are the same on every night."""
        if "file" in self.leads_by:
            yield from ("--leads", "leads.csv")
        if "find" in self.leads_by:
            yield "--find-leads"
        if self.kind == "asterisk":
            yield from ("--agents", "agents.csv")
        if "too_old" in self.features or (self.kind == "canonical" and not self.has_offset):
            yield from ("--timezone", exports.ZONE)
        if "excluded" in self.features:
            yield from ("--exclude-numbers", "excluded.txt")
        if "too_old" in self.features:
            yield from ("--since", f"{self.first_day - timedelta(days=2):%Y-%m-%d}")
        if "no_reference" in self.features:
            yield "--no-reference"

    def _sending(self) -> Iterator[str]:
        """Yield the options that only a run takes."""
        yield from ("--concurrency", self.chance.choice(("1", "2", "8", "8", "16")))
        yield from ("--existing", self.existing, "--on-change", self.on_change)
        if "recordings" in self.features:
            yield from ("--recordings", "recordings")
