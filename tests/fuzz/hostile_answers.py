"""Hostile answers: sound answers of the CRM, changed in status, headers, body, JSON or framing."""

import codecs
import gzip
import json
import random
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from tests.baseline.scripted_crm import Answers, Ending, Sound, answer

# Phone numbers that occur only in answers. No output may show one whole.
NUMBERS_OF_ANSWERS = ("+15145550188", "514-555-0177")
SUCCESS = range(200, 300)
# These statuses say that nothing was stored. If the CRM stored it, nobody could prevent a duplicate.
SURELY_NOT_STORED = frozenset(range(400, 500)) - {408, 421, 425}
WRITES = ("create", "update", "upload")

# Values that replace a value in the JSON of an answer.
ODD_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 42.0, 1e3, 1.5, -0.0, 2**31, 2**53, 2**63 - 1, 2**63, 2**64, 10**30, 10**400,
    "", " ", "0", "-1", "42", "042", "４２", "1e3", "null", "NaN", "\ud800", "a\udfffb", "\x00", "a\x00b", "\u202eabc",
    "\u200b", "\x1b[31mred\x1b[0m", "é" * 300, "x" * 100_000, *NUMBERS_OF_ANSWERS, "Bearer baseline-token",
    "<script>alert(1)</script>", "=1+1", "0000-00-00", "0000-01-01T00:00:00Z", "99999-01-01T00:00:00Z",
    "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "2024-02-30T10:00:00Z", "2024-05-01T09:00:00",
    "2024-05-01", "2024-05-01T25:00:00+00:00", 1714568400, -62135596801, [], {}, [[]], [None], [1, "2"], {"id": 7},
    {"data": {}}, float("nan"), float("inf"), float("-inf"),
)  # fmt: skip
ODD_BODIES: tuple[bytes, ...] = (
    b"", b" ", b"null", b"true", b"0", b'"text"', b"[]", b"{}", b"[[]]", b"[null]", b"[{}]", b'{"data": null}',
    b'{"data": []}', b'{"data": [[]]}', b'{"data": 7}', b'{"data": "7"}', b'{"data": {"data": {"id": 9}}}',
    b"\xff\xfe\x00", b"\x00" * 50, b"\x80abc", b"{", b'{"data": {"id": 42534452', b'{"data": {"id": 1e400}}',
    b'{"data": {"id": ' + b"9" * 5000 + b"}}", b'{"data": {"id": ' + b"9" * 4000 + b"}}", b"[" * 100_000,
    b"[" * 100_000 + b"]" * 100_000, b"[" * 500 + b"]" * 500, b'{"a":' * 900 + b"1" + b"}" * 900,
    b'{"data": ' + b"[" * 960 + b"]" * 960 + b"}", b'{"data": {"id": "\\ud800"}}', b'{"data": {"id": NaN}}',
    b'{"errors": ' + b"[" * 900 + b"]" * 900 + b"}", b'{"errors": {"a": ' + b"[" * 900 + b"]" * 900 + b"}}",
    b'{"errors": {"lead_id": ["call +1 514 555-0188 \\ud83d"]}}', b'{"message": "+15145550188 \\u0000\\u202e"}',
    b"<html><body>Sign in</body></html>", codecs.BOM_UTF8 + b"<!DOCTYPE html>", b"OK", b"SSH-2.0-OpenSSH_9.6",
    b'"' + b"x" * (2 * 2**20) + b'"', b" " * (6 * 2**20),
)  # fmt: skip
STATUSES = (
    100, 101, 102, 103, 199, 200, 201, 202, 203, 204, 205, 206, 207, 226, 299, 300, 301, 302, 303, 304, 305, 306, 307,
    308, 399, 400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 412, 413, 414, 415, 416, 417, 418, 419, 420,
    421, 422, 423, 424, 425, 426, 428, 429, 431, 444, 451, 494, 499, 500, 501, 502, 503, 504, 505, 507, 508, 511, 520,
    521, 522, 523, 524, 525, 526, 530, 599, 600, 700, 999,
)  # fmt: skip
WAITS = (
    "0", "1", "30", "-5", "1e308", "-1e308", "1e400", "nan", "inf", "10" + "0" * 19, "9" * 5000, "", "soon", "1,5",
    "1 second", "٣", "0x10", "Wed, 21 Oct 2015 07:28:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT",
    "Mon, 01 Jan 0001 00:00:00 GMT", "Wed, 21 Oct 2015 07:28:00 +9999", "Wednesday, 21-Oct-15 07:28:00 GMT",
    "Wed Oct 21 07:28:00 2015", "Wed, 99 Oct 2015 99:99:99 GMT", "2030-01-01T00:00:00Z", "\xe9\xff",
)  # fmt: skip
LINKS = (
    "http://[", "http://[::1", "//", "///", "http://", "https://other.example/v2/x", "/v2/leads", "http://127.0.0.1:0/",
    "http://127.0.0.1:99999999/", "javascript:alert(1)", "http://a b/", "\xe9", "http://user:pw@h/", "x" * 5000, "",
    "http://514-555-0177/",
)  # fmt: skip
TYPES = ("text/html", "application/json; charset=utf-16", "", ";", "\xff", "x/y")
COOKIES = ("a=b", "", "=", "a=b; Expires=Fri, 99 Xxx 99999 00:00:00", "\xe9=\xff", "a" * 9000)
HEADERS: tuple[tuple[str, ...], ...] = (
    *((f"Retry-After: {value}",) for value in WAITS),
    *((f"Date: {value}",) for value in WAITS),
    *((f"Retry-After: {value}", "Date: Wed, 21 Oct 2015 07:28:00 GMT") for value in WAITS[11:]),
    *((f"Location: {value}",) for value in LINKS),
    *((f"X-RateLimit-Remaining: {value}", f"X-RateLimit-Reset: {value}") for value in (*WAITS[:9], "+1 514 555 0188")),
    *((f"Content-Encoding: {value}",) for value in ("gzip", "br", "identity", "IDENTITY", "gzip, gzip", "x", "")),
    *((f"Content-Type: {value}",) for value in TYPES),
    *((f"Set-Cookie: {value}",) for value in COOKIES),
    *((f"Connection: {value}",) for value in ("close", "keep-alive", "upgrade", "Keep-Alive, close", "\xff")),
    ("Connection: Upgrade", "Upgrade: h2c"), ("Keep-Alive: timeout=0",), ("Keep-Alive: timeout=-1, max=x",),
    ("Transfer-Encoding: chunked",), ("Transfer-Encoding: gzip",), ("Transfer-Encoding: gzip, chunked",),
    ("Trailer: Date",), ("X-Odd: \x80\xff\xfe",), ("X-Odd: a\x0bb",), (": nameless",), ("No colon",), (" folded",),
    ("Na me: x",), ("Link: <http://[>; rel=next",), tuple(f"X-{number}: {number}" for number in range(500)),
    ("X-Long: " + "x" * 200_000,),
)  # fmt: skip
STATUS_LINES: tuple[bytes, ...] = (
    b"HTTP/1.1 20", b"HTTP/1.1 200", b"HTTP/1.1", b"HTTP/1.1 2OO OK", b"HTTP/1.1 20000 OK", b"HTTP/1.1 -1 OK",
    b"HTTP/1.1 099 OK", b"HTTP/0.9 200 OK", b"HTTP/1.0 201 Created", b"HTTP/2.0 200 OK", b"HTTP/3 200 OK",
    b"ICY 200 OK",
    b"HTTP/1.1 201 \xff\xfe", b"HTTP/1.1 201 " + b"x" * 120_000, b"", b"\x00", b"SSH-2.0-OpenSSH_9.6",
    b"PRI * HTTP/2.0\r\n\r\nSM", b"\x15\x03\x03\x00\x02\x02\x28", b"\x00\x00\x12\x04\x00\x00\x00\x00\x00",
    b"http/1.1 200 ok",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Hostile:
    """One way to change an answer. `stores` says whether a write takes effect."""

    name: str
    data: Callable[[Sound], bytes]
    ending: Ending = Ending.STAY
    stores: bool = True


def draw(rng: random.Random, kind: str, crm: Answers) -> Hostile:
    """Draw a hostile answer for requests of a kind."""
    ways = [_of_status, _of_headers, _of_body, _of_json, _of_json, _of_json, _of_bytes, _of_framing, _of_ids]
    if kind in ("leads", "leads by number", "search", "leads with communications"):
        ways += [_of_pages, _of_pages]
    return rng.choice(ways)(rng, kind, crm)


def _of_status(rng: random.Random, kind: str, crm: Answers) -> Hostile:
    status = rng.choice(STATUSES)
    headers = rng.choice(HEADERS) if rng.random() < 0.5 else ()
    headers = tuple(one for one in headers if not one.startswith(("Transfer-Encoding", "Content-Length")))
    body = rng.choice(ODD_BODIES) if rng.random() < 0.5 else None
    return Hostile(
        f"status {status} {_short(headers)} {_short(body)}",
        lambda sound: _answer(status, sound.content if body is None else body, headers),
        stores=_stores(rng, status),
    )


def _of_headers(rng: random.Random, kind: str, crm: Answers) -> Hostile:
    headers = rng.choice(HEADERS)
    status = rng.choice((None, None, 429, 503))
    return Hostile(
        f"headers {_short(headers)} {status or ''}",
        lambda sound: _answer(status or sound.status, sound.content, headers),
        rng.choice((Ending.STAY, Ending.FIN)),
        _stores(rng, status) if status else True,
    )


def _of_body(rng: random.Random, kind: str, crm: Answers) -> Hostile:
    body = rng.choice(ODD_BODIES)
    return Hostile(f"body {_short(body)}", lambda sound: answer(sound.status, body))


def _of_json(rng: random.Random, kind: str, crm: Answers) -> Hostile:
    seed = rng.random()
    return Hostile(f"a JSON value {seed}", lambda sound: _with(sound, random.Random(seed), _changed))


def _of_ids(rng: random.Random, kind: str, crm: Answers) -> Hostile:
    taken = [one["id"] for one in crm.world.communications[:3]] + list(crm.world.leads)[:3]
    value = rng.choice([*ODD_VALUES[:30], *taken, *taken])
    if kind == "lead" and rng.random() < 0.5:
        other = rng.choice(list(crm.world.leads))
        return Hostile(f"lead {other} in its place", lambda sound: crm._lead(other).bytes)

    def change(rng: random.Random, body: Any) -> Any:
        found = [place for place in _places(body) if place[-1] == "id"]
        if found:
            _put(body, rng.choice(found), value)
        return body

    return Hostile(f"id {_short(value)}", lambda sound: _with(sound, rng, change))


def _of_pages(rng: random.Random, kind: str, crm: Answers) -> Hostile:
    name, value = rng.choice(("total", "last_page", "current_page", "per_page")), rng.choice(ODD_VALUES[:40])
    way = rng.choice(("meta", "repeat", "other number", "no meta", "empty"))

    def change(rng: random.Random, body: Any) -> Any:
        shown = body.get("data")
        if way == "meta":
            body["meta"][name] = value
        elif way == "no meta":
            del body["meta"]
        elif isinstance(shown, list) and shown:
            if way == "repeat":
                shown.append(deepcopy(rng.choice(shown)))
            elif way == "empty":
                shown.clear()
            else:
                rng.choice(shown)["phones"] = [{"number": rng.choice((*NUMBERS_OF_ANSWERS, "", None, 7, ["x"]))}]
        return body

    return Hostile(f"page: {way} {name} {_short(value)}", lambda sound: _with(sound, rng, change))


def _of_bytes(rng: random.Random, kind: str, crm: Answers) -> Hostile:
    seed, way = rng.random(), rng.choice(("cut", "flip", "flip body", "cut body", "insert"))
    ending = rng.choice((Ending.FIN, Ending.RST, Ending.STAY))

    def damage(sound: Sound) -> bytes:
        rng, data = random.Random(seed), bytearray(sound.bytes)
        head = len(data) - len(sound.content)
        place = rng.randrange(head if "body" in way and sound.content else 0, len(data))
        if way.startswith("cut"):
            return bytes(data[:place])
        if way == "insert":
            return bytes(data[:place]) + rng.randbytes(3) + bytes(data[place:])
        data[place] ^= 1 << rng.randrange(8)
        return bytes(data)

    # The write takes effect: one flipped bit never turns 2xx into 4xx, which would say that nothing was stored.
    return Hostile(f"{way}, then {ending.value}", damage, ending if "cut" in way else Ending.STAY)


def _of_framing(rng: random.Random, kind: str, crm: Answers) -> Hostile:
    line, way = rng.choice(STATUS_LINES), rng.randrange(10)
    other = crm.world.communications[-1] if crm.world.communications else {"id": 999_999}
    extra = rng.choice((answer(201, json.dumps({"data": other}).encode()), b'{"x": 1}', b"\r\n\r\n", answer(500, b"")))
    ending = rng.choice((Ending.STAY, Ending.FIN, Ending.RST))
    length = rng.choice(("0", "1", "-1", "abc", "1e3", "99999", str(2**70), "5, 5", "", "+5", "0x10"))
    chunks = rng.choice(
        (b"0\r\n\r\n", b"zz\r\nabc\r\n", b"5\r\nab", b"ffffffffffffffffffff\r\nx", b"-1\r\n\r\n", b"2\r\n{}\r\n")
    )
    zipped = gzip.compress(b"[" * 200_000)
    name, data = {
        0: (f"status line {_short(line)}", lambda sound: line + b"\r\n" + sound.bytes.partition(b"\r\n")[2]),
        1: (f"more after the answer {_short(extra)}", lambda sound: sound.bytes + extra),
        2: (f"another answer before {_short(extra)}", lambda sound: extra + sound.bytes),
        3: (f"length {length}", lambda sound: _framed(sound, f"Content-Length: {length}")),
        4: ("two lengths", lambda sound: _framed(sound, f"Content-Length: 3\r\nContent-Length: {len(sound.content)}")),
        5: (f"chunks {_short(chunks)}", lambda sound: _framed(sound, "Transfer-Encoding: chunked", chunks)),
        6: ("gzip bomb", lambda sound: answer(sound.status, zipped, "Content-Encoding: gzip")),
        7: ("head without end", lambda sound: b"HTTP/1.1 201 Created\r\n" + b"X-A: b\r\n" * 40_000),
        8: ("nothing", lambda sound: b""),
        9: ("many 1xx", lambda sound: b"HTTP/1.1 102 Processing\r\n\r\n" * 2000 + sound.bytes),
    }[way]  # fmt: skip
    # Bytes before a sound answer are taken as the answer, so they must not say that nothing was stored.
    return Hostile(f"{name}, then {ending.value}", data, ending)


def _with(sound: Sound, rng: random.Random, change: Callable[[random.Random, Any], Any]) -> bytes:
    """Return the sound answer with a changed body, sometimes in another encoding or with a name twice."""
    text = json.dumps(change(rng, deepcopy(sound.body)))
    content = text.encode()
    form = rng.random()
    if form < 0.05:
        content = text.encode(rng.choice(("utf-8-sig", "utf-16", "utf-32", "utf-16-le")))
    elif form < 0.1:
        content = text.replace('"id":', '"id": 7, "id":', 1).encode()
    return answer(sound.status, content)


def _changed(rng: random.Random, body: Any) -> Any:
    """Change one value. A lead's list of communications stays: the program could not notice a shorter list."""
    places = [place for place in _places(body) if place[-1] != "communications"]
    if not places:
        return rng.choice(ODD_VALUES)
    place = rng.choice(places)
    _put(body, place, rng.choice(ODD_VALUES))
    return body


def _places(body: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    pairs = body.items() if isinstance(body, dict) else enumerate(body) if isinstance(body, list) else ()
    for name, value in pairs:
        yield (*at, name)
        yield from _places(value, (*at, name))


def _put(body: Any, place: tuple[Any, ...], value: Any) -> None:
    for name in place[:-1]:
        body = body[name]
    body[place[-1]] = value


def _answer(status: int, content: bytes, headers: tuple[str, ...]) -> bytes:
    head, _, rest = answer(status, content).partition(b"\r\n\r\n")
    return b"\r\n".join([head, *(one.encode("latin-1", "replace") for one in headers)]) + b"\r\n\r\n" + rest


def _framed(sound: Sound, header: str, content: bytes | None = None) -> bytes:
    head = f"HTTP/1.1 {sound.status} Whatever\r\nContent-Type: application/json\r\n{header}\r\n\r\n"
    return head.encode() + (sound.content if content is None else content)


def _stores(rng: random.Random, status: int) -> bool:
    return status in SUCCESS or (status not in SURELY_NOT_STORED and rng.random() < 0.5)


def _short(value: object) -> str:
    return repr(value)[:60] if value else ""
