"""--adopt: what the CRM has already is taken over, by reference or by its whole payload, and not sent again.

Every lead that has pending calls is read; where not all of them are there, a second time. What could be one of ours and
does not say so is held; what two complete reads do not show is sent.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

import anyio

from callimport.core import errors, mapping, models
from callimport.crm import matching
from callimport.crm.retry import Courier
from callimport.ledger import Ledger, queries

BETWEEN_READS_SECONDS = 5.0
# As near as a look-alike may be without seconds.
NEAR_THE_CALL = timedelta(seconds=60)


class Adoption:
    """Takes over what the CRM holds of one batch. `endings` counts what became of the calls, and the `strangers`: calls
    of another ledger that are none of ours."""

    def __init__(self, ledger: Ledger, courier: Courier, batch_id: str) -> None:
        self._ledger = ledger
        self._courier = courier
        self._batch_id = batch_id
        self.endings = Counter[str]()

    @property
    def leads(self) -> list[int]:
        """Those that have pending calls, each once."""
        return self._ledger.leads_to_adopt_from(self._batch_id)

    async def run(self) -> None:
        """Adopt and hold. Raises DestinationUnusable or LedgerError; what was adopted by then stays adopted."""
        first: dict[int, tuple[models.Stored, ...]] = {}
        for lead_id in self.leads:
            shown = await self._adopt_shown(lead_id)
            if shown is not None and self._pending(lead_id):
                first[lead_id] = shown
        if first:
            # One wait for all leads, as in reconciliation.
            await anyio.sleep(BETWEEN_READS_SECONDS)
        for lead_id, shown in first.items():
            again = await self._adopt_shown(lead_id)
            if again is None:
                continue
            ours = self._ledger.communications_of(lead_id)
            is_whole = ours <= {one.id for one in shown}
            if is_whole and not self._ledger.saw_on(lead_id, {one.id for one in again}):
                self._hold_near(lead_id, (*shown, *again))
            else:
                self._hold_all(lead_id, "the lead does not show all that is ours, so it may be there already")
        self._ledger.acknowledge_others()

    async def _adopt_shown(self, lead_id: int) -> tuple[models.Stored, ...] | None:
        """What the lead shows, once all that is ours for sure was adopted from it; None where it cannot be seen."""
        try:
            shown = await self._courier.communications_of(lead_id)
        except errors.Refused as outcome:
            if outcome.status != 404:
                raise errors.DestinationUnusable(
                    f"the CRM does not let this key read lead {lead_id} ({outcome.evidence}), so nothing can be taken "
                    "over from it: ask its support what the key may read, then say --adopt again"
                ) from outcome
            # A lead that is not there has nothing to adopt; its create will tell.
            return None
        except errors.Incomplete as outcome:
            self._hold_all(lead_id, f"the lead cannot be read whole ({outcome.evidence}), so it may be there already")
            return None
        self._ledger.saw_on(lead_id, {one.id for one in shown})
        self._adopt_by_reference(shown)
        self._adopt_by_payload(lead_id, self._unclaimed(shown))
        return shown

    def _adopt_by_reference(self, shown: Sequence[models.Stored]) -> None:
        for one in self._unclaimed(shown):
            references = mapping.references_in(one.description)
            unsent = [key for key in map(self._ledger.unsent, references) if key is not None]
            if unsent:
                self._adopt(unsent[0], one, f"its reference stands on {one.id}")
            elif references and not any(map(self._ledger.knows, references)):
                self.endings["strangers"] += 1

    def _adopt_by_payload(self, lead_id: int, unclaimed: Sequence[models.Stored]) -> None:
        """Of so many equal ones as there are, each is one of the calls that equal it, whatever reference it bears: the
        same call has another one under another system's name. What is left over is sent. What may be a call in doubt
        is left to the verdict on that one."""
        pending = self._pending(lead_id)
        unclear = queries.unclear_of_lead(self._ledger.database, lead_id)
        free = [one for one in unclaimed if not matching.equals_one_of(unclear, one) and not self._is_known(one)]
        for group in matching.alike([item.communication for item in pending], free):
            theirs = [item for item in pending if item.communication in group.communications]
            for item, one in zip(theirs, group.stored, strict=False):
                self._adopt(item.key, one, f"{one.id} equals it in everything")

    def _hold_near(self, lead_id: int, shown: Sequence[models.Stored]) -> None:
        marks = {reference for one in shown for reference in mapping.references_in(one.description)}
        unclaimed = [one for one in self._unclaimed(shown) if not self._is_known(one)]
        wanted = queries.wanted_by_a_person(self._ledger.database, lead_id)
        for item in self._pending(lead_id):
            near = {one.id: one for one in unclaimed if matching.may_be(item.communication, one, near=NEAR_THE_CALL)}
            if item.reference in marks:
                self._hold(item.key, "its reference stands on a communication of the lead that is another call's")
            elif near and item.key not in wanted:
                told = matching.told(tuple(near.values()))
                self._hold(item.key, f"the lead shows what could be it, but does not say so: communication {told}")

    def _is_known(self, one: models.Stored) -> bool:
        """It bears the reference of a call of this ledger, and is that one."""
        return any(map(self._ledger.knows, mapping.references_in(one.description)))

    def _hold_all(self, lead_id: int, why: str) -> None:
        for item in self._pending(lead_id):
            self._hold(item.key, why)

    def _hold(self, key: str, why: str) -> None:
        self._ledger.hold(key, why)
        self.endings["held"] += 1

    def _adopt(self, key: str, one: models.Stored, why: str) -> None:
        self._ledger.adopt(key, one, why)
        self.endings["adopted"] += 1

    def _pending(self, lead_id: int) -> list[models.Item]:
        return self._ledger.pending_of_lead(self._batch_id, lead_id)

    def _unclaimed(self, shown: Sequence[models.Stored]) -> list[models.Stored]:
        taken = self._ledger.taken({one.id for one in shown})
        return [one for one in shown if one.id not in taken]
