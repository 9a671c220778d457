"""The control port: what a test or a person asks about the rehearsal. Loopback only, and for no page but its own."""

import json
import math

from starlette import applications, datastructures, requests, responses, routing, types

from callimport.sandbox import acts, clock, journal, pages, plan, rehearsal, resources, seed, verdict


def app(stage: rehearsal.Rehearsal) -> types.ASGIApp:
    """The ASGI application over `stage`."""
    handlers = _Handlers(stage)
    shown = pages.Pages(stage)
    routes = [
        routing.Route("/", shown.leads, methods=["GET"]),
        routing.Route("/leads/{id:int}", shown.lead, methods=["GET"]),
        routing.Route("/journal", handlers.journal, methods=["GET"]),
        routing.Route("/counts", handlers.counts, methods=["GET"]),
        routing.Route("/communications", handlers.communications, methods=["GET"]),
        routing.Route("/outbox", handlers.outbox, methods=["GET"]),
        routing.Route("/assert", handlers.verdict, methods=["GET"]),
        routing.Route("/clock", handlers.clock, methods=["GET", "POST"]),
        routing.Route("/reset", handlers.reset, methods=["POST"]),
        routing.Route("/seed", handlers.seed, methods=["POST"]),
        routing.Route("/acts", handlers.acts, methods=["POST"]),
        routing.Route("/faults", handlers.faults, methods=["GET", "POST", "DELETE"]),
    ]
    return _LoopbackOnly(applications.Starlette(routes=routes))


class _LoopbackOnly:
    """A web page could reach a loopback port under a name of its own, or post to it blindly; neither passes."""

    def __init__(self, inner: types.ASGIApp) -> None:
        self._inner = inner

    async def __call__(self, scope: types.Scope, receive: types.Receive, send: types.Send) -> None:
        if scope["type"] == "http":
            headers = datastructures.Headers(scope=scope)
            origin = headers.get("origin")
            named = journal.host(f"//{headers.get('host', '')}") in journal.LOOPBACK
            if not named or (origin is not None and journal.host(origin) not in journal.LOOPBACK):
                answer = _said(403, "The control port answers to 127.0.0.1 and localhost only.")
                await answer(scope, receive, send)
                return
        await self._inner(scope, receive, send)


class _Handlers:
    def __init__(self, stage: rehearsal.Rehearsal) -> None:
        self._stage = stage

    async def journal(self, request: requests.Request) -> responses.Response:
        """All requests, or those after the number `?after=`."""
        after = request.query_params.get("after", "0")
        if not after.isdecimal():
            return _said(422, "after must be the number of an entry.")
        entries = [entry.shape() for entry in self._stage.journal.entries if entry.number > int(after)]
        # Once more as one text: file and field names are the caller's, and might hold a key as well.
        text = self._stage.journal.redacted(json.dumps({"requests": entries}))
        return responses.Response(text, media_type="application/json")

    async def counts(self, request: requests.Request) -> responses.Response:
        """How much of everything."""
        log, settings = self._stage.journal, self._stage.settings
        made = [one for one in self._stage.world.communications.values() if one.by_api]
        return responses.JSONResponse(
            {
                "requests": len(log.entries),
                "by_kind": log.by_kind(),
                "by_status": log.by_status(),
                "communications": len(made),
                "recordings": sum(one.recording is not None for one in made),
                "rate_limited": log.rate_limited(),
                "unknown_fields": len(log.with_unknown_fields()),
                "popups": len(log.popups()),
                "max_in_any_window": log.most_in_any_window(settings.window_seconds),
                "limit": settings.limit,
                "window_seconds": settings.window_seconds,
            }
        )

    async def communications(self, request: requests.Request) -> responses.Response:
        """Everything stored, with what the API hides."""
        state = self._stage.world
        found = sorted(state.communications.values(), key=lambda one: one.id)
        return responses.JSONResponse(
            {"data": [resources.stored_communication(one, state.account_of(one)) for one in found]}
        )

    async def outbox(self, request: requests.Request) -> responses.Response:
        """What webhooks would have told the dealer's other systems: each call sent may set off something there."""
        told = [
            {"at": clock.iso(at), "event": "lead.updated", "lead_id": lead} for at, lead in self._stage.world.outbox
        ]
        return responses.JSONResponse({"data": told})

    async def verdict(self, request: requests.Request) -> responses.Response:
        """What a good importer never does, each with its evidence; `ok` when there is none."""
        found = verdict.findings(self._stage)
        return responses.JSONResponse({"ok": not any(found.values())} | found)

    async def clock(self, request: requests.Request) -> responses.Response:
        """The sandbox's time; POST `{"advance_seconds": 60}` moves it on."""
        if request.method == "POST":
            asked = await _json(request)
            seconds = asked.get("advance_seconds") if isinstance(asked, dict) else None
            if not isinstance(seconds, int | float) or isinstance(seconds, bool) or not 0 <= seconds <= 10**9:
                return _said(422, "advance_seconds must be a number from 0.")
            self._stage.clock.advance(seconds)
        return responses.JSONResponse({"now": clock.iso(self._stage.clock.now())})

    async def reset(self, request: requests.Request) -> responses.Response:
        """Back to the seed."""
        self._stage.reset()
        return _said(200, "Back to the seed.")

    async def seed(self, request: requests.Request) -> responses.Response:
        """Another seed, replacing all there is."""
        try:
            self._stage.reseed(await _json(request))
        except seed.SeedError as error:
            return _said(422, str(error))
        own = self._stage.world.own_account
        return responses.JSONResponse({"account_id": own.id, "account_name": own.name})

    async def acts(self, request: requests.Request) -> responses.Response:
        """What a person does in the CRM, one act or a list in order; the id of what each was done to."""
        done: list[int] = []
        try:
            for act in acts.parsed(await _json(request)):
                changed = acts.done(act, self._stage.world, self._stage.clock.now())
                done.append(changed)
        except acts.ActError as error:
            return responses.JSONResponse({"message": str(error), "done": done}, 422)
        return responses.JSONResponse({"done": done})

    async def faults(self, request: requests.Request) -> responses.Response:
        """The rules and how often each was applied; POST replaces them, DELETE clears them."""
        if request.method == "POST":
            try:
                self._stage.faults.replace(plan.parsed(await _json(request)))
            except plan.FaultError as error:
                return _said(422, str(error))
        elif request.method == "DELETE":
            self._stage.faults.replace(plan.Plan())
        return responses.JSONResponse(self._stage.faults.shape())


async def _json(request: requests.Request) -> object:
    """The body, or None where it is not JSON."""
    try:
        found: object = json.loads(await request.body())
    except (ValueError, RecursionError):
        return None
    return None if isinstance(found, float) and not math.isfinite(found) else found


def _said(status: int, message: str) -> responses.Response:
    return responses.JSONResponse({"message": message}, status)
