"""Write a large file of canonical calls: `python -m tests.benchmarks.calls_file FILE ROWS`. About 100 bytes a row."""

import argparse
from pathlib import Path

import polars as pl

BATCH_ROWS = 250_000


def write(path: Path, rows: int, *, odd_every: int = 0, first: int = 0, shift_seconds: int = 0) -> None:
    """Write fictional calls that all differ.

    Every `odd_every` rows, a quote opens before a cell and closes within it. `first` is the number of the first call.
    `shift_seconds` moves all calls, so that they have no offset of quarter-hours to those of another file.
    """
    with path.open("wb") as file:
        for start in range(first, first + rows, BATCH_ROWS):
            number = pl.int_range(start, min(start + BATCH_ROWS, first + rows), eager=True).alias("number").to_frame()
            described = pl.lit("Rappel pour un essai routier")
            if odd_every:
                described = pl.when(pl.col("number") % odd_every == 0).then(pl.lit('"Zoé" <101>')).otherwise(described)
            line = pl.concat_str(
                pl.format("call-{}", "number"),
                (pl.col("number") % 5000 + 5001).cast(pl.String),
                pl.when(pl.col("number") % 2 == 0).then(pl.lit("incoming")).otherwise(pl.lit("outgoing")),
                pl.lit("answered"),
                pl.from_epoch(pl.col("number") * 17 + 1_600_000_000 + shift_seconds).dt.to_string(
                    "%Y-%m-%dT%H:%M:%S-05:00"
                ),
                (pl.col("number") % 600).cast(pl.String),
                pl.format("+1514555{}", (pl.col("number") % 100 + 100).cast(pl.String).str.zfill(4)),
                (pl.col("number") % 20 + 101).cast(pl.String),
                described,
                separator=",",
            )
            if start == first:
                file.write(
                    b"call_id,lead_id,direction,status,started_at,duration_seconds,customer_phone,agent_id,description\n"
                )
            file.write("".join(text + "\n" for text in number.select(line).to_series()).encode())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.calls_file")
    parser.add_argument("file", type=Path)
    parser.add_argument("rows", type=int)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--shift-seconds", type=int, default=0)
    given = parser.parse_args()
    write(given.file, given.rows, first=given.first, shift_seconds=given.shift_seconds)


if __name__ == "__main__":
    main()
