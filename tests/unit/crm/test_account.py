"""Nothing is written to an account that nobody named, nor without the memory of what it holds already."""

from dataclasses import replace
from pathlib import Path

import pytest

from callimport.core import errors, models, privacy
from callimport.core.settings import Settings, Target
from callimport.crm import account

_ONE, _TWO = models.Account(77, "Garage Tremblay"), models.Account(78, "Autos Gagnon")
_SETTINGS = Settings(files=("calls.csv",))
_SANDBOX = Target("http://127.0.0.1:8000/v2", privacy.Secret("t"))
_PRODUCTION = Target("https://api.crm.activix.ca/v2", privacy.Secret("t"), is_production=True)


def _never(question: str) -> str:
    pytest.fail(f"asked {question}")


def test_the_only_account_is_meant() -> None:
    assert account.choose((_ONE,), None) == _ONE


@pytest.mark.parametrize("wanted", ["78", "Autos Gagnon", "autos gagnon"])
def test_of_several_the_one_that_was_named_is_meant(wanted: str) -> None:
    assert account.choose((_ONE, _TWO), wanted) == _TWO


def test_of_several_none_is_guessed() -> None:
    with pytest.raises(errors.ConfigError, match=r"several accounts.*77 \(Garage Tremblay\), 78 \(Autos Gagnon\)"):
        account.choose((_ONE, _TWO), None)


@pytest.mark.parametrize("wanted", ["79", "Garage", "", "7"])
def test_an_account_that_the_key_does_not_open_stops_the_run(wanted: str) -> None:
    with pytest.raises(errors.ConfigError, match="does not open the account"):
        account.choose((_ONE,), wanted)


def test_two_accounts_of_one_name_are_told_apart_by_id() -> None:
    twins = (_ONE, replace(_ONE, id=78))
    with pytest.raises(errors.ConfigError, match="several accounts"):
        account.choose(twins, "Garage Tremblay")
    assert account.choose(twins, "78").id == 78


def test_a_crm_that_does_not_say_whose_key_it_is_is_unusable() -> None:
    with pytest.raises(errors.DestinationUnusable, match="did not say whose key"):
        account.choose((), None)


@pytest.mark.parametrize(
    ("target", "settings"),
    [
        (_SANDBOX, _SETTINGS),
        (_PRODUCTION, replace(_SETTINGS, dry_run=True)),
        (_PRODUCTION, replace(_SETTINGS, account="77")),
    ],
)
def test_only_writing_to_production_unnamed_is_asked_about(target: Target, settings: Settings) -> None:
    account.confirm(target, _ONE, settings, _never)
    account.confirm(target, _ONE, settings, None)


def test_production_is_confirmed_by_typing_its_name() -> None:
    asked = []

    def ask(question: str) -> str:
        asked.append(question)
        return " Garage Tremblay\n"

    account.confirm(_PRODUCTION, _ONE, _SETTINGS, ask)
    assert "Garage Tremblay" in asked[0]


@pytest.mark.parametrize("typed", ["", "y", "yes", "garage tremblay", "77"])
def test_another_answer_sends_nothing(typed: str) -> None:
    with pytest.raises(errors.ConfigError, match="nothing was sent"):
        account.confirm(_PRODUCTION, _ONE, _SETTINGS, lambda _: typed)


def test_production_without_a_person_wants_the_account_on_the_command_line() -> None:
    with pytest.raises(errors.ConfigError, match="confirm it with --account 77"):
        account.confirm(_PRODUCTION, _ONE, _SETTINGS, None)


def test_production_without_its_ledger_stops(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    with pytest.raises(
        errors.GuardStopped, match=r"no ledger of account 77 \(Garage Tremblay\).*--first-run"
    ) as caught:
        account.refuse_missing_ledger(_PRODUCTION, _ONE, path, _SETTINGS)
    assert str(path) in str(caught.value)
    account.refuse_missing_ledger(_PRODUCTION, _ONE, path, replace(_SETTINGS, first_run=True))
    account.refuse_missing_ledger(_SANDBOX, _ONE, path, _SETTINGS)
    path.touch()
    account.refuse_missing_ledger(_PRODUCTION, _ONE, path, _SETTINGS)
