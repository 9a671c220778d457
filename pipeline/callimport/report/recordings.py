"""What is told of recordings: what is due, what did not get to its call, and what a check found in the folder."""

from collections.abc import Iterator, Mapping, Sequence

from callimport.core import endings, humanize

LISTED_AT_MOST = 20
_SHOWN = 3
_TO_DO = {
    "refused": "recordings refused, not tried again as they are; else callimport retry --refused-recordings{where}",
    "failed": "recordings that did not get there: the next run with --recordings tries again",
}


def due_lines(
    count: int, size: int, per_minute: float, *, foreign: int, kept: int, unclear: Sequence[str]
) -> Iterator[str]:
    """Before the first upload; `size` in bytes, the rate in requests a minute."""
    if count:
        about = humanize.told(count * 60 / per_minute)
        yield f"{counted(count)} to upload ({sized(size)}) at {per_minute:g}/min: about {about}, longer on a slow line"
    if foreign:
        yield (
            f"{counted(foreign)} of calls that this ledger did not surely make (adopted, or named by a person): left "
            "alone; --overwrite uploads them"
        )
    if kept:
        yield (
            f"{counted(kept)} that the CRM has would be replaced by a file that looks changed, but no row of this run "
            "names it for this call alone: left alone; name the export that has the calls"
        )
    if unclear:
        yield f"{_files(len(unclear))} fit several calls by their names, so they are nobody's: {_some(unclear)}"


def recording_lines(result: endings.Result) -> Iterator[str]:
    """After a run or a check."""
    where = f" --destination {result.destination}" if result.destination else ""
    counts = result.summary.recordings
    told = {
        "uploaded": counts.uploaded, "refused": counts.refused, "failed": counts.failed,
        "named and not in the folder": counts.missing, "to upload still": counts.pending,
    }  # fmt: skip
    if any(told.values()) and result.audio is None:
        yield "recordings: " + ", ".join(f"{count:,} {what}" for what, count in told.items() if count)
    for ending, title in _TO_DO.items():
        yield from _unattached(title.format(where=where), [one for one in result.unattached if one.ending == ending])
    if result.audio is not None:
        yield from folder_lines(result.audio)


def folder_lines(found: endings.AudioFolder) -> Iterator[str]:
    yield (
        f"recordings: {found.matched:,} matched ({sized(found.bytes)}, about {humanize.told(found.seconds)} to "
        f"upload), {found.missing:,} missing, {found.orphan:,} of no call"
    )
    if not found.matched:
        yield "  no call would get one: is this the folder, and does the export name its recordings?"
    if found.unfit:
        yield "  not fit: " + ", ".join(f"{count:,} {kind}" for kind, count in sorted(found.unfit.items()))
    for example in found.examples:
        yield f"  {example}"


def status_line(counts: Mapping[str, int], where: str) -> str:
    told = ", ".join(f"{count:,} {'to upload' if status == 'todo' else status}" for status, count in counts.items())
    again = f"; callimport run{where} --recordings DIR uploads them" if counts.keys() - {"uploaded", "refused"} else ""
    return f"  recordings: {told}{again}"


def counted(count: int) -> str:
    return f"{count:,} recording{'' if count == 1 else 's'}"


def sized(size: int) -> str:
    """`0.2 MB`, `34 MB`, `2.1 GB`."""
    megabytes = size / 1_000_000
    return f"{megabytes / 1000:.1f} GB" if megabytes >= 1000 else f"{megabytes:.{0 if megabytes >= 10 else 1}f} MB"


def _unattached(title: str, found: Sequence[endings.Unattached]) -> Iterator[str]:
    if found:
        yield f"{title}:"
    for one in found[:LISTED_AT_MOST]:
        yield f"  {one.reference}  {one.name}  {one.reason}"
    if len(found) > LISTED_AT_MOST:
        yield f"  and {len(found) - LISTED_AT_MOST} more"


def _files(count: int) -> str:
    return f"{count:,} file{'' if count == 1 else 's'}"


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return shown + (", …" if len(names) > _SHOWN else "")
