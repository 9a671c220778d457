"""A signal is heard whatever the main thread does. Each test starts a process that runs only the watch."""

import os
import pty
import signal
import subprocess
import sys
import termios
import textwrap
import time

import pytest

START = """
import os, signal, sys, threading, time
from callimport.core.signal_watch import watch
watch.start()
reading, writing = os.pipe()
def say(word):
    os.write(1, word + b"\\n")
"""
READS = "thread = threading.Thread(target=os.read, args=(reading, 1)); thread.start(); say(b'ready')\n"
STUCK = {
    # No signal ends this wait in C, and no Python handler runs during it.
    "in a library": READS + "import ctypes; ctypes.CDLL(None).pthread_join(ctypes.c_ulong(thread.ident), None)",
    "at the end, in a thread": READS,
    "in code that swallows it": (
        "watch.start_raising()\n"
        "try:\n    say(b'ready'); os.read(reading, 1)\n"
        "except BaseException:\n    os.read(reading, 1)"
    ),
}


def _process(
    script: str, *, ignores: tuple[signal.Signals, ...] = (), keeps: tuple[int, ...] = ()
) -> subprocess.Popen[str]:
    def ignore() -> None:
        for number in ignores:
            signal.signal(number, signal.SIG_IGN)

    process = subprocess.Popen(
        [sys.executable, "-c", START + script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=ignore,
        pass_fds=keeps,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def _signal_until_it_ends(process: subprocess.Popen[str], number: signal.Signals) -> str:
    """Send the signal every 50 ms, as an impatient person does. Return stderr."""
    deadline = time.monotonic() + 10
    while process.poll() is None:
        assert time.monotonic() < deadline, "it did not end"
        process.send_signal(number)
        time.sleep(0.05)
    _, err = process.communicate()
    return str(err)


@pytest.mark.parametrize("script", STUCK.values(), ids=STUCK.keys())
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)])
def test_a_second_signal_ends_a_process_that_is_stuck(script: str, number: signal.Signals, code: int) -> None:
    process = _process(script)
    err = _signal_until_it_ends(process, number)
    assert process.returncode == code
    assert err.startswith("error: ended at once")
    assert len(err.splitlines()) == 1


def test_a_second_signal_ends_a_process_whose_stderr_is_a_full_pipe() -> None:
    """Whoever reads stderr may have stopped reading, such as a pager."""
    script = (
        "reading_2, writing_2 = os.pipe(); os.dup2(writing_2, 2)\n"
        "os.set_blocking(2, False)\n"
        "for size in (4096, 1):\n"
        "    try:\n        while True: os.write(2, b'x' * size)\n"
        "    except BlockingIOError: pass\n"
        "os.set_blocking(2, True)\n"
    )
    process = _process(script + STUCK["in a library"])
    _signal_until_it_ends(process, signal.SIGTERM)
    assert process.returncode == 143


def test_a_second_signal_ends_a_process_whose_terminal_is_stopped() -> None:
    """Ctrl-S stops a terminal, and `termios.tcflow` does the same."""
    controller, terminal = pty.openpty()
    script = f"import termios; os.dup2({terminal}, 2); watch._terminal = termios.tcgetattr(2)\n"
    process = _process(script + "termios.tcflow(2, termios.TCOOFF)\n" + STUCK["in a library"], keeps=(terminal,))
    _signal_until_it_ends(process, signal.SIGINT)
    os.close(controller)
    os.close(terminal)
    assert process.returncode == 130


def test_two_signals_at_once_are_one_request() -> None:
    process = _process(
        "watch.start_raising()\n"
        "try:\n    say(b'ready'); os.read(reading, 1)\n"
        "except KeyboardInterrupt:\n    watch.stop_raising(); time.sleep(0.5); os._exit(watch.asked)"
    )
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=10)
    assert process.returncode in (130, 143)
    assert err == ""


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT])
def test_a_signal_that_the_parent_ignores_stays_ignored(number: signal.Signals) -> None:
    """`nohup` ignores SIGHUP, and a shell ignores SIGINT for a command in the background."""
    process = _process("say(b'ready'); time.sleep(60)", ignores=(number,))
    for _ in range(3):
        process.send_signal(number)
        time.sleep(0.25)
    assert process.poll() is None
    process.terminate()
    assert "ended at once" in _signal_until_it_ends(process, signal.SIGTERM)


def test_a_keyboard_interrupt_that_python_drops_is_raised_again() -> None:
    """Python prints and forgets what is raised in a destructor."""
    process = _process(
        "class Dropped:\n    def __del__(self):\n        os.kill(os.getpid(), signal.SIGINT); time.sleep(0.1)\n"
        "watch.start_raising()\n"
        "say(b'ready')\n"
        "try:\n    Dropped(); os.read(reading, 1)\n"
        "except KeyboardInterrupt:\n    os._exit(watch.asked)"
    )
    _, err = process.communicate(timeout=10)
    assert (process.returncode, err) == (130, "")


def test_a_second_signal_makes_the_terminal_show_again_what_is_typed() -> None:
    """A password prompt hides what is typed."""
    script = START + textwrap.dedent("""
        import termios
        now = termios.tcgetattr(2)
        now[3] &= ~termios.ECHO
        termios.tcsetattr(2, termios.TCSANOW, now)
        say(b"ready")
        os.read(reading, 1)
        """)
    process, terminal = pty.fork()
    if process == 0:
        os.execv(sys.executable, [sys.executable, "-c", script])  # noqa: S606 (a terminal of its own)
    said = b""
    while b"ready" not in said:
        said += os.read(terminal, 1000)
    assert not termios.tcgetattr(terminal)[3] & termios.ECHO
    echo = 0
    while os.waitpid(process, os.WNOHANG) == (0, 0):
        os.kill(process, signal.SIGINT)
        time.sleep(0.05)
        echo = termios.tcgetattr(terminal)[3] & termios.ECHO
    os.close(terminal)
    assert echo
