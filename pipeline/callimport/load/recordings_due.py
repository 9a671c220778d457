"""Which recordings are to be uploaded: every delivered call of the ledger that lacks its own, or has an older one.

Cheap first: a file of the same size and time is the same file. Only where those changed is it read, and only where its
bytes changed does it go again.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import anyio.lowlevel

from callimport.core import endings, mapping, phones
from callimport.ledger import Database, queries, recordings
from callimport.ledger.recordings import FAILED, MISSING, REFUSED, TODO, UPLOADED, Bearer, Evidence, Known, Recordings
from callimport.load.audio_files import Audio, File, Folder, Unfit, folded, unreadable
from callimport.load.recording_names import Names, merge_owners, owners
from callimport.profiles import profile

LOOKS_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Errand:
    """One file for one communication. `sha256` is of what the CRM has already, where that is known; `is_claim` where it
    is yet to be written down that the file is this call's."""

    key: str
    reference: str
    communication_id: int
    file: File
    sha256: str | None
    is_claim: bool = False


@dataclass(slots=True)
class Due:
    """What is to be done, and what cannot be. `foreign` are of communications that we did not make, `unclear` are files
    whose names fit several calls; `kept` are calls whose recording stays, though the folder has another file by now."""

    errands: list[Errand] = field(default_factory=list)
    not_sent: list[endings.Unattached] = field(default_factory=list)
    missing: int = 0
    foreign: int = 0
    kept: int = 0
    unclear: tuple[str, ...] = ()

    @property
    def bytes(self) -> int:
        return sum(errand.file.size for errand in self.errands)


