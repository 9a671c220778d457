"""Hear Ctrl-C, SIGTERM and SIGHUP from the first line of the program to its last, also if the main thread is stuck.

The first signal asks for a clean end. A second one ends the process at once.

CPython runs a Python handler in the main thread, between two bytecodes. A main thread that waits in C (polars, a name
look-up, a thread that reads a pipe) runs none. CPython's handler in C still writes the number of the signal to the
wake-up pipe at once. A thread here reads that pipe.

Only the standard library's smallest modules are imported here: this runs before everything else is loaded.
"""

import _thread
import contextlib
import os
import select
import signal
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

INTERRUPTED, TERMINATED = 130, 143
EXIT_CODES: dict[signal.Signals, int] = {signal.SIGINT: INTERRUPTED, signal.SIGTERM: TERMINATED}
if hasattr(signal, "SIGHUP"):
    # The terminal went away, as when an ssh session drops.
    EXIT_CODES[signal.SIGHUP] = TERMINATED
# A wrapper such as `make` or `sudo` passes on the signal that the terminal has sent to callimport already. The copy
# comes within milliseconds. A person needs longer than this for a second Ctrl-C.
ONE_REQUEST_SECONDS = 0.2
_ENDED = (
    "ended at once by a second signal: callimport status shows where it stands, and the next run goes on from there"
)
# Wakes the main thread. This signal is ignored by default, so no other part of the program is disturbed.
_REMINDER = signal.SIGURG
_REMIND_EVERY_SECONDS = 0.1
# A terminal that was stopped with Ctrl-S takes no output, and neither does a full pipe that nobody reads.
_LONGEST_OUTPUT_SECONDS = 0.3
_SHOW_CURSOR = b"\x1b[?25h"


class SignalWatch:
    """Take the signals of the process. `asked` is the exit code of the first signal, None before it."""

    def __init__(self) -> None:
        self.asked: int | None = None
        self.has_raised = False
        self.stderr = 2
        self._first_at: float | None = None
        self._raises = False
        self._callback: Callable[[], None] = _do_nothing
        self._writing = -1
        self._main_thread = threading.get_ident()
        self._terminal: list[Any] | None = None

    def start(self) -> None:
        """Take the signals from now on.

        A signal that the parent ignores stays ignored: `nohup` ignores SIGHUP, and a shell ignores SIGINT for a command
        in the background.
        """
        self._terminal = _terminal_settings()
        sys.unraisablehook = self._note_dropped
        for number in EXIT_CODES:
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._handle)
        signal.signal(_REMINDER, self._remind)
        try:
            reading, self._writing = os.pipe()
            os.set_blocking(self._writing, False)
            threading.Thread(target=self._read, args=(reading,), name="signals", daemon=True).start()
            signal.set_wakeup_fd(self._writing, warn_on_full_buffer=False)
        except (OSError, RuntimeError):
            # No thread or no file handle is left. The Python handler then takes the signals, between two bytecodes.
            self._writing = -1

    def start_raising(self) -> None:
        """Raise KeyboardInterrupt in the main thread at the first signal, or at once if that signal came already."""
        self._raises = True
        if self.asked is not None:
            self._raise()

    def stop_raising(self) -> None:
        """Raise nothing from now on, such as while the answer is written. `asked` still changes at the first signal.

        A second signal still ends the process.
        """
        self._raises = False

    @contextlib.contextmanager
    def raising(self) -> Iterator[None]:
        """Raise KeyboardInterrupt at the first signal within this block: for waits outside the event loop."""
        before = self._raises
        try:
            self.start_raising()
            yield
        finally:
            self._raises = before

    @contextlib.contextmanager
    def notifying(self, callback: Callable[[], None]) -> Iterator[None]:
        """Call `callback` at the first signal within this block, from the thread of this watch.

        Call it at once if the signal came already. No signal raises KeyboardInterrupt in this block or after it.
        """
        self._raises = False
        self._callback = callback
        try:
            if self.asked is not None:
                callback()
            yield
        finally:
            self._callback = _do_nothing

    def _handle(self, number: int, _frame: object) -> None:
        if self._writing < 0:
            self._hear(number)
        self.asked = self.asked or EXIT_CODES[signal.Signals(number)]
        if self._raises:
            self._raise()

    def _raise(self) -> None:
        if not self.has_raised:
            self.has_raised = True
            raise KeyboardInterrupt

    def _note_dropped(self, dropped: Any) -> None:
        """Raise a KeyboardInterrupt again that Python dropped, such as in a destructor or a callback."""
        if issubclass(dropped.exc_type, KeyboardInterrupt):
            self.has_raised = False

    def _read(self, reading: int) -> None:
        while True:
            # A signal right before a wait in C does not end that wait. So remind the main thread until it raises.
            is_to_raise = self.asked is not None and self._raises and not self.has_raised
            if is_to_raise:
                signal.pthread_kill(self._main_thread, _REMINDER)
            wait = None if self.asked is None else _REMIND_EVERY_SECONDS
            if select.select([reading], [], [], wait)[0]:
                for number in os.read(reading, 64):
                    self._hear(number)

    def _remind(self, _number: int, _frame: object) -> None:
        if self._raises and self.asked is not None:
            self._raise()

    def _hear(self, number: int) -> None:
        code = next((code for known, code in EXIT_CODES.items() if known == number), None)
        now = time.monotonic()
        if code is None:
            return
        if self._first_at is None:
            self._first_at = now
            self.asked = self.asked or code
            self._callback()
        elif now - self._first_at >= ONE_REQUEST_SECONDS:
            self._end(code)

    def _end(self, code: int) -> None:
        """End the process. Another thread prints first, because what it prints to may block for ever."""
        with contextlib.suppress(RuntimeError):
            printed = _thread.allocate_lock()
            printed.acquire()
            _thread.start_new_thread(self._print_end, (printed,))
            printed.acquire(timeout=_LONGEST_OUTPUT_SECONDS)
        os._exit(code)

    def _print_end(self, printed: _thread.LockType) -> None:
        """Print one line without a buffer, a lock or an import: the main thread may hold one."""
        _restore_terminal(self._terminal)
        line = f"error: {_ENDED}"
        if "--log-format=json" in sys.argv or ("--log-format" in sys.argv and "json" in sys.argv):
            stamp = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
            line = f'{{"time": "{stamp}", "level": "error", "message": "{_ENDED}"}}'
        with contextlib.suppress(OSError):
            # A progress line hides the cursor.
            os.write(self.stderr, (_SHOW_CURSOR + b"\r\n" if self._terminal else b"") + line.encode() + b"\n")
        printed.release()


def _do_nothing() -> None:
    """No-op callback."""


def _terminal_settings() -> list[Any] | None:
    try:
        return termios.tcgetattr(2)
    except (OSError, termios.error):
        return None


def _restore_terminal(settings: list[Any] | None) -> None:
    """Show again what a person types: a password prompt hides it. A process in the background must not change this."""
    with contextlib.suppress(OSError, termios.error):
        if settings is not None and os.tcgetpgrp(2) == os.getpgrp():
            termios.tcsetattr(2, termios.TCSANOW, settings)


watch = SignalWatch()
