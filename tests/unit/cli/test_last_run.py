"""callimport report: the last import on a page, told from the ledger, with what needs a person."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from callimport.cli import last_run
from callimport.core import errors, mapping
from callimport.core.models import ItemStatus
from callimport.core.settings import Settings
from callimport.ledger import Ledger
from tests import making

CALLS = {
    status: making.call(status.value, row=row, lead_id=0 if status is ItemStatus.WAITING else 5003)
    for row, status in enumerate(ItemStatus, start=2)
}
BATCH = making.batch("<calls> & more.csv", leads="3f2a9c01d4e5")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """An import whose calls came to everything there is, and after it a run that only looked doubts up."""
    path = tmp_path / "ledger.sqlite3"
    with closing(making.ledger(path)) as ledger:
        ledger.start_run("run-1")
        making.enter(ledger, BATCH, *CALLS.values(), run_id="run-1")
        for status, call in CALLS.items():
            if status not in (ItemStatus.WITHDRAWN, ItemStatus.IN_FLIGHT):
                making.bring(ledger, making.key(call), "run-1", status, communication_id=900 + call.place.row)
        ledger.end_run("run-1", 8, "20 refusals in a row, as of +15145550123: mend the recipe")
        ledger.start_run("run-2")
        ledger.end_run("run-2", 0)
    return Settings(files=(), ledger=path, state_dir=tmp_path)


def _page(settings: Settings, path: Path) -> str:
    assert last_run.write(settings, making.clock(), path).run_id == "run-1"
    return path.read_text(encoding="utf-8")


def test_the_page_tells_how_the_last_import_ended_and_where_its_calls_stand(settings: Settings, tmp_path: Path) -> None:
    page = _page(settings, tmp_path / "report.html")
    assert "Garage Tremblay" in page
    assert "Run run-1" in page
    assert BATCH.id in page
    assert "stopped by a guard" in page
    assert "20 refusals in a row" in page
    assert '<td class="n">1</td><td>delivered</td><td>in the CRM now</td>' in page
    assert '<td class="n">3</td><td>pending</td>' in page
    assert '<td class="n">1</td><td>waiting</td><td>no lead found for the number yet; later runs look again' in page
    assert f'<td class="n">{len(CALLS)}</td><td>&lt;calls&gt; &amp; more.csv</td>' in page
    assert "<td>leads</td><td>3f2a9c01d4e5</td>" in page


def test_it_names_the_calls_that_need_a_person(settings: Settings, tmp_path: Path) -> None:
    page = _page(settings, tmp_path / "report.html")
    for status in (ItemStatus.IN_DOUBT, ItemStatus.HELD, ItemStatus.REFUSED, ItemStatus.FAILED):
        assert f"<h2>1 {status.replace('_', ' ')}</h2>" in page
        assert mapping.reference(making.key(CALLS[status]), making.ACCOUNT.id) in page
    assert mapping.reference(making.key(CALLS[ItemStatus.DELIVERED]), making.ACCOUNT.id) not in page


def test_it_runs_nothing_fetches_nothing_and_shows_no_whole_number(settings: Settings, tmp_path: Path) -> None:
    page = _page(settings, tmp_path / "report.html")
    assert "default-src 'none'" in page
    assert "<script" not in page
    assert "<calls>" not in page
    assert making.PHONE[1:] not in page


def test_a_run_that_was_killed_is_said_to_have_no_end(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    with closing(making.ledger(path)) as ledger:
        ledger.start_run("run-1")
        making.enter(ledger, BATCH, making.call(), run_id="run-1")
    page = _page(Settings(files=(), ledger=path), tmp_path / "report.html")
    assert "its end is not recorded" in page
    assert "<tr><td>none</td></tr>" in page


def _nothing(ledger: Ledger) -> None:
    """No run at all."""


def _only_looked_up(ledger: Ledger) -> None:
    ledger.start_run("run-1")
    ledger.end_run("run-1", 0)


@pytest.mark.parametrize("happened", [_nothing, _only_looked_up])
def test_without_an_import_there_is_nothing_to_tell(tmp_path: Path, happened: Callable[[Ledger], None]) -> None:
    path = tmp_path / "ledger.sqlite3"
    with closing(making.ledger(path)) as ledger:
        happened(ledger)
    with pytest.raises(errors.ConfigError, match="nothing was imported"):
        last_run.write(Settings(files=(), ledger=path), making.clock(), tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_a_page_that_is_there_is_replaced_only_with_leave(settings: Settings, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.write_text("mine")
    with pytest.raises(errors.ConfigError, match="--force"):
        last_run.write(settings, making.clock(), page)
    assert page.read_text() == "mine"
    assert "run-1" in _page(replace(settings, force=True), page)
    assert settings.ledger is not None
    with pytest.raises(errors.ConfigError, match="overwrite"):
        last_run.write(replace(settings, force=True), making.clock(), settings.ledger)
