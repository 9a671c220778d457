"""Guards judge the totals of a plan. Where one stops it, nothing was written and nothing is sent (exit code 8)."""

from callimport.core import errors
from callimport.core.decisions import PlanSettings, Totals
from callimport.plan.look_alikes import Compared

# Guards need at least this many calls, and half of all.
MANY = 20
# A run stops if it would hold, or change, so many known calls, and more than this share of them.
MANY_KNOWN = 50
SHARE_OF_KNOWN = 0.05
# A week of sending, day and night.
MOST_NEW_CALLS = 2_000_000


def judge(totals: Totals, compared: Compared | None, settings: PlanSettings) -> None:
    """Raise GuardStopped for a plan that a person must look at first."""
    _refuse_too_many(totals)
    _refuse_held_updates(totals)
    _refuse_moved(totals)
    _refuse_shifted(totals)
    _refuse_look_alikes(totals)
    if compared is not None:
        _refuse_shifted_systems(compared)
        _refuse_equal_systems(compared)
    _refuse_changes(totals, settings)
    _refuse_replaced_recordings(totals, settings)


def _refuse_too_many(totals: Totals) -> None:
    if totals.new > MOST_NEW_CALLS:
        raise errors.GuardStopped(
            f"{totals.new:,} new calls are more than one batch takes ({MOST_NEW_CALLS:,}, a week of sending): import "
            "them in several runs, each with its own --since and --until; nothing of these files was entered"
        )


def _refuse_held_updates(totals: Totals) -> None:
    if totals.held_updates >= MANY_KNOWN and totals.held_updates > SHARE_OF_KNOWN * totals.known:
        raise errors.GuardStopped(
            f"{totals.held_updates:,} known calls would be held, because their ids seem to belong to other calls now "
            f"({_text(totals.held_example)}). If the phone system restarted its ids, import the new files with another "
            "--system name. If they are the same calls and a profile or a setting changed, undo that change and run "
            "again. Nothing of these files was entered"
        )


def _refuse_moved(totals: Totals) -> None:
    """Half of the known calls begin at another time now, all by one offset: the file is read in another zone."""
    shift, calls = _most(totals.shifts_of_known)
    if totals.known >= MANY and calls >= MANY and calls * 2 >= totals.known and totals.new:
        raise errors.GuardStopped(
            f"{calls} of {totals.known} known calls are {abs(shift) / 3600:g} h {'later' if shift > 0 else 'earlier'} "
            f"here than they were sent, so {totals.new} new ones would go out at a wrong time: use the --timezone of "
            "the run before; or, if that one was wrong, leave the known calls out with --since"
        )


def _refuse_shifted(totals: Totals) -> None:
    """Half of the new calls lie beside known ones at one offset: known calls, read in another zone."""
    shift, calls = _most(totals.shifts_of_new)
    if totals.new < MANY or calls * 2 < totals.new:
        return
    batches = {batch: count for (at, batch), count in totals.batches_at.items() if at == shift}
    batch = min(batches, key=lambda one: (-batches[one], one), default="BATCH")
    raise errors.GuardStopped(
        f"{calls} of {totals.new} new calls are {abs(shift) / 3600:g} h {'after' if shift > 0 else 'before'} calls "
        "that the ledger knows, with the same numbers: the same calls in another time zone? Use the --timezone of the "
        f"run before; or, if that one was wrong and its calls are still pending, callimport withdraw {batch} first "
        "(what it delivered stays in the CRM and would come a second time, at the right time: leave those calls out of "
        "the file); if these are other calls, give them another --system name"
    )


def _refuse_look_alikes(totals: Totals) -> None:
    if totals.new >= MANY and totals.alike * 2 >= totals.new:
        raise errors.GuardStopped(
            f"{totals.alike} of {totals.new} new calls have the number, direction and time of calls that the ledger "
            "knows under other ids: the same calls from another report, or under another --system name? Import them as "
            "before, by the same recipe and --system; nothing of this file was entered"
        )


def _refuse_shifted_systems(compared: Compared) -> None:
    if found := _half_of_a_system(compared, of_shifts=True):
        system, other, shift, calls = found
        raise errors.GuardStopped(
            f"{calls} of {compared.new[system]} new calls of the system {system} are {abs(shift or 0) / 3600:g} h "
            f"{'after' if (shift or 0) > 0 else 'before'} new calls of the system {other}, with the same numbers: the "
            "same calls in another time zone? State the --timezone of each export, and import the files of one system "
            "only if both recorded the same calls; nothing of these files was entered"
        )


def _refuse_equal_systems(compared: Compared) -> None:
    if found := _half_of_a_system(compared, of_shifts=False):
        system, other, _, calls = found
        raise errors.GuardStopped(
            f"{calls} of {compared.new[system]} new calls of the system {system} have the number, direction and time "
            f"of new calls of the system {other}: two systems that recorded the same calls? Import the files of one of "
            "them only; nothing of these files was entered"
        )


def _refuse_changes(totals: Totals, settings: PlanSettings) -> None:
    if _are_many_changes(totals.changed, totals, settings) and not settings.only_recordings:
        fields = ", ".join(f"{name} of {times:,}" for name, times in totals.fields.most_common())
        raise errors.GuardStopped(
            f"{_of_known(totals.changed, totals)} known calls would be changed in the CRM ({fields}; such as "
            f"{_text(totals.change_example)}): if the files are right, say --allow-updates {totals.changed}; if it is "
            "the recipe, the zone or another setting that changed, mend that and run again; --on-change report changes "
            "none"
        )


def _refuse_replaced_recordings(totals: Totals, settings: PlanSettings) -> None:
    count = totals.recordings_replaced
    if _are_many_changes(count, totals, settings):
        raise errors.GuardStopped(
            f"{_of_known(count, totals)} known calls name another recording than the one that the CRM has: if the "
            f"files are right, say --allow-updates {max(count, totals.changed)}; if a column slipped or a setting "
            "changed, mend that and run again; --on-change report replaces none"
        )


def _are_many_changes(count: int, totals: Totals, settings: PlanSettings) -> bool:
    is_much = count >= MANY_KNOWN and count > SHARE_OF_KNOWN * totals.known
    return settings.on_change == "update" and is_much and count > (settings.allow_updates or 0)


def _of_known(count: int, totals: Totals) -> str:
    return f"{count:,} of {totals.known:,}" if count <= totals.known else f"{count:,}"


def _half_of_a_system(compared: Compared, *, of_shifts: bool) -> tuple[str, str, int | None, int] | None:
    """The system with most calls that have a pair in another one, where that is half of its new calls: its name, the
    other's, the offset and how many."""
    found = [
        (-calls, system, other, shift or 0, shift)
        for (system, other, shift), calls in compared.pairs.items()
        if (shift is not None) == of_shifts and calls >= MANY and calls * 2 >= compared.new[system]
    ]
    if not found:
        return None
    calls, system, other, _, shift = min(found, key=lambda one: one[:4])
    return system, other, shift, -calls


def _most(shifts: dict[int, int]) -> tuple[int, int]:
    """The most frequent offset, the smallest of several, and how often."""
    return min(((shift, count) for shift, count in shifts.items()), key=lambda one: (-one[1], one[0]), default=(0, 0))


def _text(example: tuple[str, str] | None) -> str:
    return example[1] if example else ""
