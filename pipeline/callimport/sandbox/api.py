"""The API's door: what happens to a request, in which order, before and after its endpoint."""

import dataclasses
import email.utils
import hmac
import json
import re
from collections.abc import Awaitable, Callable, Mapping

from starlette import requests, responses, types

from callimport.sandbox import (
    answers,
    clock,
    connection,
    controllers,
    dialect,
    faults,
    incoming,
    journal,
    knobs,
    leads,
    recordings,
    throttle,
    unasked,
    world,
)

BASE_PATH = "/v2"
_UPLOAD = "/communications/:id/recording"
_LONGEST_JOURNAL_TEXT = 2000
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")

# What it does in the real CRM, though nobody serves it here: an importer has no business with it.
_UNSERVED_EFFECTS = {("POST", BASE_PATH + "/screenpop"): journal.LIVE_POPUP}

Endpoint = Callable[[incoming.Call], Awaitable[controllers.Commit]]


@dataclasses.dataclass(frozen=True, slots=True)
class _Route:
    template: str
    pattern: re.Pattern[str]
    endpoints: Mapping[str, Endpoint]

    @property
    def allowed(self) -> tuple[str, ...]:
        methods = tuple(self.endpoints)
        return (*methods, "HEAD") if "GET" in methods else methods


class Api:
    """An ASGI application. `token` is the one key; its requests are counted together."""

    def __init__(
        self,
        *,
        token: str,
        settings: knobs.Knobs,
        endpoints: controllers.Controllers,
        listing: leads.Leads,
        others: unasked.Unasked,
        limiter: throttle.Throttle,
        log: journal.Journal,
        mischief: faults.Faults,
        pause: faults.Pause,
        now: clock.Now,
    ) -> None:
        self._token = token.encode()
        self._settings = settings
        self._limiter = limiter
        self._log = log
        self._mischief = mischief
        self._pause = pause
        self._now = now
        self._dialect = dialect.Dialect(settings.laravel, settings.locale)
        self._routes = _routes(endpoints, listing, others)

    async def __call__(self, scope: types.Scope, receive: types.Receive, send: types.Send) -> None:
        """Serve one request."""
        request = requests.Request(scope, receive)
        self._dialect.put_on(request)
        route, target = self._routed(request.url.path)
        kind = f"{request.method} {route.template}" if route else "unrouted"
        query = f"?{request.url.query}" if request.url.query else ""
        entry = self._log.open(request.method, request.url.path + query, kind, request.headers.items())
        seconds = self._settings.latency_seconds
        try:
            call = await self._read(request, route, target, entry)
            answer = await self._answered(call, route)
            seconds += self._mischief.delay_seconds(call)
        except answers.Refused as refused:
            answer = refused.answer
        except requests.ClientDisconnect:
            entry.effect.append("DISCONNECTED before the body was whole")
            return
        entry.status = None if isinstance(answer, connection.Drop) else answer.status_code
        if seconds:
            await self._pause(seconds)
        answer.headers["Date"] = email.utils.format_datetime(self._now(), usegmt=True)
        await answer(scope, receive, send)

    async def _read(
        self, request: requests.Request, route: _Route | None, target: str, entry: journal.Entry
    ) -> incoming.Call:
        call = incoming.Call(request, route.template if route else "", target, entry)
        if request.method == "POST" and call.template == _UPLOAD:
            return dataclasses.replace(call, form=await self._form(call))
        kept: list[bytes] = []
        await self._received(call, kept.append)
        return dataclasses.replace(call, fields=self._noted(request, b"".join(kept), entry))

    async def _answered(self, call: incoming.Call, route: _Route | None) -> responses.Response:
        fault = await self._mischief.on_arrival(call)
        if fault is not None:
            return fault
        request = call.request
        if route is None:
            effect = _UNSERVED_EFFECTS.get((request.method, request.url.path.rstrip("/")))
            call.entry.effect += [effect] if effect else []
            return answers.no_route(request)
        endpoint = route.endpoints.get("GET" if request.method == "HEAD" else request.method)
        if endpoint is None:
            return answers.no_method(request, route.allowed)
        if not self._is_authenticated(request):
            return answers.unauthenticated(request)
        self._mischief.before_throttle(call, self._limiter)
        verdict = self._limiter.hit(world.API_USER_ID)
        call.entry.window = verdict.window
        answer = await self._served(endpoint, call) if verdict.allowed else answers.too_many(request, verdict)
        answers.add_rate_headers(answer, verdict)
        return answer

    async def _served(self, endpoint: Endpoint, call: incoming.Call) -> responses.Response:
        """Errors from here on were counted, and carry the rate headers."""
        if self._settings.scope == "read" and call.request.method not in ("GET", "HEAD"):
            return answers.out_of_scope(call.request)
        try:
            commit = await endpoint(call)
            fault = await self._mischief.before_commit(call, commit)
            if fault is not None:
                return fault
            answer = commit()
        except answers.Refused as refused:
            return refused.answer
        fault = await self._mischief.after_commit(call, answer)
        return answer if fault is None else fault

    async def _form(self, call: incoming.Call) -> recordings.Form:
        """An upload, read piece by piece and never kept."""
        reader = recordings.Reader(call.request.headers)
        await self._received(call, reader.feed)
        form = reader.form()
        call.entry.body = {"files": [dataclasses.asdict(file) for file in form.files], "fields": list(form.fields)}
        return form

    async def _received(self, call: incoming.Call, take: Callable[[bytes], None]) -> None:
        """Read to the end even when too long: an answer in the middle of an upload is a reset, which is a fault."""
        size = 0
        per_second = self._mischief.bytes_per_second(call)
        async for chunk in call.request.stream():
            size += len(chunk)
            if size <= self._settings.proxy_bytes:
                take(chunk)
            if per_second is not None:
                await self._pause(len(chunk) / per_second)
        if size > self._settings.proxy_bytes:
            raise answers.Refused(answers.too_large_for_proxy())
        if size > self._settings.post_bytes:
            raise answers.Refused(answers.too_large_for_post(call.request))

    def _noted(self, request: requests.Request, body: bytes, entry: journal.Entry) -> Mapping[str, object]:
        """The JSON object in the body, after it went into the journal. PHP makes nothing of malformed JSON: `{}`."""
        content_type = request.headers.get("content-type", "").lower()
        if not body:
            return {}
        if "/json" not in content_type and "+json" not in content_type:
            entry.body = {"content_type": self._log.redacted(content_type), "size_bytes": len(body)}
            return {}
        text = body.decode(errors="replace")
        redacted = self._log.redacted(text)
        try:
            fields = _json(body)
        except (ValueError, RecursionError):
            entry.body = {"malformed": redacted[:_LONGEST_JOURNAL_TEXT]}
            return {}
        entry.body = fields if redacted == text else redacted[:_LONGEST_JOURNAL_TEXT]
        return fields if isinstance(fields, dict) else {}

    def _is_authenticated(self, request: requests.Request) -> bool:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        return scheme == "Bearer" and hmac.compare_digest(token.encode(), self._token)

    def _routed(self, path: str) -> tuple[_Route | None, str]:
        for route in self._routes:
            match = route.pattern.fullmatch(path)
            if match:
                return route, match.groupdict().get("id", "")
        return None, ""


