"""The ledger against the CRM: is every delivered call there, once, and as it was kept?

Each lead that has one is read once. What the CRM keeps otherwise than as sent was recorded when it answered, and is no
news: compared is what it last said that it keeps. A call that its own lead does not show may have gone to another one,
as when leads are merged; so `missing` is said only when all leads were read, and else `unread`.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace

import anyio

from callimport.core import errors, mapping, models, normal_form, privacy
from callimport.crm import matching
from callimport.crm.retry import Courier
from callimport.ledger import Ledger, delivered, queries
from callimport.ledger.delivered import Kept
from callimport.load.verify_results import Kind, Proof

# So many reads are under way at once: enough to keep the pace while the CRM takes a second for each.
READERS = 4
_MOVED = "merged into it, or moved there by a person: nothing to do if that is right"
_UNSETTLED = (models.ItemStatus.IN_FLIGHT, models.ItemStatus.IN_DOUBT, models.ItemStatus.HELD)
# What a copy has in common with the call that it copies; who made it is not among them.
_COPIED = ("method", "type", "executed_at", "call_status", "call_duration", "call_phone")


class Verification:
    """Reads and compares; `note` is told of each call as soon as it is sure. `counts` are by kind, `read` is how many
    leads were asked for."""

    def __init__(self, ledger: Ledger, courier: Courier, note: Callable[[Proof], None]) -> None:
        self._ledger = ledger
        self._courier = courier
        self._note = note
        self.leads = delivered.leads(ledger.database)
        self.read = 0
        self.counts = Counter[Kind]()
        self._unread = 0
        self._absent: dict[str, Proof] = {}
        self._elsewhere: dict[str, Proof] = {}

    async def run(self) -> None:
        """Compare everything. Raises DestinationUnusable where the CRM cannot be read at all."""
        waiting = iter(self.leads)
        stopped_by: list[errors.ImporterError] = []
        async with anyio.create_task_group() as readers:

            async def take() -> None:
                try:
                    for lead_id in waiting:
                        await self._verify(lead_id)
                except errors.ImporterError as error:
                    # As a value, past the task group, which would wrap it in another exception.
                    stopped_by.append(error)
                    readers.cancel_scope.cancel()

            for _ in range(min(READERS, len(self.leads))):
                readers.start_soon(take)
        if stopped_by:
            raise stopped_by[0]
        for key, absent in self._absent.items():
            self._tell(self._elsewhere.get(key) or self._unless_unread(absent))

    def _unless_unread(self, absent: Proof) -> Proof:
        """A lead that could not be read may be the one that has it now."""
        if not self._unread:
            return absent
        some = f"{self._unread:,} lead{'s' if self._unread > 1 else ''}"
        return replace(
            absent, kind=Kind.UNREAD, told=f"{absent.told}; {some} that may have it by now could not be read"
        )

    async def _verify(self, lead_id: int) -> None:
        expected = delivered.of_lead(self._ledger.database, lead_id)
        try:
            shown = await self._courier.communications_of(lead_id)
        except errors.Refused as outcome:
            if outcome.status == 404:
                self._await_elsewhere(expected, "there is no such lead any more")
            else:
                self._give_up(expected, outcome)
            return
        except errors.Incomplete as outcome:
            self._give_up(expected, outcome)
            return
        finally:
            self.read += 1
        there = {one.id: one for one in shown}
        ours = delivered.among(self._ledger.database, there.keys())
        for kept in ours:
            proof = _compared(kept, there[kept.communication_id], lead_id)
            if kept.lead_id == lead_id:
                self._tell(proof)
            else:
                self._elsewhere[kept.key] = proof
        found = {kept.key for kept in ours}
        self._await_elsewhere([kept for kept in expected if kept.key not in found], "the lead does not show it")
        self._look_for_extras(lead_id, shown, [*expected, *ours])

    def _look_for_extras(self, lead_id: int, shown: Sequence[models.Stored], ours: Sequence[Kept]) -> None:
        taken = self._ledger.taken({one.id for one in shown})
        strangers = [one for one in shown if one.id not in taken]
        if not strangers:
            return
        # What may be a call in doubt is for reconcile to judge.
        unclear = queries.unclear_of_lead(self._ledger.database, lead_id)
        there = {one.id: one.body for one in shown}
        copied: dict[tuple[object, ...], Kept] = {}
        for kept in ours:
            for fields in (kept.fields, asdict(kept.communication), there.get(kept.communication_id, kept.fields)):
                copied.setdefault(_look(fields), kept)
        for one in strangers:
            if matching.equals_one_of(unclear, one):
                continue
            told = self._told_by_reference(one)
            copy_of = copied.get(_look(one.body))
            if told is None and copy_of is not None:
                told = copy_of.reference, f"a second copy: equals {copy_of.communication_id} in everything"
            if told is not None and told[1]:
                self._tell(Proof(Kind.EXTRA, told[0], one.id, lead_id, told=told[1]))

    def _told_by_reference(self, one: models.Stored) -> tuple[str, str] | None:
        """The reference of ours that it bears, with what that means; no meaning where it is no news, None without."""
        for reference in mapping.references_in(one.description):
            status = delivered.status_of(self._ledger.database, reference)
            if status in _UNSETTLED:
                return reference, ""
            if status is models.ItemStatus.DELIVERED:
                return reference, "a second copy: bears the reference of a call that is there already"
            if status is not None:
                return reference, f"bears the reference of a call that is {status} here"
            if self._ledger.is_news(one.id, reference):
                return reference, "bears a reference that this ledger does not know"
        return None

    def _await_elsewhere(self, absent: Sequence[Kept], why: str) -> None:
        for kept in absent:
            self._absent[kept.key] = Proof(Kind.MISSING, kept.reference, kept.communication_id, kept.lead_id, told=why)

    def _give_up(self, expected: Sequence[Kept], outcome: errors.Outcome) -> None:
        self._unread += 1
        for kept in expected:
            told = f"the lead cannot be read: {privacy.mask(outcome.evidence)}"
            self._tell(Proof(Kind.UNREAD, kept.reference, kept.communication_id, kept.lead_id, told=told))

    def _tell(self, proof: Proof) -> None:
        self.counts[proof.kind] += 1
        self._note(proof)


def _compared(kept: Kept, one: models.Stored, lead_id: int) -> Proof:
    """`one` is the communication of `kept`, shown by the lead of that id."""
    shown = {**one.body, "lead_id": lead_id}
    fields = tuple(
        name
        for name, value in kept.fields.items()
        if name in shown and normal_form.form(shown[name]) != normal_form.form(value)
    )
    if not fields:
        return Proof(Kind.MATCH, kept.reference, one.id, lead_id)
    told = "; ".join(_change(name, kept.fields[name], shown[name]) for name in fields)
    return Proof(Kind.DIFFERS, kept.reference, one.id, lead_id, fields, told)


def _change(name: str, was: object, now: object) -> str:
    """What people wrote is theirs: of a text only that it is another one."""
    if name == "description":
        return "description is another"
    if name == "call_phone":
        return f"call_phone {privacy.mask_phone(str(was))}, now {privacy.mask_phone(str(now))}"
    told = privacy.mask(f"{name} {was}, now {now}")
    return f"{told} ({_MOVED})" if name == "lead_id" else told


def _look(fields: Mapping[str, object]) -> tuple[object, ...]:
    """Equal for calls that a person takes for the same one, be a reference on them or not."""
    description = normal_form.form(mapping.without_reference(str(fields.get("description") or "")))
    return (description, *(normal_form.form(fields.get(name)) for name in _COPIED))
