"""The exports of one run: which files, of which phone systems, and where their rows are."""

import contextlib
from collections.abc import Collection, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from callimport.core import errors, models, readahead, row_origin
from callimport.core.settings import Settings
from callimport.extract import reader
from callimport.profiles import profile, timestamps


@dataclass(frozen=True, slots=True)
class ProfileFiles:
    """The files of one profile: `sources` are their numbers in the run. `zone` is the zone of times without one."""

    profile: profile.Profile
    system: str
    zone: str | None
    sources: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _File:
    """A file; or, in a reject file of several profiles, its rows of the profile `part`. `layout` is of all rows."""

    source: models.Source
    match: profile.Match
    layout: models.Layout
    part: str | None = None

    def chunks(self, lines: models.Lines | None = None) -> Iterator[models.Chunk]:
        for chunk in reader.read(self.source, self.layout, lines=lines):
            if self.part is None:
                yield chunk
            elif (rows := chunk.frame.filter(_read_by() == self.part)).height:
                yield replace(chunk, frame=rows.select("_row", "_ragged", *self.match.layout.names))


class Exports:
    """The files that were named, each opened and recognised; `by_profile` has them in the order of the files."""

    def __init__(self, settings: Settings) -> None:
        """Raises SourceError, SchemaMismatch or ConfigError: what is wrong with a file shows first of all."""
        self._files = _files([reader.open_source(path) for path in sources_of(settings)], settings.profile)
        self.sources = tuple(file.source for file in self._files)
        self.by_profile = _by_profile([file.match for file in self._files], settings)
        self._timezone = settings.timezone
        # The counted lines of each file, once the whole file has been read.
        self.lines: dict[int, models.Lines] = {}
        self._refuse_fractions()

    def of(self, source: int) -> ProfileFiles:
        """The profile's files that this file belongs to."""
        return next(its for its in self.by_profile if source in its.sources)

    def name_beside(self, place: models.Place, other: models.Place) -> str:
        """How the row at `other` is called where the row at `place` is told about."""
        of = "" if other.source == place.source else f" of {self.sources[other.source].name}"
        return f"row {other.row}{of}"

    def name_of(self, place: models.Place) -> str:
        """Name a row; with its file if there are several files."""
        of = f" of {self.sources[place.source].name}" if len(self.sources) > 1 else ""
        return f"row {place.row}{of}"

    @property
    def told(self) -> tuple[str, ...]:
        """How each file was recognised, and what its export lacks; each thing once."""
        told: dict[str, None] = {}
        for file in self._files:
            told[f"{file.source.name}: {file.match.evidence}"] = None
            told |= dict.fromkeys(file.match.notes)
        for its in self.by_profile if len(self.by_profile) > 1 and self._timezone else ():
            if its.profile.zone not in (None, self._timezone):
                told[
                    f"{its.profile.name}: times without an offset are read in {self._timezone} (--timezone), not in "
                    f"{its.profile.zone}; if that is wrong, import its files in a run of their own"
                ] = None
        return tuple(told)

    def has(self, canonical: str) -> bool:
        """Whether any of the files says something for a canonical column."""
        return any(
            canonical in match.profile.constants
            or any(
                name in profile.resolved(match.profile, match.layout.names) for name in match.profile.fed_by(canonical)
            )
            for match in (file.match for file in self._files)
        )

    def chunks(self, sources: Collection[int] | None = None) -> Iterator[tuple[int, models.Chunk]]:
        """The rows of these files (None: of all files) as they are, with the number of the file. Can be read several
        times.

        The next chunk is read while the last one is looked at.
        """
        return readahead.one_ahead(self._chunks(range(len(self.sources)) if sources is None else sources))

    def _chunks(self, sources: Collection[int]) -> Generator[tuple[int, models.Chunk], None, None]:
        for position in sources:
            lines = models.Lines()
            for chunk in self._files[position].chunks(lines):
                yield position, chunk
            # A reject file of several profiles is read once for each of them.
            if self.sources.index(self.sources[position]) == position:
                self.lines[position] = lines

    def date_order(self, its: ProfileFiles) -> timestamps.Evidence:
        """What all rows of all files of a profile together tell of the order of day and month. It is never guessed."""
        seen = timestamps.Evidence()
        for position, chunk in self.chunks(its.sources):
            source = self.sources[position].name if len(self.sources) > 1 else ""
            seen |= profile.evidence(its.profile, chunk.frame, source)
        return seen

    def marks_of(self, places: Collection[models.Place]) -> Iterator[tuple[models.Place, str]]:
        """The marks of these rows by their own cells, see core/row_origin.py: a row that was mended and is wrong again
        is another row than its original. The files are read once more."""
        sources = sorted({place.source for place in places})
        for position, chunk in self.chunks(sources) if sources else ():
            is_meant = pl.Series(
                [models.Place(position, row) in places for row in chunk.frame["_row"]], dtype=pl.Boolean
            )
            rows = chunk.frame.filter(is_meant)
            for row, mark in zip(rows["_row"], row_origin.marks(rows), strict=True):
                yield models.Place(position, row), mark

    def marks(self) -> frozenset[str]:
        """Those of rejected rows that mended rows of these files replace, see core/row_origin.py."""
        found: set[str] = set()
        for file in self._files:
            if row_origin.COLUMN in file.match.layout.names:
                for chunk in file.chunks():
                    found |= set(row_origin.stated(chunk.frame).values())
        return frozenset(found)

    def _refuse_fractions(self) -> None:
        for file in self._files:
            its = file.match.profile
            found = profile.resolved(its, file.match.layout.names)
            for name in its.fed_by("call_id") if its.identity else ():
                if name in found:
                    reader.refuse_fractions(file.source, found[name], file.layout)


