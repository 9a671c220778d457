"""Compare what two programs made of one story: exit codes, answers, and what each CRM stores."""

import itertools
from collections.abc import Mapping
from typing import Any

from tests.blackbox.playing import Played

# Names, times and texts, which differ from run to run and from version to version.
_LEFT_OUT = ("run_id", "batch", "plan", "elapsed_seconds", "requests", "ledger", "error", "message", "pilot", "seconds")
_OF_THE_CRM = ("id", "created_at", "updated_at")


def differences(mine: Played, other: Played) -> list[str]:
    """Return each difference in words: this program first, the baseline second."""
    findings = []
    for here, there in itertools.zip_longest(mine.steps, other.steps):
        if here is None or there is None:
            findings.append(
                f"this tree ran {'fewer' if here is None else 'more'} commands than the baseline: {(here or there)[0]}"
            )
            break
        (name, code, answer), (other_name, other_code, other_answer) = here, there
        if name != other_name:
            findings.append(f"this tree ran {name} where the baseline ran {other_name}")
            break
        if code != other_code:
            findings.append(f"{name}: exit code {code}, baseline {other_code}")
        findings += _of_answers(name, answer, other_answer)
    stored, other_stored = _stored(mine), _stored(other)
    findings += [f"stored here alone: {one}" for one in stored if one not in other_stored]
    findings += [f"stored by the baseline alone: {one}" for one in other_stored if one not in stored]
    if len(stored) != len(other_stored):
        findings.append(f"{len(stored)} communications are stored, {len(other_stored)} by the baseline")
    return findings


def _of_answers(name: str, answer: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> list[str]:
    """Return what the answer lacks or tells otherwise. It may have more than the baseline's: answers may grow."""
    here, there = _comparable(answer), _comparable(other)
    if not isinstance(here, dict) or not isinstance(there, dict):
        return [] if here == there else [f"{name}: answer {here}, baseline {there}"]
    return [
        f"{name}: {key} is {here.get(key)}, baseline {there[key]}"
        for key in sorted(there)
        if here.get(key) != there[key]
    ]


def _comparable(value: Any) -> Any:
    """Return the value without names, times and texts."""
    if isinstance(value, dict):
        return {key: _comparable(one) for key, one in value.items() if key not in (*_LEFT_OUT, *_OF_THE_CRM)}
    if isinstance(value, list):
        return [_comparable(one) for one in value]
    return value


def _stored(played: Played) -> list[str]:
    """Return each communication as a text, in order, without ids and times of the CRM."""
    kept = [{key: value for key, value in one.items() if key not in _OF_THE_CRM} for one in played.stored]
    return sorted(str(sorted(one.items())) for one in kept)
