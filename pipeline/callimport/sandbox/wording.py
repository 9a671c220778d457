"""What the CRM says when it says no: the sentences of Laravel 10, in English."""

from collections.abc import Mapping, Sequence

Errors = Mapping[str, Sequence[str]]

UNAUTHENTICATED = "Unauthenticated."
UNAUTHORIZED = "This action is unauthorized."
TOO_MANY_ATTEMPTS = "Too Many Attempts."
SERVER_ERROR = "Server Error"
SERVICE_UNAVAILABLE = "Service Unavailable"
INVALID_SCOPE = "Invalid scope(s) provided."
DUPLICATE_PHONE = "Duplicate phone."
RECORDING_UPLOADED = "Recording uploaded successfully."


def summary(errors: Errors) -> str:
    """The first message, and how many more there are."""
    messages = [message for of_field in errors.values() for message in of_field]
    more = len(messages) - 1
    if more < 1:
        return messages[0]
    return f"{messages[0]} (and {more} more error{'s' if more > 1 else ''})"


def no_route(path: str) -> str:
    """404 for a path nobody serves."""
    return f"The route {path.strip('/')} could not be found."


def no_method(method: str, path: str, allowed: Sequence[str]) -> str:
    """405, naming what would do."""
    supported = ", ".join(allowed)
    return f"The {method} method is not supported for route {path.strip('/')}. Supported methods: {supported}."


def no_model(model: str, key: str) -> str:
    """404 for something of another account, or of none."""
    return f"No query results for model [App\\Models\\{model}] {key}"


def required(field: str) -> str:
    """Absent, null, or blank after trimming."""
    return f"The {_name(field)} field is required."


def integer(field: str) -> str:
    """Not a whole number."""
    return f"The {_name(field)} field must be an integer."


def string(field: str) -> str:
    """Not text."""
    return f"The {_name(field)} field must be a string."


def selected(field: str) -> str:
    """Not one of those there are."""
    return f"The selected {_name(field)} is invalid."


def at_least(field: str, least: int) -> str:
    """Too small a number."""
    return f"The {_name(field)} field must be at least {least}."


def longest(field: str, most: int) -> str:
    """Too long a text."""
    return f"The {_name(field)} field must not be greater than {most} characters."


def shape(field: str) -> str:
    """Does not look as it should."""
    return f"The {_name(field)} field format is invalid."


def date(field: str) -> str:
    """No such day, or no day at all."""
    return f"The {_name(field)} field must be a valid date."


def offset(field: str) -> str:
    """A date that does not say where on Earth."""
    return f"The {_name(field)} field must match the format Y-m-d\\TH:i:sP."


def not_future(field: str) -> str:
    """A date that has not come yet."""
    return f"The {_name(field)} field must be a date before or equal to now."


def file(field: str) -> str:
    """A part that is not exactly one file."""
    return f"The {_name(field)} field must be a file."


def not_uploaded(field: str) -> str:
    """PHP gave the upload up: too big."""
    return f"The {_name(field)} failed to upload."


def between(field: str, least: int, most: int) -> str:
    """A number out of range."""
    return f"The {_name(field)} field must be between {least} and {most}."


def prohibited(field: str) -> str:
    """Not with this."""
    return f"The {_name(field)} field is prohibited."


def no_include(names: Sequence[str]) -> str:
    """400 for something nested that there is not."""
    return f"Requested include(s) `{', '.join(names)}` are not allowed."


def wrong_type(field: str, allowed: Sequence[str]) -> str:
    """The content is not what it should be, whatever its name says."""
    return f"The {_name(field)} field must be a file of type: {', '.join(allowed)}."


def _name(field: str) -> str:
    return field.replace("_", " ")
