"""Refusals of other releases and in French: the status and the fields are the same, and only they can be relied on."""

import inspect

import pytest

from callimport.sandbox import dialect, knobs, wording
from tests.unit.sandbox.test_api import MP3, made

WRONG = {"method": "fax", "executed_at": "yesterday", "call_phone": "514", "call_duration": "long"}


@pytest.mark.parametrize("release", knobs.HABITS["laravel"])
@pytest.mark.parametrize("locale", knobs.HABITS["locale"])
def test_every_dialect_refuses_the_same_fields(release: str, locale: str) -> None:
    answer = made(laravel=release, locale=locale).create(lead_id=..., **WRONG)
    assert answer.status_code == 422
    assert set(answer.json()["errors"]) == {"lead_id", *WRONG}


@pytest.mark.parametrize(
    ("release", "locale", "message"),
    [
        ("8", "en", "The given data was invalid."),
        ("9", "en", "The lead id field is required. (and 4 more errors)"),
        ("12", "en", "The lead id field is required. (and 4 more errors)"),
        ("8", "fr", "Les données fournies sont invalides."),
        ("10", "fr", "Le champ lead id est obligatoire. (et 4 erreurs de plus)"),
    ],
)
def test_summary_of_a_refusal(release: str, locale: str, message: str) -> None:
    assert made(laravel=release, locale=locale).create(lead_id=..., **WRONG).json()["message"] == message


def test_old_releases_leave_out_a_word() -> None:
    errors = made(laravel="9").create(**WRONG).json()["errors"]
    assert errors == {
        "method": ["The selected method is invalid."],
        "executed_at": ["The executed at does not match the format Y-m-d\\TH:i:sP."],
        "call_phone": ["The call phone format is invalid."],
        "call_duration": ["The call duration must be an integer."],
    }


@pytest.mark.parametrize(
    ("release", "message"),
    [
        ("5.6", "Method not allowed."),
        ("8", "The GET method is not supported for this route. Supported methods: POST."),
        ("10", "The GET method is not supported for route v2/communications. Supported methods: POST."),
    ],
)
def test_wrong_method(release: str, message: str) -> None:
    assert made(laravel=release).send("GET", "/communications").json() == {"message": message}


@pytest.mark.parametrize(("release", "message"), [("8", ""), ("9", "The route v2/users could not be found.")])
def test_no_such_path(release: str, message: str) -> None:
    assert made(laravel=release).send("GET", "/users").json() == {"message": message}


@pytest.mark.parametrize(("release", "message"), [("10", ""), ("12", "The POST data is too large.")])
def test_too_large_a_body(release: str, message: str) -> None:
    crm = made(laravel=release, post_bytes=2000)
    answer = crm.send("POST", "/communications", json={"description": "x" * 2500})
    assert (answer.status_code, answer.json()) == (413, {"message": message})


def test_refused_recording_in_french() -> None:
    crm = made(locale="fr", mp3="id3")
    crm.create()
    answer = crm.send("POST", "/communications/42534452/recording", files={"recording": ("a.mp3", MP3)})
    assert answer.json()["errors"]["recording"] == ["Le champ recording doit être un fichier de type : wav, mp3."]


def test_every_sentence_of_a_refusal_has_its_french() -> None:
    """A new rule brings a new sentence; left in English, it would be the one that somebody relies on."""
    english = wording.required("x")
    sentences = [
        *(wording.required("lead_id"), wording.integer("lead_id"), wording.string("lead_id")),
        *(wording.selected("lead_id"), wording.at_least("lead_id", 0), wording.longest("lead_id", 9)),
        *(wording.shape("lead_id"), wording.date("lead_id"), wording.offset("lead_id")),
        *(wording.not_future("lead_id"), wording.file("lead_id"), wording.not_uploaded("lead_id")),
        *(wording.between("lead_id", 1, 2), wording.prohibited("lead_id"), wording.wrong_type("lead_id", ["wav"])),
    ]
    others = {"summary", "no_route", "no_method", "no_model", "no_include"}
    public = {name for name, each in inspect.getmembers(wording, inspect.isfunction) if not name.startswith("_")}
    assert len(sentences) == len(public - others)
    french = dialect.Dialect(language="fr").errors({"lead_id": [*sentences, english]})["lead_id"]
    assert all(text.startswith(("Le ", "La ")) for text in french)


@pytest.mark.parametrize(("scope", "status"), [("all", 201), ("read", 403)])
def test_key_that_may_only_read(scope: str, status: int) -> None:
    crm = made(scope=scope)
    assert crm.send("GET", "/leads").status_code == 200
    answer = crm.create()
    assert answer.status_code == status
    assert "X-RateLimit-Limit" in answer.headers


def test_key_of_a_group_lists_every_dealer() -> None:
    accounts = made(key_of="group").send("GET", "/account?include[]=users").json()["data"]
    assert [(one["name"], len(one["users"])) for one in accounts] == [
        ("Rehearsal Motors", 4),
        ("Automobiles Ailleurs", 1),
    ]


@pytest.mark.parametrize(("knob", "result"), [("changes", "reached"), ("stays", None)])
def test_result_of_the_lead_may_stay(knob: str, result: str | None) -> None:
    crm = made(lead_result=knob)
    crm.create()
    lead = crm.send("GET", "/leads/5001").json()["data"]
    assert lead["result"] == result
    assert (lead["updated_at"] == lead["created_at"]) is (knob == "stays")
