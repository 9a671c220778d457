"""Responses as Laravel and the proxy before it write them, and how they depend on the Accept header."""

import json

from starlette import requests, responses

from callimport.sandbox import dialect, throttle, wording

_PROXY_PAGE = (
    "<html>\r\n<head><title>{0}</title></head>\r\n<body>\r\n"
    "<center><h1>{0}</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)
_PROXY_TITLES = {
    413: "413 Request Entity Too Large",
    429: "429 Too Many Requests",
    502: "502 Bad Gateway",
    503: "503 Service Temporarily Unavailable",
    504: "504 Gateway Time-out",
}


class Refused(Exception):
    """Ends a request with an answer other than success."""

    def __init__(self, answer: responses.Response) -> None:
        super().__init__(answer.status_code)
        self.answer = answer


def wants_json(request: requests.Request) -> bool:
    """Laravel looks at the first media type of Accept only; `*/*` or none is a browser."""
    offers = [offer.split(";") for offer in request.headers.get("accept", "").lower().split(",")]
    first = max(offers, key=_quality)[0].strip()
    return "/json" in first or "+json" in first


def data(shape: object, status: int = 200) -> responses.Response:
    """A resource in its envelope."""
    return compact({"data": shape}, status)


def compact(body: object, status: int = 200) -> responses.Response:
    """As PHP's json_encode writes by default: ASCII, slashes escaped."""
    text = json.dumps(body, separators=(",", ":")).replace("/", "\\/")
    return responses.Response(text, status, media_type="application/json")


def unauthenticated(request: requests.Request) -> responses.Response:
    """401, or a redirect to a login page for what looks like a browser."""
    if not wants_json(request):
        return _redirect("/login")
    return compact({"message": wording.UNAUTHENTICATED}, 401)


def invalid(request: requests.Request, errors: wording.Errors) -> responses.Response:
    """422 with every fault at once, or a redirect back for what looks like a browser."""
    if not wants_json(request):
        return _redirect(request.headers.get("referer", "/"))
    spoken = dialect.of(request)
    return compact({"message": spoken.summary(errors), "errors": spoken.errors(errors)}, 422)


def no_route(request: requests.Request) -> responses.Response:
    """404: nobody serves the path."""
    return _problem(request, 404, dialect.of(request).no_route(request.url.path))


def no_method(request: requests.Request, allowed: tuple[str, ...]) -> responses.Response:
    """405: the path is served, but not so."""
    answer = _problem(request, 405, dialect.of(request).no_method(request.method, request.url.path, allowed))
    answer.headers["Allow"] = ", ".join(allowed)
    return answer


def no_model(request: requests.Request, model: str, key: str) -> responses.Response:
    """404: the path is served, but there is no such thing, or it is another dealer's."""
    return _problem(request, 404, wording.no_model(model, key))


def bad_request(request: requests.Request, message: str) -> responses.Response:
    """400: asked in a way that is not understood."""
    return _problem(request, 400, message)


def out_of_scope(request: requests.Request) -> responses.Response:
    """403: the key may read, and not write."""
    return _problem(request, 403, wording.INVALID_SCOPE)


def maintenance(request: requests.Request) -> responses.Response:
    """503 from the CRM itself: closed for a while."""
    return _problem(request, 503, wording.SERVICE_UNAVAILABLE)


def duplicate_phone(request: requests.Request) -> responses.Response:
    """403: the lead has a number of that type."""
    return _problem(request, 403, wording.DUPLICATE_PHONE)


def too_many(request: requests.Request, verdict: throttle.Verdict) -> responses.Response:
    """429, saying when to come back."""
    answer = slow_down(request, html=False)
    answer.headers["Retry-After"] = str(verdict.retry_after_seconds)
    answer.headers["X-RateLimit-Reset"] = str(verdict.reset_at)
    return answer


def too_large_for_proxy() -> responses.Response:
    """413 from the web server; it never speaks JSON."""
    return page(413)


def page(status: int) -> responses.Response:
    """What the web server before the CRM says, in HTML whatever was asked for."""
    title = _PROXY_TITLES.get(status, "CRM")
    return responses.Response(_PROXY_PAGE.format(title), status, media_type="text/html")


def server_error(request: requests.Request) -> responses.Response:
    """500: the CRM itself came to grief."""
    return _problem(request, 500, wording.SERVER_ERROR)


def forbidden(request: requests.Request) -> responses.Response:
    """403: the key is good, but not for this."""
    return _problem(request, 403, wording.UNAUTHORIZED)


def slow_down(request: requests.Request, *, html: bool) -> responses.Response:
    """429 without a word on when to come back."""
    return page(429) if html else _problem(request, 429, wording.TOO_MANY_ATTEMPTS)


def too_large_for_post(request: requests.Request) -> responses.Response:
    """413 from PHP's own limit."""
    return _problem(request, 413, dialect.of(request).too_large())


def add_rate_headers(answer: responses.Response, verdict: throttle.Verdict) -> None:
    """On everything the throttle saw, errors included."""
    answer.headers["X-RateLimit-Limit"] = str(verdict.limit)
    answer.headers["X-RateLimit-Remaining"] = str(verdict.remaining)


def _problem(request: requests.Request, status: int, message: str) -> responses.Response:
    if not wants_json(request):
        page = f"<!DOCTYPE html>\n<html><head><title>{status}</title></head><body>{status}</body></html>\n"
        return responses.Response(page, status, media_type="text/html")
    return responses.Response(json.dumps({"message": message}, indent=4), status, media_type="application/json")


def _redirect(location: str) -> responses.Response:
    return responses.RedirectResponse(location, 302)


def _quality(offer: list[str]) -> float:
    for parameter in offer[1:]:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
