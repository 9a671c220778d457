"""Which column of a file is meant by which name of the recipe."""

from collections.abc import Mapping, Sequence

from callimport.profiles.model import Profile


def plain(name: str) -> str:
    """A name as it is compared: upper and lower case and the blanks in it are of no account."""
    return " ".join(name.split()).casefold()


def resolved(profile: Profile, names: Sequence[str]) -> dict[str, str]:
    """Name of the recipe → column of the file, for those that are there.

    The name itself counts first, then its aliases in their order, then both without regard to case and blanks.
    """
    exact = set(names)
    loose: dict[str, str] = {}
    for name in names:
        loose.setdefault(plain(name), name)
    found: dict[str, str] = {}
    for wanted in profile.known:
        accepted = (wanted, *profile.aliases.get(wanted, ()))
        match = next((name for name in accepted if name in exact), None) or _loosely(accepted, loose)
        if match is not None:
            found[wanted] = match
    return found


def _loosely(accepted: Sequence[str], loose: Mapping[str, str]) -> str | None:
    return next((loose[plain(name)] for name in accepted if plain(name) in loose), None)