def sources_of(settings: Settings) -> tuple[Path, ...]:
    """The exports that are meant. A folder's leads file and reject file are not exports."""
    others = (
        settings.leads, settings.agents, settings.rejects, settings.exclude_numbers, settings.unknown_callers,
        settings.draft_agents,
    )  # fmt: skip
    besides = [path for path in others if path is not None]
    return reader.find(settings.files, besides=besides)


def _by_profile(matches: list[profile.Match], settings: Settings) -> tuple[ProfileFiles, ...]:
    """Group the files by profile. Raises ConfigError if --system would name several installations."""
    sources: dict[str, list[int]] = {}
    profiles: dict[str, profile.Profile] = {}
    for number, match in enumerate(matches):
        sources.setdefault(match.profile.name, []).append(number)
        profiles[match.profile.name] = match.profile
    if settings.system and len({its.system for its in profiles.values()}) > 1:
        raise errors.ConfigError(
            f"--system names one installation, and the files are of {len(profiles)} profiles "
            f"({', '.join(profiles)}): import each system in a run of its own"
        )
    return tuple(
        ProfileFiles(its, settings.system or its.system, settings.timezone or its.zone, tuple(sources[name]))
        for name, its in profiles.items()
    )


def _files(sources: Sequence[models.Source], name: str | None) -> list[_File]:
    """Match each file with its own profile, or all files with the profile `name`. A file that fits several profiles
    is read by the profile of another file, if exactly one of these fits. Raises SchemaMismatch for the first file that
    no profile fits."""
    chosen = profile.load(name) if name else None
    files: dict[int, list[_File]] = {}
    unclear: dict[int, tuple[models.Peek, errors.SchemaMismatch]] = {}
    for number, opened in enumerate(sources):
        peek = reader.peek(opened)
        try:
            if chosen is None and peek.records and row_origin.PROFILE in peek.records[0][1]:
                files[number] = _parts(opened, peek)
            else:
                found = profile.fit(chosen, peek) if chosen else profile.detect(peek)
                files[number] = [_File(opened, found, found.layout)]
        except errors.SchemaMismatch as error:
            unclear[number] = peek, errors.SchemaMismatch(f"{opened.name}: {error}")
    others = {file.match.profile.name: file.match.profile for some in files.values() for file in some}
    for number, (peek, complaint) in unclear.items():
        fitting = [match for one in others.values() if (match := _fit(one, peek))]
        if chosen or len(fitting) != 1:
            raise complaint
        files[number] = [_File(sources[number], match, match.layout) for match in fitting]
    return [file for number in range(len(sources)) for file in files[number]]


def _parts(opened: models.Source, peek: models.Peek) -> list[_File]:
    """Split a reject file by profile. The columns of a part are the columns that its profile knows, and the columns
    that are filled in on its rows. Raises SchemaMismatch for a row that names no profile."""
    line, _ = peek.records[0]
    layout = profile.headed(peek, 0)
    filled: dict[str, set[str]] = {}
    for chunk in reader.read(opened, layout):
        for (part,), rows in chunk.frame.with_columns(_read_by().alias("")).partition_by("", as_dict=True).items():
            if part not in profile.available():
                raise errors.SchemaMismatch(
                    f"row {rows['_row'][0]}: _profile names no profile; copy it from the reject file again"
                )
            texts = rows.select(pl.exclude("", "_row", "_ragged"))
            is_filled = texts.select((pl.all().str.strip_chars() != "").any())
            filled.setdefault(str(part), set()).update(name for name in texts.columns if is_filled[name].item())
    found: list[_File] = []
    for part, names in filled.items():
        its = profile.load(part)
        known = names | set(profile.resolved(its, layout.names).values())
        own = tuple(name for name in layout.names if name in known)
        found.append(_File(opened, profile.fit(its, replace(peek, records=((line, own),))), layout, part))
    if not found:
        raise errors.SchemaMismatch("the reject file has no rows; leave it out")
    return found


def _read_by() -> pl.Expr:
    return pl.col(row_origin.PROFILE).fill_null("").str.strip_chars()


def _fit(chosen: profile.Profile, peek: models.Peek) -> profile.Match | None:
    with contextlib.suppress(errors.SchemaMismatch):
        return profile.fit(chosen, peek)
    return None
