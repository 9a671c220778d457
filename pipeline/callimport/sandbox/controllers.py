"""Communications, their recordings, and the account.

Each looks up and validates first, and gives back the commit that stores and answers.
A fault may let a commit wait: it looks at the clock and at what it changes anew, at the time it is called.
"""

import dataclasses
import re
from collections.abc import Callable

from starlette import responses

from callimport.sandbox import (
    answers,
    clock,
    faults,
    incoming,
    journal,
    knobs,
    recordings,
    resources,
    rules,
    untidy,
    wording,
    world,
)

Commit = Callable[[], responses.Response]

_ID = re.compile(r"[1-9]\d{0,18}", re.ASCII)


class Controllers:
    """What the API does, given its state."""

    def __init__(
        self, state: world.World, settings: knobs.Knobs, profile: rules.Rules, now: clock.Now, mischief: faults.Faults
    ) -> None:
        self._state = state
        self._settings = settings
        self._profile = profile
        self._now = now
        self._mischief = mischief

    async def create(self, call: incoming.Call) -> Commit:
        """POST /communications. The same body twice makes two."""
        findings = self._checked(call, self._context())

        def commit() -> responses.Response:
            context = self._context()
            made = rules.resulting(findings, context, new_id=self._state.next_id, author_id=world.API_USER_ID)
            return self._stored(call, made, context, "CREATED", 201)

        return commit

    async def update(self, call: incoming.Call) -> Commit:
        """PUT /communications/:id. What is not named stays; an empty body changes nothing."""
        stored = self._communication(call)
        findings = self._checked(call, self._context(stored))

        def commit() -> responses.Response:
            current = self._communication(call)
            unread = {"executed_by"} if self._settings.executed_by == "create" else set()
            if not findings.values.keys() - unread:
                return self._data(resources.communication(current))
            context = self._context(current)
            changed = rules.resulting(findings, context, new_id=self._state.next_id, author_id=world.API_USER_ID)
            if self._settings.executed_by == "always" and "executed_by" in findings.values:
                changed = dataclasses.replace(changed, user_id=findings.values["executed_by"])
            return self._stored(call, changed, context, "UPDATED", 200)

        return commit

    async def upload(self, call: incoming.Call) -> Commit:
        """POST /communications/:id/recording. A second one takes the place of the first."""
        stored = self._communication(call)
        form = call.form
        strangers = {file.part for file in form.files} | set(form.fields)
        call.entry.unknown_fields = tuple(sorted(strangers - {recordings.PART}))
        errors = recordings.faults(form, self._settings)
        if not errors and self._settings.recording_of == "phone" and stored.method != world.Method.PHONE:
            errors = {recordings.PART: [wording.prohibited(recordings.PART)]}
        if errors:
            raise answers.Refused(answers.invalid(call.request, errors))
        file = next(file for file in form.files if file.part == recordings.PART)

        def commit() -> responses.Response:
            current = self._communication(call)
            uploads = current.recording.uploads + 1 if current.recording else 1
            kept = world.Recording(file.format or "", file.sha256, file.size_bytes, uploads)
            self._state.attach(current, kept)
            call.entry.effect.append(f"RECORDING {stored.id} {kept.format} sha256={kept.sha256} uploads={uploads}")
            return answers.compact({"message": wording.RECORDING_UPLOADED})

        return commit

    async def show_account(self, call: incoming.Call) -> Commit:
        """GET /account. The vendor's example is an array, though the path is singular."""
        is_group = self._settings.key_of == "group"
        listed = list(self._state.accounts.values()) if is_group else [self._state.own_account]
        shapes = [resources.account(one, self._state, call.includes) for one in listed]
        return lambda: self._data(shapes[0] if self._profile.is_untidy and not is_group else shapes)

    def _context(self, stored: world.Communication | None = None) -> rules.Context:
        return rules.Context(self._state, self._state.own_account.id, self._now(), stored)

    def _communication(self, call: incoming.Call) -> world.Communication:
        wanted, own = number(call.target), self._state.own_account.id
        found = wanted and self._state.communication(wanted, own)
        if not found:
            kept = self._state.communications.get(wanted or 0)
            if self._settings.foreign == "403" and kept is not None and self._state.is_foreign(kept.lead_id, own):
                raise answers.Refused(answers.forbidden(call.request))
            raise answers.Refused(answers.no_model(call.request, "Communication", call.target))
        return found

    def _checked(self, call: incoming.Call, context: rules.Context) -> rules.Findings:
        fields = {name: rules.trimmed(value) for name, value in call.fields.items()}
        findings = self._profile.check(fields, context)
        call.entry.unknown_fields = findings.unknown
        call.entry.ignored_fields = findings.ignored if self._settings.executed_by == "create" else ()
        if list(findings.errors) == ["lead_id"] and fields.get("lead_id") and context.stored is None:
            if self._settings.missing_lead == "404":
                raise answers.Refused(answers.no_model(call.request, "Lead", str(fields["lead_id"])))
            if self._settings.missing_lead == "403":
                raise answers.Refused(answers.forbidden(call.request))
        if findings.errors:
            raise answers.Refused(answers.invalid(call.request, findings.errors))
        return findings

    def _stored(
        self, call: incoming.Call, made: world.Communication, context: rules.Context, effect: str, status: int
    ) -> responses.Response:
        made = self._mischief.kept(call, made)
        if self._settings.lead_result == "changes":
            self._state.store(made, context.now)
        else:
            self._state.put(made)
        call.entry.effect.append(f"{effect} {made.id}")
        if made.call_status == world.CallStatus.CALLING:
            call.entry.effect.append(journal.LIVE_POPUP)
        return self._data(resources.communication(made), status)

    def _data(self, shape: object, status: int = 200) -> responses.Response:
        return answers.data(untidy.untidy(shape) if self._profile.is_untidy else shape, status)


def number(text: str) -> int | None:
    """An id in a path, None where it can be none."""
    return int(text) if _ID.fullmatch(text) else None
