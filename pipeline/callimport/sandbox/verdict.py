"""What a good importer never does, each misdeed with its evidence."""

import datetime

from callimport.sandbox import clock, rehearsal, unasked


def findings(stage: rehearsal.Rehearsal) -> dict[str, list[object]]:
    """Empty lists where all is well. A request is named by its number in the journal."""
    log, state, settings = stage.journal, stage.world, stage.settings
    return {
        "duplicates": [{"lead_id": group[0].lead_id, "ids": [one.id for one in group]} for group in state.same()],
        "duplicate_references": [
            {"lead_ids": [one.lead_id for one in group], "ids": [one.id for one in group]}
            for group in state.same_reference()
        ],
        "popups": [entry.number for entry in log.popups()],
        "leads_created": [entry.number for entry in log.leads_created()],
        "unasked": [
            {"request": entry.number, "kind": entry.kind} for entry in log.entries if entry.kind in unasked.KINDS
        ],
        "unknown_fields": [
            {"request": entry.number, "fields": list(entry.unknown_fields)} for entry in log.with_unknown_fields()
        ],
        "over_limit": [
            {"window_ends_at": _iso(ends_at), "requests": count, "limit": settings.limit}
            for ends_at, count in log.bursts(settings.limit).items()
        ],
        "foreign_hosts": [
            {"request": entry.number, "host": entry.headers.get("host", "")} for entry in log.strangers()
        ],
    }


def _iso(unix_seconds: float) -> str:
    return clock.iso(datetime.datetime.fromtimestamp(unix_seconds, datetime.UTC))
