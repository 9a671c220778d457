"""What headers and cells say, in English and French: words of others → ours."""

import re
import unicodedata


def _role(text: str) -> frozenset[str]:
    return frozenset(text.split())


_INCOMING = _role(
    "in inbound incoming i received receive inward entrant entrante entrants entrantes entree recu recue recus "
    "arrivee arrivant"
)
_OUTGOING = _role(
    "out outbound outgoing o outward dialed dialled placed sortant sortante sortants sortantes sortie emis emise "
    "compose composee effectue effectuee"
)
_INTERNAL = _role("internal interne internes intercom")
_FAX = _role("fax telecopie")
# Such a call did not go out, though it does not say that it came in.
_CAME_IN = _role("missed manque manquee manques abandoned abandonne abandonnee voicemail messagerie")

_ANSWERED = _role(
    "answered answer connected accepted talked success successful succes reussi reussie repondu repondue repondus "
    "decroche decrochee pris prise abouti aboutie traite traitee conversation"
)
_UNANSWERED = _role(
    "unanswered noanswer missed busy rejected declined canceled cancelled abandoned voicemail attempt attempted lost "
    "ignored redirected manque manquee manques occupe occupee refuse refusee rejete rejetee annule annulee abandonne "
    "abandonnee messagerie repondeur perdu perdue"
)
_FAILED = _role("failed failure error echec echoue echouee erreur congestion invalid invalide")
_OVER = _role("completed complete ended finished normal done termine terminee fini finie")
_NOT = _role("no not non pas sans un never jamais")
_ANSWERS = _ANSWERED | _role("reponse repondre")
_UNANSWERED_PHRASES = ("hang up", "hung up", "out of business hours", "hors des heures", "raccroche")

YES = _role("true yes y oui o 1 vrai t")
NO = _role("false no n non 0 faux f")


def tokens(text: str) -> tuple[str, ...]:
    """`callStart_Time (UTC)` and `Numéro d'appelé` as ("call", "start", "time", "utc"), ("numero", "d", "appele")."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text)
    letters = unicodedata.normalize("NFKD", apart.casefold())
    kept = "".join(mark for mark in letters if not unicodedata.combining(mark))
    return tuple(re.findall(r"[^\W_]+", kept))


def direction(word: str) -> str | None:
    """incoming, outgoing, internal, fax; None where the word says nothing, or two things."""
    said = set(tokens(word))
    if said & _FAX:
        return "fax"
    if said & _INTERNAL:
        return "internal"
    found = [name for name, known in (("incoming", _INCOMING), ("outgoing", _OUTGOING)) if said & known]
    return found[0] if len(found) == 1 else None


def came_in(word: str) -> bool:
    """Whether the word is only said of calls that came in."""
    return bool(set(tokens(word)) & _CAME_IN)


def status(word: str) -> str | None:
    """answered, unanswered, error, "" (the call is over: its duration tells), None where the word is not known."""
    said = tokens(word)
    if set(said) & _FAILED:
        return "error"
    is_denied = bool(set(said) & _NOT and set(said) & _ANSWERS)
    if is_denied or set(said) & _UNANSWERED or " ".join(said).startswith(_UNANSWERED_PHRASES):
        return "unanswered"
    if set(said) & _ANSWERED:
        return "answered"
    return "" if set(said) & _OVER else None


# ── what a column is, by its header ──────────────────────────────────────────────────────────────────────────────────


BEGINNING = _role("start started begin began debut timestamp")
TIME = _role("time date datetime timestamp heure jour day start started debut moment when quand stamp")
ANSWERING = _role("answer answered connect connected connexion reponse decroche decrochage pickup")
ENDING = _role("end ended stop stopped finish fin disconnect disconnected hangup raccroche raccrochage")
OTHER_TIMES = _role(
    "created updated modified modifie cree creation rang queued failure failed invite wait attente export"
)
DURATION = _role("duration duree length seconds secondes billsec talk talking talktime minutes elapsed")
TALK = _role("talk talking talktime conversation billsec parle communication")
NO_TALK = _role("ring ringing sonnerie wait waiting attente hold queue handle wrap total totale ivr")
DIRECTION = _role("direction sens way inout trafic")
KIND = _role("type kind genre categorie category call appel")
STATUS = _role("status state statut etat result resultat disposition outcome issue reponse answered repondu success")
ANSWERED_FLAG = _role("answered repondu decroche connected repondue")
MISSED_FLAG = _role("missed manque manquee perdu")
VOICEMAIL_FLAG = _role("voicemail messagerie repondeur")
CUSTOMER = _role("customer client cliente external contact externe prospect")
FROM = _role("from caller calling appelant appelante source src ani origin originating emetteur callerid")
TO = _role(
    "to callee called appele appelee destination dst dest dialed dialled dnis recipient destinataire compose vers"
)
OWN = _role("did tracking trunk internal interne sda ligne line our")
PHONE = _role("phone number numero telephone tel no num mobile cell cellulaire")
ELSEWHERE = _role("transfer transferred forward forwarded forwarding renvoi transfere redirect lead account compte")
PERSON = _role("name nom display prenom")
AGENT = _role(
    "agent user employee employe employee utilisateur usager operator operateur conseiller conseillere vendeur "
    "representant rep handled username upn by staff owner"
)
EXTENSION = _role("ext extension poste exten")
EMAIL = _role("email mail courriel")
ID = _role("id uuid guid sid identifiant identifier reference ref cdr callid")
CALL = _role("call appel session conversation cdr callid sid")
OTHER_ID = ELSEWHERE | AGENT | CUSTOMER | FROM | TO | _role("leg parent company office line conference")
LEG = _role("leg segment")
NOTES = _role("notes note comment comments commentaire commentaires remarque remarques description")
RECORDING = _role("recording enregistrement recordingfile audio")
