"""Accounts, users, leads and communications: what the CRM holds, and what a communication does to its lead."""

import dataclasses
import datetime
import enum
import re
from collections.abc import Callable, Iterable
from typing import Any

FIRST_COMMUNICATION_ID = 42534452
API_USER_ID = 99000001
"""Whom a communication is credited to when `executed_by` is absent. Not among the account's users, so it shows."""

# How importers mark what they have made, as in `[ref 7K3Q-2M9D-XA]`.
_REFERENCE = re.compile(r"\[ref ([^\]]+)\]")


class Method(enum.StrEnum):
    """How it was said."""

    PHONE = "phone"
    EMAIL = "email"
    SMS = "sms"


class Direction(enum.StrEnum):
    """Who began; the API calls it `type`."""

    OUTGOING = "outgoing"
    INCOMING = "incoming"


class CallStatus(enum.StrEnum):
    """How a call ended."""

    ANSWERED = "answered"
    ATTEMPTED = "attempted"
    CALLING = "calling"
    ERROR = "error"
    INTERRUPTED = "interrupted"
    PENDING = "pending"
    UNANSWERED = "unanswered"


@dataclasses.dataclass(frozen=True, slots=True)
class Account:
    """A dealer."""

    id: int
    name: str


@dataclasses.dataclass(frozen=True, slots=True)
class User:
    """An employee of a dealer. The API lists the active ones only."""

    id: int
    account_id: int
    first_name: str
    last_name: str
    email: str | None = None
    active: bool = True


@dataclasses.dataclass(frozen=True, slots=True)
class Phone:
    """A number of a lead, in E.164 unless nobody filled it in."""

    id: int
    number: str | None
    type: str = "mobile"
    extension: int | None = None
    valid: bool = True


@dataclasses.dataclass(frozen=True, slots=True)
class Email:
    """An address of a lead."""

    id: int
    address: str
    type: str = "home"


@dataclasses.dataclass(frozen=True, slots=True)
class Lead:
    """A customer's interest; one customer may have several."""

    id: int
    account_id: int
    first_name: str | None
    last_name: str | None
    created_at: datetime.datetime
    updated_at: datetime.datetime
    phones: tuple[Phone, ...] = ()
    emails: tuple[Email, ...] = ()
    customer_id: int | None = None
    advisor_id: int | None = None
    type: str = "phone"
    status: str | None = None
    result: str | None = None
    division: str | None = None
    locale: str | None = None
    postal_code: str | None = None
    second_contact: str | None = None
    sale_date: datetime.datetime | None = None
    unsubscribed_at: datetime.datetime | None = None
    created_method: str = "manual"
    deleted: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Recording:
    """What is kept of an upload: enough to prove which bytes came, and how often."""

    format: str
    sha256: str
    size_bytes: int
    uploads: int


@dataclasses.dataclass(frozen=True, slots=True)
class Communication:
    """A call, e-mail or text message. `seeded` ones were there before the first request, `by_hand` a person made."""

    id: int
    lead_id: int
    user_id: int | None
    created_at: datetime.datetime
    updated_at: datetime.datetime
    executed_at: datetime.datetime
    method: str | None
    type: str | None
    description: str | None = None
    call_duration: int | None = None
    call_phone: str | None = None
    call_status: str | None = None
    recording: Recording | None = None
    seeded: bool = False
    by_hand: bool = False

    @property
    def by_api(self) -> bool:
        """Whether a request made it."""
        return not (self.seeded or self.by_hand)


@dataclasses.dataclass(frozen=True, slots=True)
class Seed:
    """What a world begins with; the first account is the key's own."""

    accounts: tuple[Account, ...]
    users: tuple[User, ...]
    leads: tuple[Lead, ...]
    communications: tuple[Communication, ...] = ()


