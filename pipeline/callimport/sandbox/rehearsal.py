"""One sandbox put together: its state, its rules, its journal, and the API over them."""

import asyncio
from typing import Any

from callimport.sandbox import (
    api,
    clock,
    controllers,
    faults,
    journal,
    knobs,
    leads,
    plan,
    rules,
    seed,
    throttle,
    unasked,
    world,
)


class Rehearsal:
    """`api` is the ASGI application; the rest is there for the control port and for tests.

    `document` is a seed's JSON (default: the built-in one); `account_id` replaces the id of its first account;
    `trouble` are the faults it begins with. Raises seed.SeedError.
    """

    def __init__(
        self,
        *,
        token: str,
        settings: knobs.Knobs | None = None,
        document: Any = None,
        account_id: int | None = None,
        now: clock.Now = clock.utc_now,
        pause: faults.Pause = asyncio.sleep,
        trouble: plan.Plan | None = None,
    ) -> None:
        self.settings = settings or knobs.Knobs()
        self.clock = clock.Clock(now)
        self._account_id = account_id
        first = seed.parsed(seed.built_in() if document is None else document, account_id=account_id)
        self.world = world.World(first, any_id=self.settings.any_id)
        self.throttle = throttle.Throttle(
            self.settings.limit, self.settings.window_seconds, self.clock.now, hourly=self.settings.hourly
        )
        self.journal = journal.Journal(token, self.clock.now)
        self.faults = faults.Faults(trouble or plan.Plan(), self.world, self.clock.now, pause)
        profile = rules.PROFILES[self.settings.profile]
        self.api = api.Api(
            token=token,
            settings=self.settings,
            endpoints=controllers.Controllers(self.world, self.settings, profile, self.clock.now, self.faults),
            listing=leads.Leads(self.world, self.settings, profile, self.clock.now, self.faults),
            others=unasked.Unasked(self.world, profile, self.clock.now),
            limiter=self.throttle,
            log=self.journal,
            mischief=self.faults,
            pause=pause,
            now=self.clock.now,
        )

    def reseed(self, document: Any) -> None:
        """Another beginning; everything else is forgotten, as by `reset`. Raises seed.SeedError, changing nothing."""
        self.world.load(seed.parsed(document, account_id=self._account_id))
        self.reset()

    def reset(self) -> None:
        """Back to the beginning: seed, clock, and the faults it began with; no journal and no count is left.

        The clock goes first: the faults begin at its time.
        """
        self.clock.reset()
        self.world.load(self.world.seed)
        self.throttle.reset()
        self.journal.reset()
        self.faults.reset()
