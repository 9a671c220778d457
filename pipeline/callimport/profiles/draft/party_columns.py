"""Who called whom: direction, status, the customer's side and the house's, guessed from what is seen."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import polars as pl

from callimport.core import phones as phone_numbers
from callimport.core import privacy
from callimport.profiles.draft import vocabulary
from callimport.profiles.draft.column_facts import Column, Looked
from callimport.profiles.draft.template import Entry, Page, column_test, text

_ENOUGH = 0.9
_HALF = 0.5
# More words that nobody knows are not asked one by one.
_ASKED = 6
_SIDES = ("incoming", "outgoing")
_STATUS_WORDS = 'answered, attempted, interrupted, error, unanswered, or "" where the duration tells'
_ALONE = "(?i)^(?:(?:ext|poste)[. ]*)?(\\d{2,6})$"


def _share(column: Column, counts: Iterable[int]) -> float:
    return sum(counts) / max(1, column.filled)


def _known(column: Column, is_hinted: bool) -> float:
    """The share of cells that say a direction. A lone I or O (which is oui, too) needs a header that helps."""
    found = (column.words or {}).items()
    return _share(column, (n for word, n in found if vocabulary.direction(word) and (is_hinted or len(word) > 1)))


def direction(page: Page, looked: Looked, free: Sequence[Column]) -> Column | None:
    """The column that tells the direction, with the words in it."""
    scored: list[tuple[float, Column]] = []
    for column in free:
        if not column.words or column.time or column.is_phone:
            continue
        is_hinted = column.has(vocabulary.DIRECTION)
        known = _known(column, is_hinted)
        said = {vocabulary.direction(word) for word in column.words}
        # Where the header does not help, a trunk or a context may be called "inbound", or "from-internal".
        is_plain = known >= (_HALF if column.has(vocabulary.KIND) else _ENOUGH) and said >= set(_SIDES)
        if is_plain or (is_hinted and (known or len(column.words) <= _ASKED)):
            scored.append((known + is_hinted + column.has(vocabulary.KIND) / 2, column))
    if not scored:
        return None
    chosen = max(scored, key=lambda score: score[0])[1]
    page.columns.append(Entry("direction", text(chosen.name), (f"{chosen.name}: {chosen.told}",)))
    page.needs.append(chosen.name)
    meanings = {
        word: vocabulary.direction(word) or ("incoming" if vocabulary.came_in(word) else None)
        for word in chosen.words or {}
    }
    page.words["direction"] = list(_vocabulary(chosen, meanings, "incoming", 'incoming, outgoing, or "" and a rule'))
    for what, is_dropped in (("internal", "from one of us to another"), ("fax", "a fax is no call")):
        if found := [word for word, meant in meanings.items() if meant == what]:
            page.rule("drop", what, column_test(chosen.name, f"in = [{', '.join(map(text, found))}]"), is_dropped)
    return chosen


def _vocabulary(column: Column, meanings: Mapping[str, str | None], proposed: str, allowed: str) -> Iterable[Entry]:
    """A line for each word of the file; what is unknown is asked."""
    counts = column.words or {}
    unknown = [word for word, meant in meanings.items() if meant is None]
    for word, meant in meanings.items():
        rows = f"{counts[word]:,} rows" if counts[word] > 1 else "1 row"
        # The star is any other word, and a number is nothing to be written down.
        if word == "*" or privacy.mask(word) != word or (meant is None and len(unknown) > _ASKED):
            continue
        if meant is None:
            yield Entry(text(word), text(proposed), is_asked=True, beside=f"{rows}: {allowed}?")
        else:
            yield Entry(text(word), text(meant if meant not in ("internal", "fax") else ""), beside=rows)
    if len(unknown) > _ASKED:
        yield Entry('"*"', text(proposed), is_asked=True, beside=f"{len(unknown)} words that are not known: {allowed}?")


# ── status ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def status(page: Page, looked: Looked, free: Sequence[Column], way: Column | None) -> Column | None:
    """Whether somebody answered: a yes or no, a time of answering, words, or what the direction says beside."""
    flags = [column for column in free if column.words and set(column.words) <= vocabulary.YES | vocabulary.NO]
    for column in flags:
        if column.has(vocabulary.VOICEMAIL_FLAG):
            _voicemail(page, column)
    for role, if_yes in ((vocabulary.ANSWERED_FLAG, "answered"), (vocabulary.MISSED_FLAG, "unanswered")):
        for column in flags:
            if column.has(role):
                _flag(page, column, if_yes)
                return column
    for column in free:
        if column.time and column.has(vocabulary.ANSWERING) and not column.has(vocabulary.ENDING):
            _answered_at(page, column)
            return column
    if chosen := _worded(free):
        page.columns.append(Entry("status", text(chosen.name), (f"{chosen.name}: {chosen.told}",)))
        page.needs.append(chosen.name)
        meanings = {word: vocabulary.status(word) for word in chosen.words or {}}
        page.words["status"] = list(_vocabulary(chosen, meanings, "unanswered", _STATUS_WORDS))
    elif way and any(vocabulary.status(word) in ("unanswered", "error") for word in way.words or {}):
        page.columns.append(Entry("status", text(way.name), ("The same words tell who was not reached.",)))
        told = {word: vocabulary.status(word) or "" for word in way.words or {}}
        meant = {word: "" if found == "answered" else found for word, found in told.items()}
        page.words["status"] = list(_vocabulary(way, meant, "", _STATUS_WORDS))
    else:
        page.notes.append("No column tells who answered: a call counts as answered where its duration is not 0.")
    return chosen


def _voicemail(page: Page, column: Column) -> None:
    yes = ", ".join(text(word) for word in column.words or {} if word in vocabulary.YES)
    if yes:
        page.may.append(column.name)
        because = f"{column.name}: {column.told}. A machine answered, nobody did."
        page.rule("machine", "voicemail", column_test(column.name, f"in = [{yes}]"), because)


def _flag(page: Page, column: Column, if_yes: str) -> None:
    if_no = "unanswered" if if_yes == "answered" else "answered"
    page.columns.append(Entry("status", text(column.name), (f"{column.name}: {column.told}",)))
    page.needs.append(column.name)
    meanings = {word: if_yes if word in vocabulary.YES else if_no for word in column.words or {}}
    page.words["status"] = list(_vocabulary(column, meanings, "", ""))


def _answered_at(page: Page, column: Column) -> None:
    page.may.append(column.name)
    because = f"{column.name}: {column.told}; blank where nobody answered."
    page.rule("status", "answered", column_test(column.name, "blank = false"), because)
    page.rule("status", "unanswered", column_test(column.name, "blank = true"), because)


def _worded(free: Sequence[Column]) -> Column | None:
    scored = [
        (known + column.has(vocabulary.STATUS), column)
        for column in free
        if column.words and column.time is None and not column.is_phone and column.digits is None
        for known in (_share(column, (n for word, n in column.words.items() if vocabulary.status(word) is not None)),)
        if known >= (_HALF if column.has(vocabulary.STATUS) else _ENOUGH)
    ]
    return max(scored, key=lambda score: score[0])[1] if scored else None


# ── the customer ─────────────────────────────────────────────────────────────────────────────────────────────────────


def customer(page: Page, looked: Looked, free: Sequence[Column], way: Column | None) -> tuple[Column, Column] | None:
    """The customer's number; the two sides of a call, where there are two."""
    phones = [
        column for column in free if column.is_phone and not column.has(vocabulary.ELSEWHERE | vocabulary.EXTENSION)
    ]
    sides = _sides(free)
    for column in phones:
        if column.has(vocabulary.CUSTOMER):
            _customer(page, Entry("customer_phone", text(column.name), (f"{column.name}: {column.told}",)), column)
            _own_numbers(page, [other for other in phones if other is not column])
            _ask_direction(page, way)
            return None
    if sides:
        _by_direction(page, looked, sides, way)
        return sides
    plain = [column for column in phones if not column.has(vocabulary.OWN)]
    plain = [column for column in plain if column.has(vocabulary.PHONE | vocabulary.FROM | vocabulary.TO)] or plain
    if len(plain) == 1:
        column = plain[0]
        rivals = tuple(_rivals(column, free))
        because = (f"{column.name}: {column.told}", *rivals)
        _customer(page, Entry("customer_phone", text(column.name), because, is_asked=bool(rivals)), column)
        _ask_direction(page, way)
    elif len(plain) > 1:
        _unknown_sides(page, looked, plain, way)
    else:
        which = "No column is surely one of customers' numbers. Which one is?"
        name = text(next((column.name for column in (*phones, *looked.columns)), "?"))
        page.columns.append(Entry("customer_phone", name, (which,), is_asked=True))
        _ask_direction(page, way)
    return None


