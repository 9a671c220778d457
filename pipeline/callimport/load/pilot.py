"""--pilot: a few calls of every kind go first, and a person looks at them in the CRM before the rest does."""

from collections import Counter, defaultdict, deque
from collections.abc import Iterable

from callimport.ledger import Ledger, sample
from callimport.ledger.sample import Candidate


def begin(ledger: Ledger, batch_id: str, count: int) -> int:
    """Choose `count` of the batch's pending calls, or as many as there are, and let the ledger hand out no others.
    Returns how many."""
    keys = choose(sample.candidates(ledger.database, batch_id, each=count), count)
    ledger.hand_out_only(keys)
    return len(keys)


def choose(candidates: Iterable[Candidate], count: int) -> tuple[str, ...]:
    """The keys of `count` calls as unlike as can be: every direction, outcome and agent, with a recording and without,
    on leads that differ where they can. The same candidates in the same order make the same choice."""
    by_kind: dict[tuple[object, ...], deque[Candidate]] = defaultdict(deque)
    for candidate in candidates:
        by_kind[candidate.kind].append(candidate)
    seen = Counter[tuple[str, object]]()
    chosen: list[str] = []
    while by_kind and len(chosen) < count:
        # Of the kinds, the one whose traits were seen least so far.
        kind = min(by_kind, key=lambda kind: sum(seen[trait] for trait in _traits(kind)))
        others = by_kind[kind]
        one = next((each for each in others if not seen["lead", each.lead_id]), others[0])
        others.remove(one)
        if not others:
            del by_kind[kind]
        seen.update((*_traits(kind), ("lead", one.lead_id)))
        chosen.append(one.key)
    return tuple(chosen)


def _traits(kind: tuple[object, ...]) -> list[tuple[str, object]]:
    return list(zip(("direction", "status", "agent", "recording"), kind, strict=True))
