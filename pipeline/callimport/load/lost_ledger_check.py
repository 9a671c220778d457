"""Before the first create of a run: does the CRM hold calls of ours that this ledger has never sent?

Then it is not the memory it should be: a new one where the old is lost, a copy from before, or a second one elsewhere.
"""

import random
from collections.abc import Callable, Sequence

from callimport.core import errors, mapping, models, plurals
from callimport.crm import matching
from callimport.crm.retry import Courier
from callimport.ledger import Ledger, queries

FIRST = 20
RANDOM = 20
EXAMPLES = 3


async def look(
    courier: Courier,
    ledger: Ledger,
    batch_id: str,
    rng: random.Random,
    say: Callable[[str], None],
    heard: Callable[[int, Sequence[models.Stored]], None] = lambda *_: None,
) -> None:
    """Read the leads of the first creates and of some others; `heard` is told what each shows. Raises GuardStopped
    where they show what was sent by another ledger: with references by these; without, and where nothing was ever sent,
    by equal calls, too."""
    by_payload = ledger.is_unmarked(batch_id) or not queries.has_sent(ledger.database)
    unknown: list[str] = []
    leads = _sample(ledger, batch_id, rng)
    if leads:
        say(f"looking at {plurals.leads(len(leads))} first, for calls that this ledger never sent")
    unseen = 0
    for lead_id in leads:
        try:
            shown = await courier.communications_of(lead_id)
        except errors.Refused as outcome:
            # A lead that is not there holds nothing; one that this key may not read says nothing.
            unseen += outcome.status != 404
            if outcome.status == 404:
                heard(lead_id, ())
            continue
        except errors.Incomplete:
            unseen += 1
            continue
        ledger.saw_on(lead_id, {one.id for one in shown})
        heard(lead_id, shown)
        unsent = _unsent(ledger, batch_id, lead_id) if by_payload else []
        unclear = queries.unclear_of_lead(ledger.database, lead_id) if by_payload else []
        unknown += [
            f"communication {one.id} of lead {lead_id}"
            for one in _unclaimed(ledger, shown)
            if _is_sent_elsewhere(ledger, one)
            # What may be a call in doubt is no proof that another one is there.
            or (matching.equals_one_of(unsent, one) and not matching.equals_one_of(unclear, one))
        ]
    if leads and unseen == len(leads):
        raise errors.GuardStopped(
            f"the CRM shows the communications of none of {unseen} leads, so that no call could ever be looked up: "
            "ask its support what this key may read, then run again"
        )
    if unknown:
        seen = f"{len(unknown)} seen, as {', '.join(unknown[:EXAMPLES])}"
        raise errors.GuardStopped(
            f"the CRM holds calls that this ledger never sent ({seen}): they were imported with another ledger, or "
            "this one is an older copy, or somebody typed them in; go on with the right ledger (--ledger), or, if it "
            "is lost, say --adopt: what is there already is then taken over and not sent again"
        )


def _sample(ledger: Ledger, batch_id: str, rng: random.Random) -> list[int]:
    """The leads of the first creates and of random others, each once, in an order that is always the same."""
    pending = ledger.pending_count(batch_id)
    others = rng.sample(range(FIRST, pending), min(RANDOM, pending - FIRST)) if pending > FIRST else []
    leads = ledger.pending_leads(batch_id, [*range(min(FIRST, pending)), *sorted(others)])
    return list(dict.fromkeys(leads))


def _unclaimed(ledger: Ledger, shown: Sequence[models.Stored]) -> list[models.Stored]:
    taken = ledger.taken({one.id for one in shown})
    return [one for one in shown if one.id not in taken]


def _is_sent_elsewhere(ledger: Ledger, one: models.Stored) -> bool:
    references = mapping.references_in(one.description)
    # A description may have come with a mark of its own.
    is_ours = any(ledger.knows(reference) and ledger.unsent(reference) is None for reference in references)
    return not is_ours and any(ledger.is_news(one.id, reference) for reference in references)


def _unsent(ledger: Ledger, batch_id: str, lead_id: int) -> list[models.Communication]:
    """What is to be sent to a lead, but for what a person wants sent whatever is there."""
    wanted = queries.wanted_by_a_person(ledger.database, lead_id)
    pending = ledger.pending_of_lead(batch_id, lead_id)
    return [item.communication for item in pending if item.key not in wanted]
