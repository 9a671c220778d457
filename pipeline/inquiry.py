"""What only the CRM can tell before rows become calls: who its users are. Asked once a run."""

from pipeline import errors, model
from pipeline.courier import Courier
from pipeline.intake import Intake


class Inquiry:
    """The questions of one run, and the answers so far."""

    def __init__(self, courier: Courier, whose: model.Account) -> None:
        self._courier = courier
        self._account = whose
        self._users: tuple[model.User, ...] | None = None

    async def answer(self, intake: Intake) -> None:
        """Give the intake what it needs to know of the CRM. Raises DestinationUnusable."""
        if intake.needs_users:
            intake.agents.users = await self._active_users()

    async def _active_users(self) -> tuple[model.User, ...]:
        if self._users is None:
            try:
                self._users = await self._courier.users(self._account.id)
            except errors.Incomplete as outcome:
                raise errors.DestinationUnusable(
                    f"the CRM does not show this key its users ({outcome.evidence}): name them by user_id in --agents "
                    "FILE, and leave names and emails out of the export"
                ) from outcome
        return self._users