def _rivals(column: Column, free: Sequence[Column]) -> Iterator[str]:
    """Columns that may be the other side of the call, but hold too many cells that are no numbers to be sure."""
    for other in free:
        known = sum(other.kinds.get(kind, 0.0) for kind in ("number", "extension", "anonymous", "damaged"))
        if other is not column and other.time is None and other.has(vocabulary.FROM | vocabulary.TO) and known >= _HALF:
            yield (
                f"{other.name}: {other.told}. Is the customer always in {column.name}, or in one of the two, by the "
                f"direction, as in {{ incoming = {text(other.name)}, outgoing = {text(column.name)} }}?"
            )


def _customer(page: Page, entry: Entry, *columns: Column) -> None:
    page.columns.append(entry)
    page.needs += [column.name for column in columns]


def _sides(free: Sequence[Column]) -> tuple[Column, Column] | None:
    """Where the call came from and where it went to, by their headers; a name beside them is no number."""
    found: list[Column] = []
    for role, other in ((vocabulary.FROM, vocabulary.TO), (vocabulary.TO, vocabulary.FROM)):
        fitting = [
            column
            for column in free
            if column.has(role)
            and not column.has(vocabulary.ELSEWHERE)
            and _is_side(column)
            and _last_of(column, role, other)
        ]
        if not fitting:
            return None
        found.append(max(fitting, key=lambda column: (column.has(vocabulary.PHONE), column.kinds.get("number", 0.0))))
    return found[0], found[1]