class World:
    """The state. `call_logs` are kept as they were given; `outbox` is when which lead was told of to a webhook.

    With `any_id` whatever lead or user is mentioned exists, in the account it is mentioned in.
    """

    def __init__(self, seed: Seed, *, any_id: bool = False) -> None:
        self._any_id = any_id
        self.load(seed)

    def load(self, seed: Seed) -> None:
        """Forget everything and begin again from `seed`."""
        self.seed = seed
        self.accounts = {account.id: account for account in seed.accounts}
        self.users = {user.id: user for user in seed.users}
        self.communications: dict[int, Communication] = {}
        self._leads = {lead.id: lead for lead in seed.leads}
        self.outbox: list[tuple[datetime.datetime, int]] = []
        self.call_logs: dict[int, dict[str, Any]] = {}
        self._of_lead: dict[int, list[int]] = {}
        self._next_id = FIRST_COMMUNICATION_ID
        for communication in seed.communications:
            self.put(communication)

    @property
    def own_account(self) -> Account:
        """The account the key belongs to."""
        return self.seed.accounts[0]

    def lead(self, lead_id: int, account_id: int, now: datetime.datetime) -> Lead | None:
        """The lead, if that account may see it."""
        found = self._leads.get(lead_id)
        if found is None and self._any_id and lead_id > 0:
            found = Lead(lead_id, account_id, "Lead", str(lead_id), created_at=now, updated_at=now)
            self._leads[lead_id] = found
        return found if found is not None and found.account_id == account_id and not found.deleted else None

    def leads_of(self, account_id: int) -> list[Lead]:
        """All of an account, deleted ones included, in no order to rely on."""
        return [lead for lead in self._leads.values() if lead.account_id == account_id]

    def is_foreign(self, lead_id: int, account_id: int) -> bool:
        """Whether it is another account's lead."""
        found = self._leads.get(lead_id)
        return found is not None and found.account_id != account_id

    def active_user(self, user_id: int, account_id: int) -> User | None:
        """The user, if active in that account."""
        found = self.users.get(user_id)
        if found is None and self._any_id and user_id > 0:
            found = self.users[user_id] = User(user_id, account_id, "User", str(user_id))
        return found if found is not None and found.active and found.account_id == account_id else None

    def communication(self, communication_id: int, account_id: int) -> Communication | None:
        """The communication, if its lead is of that account."""
        found = self.communications.get(communication_id)
        if found is None:
            return None
        lead = self._leads[found.lead_id]
        return found if lead.account_id == account_id and not lead.deleted else None

    def communications_of(self, lead_id: int) -> list[Communication]:
        """Those of a lead, newest executed first."""
        found = [self.communications[key] for key in self._of_lead.get(lead_id, ())]
        return sorted(found, key=lambda one: (one.executed_at, one.id), reverse=True)

    def associated(self, lead: Lead) -> list[Lead]:
        """The same customer's other leads."""
        if lead.customer_id is None:
            return []
        return [
            one
            for one in self._leads.values()
            if one.customer_id == lead.customer_id and one.id != lead.id and not one.deleted
        ]

    def account_of(self, communication: Communication) -> int:
        """The id of the account that holds it."""
        return self._leads[communication.lead_id].account_id

    def next_id(self) -> int:
        """Ids rise by one, never come back, and begin where the vendor's example does."""
        self._next_id += 1
        return self._next_id - 1

    def next_lead_id(self) -> int:
        """One that no lead has, of whatever account."""
        return max(self._leads, default=0) + 1

    def next_part_id(self, lead: Lead) -> int:
        """For another number or address of a lead, as a seed counts them."""
        parts = [phone.id for phone in lead.phones] + [email.id for email in lead.emails]
        return max(parts, default=lead.id * 10 - 1) + 1

    def any_lead(self, lead_id: int) -> Lead | None:
        """The lead, of whatever account, deleted or not."""
        return self._leads.get(lead_id)

    def put_lead(self, lead: Lead) -> None:
        """Create or replace it."""
        self._leads[lead.id] = lead

    def remove(self, communication: Communication) -> None:
        """As if it had never been; its id does not come back."""
        del self.communications[communication.id]
        self._of_lead[communication.lead_id].remove(communication.id)

    def store(self, communication: Communication, now: datetime.datetime) -> None:
        """Create or replace it, and let it colour its lead."""
        self.put(communication)
        lead = self._leads[communication.lead_id]
        result = _result_after(lead.result, communication.call_status)
        self.outbox.append((now, lead.id))
        self._leads[lead.id] = dataclasses.replace(lead, updated_at=now, result=result)

    def attach(self, communication: Communication, recording: Recording) -> None:
        """Keep a recording's particulars; an earlier one is overwritten. The lead is not touched."""
        self.communications[communication.id] = dataclasses.replace(communication, recording=recording)

    def same(self) -> Iterable[list[Communication]]:
        """Groups that look like one call stored twice, of which the API made one that was there already."""
        return self._groups(lambda one: (one.lead_id, one.executed_at, one.type, one.call_phone))

    def same_reference(self) -> Iterable[list[Communication]]:
        """Groups with one reference mark, whatever their leads, of which the API made one that was there already."""
        return self._groups(lambda one: _reference(one.description))

    def _groups(self, alike: Callable[[Communication], object]) -> list[list[Communication]]:
        """What is alike in something; None is like nothing."""
        groups: dict[object, list[Communication]] = {}
        for one in self.communications.values():
            groups.setdefault(alike(one), []).append(one)
        groups.pop(None, None)
        in_order = (sorted(group, key=_id) for group in groups.values() if len(group) > 1)
        # A copy that a person makes of what the API made is nobody's misdeed; the other way round it is.
        return [group for group in in_order if any(one.by_api for one in group[1:])]

    def put(self, communication: Communication) -> None:
        """Create or replace it; its lead takes no notice."""
        before = self.communications.get(communication.id)
        if before is None or before.lead_id != communication.lead_id:
            if before is not None:
                self._of_lead[before.lead_id].remove(before.id)
            self._of_lead.setdefault(communication.lead_id, []).append(communication.id)
        self.communications[communication.id] = communication


def _id(communication: Communication) -> int:
    return communication.id


def _reference(description: str | None) -> str | None:
    match = _REFERENCE.search(description or "")
    return match[1] if match else None


def _result_after(result: str | None, call_status: str | None) -> str | None:
    """Once reached, a lead stays reached."""
    if call_status == CallStatus.ANSWERED:
        return "reached"
    if call_status in (CallStatus.ATTEMPTED, CallStatus.INTERRUPTED) and result != "reached":
        return "attempted"
    return result
