"""callimport probe: what only a real key can tell, asked on one lead that somebody made for it.

It writes: some communications on that lead and nowhere else, each said to be a trial in its text, none of them known to
a ledger, and recordings of silence on the first of them. Nothing is sent twice but where that is the question, and no
status is used that opens a window on a screen.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import Any, BinaryIO
from urllib.parse import quote

from callimport import importer
from callimport.cli import silence
from callimport.core import errors, models, normal_form, privacy
from callimport.core import settings as config
from callimport.core.errors import ExitCode
from callimport.core.signals import interruptible
from callimport.crm import account, vendor_json
from callimport.crm.client import Destination
from callimport.crm.rate_limit import Pacer
from callimport.crm.raw_request import Reply
from callimport.crm.retry import Courier
from callimport.crm.transport import Part
from callimport.load.audio_files import MEBIBYTE

# With brackets, as a reference has them.
TEXT = "callimport probe, a trial that may be deleted [1]"
NUMBER = "+15145550100"
NOBODY = 999_999_999
# At most this many characters of an answer of the CRM are shown.
LONGEST_ANSWER = 500
NO_KEY = "callimport-probe-no-key"
# Web servers are often set to 1, PHP to 2 or 8; a call of an hour has 20 and more. Each a little more than it says.
SIZES_MB = (1, 5, 20)
_EASTERN = timezone(timedelta(hours=-5))
_YEARS = timedelta(days=5 * 365)


@dataclass(frozen=True, slots=True)
class Learned:
    """One question, and what the CRM answered to it, fit to be shown."""

    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Probed:
    """Everything that was learned, and the communications that were made and may be deleted."""

    lead_id: int
    learned: tuple[Learned, ...]
    made: tuple[int, ...]

    def for_machines(self) -> dict[str, Any]:
        return {"exit_code": int(ExitCode.OK), **asdict(self)}


async def probe(settings: config.Settings, tools: importer.Tools, lead_id: int, *, consent: bool) -> Probed:
    """Ask the CRM on the lead of that id. ConfigError without somebody's consent, or where there is no such lead;
    DestinationUnusable where the CRM cannot be used at all."""
    with interruptible():
        target = config.target(settings)
    pacer = Pacer(settings.rates, tools.clock.monotonic, tools.rng)
    async with tools.connect(target.base_url, target.token, connections=1) as crm:
        whose = account.choose(await Courier(crm, pacer, tools.rng).accounts(), settings.account)
        with interruptible():
            account.confirm(target, whose, settings, tools.ask)
            account.consent_to_trial(whose, lead_id, tools.ask, given=consent)
        trial = Trial(crm, pacer, tools.clock.wall(), lead_id, tools.talk.say)
        probed = await trial.run()
    await pacer.slot()
    async with tools.connect(target.base_url, privacy.Secret(NO_KEY), connections=1) as crm:
        return replace(probed, learned=(*probed.learned, await _of_no_key(crm)))


async def _of_no_key(crm: Destination) -> Learned:
    reply = await crm.ask("GET", "/account")
    return Learned("a key that is none", f"{reply.status or 'no answer'} {privacy.mask(reply.told)}".strip())


@dataclass(slots=True)
class Trial:
    """The questions, and what was learned and made by now; `say` is told of what takes long or is to be deleted."""

    crm: Destination
    pacer: Pacer
    now: datetime
    lead_id: int
    say: Callable[[str], None]
    learned: list[Learned] = field(default_factory=list)
    made: list[int] = field(default_factory=list)

    async def run(self) -> Probed:
        before = await self._ask("GET", self._lead())
        if before.status != 200:
            raise errors.ConfigError(
                f"lead {self.lead_id} cannot be read ({before.told or before.status}): name one with --test-lead that "
                "is there and was made for trials; nothing was sent"
            )
        first = await self._creates(before)
        if first is not None:
            await self._after(before, first)
            await self._recordings(first)
            await self._variants()
            await self._undo(first)
        await self._lists(before)
        await self.pacer.slot()
        rate = (await self.crm.handshake()).rate
        self._say("headers that tell the limit", ", ".join(f"{name} {value}" for name, value in rate) or "none")
        return Probed(self.lead_id, tuple(self.learned), tuple(self.made))

    async def _creates(self, before: Reply) -> int | None:
        """The first one tells most; without it there is nothing more to try."""
        payload = self._payload()
        reply = await self._create(payload)
        self._note("a call is created", reply)
        if not self.made:
            return None
        kept = ", ".join(name for name in payload if _kept_otherwise(payload, reply.data, name)) or "nothing"
        self._say("kept otherwise than as sent", kept)
        self._say("fields that come back", ", ".join(sorted(reply.data)))
        self._say("executed_at 14:00-05:00 comes back as", str(reply.data.get("executed_at")))
        self._say("without executed_by, the call is of user", str(reply.data.get("user_id")))
        return self.made[0]

    async def _after(self, before: Reply, first: int) -> None:
        after = await self._ask("GET", self._lead())
        one = _one(after, first)
        self._say("the lead shows it at once", "yes" if one else f"no, {len(_shown(after))} others")
        if one:
            self._say("its text comes back unchanged", "yes" if one.get("description") == TEXT else "no")
        self._compare("the call", before, after)

    async def _recordings(self, first: int) -> None:
        """Silence, all of it on the first call: each upload takes the place of the one before."""
        before = await self._ask("GET", self._lead())
        self._note("a recording is uploaded, a second of WAV", await self._upload(first, "wav", silence.wav()))
        after = await self._ask("GET", self._lead())
        self._compare("the recording", before, after)
        changed = sorted(name for name, value in _one(after, first).items() if _one(before, first).get(name) != value)
        self._say("what the recording changes in its call", ", ".join(changed) or "nothing")
        self._note("the same recording again", await self._upload(first, "wav", silence.wav()))
        self._note("an MP3 without an ID3 tag", await self._upload(first, "mp3", silence.mp3()))
        for size in SIZES_MB:
            self.say(f"uploading {size} MB of silence: on a slow line this takes minutes")
            reply = await self._upload(first, "wav", silence.wav(size * MEBIBYTE))
            self._note(f"a recording of {size} MB", reply)
            if reply.status is None or not 200 <= reply.status < 300:
                # What is larger will not pass, either.
                break

    async def _upload(self, communication_id: int, kind: str, file: BinaryIO) -> Reply:
        await self.pacer.slot()
        media_type = "audio/wav" if kind == "wav" else "audio/mpeg"
        part = Part("recording", f"recording.{kind}", media_type, file)
        return await self.crm.ask("POST", f"/communications/{communication_id}/recording", part=part)

    def _compare(self, what: str, before: Reply, after: Reply) -> None:
        for name in ("result", "status", "updated_at"):
            answer = f"{before.data.get(name)}, {after.data.get(name)}"
            self._say(f"the lead's {name} before and after {what}", answer)

    async def _variants(self) -> None:
        twice = await self._create(self._payload())
        told = "another communication" if len(set(self.made)) > 1 else "the same one or none"
        self._note(f"the very same call again makes {told}", twice)
        tries: Mapping[str, Mapping[str, object]] = {
            "an outgoing call that was interrupted": {"call_status": "interrupted", "call_duration": 0},
            "an incoming call that was unanswered": {
                "type": "incoming",
                "call_status": "unanswered",
                "call_duration": 0,
            },
            "a call of five years ago": {"executed_at": (self.now - _YEARS).isoformat(timespec="seconds")},
            "a call of a user that is not there": {"executed_by": NOBODY},
        }
        for question, changes in tries.items():
            self._note(question, await self._create({**self._payload(), **changes}))

    async def _undo(self, first: int) -> None:
        self._note("a communication is read by its id", await self._ask("GET", f"/communications/{first}"))
        for question, changes in (
            ("an update that names nothing", {}),
            ("an update that names the method alone", {"method": "phone"}),
            ("an update of the duration", {"call_duration": 1}),
        ):
            changed = await self._ask("PUT", f"/communications/{first}", changes)
            kept = f", call_duration {changed.data.get('call_duration')}" if changed.data else ""
            self._note(f"{question}{kept}", changed)
        reply = await self._ask("DELETE", f"/communications/{self.made[-1]}")
        self._note("a communication is deleted", reply)
        if reply.status is not None and 200 <= reply.status < 300:
            self.made.pop()

    async def _lists(self, before: Reply) -> None:
        many = await self._ask("GET", "/leads?per_page=101")
        shown = len(many.body["data"]) if isinstance(many.body, dict) and isinstance(many.body.get("data"), list) else 0
        self._note(f"101 leads a page: {shown} shown", many)
        phones = before.data.get("phones")
        numbers = [one.get("number") for one in phones if isinstance(one, dict)] if isinstance(phones, list) else []
        number = next((one for one in numbers if isinstance(one, str) and len(one) > 9), None)
        if number is not None:
            for form, text in (
                ("as it is", number),
                ("its last ten digits", number[-10:]),
                ("all but its last digit and a %", f"{number[:-1]}%"),
            ):
                found = await self._ask("GET", f"/leads?filter%5Bphone%5D={quote(text, safe='')}")
                body = found.body.get("data") if isinstance(found.body, dict) else None
                self._note(f"leads by the number, {form}: {len(body) if isinstance(body, list) else 0} found", found)

    def _payload(self) -> dict[str, object]:
        call = (self.now - timedelta(days=1)).astimezone(_EASTERN).replace(hour=14, minute=0, second=0, microsecond=0)
        return {
            "lead_id": self.lead_id,
            "method": "phone",
            "type": models.Direction.OUTGOING.value,
            "executed_at": call.isoformat(),
            "description": TEXT,
            "call_status": models.CallStatus.ATTEMPTED.value,
            "call_duration": 0,
            "call_phone": NUMBER,
        }

    async def _create(self, payload: Mapping[str, Any]) -> Reply:
        reply = await self._ask("POST", "/communications", payload)
        if vendor_json.is_id(reply.data.get("id")):
            made = int(reply.data["id"])
            self.made.append(made)
            # At once: whoever stops the probe midway must know what to delete.
            self.say(f"made communication {made} on lead {self.lead_id}, a trial to be deleted")
        return reply

    async def _ask(self, method: str, path: str, payload: Mapping[str, Any] | None = None) -> Reply:
        await self.pacer.slot()
        return await self.crm.ask(method, path, payload)

    def _lead(self) -> str:
        return f"/leads/{self.lead_id}?include%5B%5D=communications&include%5B%5D=phones"

    def _note(self, question: str, reply: Reply) -> None:
        self._say(question, " ".join(part for part in (str(reply.status or "no answer"), reply.told) if part))

    def _say(self, question: str, answer: str) -> None:
        self.learned.append(Learned(question, privacy.mask(answer[:LONGEST_ANSWER])))


def _kept_otherwise(payload: Mapping[str, object], kept: Mapping[str, object], name: str) -> bool:
    return normal_form.form(kept.get(name)) != normal_form.form(payload[name])


def _shown(lead: Reply) -> list[dict[str, Any]]:
    """The communications of a lead as it shows them."""
    shown = lead.data.get("communications")
    return [one for one in shown if isinstance(one, dict)] if isinstance(shown, list) else []


def _one(lead: Reply, communication_id: int) -> dict[str, Any]:
    """One of them, empty where it does not show it."""
    return next((one for one in _shown(lead) if str(one.get("id")) == str(communication_id)), {})
