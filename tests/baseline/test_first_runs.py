"""A few inputs compared with their records, and the generated exports themselves. All inputs are compared elsewhere."""

from pathlib import Path

import pytest

from tests.baseline import first_runs, generated_exports, records
from tests.rehearsal import ROOT

QUICK = ("sample_data/messy", "golden/freepbx-linkedid", "generated/canonical")


@pytest.mark.parametrize("name", QUICK)
def test_a_first_import_does_what_its_record_says(name: str, tmp_path: Path) -> None:
    found = dict(first_runs.observe(tmp_path, lambda known: known == f"first_runs/{name}"))
    assert list(found) == [f"first_runs/{name}"]
    differences = records.differences(f"first_runs/{name}", found[f"first_runs/{name}"])
    assert not differences, "\n".join(differences)


def test_every_input_has_a_record_and_every_record_an_input() -> None:
    folder = records.FOLDER / "first_runs"
    recorded = {str(path.relative_to(folder).with_suffix("")) for path in folder.rglob("*.json")}
    assert recorded == {one.name for one in first_runs.inputs()}


def test_generated_exports_are_the_same_bytes_each_time(tmp_path: Path) -> None:
    folders = tmp_path / "one", tmp_path / "two"
    for folder in folders:
        generated_exports.write_all(folder)
    # A workbook holds the time at which it was written; Parquet makes no promise.
    one, two = (
        {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*.*")) if _is_stable(path)}
        for folder in folders
    )
    assert one == two
    assert len(one) > len(generated_exports.EXPORTS)


def _is_stable(path: Path) -> bool:
    return path.is_file() and path.suffix not in (".xlsx", ".parquet")


def test_every_profile_has_a_generated_export_of_sixty_rows_or_more() -> None:
    profiles = {path.stem for path in (ROOT / "schemas" / "callimport_schemas" / "profiles").glob("*.toml")}
    stems = {Path(name).stem for name in generated_exports.EXPORTS}
    assert {name for name in profiles for stem in stems if stem.startswith(name)} == profiles
    small = {"canonical-contradictory.csv", "canonical-undecided.csv"}
    rows = {name: len(make().splitlines()) for name, make in generated_exports.EXPORTS.items() if name not in small}
    assert all(60 <= count <= 260 for count in rows.values()), rows


def test_generated_exports_use_only_fictional_numbers() -> None:
    for name, make in generated_exports.EXPORTS.items():
        assert "5145550" in make(), name
        assert "514555" not in make().replace("51455501", ""), name
