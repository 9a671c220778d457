"""Records: what the program did when a record was made, as JSON in `records/`, and how today differs from it."""

import difflib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "records"
_SHORT = 110
# An item or a payload stands on one line; a table with more entries has a line for each.
_ROW_ENTRIES = 16


def observed(observe: Callable[[], Any]) -> Any:
    """Return what was observed. If that breaks off, return why, so that other records are still compared."""
    try:
        return observe()
    except Exception as error:  # noqa: BLE001  whatever it is, it is a difference from the record
        return {"BROKE OFF": f"{type(error).__name__}: {error}"}


def save(name: str, observed: Any) -> None:
    path = FOLDER / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_text(observed), "utf-8")


def differences(name: str, observed: Any) -> list[str]:
    """Lines of a diff between the record and what was observed; empty if they are equal. A record that is not there
    differs."""
    path = FOLDER / f"{name}.json"
    recorded = path.read_text("utf-8") if path.exists() else ""
    return list(_diff(name, recorded, _text(observed)))


def _diff(name: str, recorded: str, observed: str) -> Iterator[str]:
    before, after = recorded.splitlines(), observed.splitlines()
    return difflib.unified_diff(before, after, f"{name}, recorded", f"{name}, now", lineterm="", n=2)


def _text(observed: Any) -> str:
    """One value a line, so that a diff of two records can be read."""
    return "\n".join(_lines(observed)) + "\n"


def _lines(value: Any, indent: str = "", before: str = "", after: str = "") -> Iterator[str]:
    """Yield lines of JSON with sorted keys. A short value, and a row (no list or dict inside), takes one line."""
    if isinstance(value, dict):
        inner = [(f"{_json(name)}: ", value[name]) for name in sorted(value)]
    else:
        inner = [("", one) for one in value] if isinstance(value, list) else []
    # A named list of texts is as long as the input: its texts stand on lines of their own.
    is_row = (isinstance(value, dict) and len(value) <= _ROW_ENTRIES) or before == ""
    is_flat = is_row and not any(isinstance(one, dict | list) for _, one in inner)
    text = f"{indent}{before}{_json(value)}{after}"
    if not inner or is_flat or (len(text) <= _SHORT and indent):
        yield text
        return
    opening, closing = ("{", "}") if isinstance(value, dict) else ("[", "]")
    yield f"{indent}{before}{opening}"
    for number, (name, one) in enumerate(inner, 1):
        yield from _lines(one, f"{indent} ", name, "," if number < len(inner) else "")
    yield f"{indent}{closing}{after}"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