def _routes(endpoints: controllers.Controllers, listing: leads.Leads, others: unasked.Unasked) -> list[_Route]:
    """In the order in which they are tried: a search is no lead of that name."""
    table: dict[str, dict[str, Endpoint]] = {
        "/communications": {"POST": endpoints.create},
        "/communications/:id": {"PUT": endpoints.update},
        _UPLOAD: {"POST": endpoints.upload},
        "/leads": {"GET": listing.listed, "POST": others.make_lead},
        "/leads/search": {"GET": listing.searched},
        "/leads/:id": {"GET": listing.show, "PUT": others.change_lead},
        "/lead-phones": {"POST": others.add_phone},
        "/lead-phones/:id": {"PUT": others.change_phone},
        "/call-logs": {"POST": others.log_call},
        "/call-logs/:id": {"PUT": others.change_log},
        "/account": {"GET": endpoints.show_account},
    }
    return [
        _Route(template, re.compile(BASE_PATH + template.replace(":id", "(?P<id>[^/]+)") + "/?"), methods)
        for template, methods in table.items()
    ]


def _json(body: bytes) -> object:
    """As strict as PHP: UTF-8 only, no NaN, no half of a surrogate pair. Raises ValueError, RecursionError."""
    text = body.decode()
    found: object = json.loads(text, parse_constant=_no_constant)
    if _SURROGATE.search(text):
        json.dumps(found, ensure_ascii=False).encode()
    return found


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")