def _is_side(column: Column) -> bool:
    known = sum(column.kinds.get(kind, 0.0) for kind in ("number", "extension", "anonymous", "damaged"))
    return column.time is None and column.filled > 0 and known >= _ENOUGH


def _last_of(column: Column, role: frozenset[str], other: frozenset[str]) -> bool:
    """Of two words the last one counts, as in "Called from"."""
    said = [token for token in vocabulary.tokens(column.name) if token in role | other]
    return said[-1] in role


def _by_direction(page: Page, looked: Looked, sides: tuple[Column, Column], way: Column | None) -> None:
    source, target = sides
    because: tuple[str, ...] = (
        f"{source.name}: {source.told}. {target.name}: {target.told}.",
        "The customer is the caller of a call that came in, and who was called by one that went out.",
    )
    kinds = {column.name: _kinds(looked, column) for column in sides}
    pairs = pl.DataFrame({"source": kinds[source.name], "target": kinds[target.name]})
    inside = pairs.filter((pl.col("source") == "extension") & (pl.col("target") == "extension")).height
    is_doubtful = False
    if way is None:
        _ask_or_infer(page, sides, pairs)
    else:
        is_doubtful, why = _doubt(looked, sides, way)
        because = (*because, why) if is_doubtful else because
    value = f"{{ incoming = {text(source.name)}, outgoing = {text(target.name)} }}"
    _customer(page, Entry("customer_phone", value, because, is_asked=is_doubtful), *sides)
    if inside:
        both = ", ".join(column_test(column.name, 'is = "extension"') for column in sides)
        page.rule(
            "drop", "internal", f"{{ all = [{both}] }}", f"From one of us to another: {inside} of the first rows."
        )
    if source.filled < looked.rows or source.kinds.get("anonymous"):
        page.top.append(Entry("blank_caller", text("anonymous"), (f"{source.name} names no number in some rows.",)))


def _kinds(looked: Looked, column: Column) -> pl.Series:
    return phone_numbers.read(looked.sample[column.name], phone_numbers.Dialling())["kind"]


def _ask_or_infer(page: Page, sides: tuple[Column, Column], pairs: pl.DataFrame) -> None:
    """Without a column of directions: who has an extension is one of us."""
    from_us, to_us = (pl.col(name) == "extension" for name in ("source", "target"))
    from_them, to_them = (pl.col(name).is_in(["number", "anonymous", "missing"]) for name in ("source", "target"))
    told = pairs.filter((from_us & to_them) | (from_them & to_us) | (from_us & to_us)).height
    if not pairs.height or told < _ENOUGH * pairs.height:
        _ask_direction(page, None)
        return
    names = [column.name for column in sides]
    for is_, ours, theirs in (("outgoing", names[0], names[1]), ("incoming", names[1], names[0])):
        inside, outside = (column_test(name, 'is = "extension"') for name in (ours, theirs))
        page.rule(
            "direction",
            is_,
            f"{{ all = [{inside}, {{ not = {outside} }}] }}",
            f"No column tells the direction; who has an extension is one of us, in {told} of {pairs.height} rows.",
        )
    # Both are us: dropped below, so that any direction will do.
    page.rule("direction", "outgoing", column_test(names[0], 'is = "extension"'), "From one of us to another.")


def _doubt(looked: Looked, sides: tuple[Column, Column], way: Column) -> tuple[bool, str]:
    """Whether the numbers speak against the headers: customers are many, the house has few numbers."""
    meant = {word: vocabulary.direction(word) or "" for word in way.words or {}}
    rows = looked.sample.with_columns(
        pl.col(way.name).str.to_lowercase().replace_strict(meant, default="").alias("_way")
    )
    against = 0
    for which, ours, theirs in (("incoming", sides[1], sides[0]), ("outgoing", sides[0], sides[1])):
        of_it = rows.filter(pl.col("_way") == which)
        if of_it.height and of_it[theirs.name].n_unique() * 2 < of_it[ours.name].n_unique():
            against += 1
    why = "But the other side has more than twice as many different numbers, as customers have: the other way round?"
    return against > 0, why


