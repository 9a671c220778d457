"""What a check finds in the recordings folder: whose each file is, what is not fit, and how long it takes."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from callimport.core import endings, models
from callimport.core.settings import Settings
from callimport.load.audio_files import MEBIBYTE, Audio, File, Folder, Unfit
from callimport.load.recording_names import Names, merge_owners, owners
from callimport.load.recordings_due import unclaimed
from callimport.resolve.intake import Intake

EXAMPLES = 5


class AudioCheck:
    """See all calls, then report. `names` says for each source how its system names recordings."""

    def __init__(self, root: Path, largest_mb: float, names: Mapping[int, Names]) -> None:
        self._folder = Folder(root, round(largest_mb * MEBIBYTE))
        self._names = names
        self._asked: set[str] = set()
        self._nameless: list[models.Nameless[models.Place]] = []
        self._matched: dict[str, int] = {}
        self._missing = 0
        self._unfit = Counter[str]()
        self._examples: list[str] = []

    @classmethod
    def of(cls, settings: Settings, intake: Intake) -> "AudioCheck | None":
        """None where no recordings are asked for. Raises ConfigError where their folder cannot be used."""
        if settings.recordings is None:
            return None
        names = {
            source: Names.of(its.profile, its.zone, settings.dialling)
            for its in intake.by_profile
            for source in its.sources
        }
        return cls(settings.recordings, settings.max_recording, names)

    def see(self, position: int, calls: pl.DataFrame) -> None:
        """A frame of calls as `Intake.frames` yields it."""
        for name in calls["recording"].drop_nulls().unique(maintain_order=True):
            if name not in self._asked:
                self._asked.add(name)
                self._judge(name, self._folder.look(name))
        if self._names[position]:
            nameless = calls.filter(pl.col("recording").is_null()).select(
                "_row", "call_id", "direction", "customer_phone", pl.col("started_at").dt.epoch("s"), "_legs"
            )
            self._nameless += [
                models.Nameless(models.Place(position, row), *told) for row, *told in nameless.iter_rows()
            ]

    def found(self, rates: Sequence[models.Rate]) -> endings.AudioFolder:
        """`rates` are those of requests, all kept at once."""
        files = unclaimed(self._folder, self._asked | set(self._matched))
        if self._nameless:
            owned = merge_owners(
                owners(names.read(files), [one for one in self._nameless if self._names[one.key.source] is names])
                for names in dict.fromkeys(self._names.values())
            )
            for path in owned.path_of.values():
                self._judge(path, self._folder.at(path))
            for path in owned.unclear:
                self._judge(path, Unfit("unclear", "fits several calls by its name"))
            taken = {*owned.path_of.values(), *owned.unclear}
            files = [path for path in files if path not in taken]
        return endings.AudioFolder(
            matched=len(self._matched),
            bytes=sum(self._matched.values()),
            missing=self._missing,
            orphan=len(files),
            unfit=dict(sorted(self._unfit.items())),
            seconds=len(self._matched) * max(rate.seconds / rate.limit for rate in rates),
            examples=tuple(self._examples),
        )

    def _judge(self, name: str, found: File | Unfit | None) -> None:
        if isinstance(found, File):
            # A look at its first bytes: the name proves nothing.
            audio = self._folder.opened(found.path)
            if isinstance(audio, Audio):
                audio.close()
                self._matched[found.path] = found.size
                return
            found = audio
        why = f"{name}: {found.reason}" if isinstance(found, Unfit) else f"{name}: there is no such file"
        if isinstance(found, Unfit):
            self._unfit[found.kind] += 1
        else:
            self._missing += 1
        if len(self._examples) < EXAMPLES:
            self._examples.append(why)
