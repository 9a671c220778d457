"""The five endpoints. Each looks up and validates first, and gives back the commit that stores and answers."""

import dataclasses
import re
import urllib.parse
from collections.abc import Callable, Mapping

from starlette import requests, responses

from pipeline.sandbox import answers, clock, journal, knobs, recordings, resources, rules, untidy, wording, world

Commit = Callable[[], responses.Response]

_INCLUDE = re.compile(r"include\[\d*\]", re.ASCII)
_ID = re.compile(r"[1-9]\d{0,18}", re.ASCII)


@dataclasses.dataclass(frozen=True, slots=True)
class Call:
    """A request that has passed the throttle. `fields` is its JSON object, `target` the id in its path."""

    request: requests.Request
    body: bytes
    fields: Mapping[str, object]
    target: str
    entry: journal.Entry

    @property
    def includes(self) -> frozenset[str]:
        """What `include[]` asks for."""
        query = urllib.parse.parse_qsl(self.request.url.query)
        return frozenset(value for name, value in query if _INCLUDE.fullmatch(name))


class Controllers:
    """What the API does, given its state."""

    def __init__(self, state: world.World, settings: knobs.Knobs, profile: rules.Rules, now: clock.Now) -> None:
        self._state = state
        self._settings = settings
        self._profile = profile
        self._now = now

    async def create(self, call: Call) -> Commit:
        """POST /communications. The same body twice makes two."""
        context = self._context()
        findings = self._checked(call, context)

        def commit() -> responses.Response:
            made = rules.resulting(findings, context, new_id=self._state.next_id, author_id=world.API_USER_ID)
            return self._stored(call, made, context, "CREATED", 201)

        return commit

    async def update(self, call: Call) -> Commit:
        """PUT /communications/:id. What is not named stays; an empty body changes nothing."""
        stored = self._communication(call)
        context = self._context(stored)
        findings = self._checked(call, context)

        def commit() -> responses.Response:
            if not findings.values.keys() - {"executed_by"}:
                return self._data(resources.communication(stored))
            changed = rules.resulting(findings, context, new_id=self._state.next_id, author_id=world.API_USER_ID)
            return self._stored(call, changed, context, "UPDATED", 200)

        return commit

    async def upload(self, call: Call) -> Commit:
        """POST /communications/:id/recording. A second one takes the place of the first."""
        stored = self._communication(call)
        form = await recordings.read(call.request.headers, call.body)
        call.entry.body = {"files": [dataclasses.asdict(file) for file in form.files], "fields": list(form.fields)}
        strangers = {file.part for file in form.files} | set(form.fields)
        call.entry.unknown_fields = tuple(sorted(strangers - {recordings.PART}))
        errors = recordings.faults(form, self._settings.upload_bytes)
        if errors:
            raise answers.Refused(answers.invalid(call.request, errors))
        file = next(file for file in form.files if file.part == recordings.PART)

        def commit() -> responses.Response:
            uploads = stored.recording.uploads + 1 if stored.recording else 1
            kept = world.Recording(file.format or "", file.sha256, file.size_bytes, uploads)
            self._state.attach(stored, kept)
            call.entry.effect.append(f"RECORDING {stored.id} {kept.format} sha256={kept.sha256} uploads={uploads}")
            return answers.compact({"message": wording.RECORDING_UPLOADED})

        return commit

    async def show_lead(self, call: Call) -> Commit:
        """GET /leads/:id."""
        lead_id = _number(call.target)
        lead = lead_id and self._state.lead(lead_id, self._state.own_account.id, self._now())
        if not lead:
            raise answers.Refused(answers.no_model(call.request, "Lead", call.target))
        shape = resources.lead(lead, self._state, call.includes)
        return lambda: self._data(shape)

    async def show_account(self, call: Call) -> Commit:
        """GET /account. The vendor's example is an array, though the path is singular."""
        shape = resources.account(self._state.own_account, self._state, call.includes)
        return lambda: self._data(shape if self._profile.is_untidy else [shape])

    def _context(self, stored: world.Communication | None = None) -> rules.Context:
        return rules.Context(self._state, self._state.own_account.id, self._now(), stored)

    def _communication(self, call: Call) -> world.Communication:
        number = _number(call.target)
        found = number and self._state.communication(number, self._state.own_account.id)
        if not found:
            raise answers.Refused(answers.no_model(call.request, "Communication", call.target))
        return found

    def _checked(self, call: Call, context: rules.Context) -> rules.Findings:
        fields = {name: rules.trimmed(value) for name, value in call.fields.items()}
        findings = self._profile.check(fields, context)
        call.entry.unknown_fields = findings.unknown
        call.entry.ignored_fields = findings.ignored
        if findings.errors:
            raise answers.Refused(answers.invalid(call.request, findings.errors))
        return findings

    def _stored(
        self, call: Call, made: world.Communication, context: rules.Context, effect: str, status: int
    ) -> responses.Response:
        self._state.store(made, context.now)
        call.entry.effect.append(f"{effect} {made.id}")
        if made.call_status == world.CallStatus.CALLING:
            call.entry.effect.append(journal.LIVE_POPUP)
        return self._data(resources.communication(made), status)

    def _data(self, shape: object, status: int = 200) -> responses.Response:
        return answers.data(untidy.untidy(shape) if self._profile.is_untidy else shape, status)


def _number(text: str) -> int | None:
    return int(text) if _ID.fullmatch(text) else None
