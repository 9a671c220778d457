"""Names of people whose letters were read in the wrong encoding on their way: CÃ©deline and C√©deline are Cédeline.

Only names: they are compared with names of users, and nothing else is lost if the mending is wrong.
"""

import polars as pl

# What the first byte of an accented letter in UTF-8 looks like in each of them.
_SUSPECT = "[\u00c2\u00c3\u00c5\u221a\u00ac\u2248]"
_READ_AS = ("cp1252", "latin-1", "mac_roman")


def mended(names: pl.Series) -> pl.Series:
    """The names, those that are UTF-8 read as something else put right; any other as it is."""
    suspects = names.filter(names.str.contains(_SUSPECT).fill_null(False)).unique().to_list()
    right = {name: _put_right(name) for name in suspects}
    return names.replace(right) if right else names


def _put_right(name: str) -> str:
    for encoding in _READ_AS:
        try:
            return name.encode(encoding).decode("utf-8")
        except UnicodeError:
            continue
    return name
