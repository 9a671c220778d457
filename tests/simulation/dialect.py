"""How a CRM writes its answers. All of it was seen in the vendor's pages, or is usual with frameworks like its own."""

import random
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, Literal

# What a read may leave out; without id and description nothing can be recognised, and the canary says so.
_LEFT_OUT = ("created_at", "updated_at", "call_status", "call_duration", "call_phone", "user_id", "method", "type")
_BLANKS = " \t\n\r"
_BLANK = dict.fromkeys(("executed_at", "method", "type", "description", "call_duration", "call_phone", "call_status"))
_ID_FIELDS = ("id", "lead_id", "user_id")


@dataclass(frozen=True, slots=True)
class Dialect:
    """The defaults are the examples of the documentation."""

    instants: Literal["+00:00", "Z", ".000000Z", "-05:00"] = "+00:00"
    trims: bool = False
    numbers_as_text: bool = False
    ids_as_text: bool = False
    envelope: Literal["data", "none", "list"] = "data"
    created_status: int = 201
    echo_without: frozenset[str] = frozenset()
    read_without: frozenset[str] = frozenset()
    without_nulls: bool = False
    with_strangers: bool = False
    shuffles: bool = False
    # executed_by of somebody it does not know: nobody is credited.
    forgets_user: bool = False

    def kept(self, sent: dict[str, Any]) -> dict[str, Any]:
        """What it stores of a create: every field, blank ones as null."""
        body = {**_BLANK, **{name: self._trimmed(value) for name, value in sent.items()}}
        user_id = body.pop("executed_by", None)
        return {**body, "user_id": None if self.forgets_user else user_id}

    def echo(self, body: dict[str, Any]) -> object:
        """The answer to a create."""
        shape = self._shaped(body, self.echo_without)
        # A list with a single object in it was never seen for a create.
        return shape if self.envelope == "none" else {"data": shape}

    def shown(self, body: dict[str, Any]) -> dict[str, Any]:
        """A communication as a lead shows it."""
        return self._shaped(body, self.read_without)

    def enveloped(self, thing: dict[str, Any]) -> object:
        """A lead or an account that was asked for."""
        match self.envelope:
            case "data":
                return {"data": thing}
            case "list":
                return {"data": [thing]}
            case _:
                return thing

    def _trimmed(self, value: object) -> object:
        return (value.strip(_BLANKS) or None) if self.trims and isinstance(value, str) else value

    def _shaped(self, body: dict[str, Any], without: frozenset[str]) -> dict[str, Any]:
        shape: dict[str, Any] = {}
        for name, value in body.items():
            if name in without or (value is None and self.without_nulls):
                continue
            shape[name] = self._written(name, value)
        if self.with_strangers:
            shape |= {"uuid": None, "links": {"self": f"http://crm.example/v2/communications/{body['id']}"}, "tags": []}
        if not self.shuffles:
            return shape
        pairs = list(shape.items())
        random.Random(str(body["id"])).shuffle(pairs)
        return dict(pairs)

    def _written(self, name: str, value: object) -> object:
        if name.endswith("_at") and isinstance(value, datetime):
            return self._instant(value)
        if isinstance(value, int):
            as_text = self.ids_as_text if name in _ID_FIELDS else self.numbers_as_text
            return str(value) if as_text else value
        return value

    def _instant(self, moment: datetime) -> str:
        match self.instants:
            case "Z" | ".000000Z":
                return f"{moment:%Y-%m-%dT%H:%M:%S}{self.instants}"
            case "-05:00":
                return moment.astimezone(timezone(timedelta(hours=-5))).isoformat(timespec="seconds")
            case _:
                return moment.isoformat(timespec="seconds")


TIDY = Dialect(instants=".000000Z")


def sloppy(rng: random.Random) -> Dialect:
    return Dialect(
        instants=rng.choice(("+00:00", "Z", ".000000Z", "-05:00")),
        trims=rng.random() < 0.7,
        numbers_as_text=rng.random() < 0.4,
        ids_as_text=rng.random() < 0.4,
        envelope=rng.choice(("data", "data", "none", "list")),
        created_status=rng.choice((200, 201)),
        echo_without=_some(rng),
        read_without=_some(rng),
        without_nulls=rng.random() < 0.4,
        with_strangers=rng.random() < 0.5,
        shuffles=rng.random() < 0.5,
        forgets_user=rng.random() < 0.2,
    )


def _some(rng: random.Random) -> frozenset[str]:
    return frozenset(rng.sample(_LEFT_OUT, rng.randint(1, 4))) if rng.random() < 0.4 else frozenset()
