"""`python -m callimport.sandbox`: starts the rehearsal CRM and stays until stopped. Exit 0 when stopped, 2 on
misuse."""

import argparse
import asyncio
import base64
import math
import os
import pathlib
import secrets
import sys
from typing import NoReturn

from callimport.sandbox import address, api, cases, clock, control, knobs, plan, rehearsal, rules, seed, server

KEY_VARIABLE = "CALLIMPORT_SANDBOX_TOKEN"


class UsageError(Exception):
    """An option or the environment asks for something we cannot do; the message says what to do."""


_COMPLAINTS = (UsageError, knobs.KnobError, seed.SeedError, plan.FaultError, server.PortError, address.AddressError)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One line like every other complaint, and `main` returns rather than exits."""
        raise UsageError(f"{message}; see --help")


def main(argv: list[str] | None = None) -> int:
    """Run until SIGINT or SIGTERM; the exit code."""
    try:
        _run(_parser().parse_args(argv))
    except _COMPLAINTS as error:
        sys.stderr.write(f"callimport sandbox: {error}\n")
        return 2
    return 0


def _run(options: argparse.Namespace) -> None:
    address.refuse_another(options.address_file)
    token = _token()
    document = _document(options)
    stage = rehearsal.Rehearsal(
        token=token,
        settings=_settings(options),
        document=document,
        account_id=options.account_id or _unused_account_id(document),
        trouble=plan.from_file(options.faults) if options.faults else None,
    )
    with server.bound(options.port, "--port") as front, server.bound(options.control_port, "--control-port") as back:
        here = address.Address(
            url=server.url(front) + api.BASE_PATH,
            control_url=server.url(back),
            token=token,
            account_id=stage.world.own_account.id,
            account_name=stage.world.own_account.name,
            pid=os.getpid(),
            started_at=clock.utc_now(),
        )

        def started() -> None:
            address.write(options.address_file, here)
            if not options.quiet:
                sys.stdout.write(_greeting(here, options.address_file))
                sys.stdout.flush()

        try:
            asyncio.run(server.serve([(stage.api, front), (control.app(stage), back)], started=started))
        finally:
            address.remove(options.address_file, here.pid)


def _document(options: argparse.Namespace) -> object:
    if options.seed and options.cases:
        raise UsageError("--cases is a seed already: leave it or --seed out")
    if options.seed:
        return seed.from_file(options.seed)
    if options.cases:
        return cases.document()
    return seed.nobody() if options.any_id else seed.built_in()


def _settings(options: argparse.Namespace) -> knobs.Knobs:
    plain = knobs.Knobs(
        limit=options.limit,
        window_seconds=options.window,
        any_id=options.any_id,
        latency_seconds=options.latency_ms / 1000,
        profile=options.profile,
    )
    return knobs.turned(plain, options.knob)


def _greeting(here: address.Address, path: pathlib.Path) -> str:
    return (
        f"Rehearsal CRM for {here.account_name} (account {here.account_id}): nothing sent here reaches anybody.\n"
        f"It answers at {here.url}, its control port at {here.control_url}; both are written in {path}.\n"
        f"Look at its leads and their calls in a browser: {here.control_url}/\n"
        "Stop it with Ctrl-C; it then forgets everything.\n"
    )


def _token() -> str:
    """The one in the environment, or a new one as long and as oddly shaped as the vendor's."""
    given = os.environ.get(KEY_VARIABLE)
    if not given:
        parts = (
            b'{"typ":"JWT","alg":"RS256"}',
            b'{"aud":"sandbox"' + secrets.token_bytes(300),
            secrets.token_bytes(400),
        )
        return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)
    if not (given.isascii() and given.isprintable()) or " " in given:
        raise UsageError(f"{KEY_VARIABLE} must be printable ASCII without spaces; correct it or unset it")
    return given


def _unused_account_id(document: object) -> int:
    """A number no other sandbox is likely to have: ledgers are kept by account, and must not be shared."""
    taken = {account.id for account in seed.parsed(document).accounts}
    while True:
        account_id = 10_000_000 + secrets.randbelow(90_000_000)
        if account_id not in taken:
            return account_id


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        allow_abbrev=False,
        prog="callimport sandbox",
        description="A CRM to rehearse against: on this machine only, in memory, strict about what it is sent.",
        epilog=f"Its key is new each time; {KEY_VARIABLE} in the environment fixes it.",
    )
    defaults = knobs.Knobs()
    add = parser.add_argument
    add("--address-file", type=pathlib.Path, required=True, metavar="PATH", help="where to write how to reach it")
    add("--port", type=_port, default=0, help="port of the API (default: a free one)")
    add("--control-port", type=_port, default=0, help="port for control (default: a free one)")
    add("--seed", type=pathlib.Path, metavar="FILE", help="accounts, users and leads, as JSON (default: a small set)")
    add("--cases", action="store_true", help="instead of the small set, one of leads that are hard to get right")
    add("--limit", type=_count, default=defaults.limit, help="requests in a window (default: %(default)s)")
    add("--window", type=_seconds_above_zero, default=defaults.window_seconds, metavar="SECONDS", help="its length")
    add("--any-id", action="store_true", help="any lead and any user that is mentioned exists")
    add("--account-id", type=_count, metavar="N", help="id of the first account (default: a random one)")
    add("--latency-ms", type=_amount, default=0.0, metavar="MS", help="wait before each answer (default: 0)")
    add(
        "--profile",
        choices=tuple(rules.PROFILES),
        default=defaults.profile,
        help="how it judges (default: %(default)s)",
    )
    add("--faults", type=pathlib.Path, metavar="FILE", help="what is to go wrong and when, as JSON (default: nothing)")
    add("--knob", action="append", default=[], metavar="NAME=VALUE", help="another habit, as per_page=422")
    add("--quiet", action="store_true", help="print nothing")
    return parser


def _port(text: str) -> int:
    return _whole(text, 0, 65535, "a port: 0 to 65535")


def _count(text: str) -> int:
    return _whole(text, 1, 2**63 - 1, "a whole number from 1")


def _whole(text: str, least: int, most: int, wanted: str) -> int:
    if not text.isdecimal() or len(text) > 19 or not least <= int(text) <= most:
        raise argparse.ArgumentTypeError(f"{text} is not {wanted}")
    return int(text)


def _seconds_above_zero(text: str) -> float:
    seconds = _amount(text)
    if seconds == 0:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return seconds


def _amount(text: str) -> float:
    try:
        amount = float(text)
    except ValueError:
        amount = math.nan
    if not math.isfinite(amount) or amount < 0:
        raise argparse.ArgumentTypeError(f"{text} is not a number from 0")
    return amount


if __name__ == "__main__":
    sys.exit(main())