def _unknown_sides(page: Page, looked: Looked, phones: Sequence[Column], way: Column | None) -> None:
    """Several columns of numbers whose headers say nothing: by direction, who has more different numbers there."""
    because = [f"{column.name}: {column.told}." for column in phones]
    if way is None:
        because.append("Which one is the customer's?")
        entry = Entry("customer_phone", text(phones[0].name), tuple(because), is_asked=True)
    else:
        meant = {word: vocabulary.direction(word) or "" for word in way.words or {}}
        rows = looked.sample.with_columns(
            pl.col(way.name).str.to_lowercase().replace_strict(meant, default="").alias("_way")
        )
        chosen = [
            max(phones, key=lambda column: rows.filter(pl.col("_way") == which)[column.name].n_unique())
            for which in _SIDES
        ]
        because.append("The side with more different numbers is taken for the customer's. Is it?")
        pairs = ", ".join(f"{which} = {text(column.name)}" for which, column in zip(_SIDES, chosen, strict=True))
        value = f"{{ {pairs} }}" if chosen[0] is not chosen[1] else text(chosen[0].name)
        entry = Entry("customer_phone", value, tuple(because), is_asked=True)
    _customer(page, entry, *phones)
    _ask_direction(page, way)


def _own_numbers(page: Page, others: Sequence[Column]) -> None:
    own = [column for column in others if column.has(vocabulary.OWN)]
    if own:
        because = tuple(f"{column.name}: {column.told}; numbers of the house, never the customer." for column in own)
        page.top.append(Entry("own_numbers", f"[{', '.join(text(column.name) for column in own)}]", because))
        page.may += [column.name for column in own]


def _ask_direction(page: Page, way: Column | None) -> None:
    if way is None:
        because = "No column tells the direction. If all calls of this export are of one: incoming or outgoing?"
        page.constants.append(Entry("direction", text("incoming"), (because,), is_asked=True))


# ── whoever made or took the call ────────────────────────────────────────────────────────────────────────────────────


def agent(page: Page, looked: Looked, free: Sequence[Column], sides: tuple[Column, Column] | None) -> None:
    """The agent's name, e-mail and extension, each from a column of its own or from the side of the house."""
    people = [column for column in free if column.filled and column.time is None and not column.is_phone]
    names = [column for column in people if column.digits is None and column.kinds.get("unreadable", 0.0) >= _HALF]
    emails = [column for column in names if _are_emails(looked, column)]
    names = [column for column in names if column not in emails]
    agents = [column for column in names if column.has(vocabulary.AGENT) or {"display", "name"} <= column.tokens]
    for key, found in (
        ("agent_email", [column for column in emails if column.has(vocabulary.AGENT | vocabulary.EMAIL)]),
        ("agent_name", sorted(agents, key=lambda column: not column.has(vocabulary.PERSON))),
        (
            "agent_extension",
            [c for c in people if c.has(vocabulary.EXTENSION) and c.kinds.get("extension", 0.0) >= _HALF],
        ),
    ):
        if found:
            page.columns.append(Entry(key, text(found[0].name), (f"{found[0].name}: {found[0].told}",)))
            page.may.append(found[0].name)
    if not agents:
        _agent_by_side(page, names)
    if sides and not any(entry.key == "agent_extension" for entry in page.columns):
        shares = [column.kinds.get("extension", 0.0) for column in sides]
        if any(shares):
            made, took = (f"{{ column = {text(column.name)}, extract = '{_ALONE}' }}" for column in sides)
            because = "Where the side of the house is an extension."
            page.columns.append(Entry("agent_extension", f"{{ incoming = {took}, outgoing = {made} }}", (because,)))


def _agent_by_side(page: Page, names: Sequence[Column]) -> None:
    persons = [column for column in names if column.has(vocabulary.PERSON)]
    made = next((column for column in persons if column.has(vocabulary.FROM)), None)
    took = next((column for column in persons if column.has(vocabulary.TO)), None)
    if made and took:
        because = f"{took.name}: {took.told}. {made.name}: {made.told}. The one of the house."
        value = f"{{ incoming = {text(took.name)}, outgoing = {text(made.name)} }}"
        page.columns.append(Entry("agent_name", value, (because,)))
        page.may += [made.name, took.name]


def _are_emails(looked: Looked, column: Column) -> bool:
    there = looked.sample[column.name].drop_nulls()
    return there.str.contains("@").sum() >= max(1, _HALF * len(there))
