"""What is damaged in the ledger: which calls, and what to do."""

from callimport.core import errors, plurals
from callimport.ledger import checksum
from callimport.ledger.database import Database

EXAMPLES = 10


def check_all(database: Database) -> None:
    """Compare every row with its checksum. Damaged rows are noted in `database.damaged`."""
    for table in checksum.COLUMNS:
        database.rows(f"SELECT 1 FROM {table} WHERE NOT {checksum.is_sound(table)}")


def told(database: Database) -> str | None:
    """Name the damaged calls that this process came across, and say what to do. None if it came across none."""
    if not database.damaged:
        return None
    found = sorted(database.damaged)
    calls = "; ".join(_name(database, table, row) for table, row in found[:EXAMPLES])
    more = f"; and {len(found) - EXAMPLES:,} more" if len(found) > EXAMPLES else ""
    are, them = ("is", "it") if len(found) == 1 else ("are", "them")
    return (
        f"{plurals.calls(len(found))} {are} damaged in the ledger {database.place} ({calls}{more}): nothing of {them} "
        "is sent; restore the ledger from a backup, then run again"
    )


def refuse(database: Database) -> None:
    """Raise LedgerError if this process met a damaged row."""
    if (message := told(database)) is not None:
        raise errors.LedgerError(message)


def _name(database: Database, table: str, row: int) -> str:
    """Name a call by its reference, file and row as they stand there: any of them may be the damage. So the row number
    in the ledger is added. Name any other row by its table, and by the key of its call."""
    in_ledger = f"row {row} of the table {table}"
    if table != "item":
        has_key = "key" in checksum.COLUMNS[table]
        key = database.one(f"SELECT key FROM {table} WHERE rowid = ?", (row,)) if has_key else None
        return f"{key}, {in_ledger}" if key else in_ledger
    found = database.rows(
        "SELECT reference, source_row, (SELECT name FROM source WHERE sha256 = source_sha256) "
        "FROM item WHERE rowid = ?",
        (row,),
    )
    if not found:
        return in_ledger
    reference, source_row, name = found[0]
    return f"{reference}, row {source_row} of {name or 'an unknown file'}, {in_ledger}"
