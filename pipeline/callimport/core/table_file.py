"""Write a table for people: CSV, or an Excel workbook if the name ends in .xlsx. Writes the whole file or none."""

import csv
from collections.abc import Collection, Iterable
from pathlib import Path

import polars as pl

from callimport.core import csv_safety, errors, files, workbook_writer

_NAMED = (".csv", ".txt", ".xlsx")


def refuse_unfit(path: Path, what: str) -> None:
    """Raise ConfigError if a table of `what` cannot be written under that name; called before hours of work."""
    if path.suffix.lower() not in _NAMED:
        raise errors.ConfigError(f"{path}: {what} are written as .csv or .xlsx; give it one of these endings")
    if workbook_writer.is_one(path):
        workbook_writer.refuse_missing(path)


def write(
    path: Path, title: str, header: Collection[str], frames: Iterable[pl.DataFrame], *, is_guarded: bool = True
) -> int:
    """Write frames of text and whole numbers under one header; null is blank. Returns the number of rows.

    CSV is UTF-8 with a byte order mark, so that a spreadsheet reads it. `title` is the name of the sheet. `is_guarded`
    keeps a spreadsheet from calculating with cells, see `csv_safety`. Only its owner can read the file. Raises
    ConfigError if the file cannot be written.
    """
    count = 0
    if workbook_writer.is_one(path):
        sheet = workbook_writer.Sheet(title, list(header), wide=())
        for frame in frames:
            count += frame.height
            if count > workbook_writer.MOST_ROWS:
                raise errors.ConfigError(f"{path}: there are more rows than a sheet can hold; write a .csv instead")
            text = csv_safety.guarded(frame, in_csv=False) if is_guarded else frame
            for row in text.with_columns(pl.all().cast(pl.String).fill_null("")).iter_rows():
                sheet.add(row)
        with files.opened_binary(path) as binary:
            sheet.save(binary)
        return count
    with files.opened(path, encoding="utf-8-sig") as file:
        out = csv.writer(file, lineterminator="\r\n")
        out.writerow(header)
        for frame in frames:
            count += frame.height
            out.writerows((csv_safety.guarded(frame, in_csv=True) if is_guarded else frame).iter_rows())
    return count
