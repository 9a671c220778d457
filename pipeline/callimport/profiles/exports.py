"""The exports of one run: which files, of which phone system, and where their rows are."""

import contextlib
from collections.abc import Generator, Iterator
from pathlib import Path

from callimport.core import errors, models, readahead, row_origin
from callimport.core.settings import Settings
from callimport.extract import reader
from callimport.profiles import profile, timestamps


class Exports:
    """The files that were named, each opened, with the one recipe that all of them are of."""

    def __init__(self, settings: Settings) -> None:
        """Raises SourceError, SchemaMismatch or ConfigError: what is wrong with a file shows first of all."""
        self.sources = tuple(reader.open_source(path) for path in sources_of(settings))
        self._matches = _matches(self.sources, settings.profile)
        # What the lines of each file are, once all of it has been read.
        self.lines: dict[int, models.Lines] = {}
        self.profile = self._matches[0].profile
        self._refuse_fractions()

    @property
    def told(self) -> tuple[str, ...]:
        """How each file was recognised, and what its export lacks; each thing once."""
        told: dict[str, None] = {}
        for opened, match in zip(self.sources, self._matches, strict=True):
            told[f"{opened.name}: {match.evidence}"] = None
            told |= dict.fromkeys(match.notes)
        return tuple(told)

    def has(self, canonical: str) -> bool:
        """Whether any of the files says something for a canonical column."""
        if canonical in self.profile.constants:
            return True
        fed_by = self.profile.fed_by(canonical)
        return any(
            name in profile.resolved(self.profile, match.layout.names) for match in self._matches for name in fed_by
        )

    def chunks(self) -> Iterator[tuple[int, models.Chunk]]:
        """The rows of every file as they are, with the number of the file. Can be gone through several times.

        The next chunk is read while the last one is looked at.
        """
        return readahead.one_ahead(self._chunks())

    def _chunks(self) -> Generator[tuple[int, models.Chunk], None, None]:
        for position, (opened, match) in enumerate(zip(self.sources, self._matches, strict=True)):
            lines = models.Lines()
            for chunk in reader.read(opened, match.layout, lines=lines):
                yield position, chunk
            self.lines[position] = lines

    def date_order(self) -> timestamps.Order:
        """That of day and month, as all rows of all files tell it together: it is never guessed."""
        seen = timestamps.Evidence()
        for _, chunk in self.chunks():
            seen |= profile.evidence(self.profile, chunk.frame)
        return seen.order

    def marks(self) -> frozenset[str]:
        """Those of rejected rows that mended rows of these files replace, see core/row_origin.py."""
        found: set[str] = set()
        for opened, match in zip(self.sources, self._matches, strict=True):
            if row_origin.COLUMN in match.layout.names:
                for chunk in reader.read(opened, match.layout):
                    found |= set(row_origin.stated(chunk.frame).values())
        return frozenset(found)

    def _refuse_fractions(self) -> None:
        if not self.profile.identity:
            return
        for opened, match in zip(self.sources, self._matches, strict=True):
            found = profile.resolved(self.profile, match.layout.names)
            for name in self.profile.fed_by("call_id"):
                if name in found:
                    reader.refuse_fractions(opened, found[name], match.layout)


def sources_of(settings: Settings) -> tuple[Path, ...]:
    """The exports that are meant. A folder's leads file and reject file are not exports."""
    others = (
        settings.leads, settings.agents, settings.rejects, settings.exclude_numbers, settings.unknown_callers,
        settings.draft_agents,
    )  # fmt: skip
    besides = [path for path in others if path is not None]
    return reader.find(settings.files, besides=besides)


def _matches(sources: tuple[models.Source, ...], name: str | None) -> list[profile.Match]:
    """The first file says which recipe all are of, where none is named."""
    chosen = profile.load(name) if name else None
    matches: list[profile.Match] = []
    for opened in sources:
        peek = reader.peek(opened)
        try:
            match = profile.fit(chosen, peek) if chosen else profile.detect(peek)
        except errors.SchemaMismatch as error:
            if name is None and matches and (other := _detected(peek)) is not None:
                raise errors.SchemaMismatch(
                    f"{opened.name} is an export of {other}, {sources[0].name} one of {matches[0].profile.name}: "
                    "import those of each phone system in a run of their own"
                ) from error
            raise errors.SchemaMismatch(f"{opened.name}: {error}") from error
        chosen = match.profile
        matches.append(match)
    return matches


def _detected(peek: models.Peek) -> str | None:
    with contextlib.suppress(errors.SchemaMismatch):
        return profile.detect(peek).profile.name
    return None
