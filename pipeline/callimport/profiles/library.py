"""Where recipes are found: those that come with the program, and the user's own files."""

import functools
import importlib.resources
from pathlib import Path

from callimport.core import errors, files
from callimport.profiles.loading import parsed
from callimport.profiles.model import Profile
from callimport.profiles.toml_table import close


def available() -> tuple[str, ...]:
    """Names of the recipes that come with the program, sorted."""
    folder = importlib.resources.files("callimport_schemas") / "profiles"
    return tuple(sorted(entry.name[:-5] for entry in folder.iterdir() if entry.name.endswith(".toml")))


def load(name_or_path: str) -> Profile:
    """The recipe of that name, or of that file (anything with a folder or .toml in it). Raises ConfigError."""
    if name_or_path in available():
        return _shipped(name_or_path)
    return parsed(text_of(name_or_path), str(Path(name_or_path)))


@functools.cache
def _shipped(name: str) -> Profile:
    return parsed(text_of(name), f"{name}.toml")


def text_of(name_or_path: str) -> str:
    """The recipe of that name, or of that file, as it is written, comments and all. Raises ConfigError."""
    if name_or_path in available():
        return (importlib.resources.files("callimport_schemas") / "profiles" / f"{name_or_path}.toml").read_text(
            "utf-8"
        )
    path = Path(name_or_path)
    if path.suffix != ".toml" and len(path.parts) < 2:
        hint = "".join(f" (did you mean {match}?)" for match in close(name_or_path, available()))
        raise errors.ConfigError(
            f"there is no profile {name_or_path}{hint}; known: {', '.join(available())}, or the path of a .toml file"
        )
    try:
        return files.read_text(path)
    except OSError as error:
        raise errors.ConfigError(f"profile {path} cannot be read: {error.strerror}; check the path") from error
    except UnicodeDecodeError as error:
        raise errors.ConfigError(f"profile {path} is not UTF-8; save it as UTF-8") from error
