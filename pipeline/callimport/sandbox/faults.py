"""Puts faults in, by rule: without rules, the network and the CRM never misbehave."""

import dataclasses
import datetime
import email.utils
import random
import re
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from typing import Any

from starlette import background, requests, responses

from callimport.sandbox import acts, answers, clock, connection, incoming, plan, throttle, world

Pause = Callable[[float], Awaitable[None]]
Commit = Callable[[], responses.Response]
View = Callable[[Iterable[world.Communication]], list[world.Communication] | None]

# An older spelling of 127.0.0.1: another host to whoever compares names, and still us, so that we see who follows.
_OTHER_NAME = "127.1"
_REFERENCE = re.compile(r"\s*\[ref [^\]]*\]")
# After a longer pause, the second consumer of the bucket is played back from here only.
_LONGEST_MEMORY_WINDOWS = 3


@dataclasses.dataclass(slots=True)
class _Standing:
    """A rule at work: how many requests it was asked about, and to how many it was applied."""

    rule: plan.Rule
    chance: random.Random
    since: float
    asked: int = 0
    fired: int = 0


class Faults:
    """Asked at each place of a request's way; every answer it gives replaces what would have happened.

    An answer before the commit means that nothing was stored (yet), after it that something was and the caller is
    misled. At each place the first rule that is for the request has it; those that only add (latency, what is kept,
    what is seen, what people do) all have their part.
    """

    def __init__(self, first: plan.Plan, state: world.World, now: clock.Now, pause: Pause) -> None:
        self._first = first
        self._state = state
        self._now = now
        self._pause = pause
        self._age = 0
        self.replace(first)

    def replace(self, with_plan: plan.Plan) -> None:
        """Other rules, counted from zero. Commits that are still on their way come all the same."""
        self._plan = with_plan
        self._is_revoked = False
        since = self._now().timestamp()
        self._standing = [
            _Standing(rule, random.Random(f"{with_plan.seed}/{number}"), since)
            for number, rule in enumerate(with_plan.rules)
        ]

    def reset(self) -> None:
        """Back to the rules it began with; commits that are still on their way are forgotten, as is their world."""
        self._age += 1
        self.replace(self._first)

    def shape(self) -> dict[str, object]:
        """For JSON: each rule as it was given, how often it was asked, and how often applied."""
        rules = [{**one.rule.given, "asked": one.asked, "fired": one.fired} for one in self._standing]
        return {"seed": self._plan.seed, "rules": rules}

    async def on_arrival(self, call: incoming.Call) -> responses.Response | None:
        """It was read; nobody has looked at its key or its route, and no throttle will count it."""
        self._let_people_act(call)
        if self._is_revoked:
            call.entry.fault.append(plan.Kind.REVOKE_KEY)
            return answers.unauthenticated(call.request)
        rule = self._first_of(plan.ON_ARRIVAL, call)
        if rule is None:
            return None
        if rule.kind is plan.Kind.REVOKE_KEY:
            self._is_revoked = True
            return answers.unauthenticated(call.request)
        if rule.kind is plan.Kind.DROP_BEFORE_COMMIT:
            return connection.Drop(reset=rule.settings["reset"])
        if rule.kind is plan.Kind.REDIRECT:
            return _redirect(call.request, rule.settings)
        if rule.kind is plan.Kind.LIMIT_429:
            return self._with_retry_after(answers.slow_down(call.request, html=rule.settings["html"]), rule.settings)
        if rule.kind is plan.Kind.MAINTENANCE:
            return self._with_retry_after(answers.maintenance(call.request), rule.settings)
        if rule.kind is plan.Kind.HTML_503:
            return self._with_retry_after(answers.page(503), rule.settings)
        return answers.page(502)

    def before_throttle(self, call: incoming.Call, limiter: throttle.Throttle) -> None:
        """The limit may shrink, and stay so; then the second consumer of the key takes what is due to it by now.

        Each of its requests counts at its own time.
        """
        for one in self._of({plan.Kind.SHRINK_LIMIT}):
            if self._applies(one, call):
                limiter.limit = one.rule.settings["limit"]
        now = self._now().timestamp()
        for one in self._standing:
            if one.rule.kind is plan.Kind.SHARED_BUCKET:
                step = 60 / one.rule.settings["per_minute"]
                one.since = max(one.since, now - _LONGEST_MEMORY_WINDOWS * limiter.window_seconds)
                while one.since + step <= now:
                    one.since += step
                    limiter.hit(world.API_USER_ID, at=one.since)
                    one.asked += 1
                    one.fired += 1

    async def before_commit(self, call: incoming.Call, commit: Commit) -> responses.Response | None:
        """It was found valid and counted by the throttle; nothing is stored yet. `commit` may be called much later."""
        rule = self._first_of(plan.BEFORE_COMMIT, call)
        if rule is None:
            return None
        if rule.kind is plan.Kind.STATUS_500:
            return answers.server_error(call.request)
        if rule.kind is plan.Kind.FORBID_LEAD:
            return answers.forbidden(call.request)
        return await self._late(rule.settings["answer"], rule.settings["seconds"], commit)

    async def after_commit(self, call: incoming.Call, answer: responses.Response) -> responses.Response | None:
        """It is stored, and `answer` is what would be sent."""
        rule = self._first_of(plan.AFTER_COMMIT, call)
        if rule is None:
            return None
        if rule.kind is plan.Kind.COMMIT_THEN_STALL:
            await self._pause(rule.settings["seconds"])
            return None
        if rule.kind is plan.Kind.COMMIT_THEN_DROP:
            return connection.Drop(reset=rule.settings["reset"])
        if rule.kind is plan.Kind.COMMIT_THEN_500:
            status = rule.settings["status"]
            return answers.server_error(call.request) if status == 500 else answers.page(status)
        if rule.kind is plan.Kind.TRUNCATED:
            return connection.Truncated(answer)
        if rule.kind is plan.Kind.EMPTY_2XX:
            return responses.Response(b"", answer.status_code, media_type="application/json")
        return answers.page(answer.status_code)

    def kept(self, call: incoming.Call, made: world.Communication) -> world.Communication:
        """What the CRM makes of a communication that it is about to store; a description it already had is left."""
        for one in self._of(plan.WHEN_STORED) if "description" in call.fields else ():
            if made.description is None or not self._applies(one, call):
                continue
            if one.rule.kind is plan.Kind.STRIP_REFERENCE:
                text = _REFERENCE.sub("", made.description)
            else:
                text = made.description[: one.rule.settings["characters"]]
            made = dataclasses.replace(made, description=text.strip() or None)
        return made

    def view(self, call: incoming.Call) -> View:
        """What a read shows of a lead's communications: those, or None to leave out the very key.

        A request is judged once, however many leads it reads.
        """
        applied = [one for one in self._of(plan.WHEN_READ) if self._applies(one, call)]

        def seen(stored: Iterable[world.Communication]) -> list[world.Communication] | None:
            shown = list(stored)
            for one in applied:
                settings = one.rule.settings
                if one.rule.kind is plan.Kind.READ_LAG:
                    newest = self._now() - datetime.timedelta(seconds=settings["seconds"])
                    shown = [each for each in shown if each.created_at <= newest]
                elif settings["without_key"]:
                    return None
                else:
                    shown = [each for each in shown if one.chance.random() >= settings["share"]]
            return shown

        return seen

    def bytes_per_second(self, call: incoming.Call) -> float | None:
        """How fast its body is read, None for as fast as it comes. Of its lead, only what its path says is known."""
        slow = [one.rule.settings for one in self._of(plan.WHEN_RECEIVED) if self._applies(one, call)]
        return min((each["bytes_per_second"] for each in slow), default=None)

    def delay_seconds(self, call: incoming.Call) -> float:
        """How long the answer waits, whatever it is."""
        return sum(_delay(one) for one in self._of({plan.Kind.LATENCY}) if self._applies(one, call))

    async def _late(self, answer: str, seconds: float, commit: Commit) -> responses.Response:
        age = self._age

        async def catch_up() -> responses.Response:
            await self._pause(seconds)
            # A world that was reset in the meantime must not get what was meant for the one before.
            try:
                return commit() if age == self._age else answers.page(504)
            except answers.Refused as refused:
                return refused.answer

        if answer == "wait":
            return await catch_up()
        early = connection.Drop() if answer == "drop" else answers.page(504)
        early.background = background.BackgroundTask(catch_up)
        return early

    def _let_people_act(self, call: incoming.Call) -> None:
        for one in self._of({plan.Kind.ACT}):
            for act in one.rule.settings["do"] if self._applies(one, call) else ():
                try:
                    acts.done(act, self._state, self._now())
                except acts.ActError as error:
                    call.entry.effect.append(f"NOT DONE {act.kind}: {error}")

    def _with_retry_after(self, answer: responses.Response, settings: Mapping[str, Any]) -> responses.Response:
        value = settings["retry_after"]
        if value is not None and settings["retry_after_as"] == "date":
            value = email.utils.format_datetime(self._now() + datetime.timedelta(seconds=int(value)), usegmt=True)
        if value is not None:
            answer.headers["Retry-After"] = str(value)
        return answer

    def _of(self, kinds: Collection[plan.Kind]) -> list[_Standing]:
        return [one for one in self._standing if one.rule.kind in kinds]

    def _first_of(self, kinds: Collection[plan.Kind], call: incoming.Call) -> plan.Rule | None:
        return next((one.rule for one in self._of(kinds) if self._applies(one, call)), None)

    def _applies(self, one: _Standing, call: incoming.Call) -> bool:
        """Count the request, draw its lot, and note in the journal what comes of it."""
        rule = one.rule
        if rule.method not in (None, call.request.method) or rule.path not in (None, call.template):
            return False
        if rule.leads is not None and self._lead_id(call) not in rule.leads:
            return False
        one.asked += 1
        if not rule.chooses(one.asked) or one.chance.random() >= rule.probability:
            return False
        one.fired += 1
        call.entry.fault.append(rule.name)
        return True

    def _lead_id(self, call: incoming.Call) -> int | None:
        """The lead it is about: named in the path or the body, or the communication's own."""
        if call.template.startswith("/communications/:id"):
            stored = self._state.communications.get(_number(call.target))
            return stored.lead_id if stored else None
        return _number(call.target if call.template == "/leads/:id" else call.fields.get("lead_id"))


def _redirect(request: requests.Request, settings: Mapping[str, Any]) -> responses.Response:
    location = settings["location"] or str(request.url.replace(hostname=_OTHER_NAME))
    return responses.RedirectResponse(location, settings["status"])


def _delay(one: _Standing) -> float:
    seconds: float = one.rule.settings["seconds"]
    if one.rule.settings["spread"] == "uniform":
        return one.chance.uniform(0, 2 * seconds)
    if one.rule.settings["spread"] == "exponential" and seconds:
        return one.chance.expovariate(1 / seconds)
    return seconds


def _number(given: object) -> int:
    """0 where there is none; no lead has that."""
    text = str(given)
    return int(text) if text.isdecimal() and text.isascii() and len(text) < 20 else 0
