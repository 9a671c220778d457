"""The talk on stderr while a run goes on: a moving line on a terminal, a plain one every 30 seconds elsewhere."""

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.text import Text

from callimport.core import humanize, models, plurals, privacy

LINE_EVERY_SECONDS = 30.0


class Stderr(Console):
    """rich answers a broken pipe by ending the program and turning stdout off; nobody asked for either here."""

    def __init__(self) -> None:
        super().__init__(stderr=True)

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


class Talk:
    """Everything said here goes to stderr and may be thrown away; the answer itself goes to stdout."""

    def __init__(
        self, console: Console, now: Callable[[], datetime], *, quiet: bool = False, as_json: bool = False
    ) -> None:
        self._console = console
        self._now = now
        self._quiet = quiet
        self._as_json = as_json
        self._live: Live | None = None
        self._said_at: float | None = None
        self._uploads_said_at: float | None = None
        self._unheard = False

    def say(self, text: str) -> None:
        if not self._quiet:
            self._write("info", text)

    def warn(self, text: str) -> None:
        """Said even when quiet: a person should know."""
        self._write("warning", text)

    def error(self, text: str) -> None:
        self._write("error", text)

    def forecast(self, to_do: int, per_minute: float, now: datetime, reads: int = 0) -> None:
        """How long it will take, before it starts; `reads` are leads to be read before their first call."""
        if not to_do:
            self.say("nothing to send")
            return
        seconds = (to_do + reads) * 60 / per_minute
        until = (now + timedelta(seconds=seconds)).astimezone()
        about = humanize.told(seconds)
        first = f" and {plurals.leads(reads)} to read first (--existing)" if reads else ""
        self.say(
            f"{plurals.calls(to_do)} to send{first} at {per_minute:g}/min: about {about}, until {until:%Y-%m-%d %H:%M}"
        )

    @contextlib.contextmanager
    def showing_progress(self) -> Iterator[None]:
        """While the block lasts, `progress` moves a line on a terminal."""
        if self._quiet or self._as_json or not self._console.is_terminal:
            yield
            return
        with Live(console=self._console, auto_refresh=False, transient=True) as self._live:
            yield
        self._live = None

    def progress(self, progress: models.Progress) -> None:
        self.moves(progress.elapsed_seconds, progress_line(progress))

    def moves(self, elapsed_seconds: float, line: str) -> None:
        """How far it is by now; said so often that a plain log is not filled with it."""
        if self._live is not None:
            live = self._live
            self._if_heard(lambda: live.update(Text(line), refresh=True))
            return
        first = self._said_at is None
        if first:
            self._said_at = elapsed_seconds
        elif elapsed_seconds - (self._said_at or 0.0) >= LINE_EVERY_SECONDS:
            self._said_at = elapsed_seconds
            self.say(line)

    def upload_progress(self, done: int, to_do: int, per_minute: float, now: float) -> None:
        """`now` in monotonic seconds; said at most every 30 of them."""
        if self._uploads_said_at is None:
            self._uploads_said_at = now
        elif now - self._uploads_said_at >= LINE_EVERY_SECONDS:
            self._uploads_said_at = now
            self.say(f"{done:,} of {to_do:,} recordings · {per_minute:.0f} requests/min allowed")

    def _write(self, level: str, text: str) -> None:
        line = privacy.mask(text)
        if self._as_json:
            stamp = self._now().isoformat(timespec="seconds")
            shown = Text(json.dumps({"time": stamp, "level": level, "message": line}, ensure_ascii=False))
        else:
            style = {"warning": "yellow", "error": "bold red"}.get(level, "")
            prefix = {"warning": "warning: ", "error": "error: "}.get(level, "")
            shown = Text(prefix + line, style=style)
        self._if_heard(lambda: self._console.print(shown, soft_wrap=True))

    def _if_heard(self, speak: Callable[[], None]) -> None:
        """Talk may be thrown away: a closed pipe or a full disk behind stderr is no reason to stop sending."""
        if self._unheard:
            return
        try:
            speak()
        except (OSError, ValueError):
            self._unheard = True


def adoption_line(leads: Sequence[int], per_minute: float) -> str:
    """What --adopt is about to do, and how long that takes."""
    seconds = len(leads) * 60 / per_minute
    about = humanize.told(seconds)
    return f"reading {plurals.leads(len(leads))} for calls that are there already: about {about}, twice where needed"


def adopted_line(endings: Mapping[str, int], *, is_plan: bool = False) -> str:
    strangers = endings.get("strangers", 0)
    others = f"; {plurals.calls(strangers)} of another ledger left as they are" if strangers else ""
    adopted, held = endings.get("adopted", 0), endings.get("held", 0)
    if is_plan:
        return f"{plurals.calls(adopted)} there already would be adopted, {held} would be held{others}"
    return f"{plurals.calls(adopted)} there already, now adopted; {held} held{others}"


def progress_line(progress: models.Progress) -> str:
    pause = progress.paused_seconds
    paused = f" · waiting {humanize.told(pause)} as the CRM asked" if pause > 5 else ""
    return (
        f"{progress.done:,} of {progress.to_do:,} · {progress.achieved_per_minute:.0f}/min of "
        f"{progress.allowed_per_minute:.0f} allowed · {humanize.told(progress.eta_seconds)} left · "
        f"{progress.refused} refused · {progress.in_doubt} in doubt{paused}"
    )


def progress_figures(progress: models.Progress) -> dict[str, Any]:
    """The same for the heartbeat; rates are requests a minute."""
    return {
        "to_do": progress.to_do,
        "done": progress.done,
        "delivered": progress.delivered,
        "refused": progress.refused,
        "failed": progress.failed,
        "in_doubt": progress.in_doubt,
        "achieved_per_minute": round(progress.achieved_per_minute, 1),
        "allowed_per_minute": round(progress.allowed_per_minute, 1),
        "eta_seconds": round(progress.eta_seconds),
        "requests": progress.requests,
        "rate_limited": progress.rate_limited,
    }
