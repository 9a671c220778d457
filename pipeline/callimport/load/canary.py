"""The first create of a run goes alone, and is looked at in the CRM before the others follow.

It proves the key, the address and the mapping; and it proves that the reference comes back as it was written, which is
what every verdict on a call in doubt will rest on.
"""

import anyio

from callimport.core import errors, models
from callimport.crm.retry import Courier

# The CRM may show a communication a little later than it stores it.
LOOK_AFTER_SECONDS = (0.0, 2.0, 5.0, 10.0, 15.0)
REFUSED_THAT_STOP = 3


async def look(courier: Courier, item: models.Item, communication_id: int) -> None:
    """Raise GuardStopped unless the CRM shows the communication with its reference as it was written."""
    if item.reference not in (item.communication.description or ""):
        return
    for seconds in LOOK_AFTER_SECONDS:
        await anyio.sleep(seconds)
        shown = await _shown(courier, item, communication_id)
        if shown is not None:
            break
    else:
        raise errors.GuardStopped(
            f"the CRM stored the first call as {communication_id}, but does not show it on lead {item.lead_id}: look "
            "there; if it is there, run the files again with --no-reference; calls in doubt are then left to you"
        )
    if item.reference not in shown.description:
        raise errors.GuardStopped(
            f"the CRM did not keep the reference [ref {item.reference}] of the first call (communication "
            f"{communication_id} of lead {item.lead_id}): run the files again with --no-reference; calls in "
            "doubt are then left to you"
        )


def refused(count: int) -> errors.GuardStopped:
    """What to say where not one of the first calls was taken."""
    return errors.GuardStopped(
        f"the CRM refused the first {count} calls: the mapping looks wrong; read its reasons, mend leads and agents, "
        "then callimport retry --refused and run again"
    )


async def _shown(courier: Courier, item: models.Item, communication_id: int) -> models.Stored | None:
    try:
        stored = await courier.communications_of(item.lead_id)
    except (errors.Refused, errors.Incomplete):
        return None
    return next((one for one in stored if one.id == communication_id), None)
