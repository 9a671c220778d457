"""The same refusals as other releases of Laravel write them, and in the other language of Québec.

`wording` speaks as Laravel 10 does, in English. Whoever reads messages rather than statuses and fields is found out.
"""

import dataclasses
import re
from collections.abc import Sequence

from starlette import requests

from callimport.sandbox import wording

_KEY = "dialect"
_FRENCH = (
    (r"The (.+) field is required\.", "Le champ {} est obligatoire."),
    (r"The (.+) field must be an integer\.", "Le champ {} doit être un entier."),
    (r"The (.+) field must be a string\.", "Le champ {} doit être une chaîne de caractères."),
    (r"The selected (.+) is invalid\.", "Le champ {} sélectionné est invalide."),
    (r"The (.+) field must be at least (.+)\.", "La valeur de {} doit être supérieure ou égale à {}."),
    (r"The (.+) field must not be greater than (.+) characters\.", "Le texte de {} ne peut dépasser {} caractères."),
    (r"The (.+) field format is invalid\.", "Le format du champ {} est invalide."),
    (r"The (.+) field must be a valid date\.", "Le champ {} n'est pas une date valide."),
    (r"The (.+) field must match the format (.+)\.", "Le champ {} ne correspond pas au format {}."),
    (r"The (.+) field must be a date before .+\.", "Le champ {} doit être une date antérieure ou égale à now."),
    (r"The (.+) field must be a file\.", "Le champ {} doit être un fichier."),
    (r"The (.+) field must be between (.+) and (.+)\.", "La valeur de {} doit être comprise entre {} et {}."),
    (r"The (.+) field is prohibited\.", "Le champ {} est interdit."),
    (r"The (.+) failed to upload\.", "Le fichier du champ {} n'a pu être téléversé."),
    (r"The (.+) field must be a file of type: (.+)\.", "Le champ {} doit être un fichier de type : {}."),
)  # fmt: skip
_OLD = (
    (r"The (.+) field must be a valid date\.", "The {} is not a valid date."),
    (r"The (.+) field must match the format (.+)\.", "The {} does not match the format {}."),
    (r"The (.+) field format is invalid\.", "The {} format is invalid."),
    (r"The (.+) field must (.+)\.", "The {} must {}."),
)


@dataclasses.dataclass(frozen=True, slots=True)
class Dialect:
    """A release (`5.6`, `8`, `9`, `10`, `12`) and a language (`en`, `fr`)."""

    release: str = "10"
    language: str = "en"

    @property
    def _major(self) -> int:
        return int(self.release.partition(".")[0])

    def put_on(self, request: requests.Request) -> None:
        """Whatever answers it speaks so."""
        setattr(request.state, _KEY, self)

    def errors(self, errors: wording.Errors) -> dict[str, list[str]]:
        """The messages of a 422, by field."""
        return {field: [self._said(message) for message in messages] for field, messages in errors.items()}

    def summary(self, errors: wording.Errors) -> str:
        """What a 422 says as a whole. Releases up to 8 say the same of every one."""
        if self._major < 9:
            fixed = ("The given data was invalid.", "Les données fournies sont invalides.")
            return fixed[self.language == "fr"]
        text = wording.summary(self.errors(errors))
        if self.language == "fr":
            text = re.sub(r" \(and (\d+) more errors?\)", r" (et \1 erreurs de plus)", text)
        return text

    def no_route(self, path: str) -> str:
        """What a 404 for a path says."""
        return wording.no_route(path) if self._major >= 9 else ""

    def no_method(self, method: str, path: str, allowed: Sequence[str]) -> str:
        """What a 405 says."""
        if self.release == "5.6":
            return "Method not allowed."
        text = wording.no_method(method, path, allowed)
        return text if self._major >= 9 else text.replace(f"route {path.strip('/')}", "this route")

    def too_large(self) -> str:
        """What PHP's 413 says."""
        return "The POST data is too large." if self._major >= 11 else ""

    def _said(self, message: str) -> str:
        if self.language == "fr":
            return _turned(message, _FRENCH)
        return _turned(message, _OLD) if self._major < 10 else message


def of(request: requests.Request) -> Dialect:
    """In which the request is to be answered."""
    found = getattr(request.state, _KEY, None)
    return found if isinstance(found, Dialect) else Dialect()


def _turned(message: str, table: Sequence[tuple[str, str]]) -> str:
    """By the first pattern that fits; later ones are for what is left."""
    for pattern, other in table:
        match = re.fullmatch(pattern, message)
        if match:
            return other.format(*match.groups())
    return message
