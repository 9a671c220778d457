"""Let a process of the command believe that it is later: CALLIMPORT_TEST_LATER is the number of seconds.

Python imports this module at its start if the folder is on PYTHONPATH. Modules of the importer then see the shifted
time when they ask `datetime.now`; its libraries and monotonic time stay as they are.
"""

import builtins
import datetime
import os
import types
from collections.abc import Mapping
from typing import Any

_OURS = ("callimport", "callimport_schemas", "__main__")

_REAL = datetime.datetime
_LATER = datetime.timedelta(seconds=float(os.environ.pop("CALLIMPORT_TEST_LATER", "0")))


class _IsADatetime(type):
    def __instancecheck__(cls, value: object) -> bool:
        """Datetimes that C code made are of the real class."""
        return isinstance(value, _REAL)


class _Later(_REAL, metaclass=_IsADatetime):
    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """All values are of the real class, so that no library meets a subclass."""
        return _REAL(*args, **kwargs)

    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> Any:
        return _REAL.now(tz) + _LATER

    @classmethod
    def utcnow(cls) -> Any:
        return _REAL.now(datetime.UTC).replace(tzinfo=None) + _LATER

    @classmethod
    def fromisoformat(cls, text: str) -> Any:
        return _REAL.fromisoformat(text)

    @classmethod
    def fromtimestamp(cls, seconds: float, tz: datetime.tzinfo | None = None) -> Any:
        return _REAL.fromtimestamp(seconds, tz)

    @classmethod
    def combine(cls, *args: Any, **kwargs: Any) -> Any:
        return _REAL.combine(*args, **kwargs)

    @classmethod
    def strptime(cls, text: str, form: str) -> Any:
        return _REAL.strptime(text, form)


_SHIFTED = types.ModuleType("datetime")
_SHIFTED.__dict__.update(vars(datetime) | {"datetime": _Later})
_import = builtins.__import__


def _import_shifted(name: str, globals: Mapping[str, Any] | None = None, *more: Any, **named: Any) -> Any:
    if name == "datetime" and str((globals or {}).get("__name__", "")).partition(".")[0] in _OURS:
        return _SHIFTED
    return _import(name, globals, *more, **named)


if _LATER:
    builtins.__import__ = _import_shifted
