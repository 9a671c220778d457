"""What a check finds in the recordings folder: whose each file is, what is not fit, and how long it takes."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import polars as pl

from callimport.core import endings, models
from callimport.core.settings import Settings
from callimport.load.audio_files import MEBIBYTE, Audio, File, Folder, Unfit
from callimport.load.recording_names import Names, merge_owners, owners
from callimport.load.recordings_due import unclaimed
from callimport.profiles.exports import ProfileFiles

EXAMPLES = 5


class AudioCheck:
    """See all calls, then report. `names` says for each source how its system names recordings."""

    def __init__(self, root: Path, largest_mb: float, names: Mapping[int, Names]) -> None:
        self._folder = Folder(root, round(largest_mb * MEBIBYTE))
        self._names = names
        # Each file that a call names, with the first call that names it; and why a file cannot be used.
        self._asked: dict[str, models.Place] = {}
        self._wrong: dict[str, str] = {}
        self._nameless: list[models.Nameless[models.Place]] = []
        self._matched: dict[str, int] = {}
        self._missing = 0
        self._unfit = Counter[str]()

    @classmethod
    def of(cls, settings: Settings, by_profile: Iterable[ProfileFiles]) -> "AudioCheck | None":
        """None where no recordings are asked for. Raises ConfigError where their folder cannot be used."""
        if settings.recordings is None:
            return None
        names = {
            source: Names.of(its.profile, its.zone, settings.dialling) for its in by_profile for source in its.sources
        }
        return cls(settings.recordings, settings.max_recording, names)

    def see(self, calls: pl.DataFrame) -> None:
        """Columns: those of `mapping.CALL_COLUMNS`."""
        named = calls.select("recording", "_source", "_row").drop_nulls("recording").sort("_source", "_row")
        for name, *place in named.unique("recording", keep="first", maintain_order=True).iter_rows():
            if name not in self._asked:
                self._judge(name, self._folder.look(name))
            self._asked[name] = min(models.Place(*place), self._asked.get(name, models.Place(*place)))
        by_name = [source for source, names in self._names.items() if names]
        nameless = calls.filter(pl.col("recording").is_null() & pl.col("_source").is_in(by_name)).select(
            "_source", "_row", "call_id", "direction", "customer_phone", pl.col("started_at").dt.epoch("s"), "_legs"
        )
        self._nameless += [
            models.Nameless(models.Place(source, row), *told) for source, row, *told in nameless.iter_rows()
        ]

    def found(self, rates: Sequence[models.Rate]) -> endings.AudioFolder:
        """`rates` are those of requests, all kept at once."""
        files = unclaimed(self._folder, {*self._asked, *self._matched})
        if self._nameless:
            nameless = sorted(self._nameless, key=lambda one: one.key)
            owned = merge_owners(
                owners(names.read(files), [one for one in nameless if self._names[one.key.source] is names])
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
            examples=tuple(self._wrong[name] for name in self._by_place(self._wrong)[:EXAMPLES]),
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
        self._wrong[name] = why

    def _by_place(self, names: Iterable[str]) -> list[str]:
        """By the first call that names each; files that no call names come last."""
        return sorted(names, key=lambda name: (name not in self._asked, self._asked.get(name, ())))
