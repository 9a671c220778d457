"""What the columns of an unknown file may be, by their names (English and French) and by what stands in them."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field

import polars as pl

from pipeline import durations, instants, numbers

# In the order in which a column is preferred for it.
_HINTS = {
    "started_at": r"\butc\b|start|debut|call ?time|date ?time|date|horodat|timestamp|\btime\b|heure|appel le",
    "duration_seconds": r"talk|in ?call|conversation|billsec|communication|duration|duree|length|sec(?:ond(?:e)?)?s?\b",
    "direction": r"direction|sens|call ?type|type|way",
    "status": r"status|statut|result|disposition|etat|outcome|answered|repondu|state",
    "incoming": r"\bfrom\b|caller|calling|source|\bsrc\b|appelant|origine|\bani\b|\bde\b|expediteur",
    "outgoing": r"\bto\b|callee|called|dest|\bdst\b|appele|dialed|dialled|dnis|\bvers\b|\ba\b",
    "customer": r"customer|client|contact|external|phone ?number|telephone|\bphone\b|numero",
    "call_id": r"call ?id|uuid|session|\bsid\b|unique|\bid\b|identifiant",
    "agent_email": r"e-?mail|courriel",
    "agent_extension": r"ext|poste",
    "agent_name": r"agent|user|employee|usager|utilisateur|operator|owner|handled|employe|conseiller|vendeur",
    "recording": r"record|enregistr",
}
DIRECTIONS = {
    "incoming": "inbound incoming in i received entrant entrante recu recue entrants reception",
    "outgoing": "outbound outgoing out o placed made manual dialed sortant sortante emis emise emission",
    "": "internal interne",
}
STATUSES = {
    "answered": "answered connected accepted completed yes oui true repondu repondue traite traitee reussi decroche",
    "unanswered": "missed unanswered no non false busy abandoned voicemail rejected declined cancelled canceled "
    "no-answer noanswer manque manquee occupe abandonne abandonnee refuse messagerie injoignable",
    "error": "failed error echec echoue erreur",
}  # fmt: skip
_PHRASES = {
    "no answer": "unanswered", "not answered": "unanswered", "non repondu": "unanswered", "sans reponse": "unanswered",
    "pas de reponse": "unanswered", "call connected": "answered", "hang up": "unanswered", "boite vocale": "unanswered",
    "left message": "unanswered",
}  # fmt: skip
_TIME_ONLY = r"^\s*\d{1,2}(?::|\s?h\s?)\d{2}(?::\d{2})?(?:\s?[APap]\.?[Mm]\.?)?\s*$"
_DATE_ONLY = r"^\s*\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}\s*$"
_MOST, _FEW = 0.6, 15


@dataclass(frozen=True, slots=True)
class Column:
    """A column of an unknown file: its name and its cells that are not blank."""

    name: str
    cells: tuple[str, ...]

    @property
    def words(self) -> tuple[str, ...]:
        """The different cells, where they are few."""
        found = dict.fromkeys(self.cells)
        return tuple(found) if len(found) <= _FEW else ()

    def share(self, pattern: str) -> float:
        return sum(re.search(pattern, cell) is not None for cell in self.cells) / max(1, len(self.cells))


@dataclass(slots=True)
class Guess:
    """What was found: canonical column (and `incoming`, `outgoing`, `date`, `time`) → column of the file; the words of
    its vocabularies, those not known under ""; the forms; and what a person has to decide."""

    columns: dict[str, Column] = field(default_factory=dict)
    directions: dict[str, str | None] = field(default_factory=dict)
    statuses: dict[str, str | None] = field(default_factory=dict)
    time_form: str = "date"
    duration_form: str = "seconds"
    questions: list[str] = field(default_factory=list)


def plain(text: str) -> str:
    """Small letters without accents, words parted by single blanks."""
    bare = unicodedata.normalize("NFKD", re.sub(r"([a-z])([A-Z])", r"\1 \2", text))
    return " ".join(
        re.sub(r"[^a-z0-9-]+", " ", bare.encode("ascii", "ignore").decode().lower().replace("_", " ")).split()
    )


def guess(columns: Sequence[Column], region: str) -> Guess:
    found = Guess()
    free = [column for column in columns if column.cells]
    _times(found, free)
    _duration(found, free)
    _phones(found, free, region)
    _words(found, free)
    for name in ("call_id", "agent_email", "agent_extension", "agent_name", "recording"):
        _take(found, free, name, [column for column in free if _looks(name, column)])
    return found


def _take(found: Guess, free: list[Column], name: str, among: Sequence[Column]) -> Column | None:
    """Of these columns the one whose name hints at it most, which then is taken."""
    ranked = [(match, column) for column in among if (match := _rank(name, column)) is not None]
    if not ranked:
        return None
    column = min(ranked, key=lambda pair: pair[0])[1]
    found.columns[name] = column
    free.remove(column)
    return column


def _rank(name: str, column: Column) -> int | None:
    for rank, hint in enumerate(_HINTS[name].split("|")):
        if re.search(hint, plain(column.name)):
            return rank
    return None


def _looks(name: str, column: Column) -> bool:
    match name:
        case "call_id":
            return len(set(column.cells)) > len(column.cells) / 4 and column.share(r"^\S{1,80}$") == 1
        case "agent_email":
            return column.share(r"^\S+@\S+$") > _MOST
        case "agent_extension":
            return column.share(r"^\d{2,6}$") > _MOST
        case "agent_name":
            return column.share(r"\D{2}") > _MOST
        case _:
            return column.share("://") == 0


def _times(found: Guess, free: list[Column]) -> None:
    whole = [column for column in free if _is_instant(column)]
    if _take(found, free, "started_at", whole) is None and whole:
        found.columns["started_at"] = whole[0]
        free.remove(whole[0])
    if "started_at" not in found.columns:
        for name, pattern in (("date", _DATE_ONLY), ("time", _TIME_ONLY)):
            column = next((column for column in free if column.share(pattern) > _MOST), None)
            if column is not None:
                found.columns[name] = column
                free.remove(column)
    chosen = found.columns.get("started_at") or found.columns.get("date")
    if chosen is None:
        found.questions.append("no column of dates and times was found")
        return
    cells = pl.Series(chosen.cells)
    form = instants.shape(cells)
    if form is not None and form.value.startswith(("epoch", "excel")):
        found.time_form = form.value
    evidence = instants.evidence(cells)
    if evidence.order in (instants.Order.OPEN, instants.Order.CONTRADICTORY):
        found.questions.append(
            f'"{chosen.name}": day/month or month/day? {evidence.told()}; write time_form = "dmy" or "mdy"'
        )


def _is_instant(column: Column) -> bool:
    cells = pl.Series(column.cells)
    if column.share(_TIME_ONLY) > _MOST or column.share(_DATE_ONLY) > _MOST:
        return False
    form = instants.shape(cells)
    if form is not None:
        # Bare digits may as well be phone numbers: of those the name decides.
        return column.share(r"^[\d.]+$") == 0 or _rank("started_at", column) is not None
    return column.share(r"^\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}[ T,].*\d{1,2}(?::| ?h ?)\d{2}") > _MOST


def _duration(found: Guess, free: list[Column]) -> None:
    among = [
        column for column in free
        if durations.shape(pl.Series(column.cells)) is not None or column.share(r"^\d{1,7}(?:[.,]\d+)?$") == 1
    ]  # fmt: skip
    column = _take(found, free, "duration_seconds", among)
    if column is None:
        found.questions.append("no column of durations was found: without one, nobody knows who talked")
        return
    form = durations.shape(pl.Series(column.cells)) or durations.unit(column.name)
    if form is None:
        found.questions.append(f'"{column.name}": seconds or minutes? Its name does not say; seconds were taken')
    found.duration_form = (form or durations.Form.SECONDS).value
    if found.duration_form == "seconds" and column.share("[.,]") > 0:
        found.duration_form = "decimal_seconds"


def _phones(found: Guess, free: list[Column], region: str) -> None:
    def share(column: Column) -> float:
        kinds = numbers.read(pl.Series(column.cells), region)["kind"]
        return float(kinds.is_in(["number", "anonymous"]).mean() or 0)  # type: ignore[arg-type]

    phones = [column for column in free if share(column) > 0.2]
    sides = [column for name in ("incoming", "outgoing") if (column := _take(found, phones, name, phones))]
    if len(sides) == 1:
        # One side alone is the customer, or his other side holds extensions only.
        name = next(name for name in ("incoming", "outgoing") if name in found.columns)
        other = "outgoing" if name == "incoming" else "incoming"
        if _take(found, free, other, [column for column in free if column not in sides]) is None:
            found.columns["customer"] = found.columns.pop(name)
    if always := _take(found, phones, "customer", phones):
        found.columns["customer"] = always
        found.columns.pop("incoming", None)
        found.columns.pop("outgoing", None)
    for column in found.columns.values():
        if column in free:
            free.remove(column)
    if not {"customer", "incoming"} & found.columns.keys():
        found.questions.append("no column of phone numbers was found")


def _words(found: Guess, free: list[Column]) -> None:
    for name, meanings, words in (
        ("direction", DIRECTIONS, found.directions), ("status", STATUSES, found.statuses)
    ):  # fmt: skip
        known = {word: meant for meant, listed in meanings.items() for word in listed.split()}
        known |= _PHRASES if name == "status" else {}
        among = [column for column in free if column.words and any(plain(word) in known for word in column.words)]
        column = _take(found, free, name, among)
        if column is None and among:
            column = max(among, key=lambda one: sum(plain(word) in known for word in one.words))
            found.columns[name] = column
            free.remove(column)
        if column is not None:
            words.update({word: known.get(plain(word)) for word in column.words})
