"""What a file is by its name: the kind of export, and what it is packed with."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Kind(StrEnum):
    TEXT = "text"
    PARQUET = "parquet"
    WORKBOOK = "workbook"


class Packing(StrEnum):
    NONE = ""
    GZIP = ".gz"
    ZSTD = ".zst"
    ZIP = ".zip"


@dataclass(frozen=True, slots=True)
class Named:
    kind: Kind
    packing: Packing


_BY_SUFFIX = {
    ".csv": Kind.TEXT,
    ".tsv": Kind.TEXT,
    ".txt": Kind.TEXT,
    ".tab": Kind.TEXT,
    ".log": Kind.TEXT,
    ".parquet": Kind.PARQUET,
    ".xlsx": Kind.WORKBOOK,
}
# A log lies beside many an export: it is read where it is named, and not because it is there.
_ONLY_NAMED = (".tab", ".log")


def named(path: Path) -> Named | None:
    """What the name says; None where such files are not read."""
    suffix = path.suffix.lower()
    if suffix in _BY_SUFFIX:
        return Named(_BY_SUFFIX[suffix], Packing.NONE)
    if suffix == Packing.ZIP:
        return Named(Kind.TEXT, Packing.ZIP)
    if suffix in (Packing.GZIP, Packing.ZSTD):
        inner = Path(path.stem).suffix.lower()
        # A name without any suffix inside (calls.gz) says nothing against text, nor does a date (calls.2024-05.gz).
        if inner not in (".tar", ".parquet", ".xlsx", ".zip", ".gz", ".zst", ".xls", ".ods"):
            return Named(Kind.TEXT, Packing(suffix))
    return None


def is_export(path: Path) -> bool:
    """Whether a file found in a folder is taken as an export by its name alone."""
    name = path.name
    if name.startswith((".", "~$")):  # hidden, or the mark that Excel leaves beside an open workbook
        return False
    suffix = path.suffix.lower()
    if suffix in (Packing.GZIP, Packing.ZSTD):
        suffix = Path(path.stem).suffix.lower()
        return _BY_SUFFIX.get(suffix) is Kind.TEXT and suffix not in _ONLY_NAMED
    return suffix == Packing.ZIP or (suffix in _BY_SUFFIX and suffix not in _ONLY_NAMED)


def advice(path: Path) -> str:
    """What to do with a file of a kind that is not read."""
    suffix = path.suffix.lower()
    if suffix in (".xls", ".ods", ".numbers"):
        return 'save the sheet as .xlsx or as "CSV UTF-8"'
    if suffix in (Packing.GZIP, Packing.ZSTD, ".bz2", ".xz", ".7z", ".rar", ".tar", ".tgz"):
        return "unpack it first"
    return "name a .csv, .tsv, .txt, .parquet or .xlsx file, or a .gz, .zst or .zip with one text export in it"