@dataclass(slots=True)
class Looking:
    """Over one folder and one ledger. `overwrite` allows communications that this ledger did not make, and recordings
    that no row of this run names; `or_pending` looks at calls, too, that are still to be sent, as a plan does, and
    `or_parked` at names that would be taken up."""

    book: Recordings
    folder: Folder
    overwrite: bool = False
    or_pending: bool = False
    or_parked: bool = False
    due: Due = field(default_factory=Due)
    _again: list[Known] = field(default_factory=list)
    _missing: list[str] = field(default_factory=list)
    _claims: frozenset[str] = frozenset()
    _told: frozenset[str] = frozenset()
    _bearers: dict[str, list[Bearer]] = field(default_factory=lambda: defaultdict(list))

    async def look(self, names: Mapping[str, Names], is_enough: Callable[[], bool]) -> Due:
        """Return what is due, and note in the ledger which files are missing or unfit. `names` is by system;
        `is_enough` is asked now and then."""
        self.book.take_up_names(or_parked=self.or_parked)
        claims = self._attributed(names) if any(names.values()) else []
        self._claims = frozenset(one.key for one in claims)
        self._told = self.book.told_now()
        for bearer in self.book.bearers():
            self._bearers[self.folder.meant(bearer.wanted)].append(bearer)
        for number, one in enumerate([*self.book.of_delivered(or_pending=self.or_pending), *claims]):
            if number % LOOKS_AT_ONCE == 0:
                await anyio.lowlevel.checkpoint()
                if is_enough():
                    break
            self._judge(one)
        self.book.again(self._again)
        self.book.missing(self._missing)
        return self.due

    def _attributed(self, names: Mapping[str, Names]) -> list[Known]:
        """Calls that no row names a file for, with the files whose own names tell of them."""
        files = unclaimed(self.folder, self.book.claimed())
        found = merge_owners(owners(its.read(files), self.book.nameless(system)) for system, its in names.items())
        self.due.unclear = found.unclear
        return self.book.to_claim(found.path_of, or_pending=self.or_pending)

    def _judge(self, one: Known) -> None:
        if one.is_foreign and not self.overwrite:
            self.due.foreign += one.status != UPLOADED
            return
        found = self.folder.look(one.name) if one.name else self.folder.at(one.path or "")
        if isinstance(found, File):
            found = self._free_to_go(one, found)
            if found is None:
                return
        match found:
            case File():
                self._take_up(one)
                sha256 = None if one.status == REFUSED else one.sha256
                is_claim = one.key in self._claims
                self.due.errands.append(Errand(one.key, one.reference, one.communication_id, found, sha256, is_claim))
            case Unfit(may_pass=True):
                self._fail(one, found)
            case Unfit():
                self._refuse(one, found)
            case None:
                self._miss(one)

    def _free_to_go(self, one: Known, found: File) -> File | Unfit | None:
        """The file, if it is this call's and news; None if the call keeps what it has."""
        is_ended = one.status in (UPLOADED, REFUSED)
        if is_ended and (one.path, one.size, one.modified_ns) == (found.path, found.size, found.modified_ns):
            return None
        rivals = [its for its in self._bearers[self.folder.meant(one.wanted)] if its.key != one.key]
        is_told = one.key in self._told
        # Phone systems begin anew with call-0001.wav: only the rows of this run tell whose it is this time.
        is_its_own = not rivals or (is_told and not any(self._vies(its, found) for its in rivals))
        if one.has_audio and not (is_its_own and (self.overwrite or (is_told and not rivals))):
            self.due.kept += 1
            return None
        if not is_its_own:
            return Unfit("ambiguous", f"call {rivals[0].reference} is said to have the file of that name, too")
        return self._news(one, found) if is_ended else found

    def _vies(self, rival: Bearer, found: File) -> bool:
        """Whether a row of this run names the file for another call as well, or that one has this very file."""
        return rival.key in self._told or (rival.size, rival.modified_ns) == (found.size, found.modified_ns)

    def _news(self, one: Known, found: File) -> File | Unfit | None:
        """The file, if its bytes are others than those that this ended with; None if it is the same."""
        audio = self.folder.opened(found.path)
        if not isinstance(audio, Audio):
            return audio
        try:
            with audio:
                if audio.read_through() != one.sha256:
                    return found
        except OSError as error:
            return unreadable(error)
        self.book.still(one, Evidence(found.path, found.size, found.modified_ns))
        return None

    def _take_up(self, one: Known) -> None:
        if one.status != TODO:
            self._again.append(one)

    def _refuse(self, one: Known, found: Unfit) -> None:
        """Told once; what the CRM took before stays what it has."""
        if one.status == UPLOADED or (one.status, one.reason) == (REFUSED, found.reason):
            return
        if one.key in self._claims:
            self.book.found([(one.key, one.wanted)])
        if one.status != TODO:
            self.book.again([one])
        self.book.refused(one.key, found.reason)
        self.due.not_sent.append(endings.Unattached(REFUSED, one.reference, one.wanted, found.reason))

    def _fail(self, one: Known, found: Unfit) -> None:
        """The next run tries again; what ended before stays as it ended."""
        if one.status in (UPLOADED, REFUSED):
            return
        self.due.not_sent.append(endings.Unattached(FAILED, one.reference, one.wanted, found.reason))
        if one.key in self._claims:
            return
        if one.status != TODO:
            self.book.again([one])
        self.book.failed(one.key, found.reason)

    def _miss(self, one: Known) -> None:
        if one.status in (UPLOADED, REFUSED) or one.key in self._claims:
            return
        self.due.missing += 1
        if one.status == FAILED:
            self._again.append(one)
        if one.status != MISSING:
            self._missing.append(one.key)


def unclaimed(folder: Folder, claimed: Iterable[str]) -> list[str]:
    """The files that no call names, by bare name or by path."""
    taken = frozenset(folded(name) for name in claimed)
    return [
        path for name, paths in folder.named.items() if name not in taken for path in paths if folded(path) not in taken
    ]


def names_of_batch(database: Database, batch_id: str, dialling: phones.Dialling) -> dict[str, Names]:
    """How each system of a batch names its recordings, for a run that does not read the files again."""
    settings = queries.batch_settings(database, batch_id)
    found: dict[str, Names] = {}
    number = 1
    while mapping.numbered("profile", number) in settings:
        told, system, zone = (settings[mapping.numbered(name, number)] for name in ("profile", "system", "timezone"))
        name = told.partition(" ")[0]
        is_known = name in profile.available()
        in_zone = zone or None
        found[system] = Names.of(profile.load(name), in_zone, dialling) if is_known else Names((), in_zone, dialling)
        number += 1
    return found


def standing(book: Recordings) -> int:
    """How many are to be uploaded still, as far as the ledger knows."""
    counts = recordings.counts(book.database)
    return counts.get(TODO, 0) + counts.get(FAILED, 0)
