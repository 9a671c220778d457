"""Where faults will be put in; so far the network and the CRM never misbehave."""

from starlette import requests, responses


class Faults:
    """Three points of the request pipeline; each may give an answer that replaces what would have happened.

    An answer before the commit means that nothing was stored; after it, that something was and the caller is misled.
    """

    async def on_arrival(self, request: requests.Request) -> responses.Response | None:
        """Before the request is looked at, even for its body."""
        return None

    async def before_commit(self, request: requests.Request) -> responses.Response | None:
        """It was found valid and counted by the throttle; nothing is stored yet."""
        return None

    async def after_commit(self, request: requests.Request, answer: responses.Response) -> responses.Response | None:
        """It is stored, and `answer` is what would be sent."""
        return None

    def reset(self) -> None:
        """Forget every fault."""
