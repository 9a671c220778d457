"""What `callimport verify` says on its way, and its answer for a person."""

from collections.abc import Mapping, Sequence
from itertools import groupby

from rich.console import Console

from callimport.core import humanize, plurals, privacy
from callimport.load.verify_results import Kind, Proof
from callimport.report.terminal import LISTED_AT_MOST, say

_TITLES = {
    Kind.DIFFERS: "in the CRM, and changed there since",
    Kind.MISSING: "not in the CRM any more",
    Kind.EXTRA: "in the CRM, of ours, and not known here: the API has no delete, so a person must look at these there",
    Kind.UNREAD: "not seen: verify again, or ask the CRM's support what this key may read",
}


def verify_line(calls: int, leads: int, per_minute: float) -> str:
    """What is about to be read, and how long that takes."""
    about = humanize.told(leads * 60 / per_minute)
    return f"{plurals.calls(calls, 'delivered')} on {plurals.leads(leads)} to compare with the CRM: about {about}"


def verified_so_far(read: int, leads: int, found: int, elapsed_seconds: float, allowed_per_minute: float) -> str:
    """Leads read, the rate, what is left. The rate is of this command's whole time."""
    per_minute = read * 60 / elapsed_seconds if elapsed_seconds else 0.0
    left = humanize.told((leads - read) * 60 / (min(per_minute, allowed_per_minute) or allowed_per_minute))
    return (
        f"{read:,} of {leads:,} leads · {per_minute:.0f}/min of {allowed_per_minute:.0f} allowed · {left} left · "
        f"{found:,} not as they should be"
    )


def print_verified(
    console: Console, *, counts: Mapping[str, int], found: Sequence[Proof], leads: int, combined: str | None
) -> None:
    """How many calls are in the CRM as the ledger says, and which are not."""
    compared = sum(counts.values()) - counts[Kind.EXTRA]
    say(
        console,
        f"{plurals.calls(compared, 'delivered')} on {plurals.leads(leads)}: {counts[Kind.MATCH]:,} in the CRM as kept",
    )
    for kind, group in groupby(sorted(found, key=lambda proof: list(Kind).index(proof.kind)), lambda proof: proof.kind):
        proofs = tuple(group)
        say(console, f"{len(proofs):,} {_TITLES[kind]}:")
        for proof in proofs[:LISTED_AT_MOST]:
            # The ids in it are not phone numbers; what the CRM shows was masked when it was compared.
            say(console, privacy.Masked(f"  {proof.line}"))
        if len(proofs) > LISTED_AT_MOST:
            where = f", see {combined}" if combined else ", --combined FILE lists them all"
            say(console, f"  and {len(proofs) - LISTED_AT_MOST:,} more{where}")
    if not found:
        say(console, "all of them are there, once")
