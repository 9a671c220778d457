"""Mended rows, and the rows that they replace, inside the enrolment. The rules are told in core/row_origin.py.

`temp.mended` holds where a row lies that replaces the one of that mark, `temp.repeated` where one lies that is known by
its own mark. Both are small; most batches have neither.
"""

from collections.abc import Iterable, Iterator, Mapping

from callimport.core import models
from callimport.ledger.database import Database

_TABLES = ("mended", "repeated")
_AT = "(sighting.source, sighting.row)"


def _may_be_there(call: str) -> str:
    """Of a mended call: not surely unknown to the CRM. One that was skipped as existing is there, and of one that was
    held until a person gave it up nobody knows."""
    return f"""
        ({call}.status NOT IN ('failed', 'refused', 'withdrawn')
            OR ({call}.status = 'withdrawn' AND ({call}.existing_id IS NOT NULL
                OR {call}.key IN (SELECT key FROM verdict WHERE kind = 'withdraw'))))
    """


def begin(database: Database) -> None:
    """Nothing was noted yet."""
    for table in _TABLES:
        database.execute(f"DROP TABLE IF EXISTS temp.{table}")
        database.execute(
            f"CREATE TEMP TABLE {table} (source INTEGER NOT NULL, row INTEGER NOT NULL, mark TEXT NOT NULL) STRICT"
        )


def known(database: Database, system: str) -> frozenset[str]:
    """The marks of the rows that calls of a system have replaced."""
    found = database.rows("SELECT DISTINCT mark FROM mended_call WHERE system = ?", (system,))
    return frozenset(mark for (mark,) in found)


def note(
    database: Database, mended: Iterable[tuple[models.Place, str]], repeated: Iterable[tuple[models.Place, str]]
) -> None:
    for table, noted in zip(_TABLES, (mended, repeated), strict=True):
        database.execute_many(
            f"INSERT INTO temp.{table} VALUES (?, ?, ?)", ((place.source, place.row, mark) for place, mark in noted)
        )


def judge_repeated(database: Database) -> None:
    """Rows that a call has replaced count as unchanged, whatever they tell now."""
    if not _any(database, "repeated"):
        return
    database.execute(
        """
        UPDATE temp.sighting SET verdict = found.verdict FROM (
            SELECT repeated.source, repeated.row, system, CASE
                WHEN max(status NOT IN ('withdrawn', 'gone')) THEN 'replaced'
                WHEN max(status = 'withdrawn' AND existing_id IS NOT NULL) THEN 'existing'
                ELSE min(status) END AS verdict
            FROM temp.repeated JOIN mended_call USING (mark) GROUP BY repeated.source, repeated.row, system) AS found
        WHERE sighting.source = found.source AND sighting.row = found.row AND sighting.system = found.system
            AND sighting.verdict IS NULL
        """
    )


def judge_mended(database: Database) -> None:
    """A row that was mended before, to another key, would be a second call of the one row."""
    if not _any(database, "mended"):
        return
    database.execute(
        f"""
        UPDATE temp.sighting SET verdict = 'mended_before' WHERE verdict IS NULL
            AND {_AT} IN (SELECT source, row FROM temp.mended)
            AND NOT EXISTS (SELECT 1 FROM item WHERE item.key = sighting.key)
            AND NOT EXISTS (SELECT 1 FROM leadless WHERE leadless.key = sighting.key)
            AND EXISTS (SELECT 1 FROM {_FIRST} AND mended.source = sighting.source AND mended.row = sighting.row
                AND first.system = sighting.system)
        """
    )


def rejects(database: Database) -> Iterable[models.RejectedRow]:
    """Those that `judge_mended` found, each with the call that its original became."""
    found = database.rows(
        f"""
        SELECT sighting.source, sighting.row, min(first.reference) FROM {_FIRST}
            JOIN temp.sighting ON sighting.source = mended.source AND sighting.row = mended.row
                AND sighting.system = first.system AND sighting.verdict = 'mended_before'
        GROUP BY sighting.source, sighting.row ORDER BY sighting.source, sighting.row
        """
    )
    for source, row, reference in found:
        yield _mended_before(models.Place(source, row), reference)


def rejects_of_leadless(
    database: Database, calls: Mapping[models.Place, str], marks: Iterable[tuple[models.Place, str]], system: str
) -> Iterator[models.RejectedRow]:
    """As `judge_mended` of calls without a lead, by their places the keys: those that rows of marks have become."""
    for place, mark in marks:
        key = calls.get(place)
        first = (
            None
            if key is None
            else database.rows(
                f"""
            SELECT min(reference) FROM mended_call WHERE mark = ? AND system = ? AND {_may_be_there("mended_call")}
                AND NOT EXISTS (SELECT 1 FROM item WHERE item.key = ?)
                AND NOT EXISTS (SELECT 1 FROM leadless WHERE leadless.key = ?)
            """,
                (mark, system, key, key),
            )[0][0]
        )
        if first is not None:
            yield _mended_before(place, first)


def _mended_before(place: models.Place, reference: str) -> models.RejectedRow:
    told = (
        f"the row that it replaces was mended before and is call {reference}, at another time or of another "
        "number; correct that call in the CRM, or clear the _origin cell if this is another call"
    )
    return models.RejectedRow(place, (models.Reason("mended_before", told),))


def keep(database: Database) -> None:
    """Once the items are entered: which of them the mended rows became."""
    if _any(database, "mended"):
        database.execute(
            """
            INSERT INTO origin (mark, key) SELECT DISTINCT mended.mark, sighting.key FROM temp.mended
                JOIN temp.sighting ON sighting.source = mended.source AND sighting.row = mended.row
                JOIN item ON item.key = sighting.key
            WHERE sighting.verdict IS NULL
                OR sighting.verdict IN ('unchanged', 'existing', 'withdrawn', 'gone')
            ON CONFLICT DO NOTHING
            """
        )


# Mended rows beside the calls that their originals have become, but for those that surely never reached the CRM.
_FIRST = f"temp.mended JOIN mended_call AS first ON first.mark = mended.mark AND {_may_be_there('first')}"


def _any(database: Database, table: str) -> bool:
    return database.one(f"SELECT 1 FROM temp.{table} LIMIT 1") is not None
