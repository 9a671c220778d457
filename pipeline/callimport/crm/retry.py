"""Reads and idempotent writes: through the pacer, and again as often as it is worth it."""

import contextlib
import random
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import datetime
from typing import TypeVar

import anyio
import tenacity

from callimport.core import errors, models, settings
from callimport.crm.client import Destination
from callimport.crm.rate_limit import Pacer
from callimport.crm.transport import BeforeBytes
from callimport.load.audio_files import Audio

ATTEMPTS = 4
LONGEST_BACKOFF_SECONDS = 8.0
LONGEST_WITHOUT_PASSING_SECONDS = 15 * 60

Answer = TypeVar("Answer")


class Courier:
    """Carries what may be repeated without harm. Raises Refused, Incomplete and DestinationUnusable; `probe` more."""

    def __init__(self, destination: Destination, pacer: Pacer, rng: random.Random | None = None) -> None:
        self._destination = destination
        self._pacer = pacer
        self._rng = rng or random.Random()

    async def accounts(self) -> tuple[models.Account, ...]:
        """Whose key this is."""
        with _refusal_is_the_end():
            return await self._carry(self._destination.accounts)

    async def users(self, account_id: int) -> tuple[models.User, ...]:
        """Who may be named as having made a call."""
        with _refusal_is_the_end():
            return await self._carry(lambda: self._destination.users(account_id))

    async def leads(self, page: int, created_until: datetime) -> models.LeadPage:
        """A page of all leads."""
        with _refusal_is_the_end("leads"):
            return await self._carry(lambda: self._destination.leads(page, created_until))

    async def leads_with_communications(self, page: int, created_until: datetime) -> models.ShownPage:
        """A page of all leads with what they hold. Refused or Incomplete where this page is not to be had, time and
        again, while the CRM answers otherwise."""
        try:
            return await self._carry_unless_it_alone_fails(
                lambda: self._destination.leads_with_communications(page, created_until)
            )
        except (errors.NotApplied, errors.InDoubt) as outcome:
            raise errors.Incomplete(f"the list cannot be read: {outcome.evidence}") from outcome

    async def leads_by_number(self, number: str, page: int) -> models.LeadPage:
        """Leads that the CRM's filter finds for a number."""
        with _refusal_is_the_end("leads"):
            return await self._carry(lambda: self._destination.leads_by_number(number, page))

    async def search_leads(self, text: str, page: int) -> models.LeadPage:
        """Leads that the CRM's search finds."""
        with _refusal_is_the_end("leads"):
            return await self._carry(lambda: self._destination.search_leads(text, page))

    async def probe(self) -> None:
        """One read that is not repeated: whether the CRM answers. Raises NotApplied or InDoubt where it does not, and
        DestinationUnusable; a 429 is waited for."""
        with _refusal_is_the_end():
            await self._once(self._destination.accounts)

    async def communications_of(self, lead_id: int) -> tuple[models.Stored, ...]:
        """What the CRM keeps on a lead. Refused where there is no such lead, Incomplete where it does not say: not
        everything, or nothing of this one lead, time and again, while it answers otherwise."""
        try:
            return await self._carry_unless_it_alone_fails(lambda: self._destination.communications_of(lead_id))
        except (errors.NotApplied, errors.InDoubt) as outcome:
            raise errors.Incomplete(f"the lead cannot be read: {outcome.evidence}") from outcome

    async def update(
        self, communication_id: int, changes: Mapping[str, object], before_bytes: BeforeBytes
    ) -> models.Echo:
        """Change these fields of a communication. `before_bytes` is called before the first byte of every try. Refused
        with status 404 where it is not there; NotApplied or InDoubt where this one update did not come through, time
        and again, while the CRM answers otherwise."""

        async def request() -> models.Echo:
            # One that began is brought to its end, whoever asks for a stop meanwhile.
            with anyio.fail_after(None, shield=True):
                return await self._destination.update(communication_id, changes, before_bytes)

        return await self._carry_unless_it_alone_fails(request)

    async def _carry_unless_it_alone_fails(self, request: Callable[[], Awaitable[Answer]]) -> Answer:
        """Raises NotApplied or InDoubt where the CRM answers whatever else it is asked."""
        try:
            return await self._carry(request)
        except errors.DestinationUnusable as error:
            outcome = error.__cause__
            if not isinstance(outcome, errors.NotApplied | errors.InDoubt):
                raise
            try:
                await self.probe()
            except (errors.NotApplied, errors.InDoubt):
                raise error from outcome
            raise outcome from None

    async def upload_recording(self, communication_id: int, audio: Audio) -> None:
        """The recording of a communication, again where it may not have arrived: it takes the place of itself. Refused
        where the CRM does not want it; NotApplied or InDoubt where it does not get there although the CRM answers."""
        try:
            await self._carry(
                lambda: self._destination.upload_recording(communication_id, audio, audio.file_name, audio.media_type)
            )
        except errors.DestinationUnusable as error:
            if not isinstance(error.__cause__, errors.NotApplied | errors.InDoubt):
                raise
            try:
                await self.probe()
            except (errors.NotApplied, errors.InDoubt):
                raise error from error.__cause__
            raise error.__cause__ from None

    async def _carry(self, request: Callable[[], Awaitable[Answer]]) -> Answer:
        retrying = tenacity.AsyncRetrying(
            stop=tenacity.stop_after_attempt(ATTEMPTS),
            wait=self._backoff,
            retry=tenacity.retry_if_exception_type((errors.NotApplied, errors.InDoubt)),
            sleep=anyio.sleep,
            reraise=True,
        )
        try:
            return await retrying(self._once, request)
        except (errors.NotApplied, errors.InDoubt) as outcome:
            raise errors.DestinationUnusable(
                f"the CRM cannot be reached ({outcome.evidence}): check {_connection_parts()}, then run again"
            ) from outcome

    async def _once(self, request: Callable[[], Awaitable[Answer]]) -> Answer:
        waited_seconds = 0.0
        while True:
            await self._pacer.slot()
            try:
                answer = await request()
            except errors.Limited as outcome:
                if waited_seconds > LONGEST_WITHOUT_PASSING_SECONDS:
                    raise errors.DestinationUnusable(
                        "the CRM has let nothing through for 15 minutes (429): another integration may be using the "
                        "same key; run again later"
                    ) from outcome
                waited_seconds += self._pacer.limited(outcome.retry_after)
            else:
                self._pacer.passed()
                return answer

    def _backoff(self, state: tenacity.RetryCallState) -> float:
        return self._rng.uniform(0, min(LONGEST_BACKOFF_SECONDS, 2.0**state.attempt_number / 2))


@contextlib.contextmanager
def _refusal_is_the_end(what: str = "account") -> Iterator[None]:
    """Of the questions whose key this is and what it may list, a refusal is no single item's."""
    try:
        yield
    except errors.Refused as outcome:
        raise errors.DestinationUnusable(
            f"the CRM does not let this key see its {what} ({outcome.evidence}): ask its support what it may do"
        ) from outcome


def _connection_parts() -> str:
    proxies = settings.proxy_variables()
    return f"the address, the network and the proxy in {proxies}" if proxies else "the address and the network"
