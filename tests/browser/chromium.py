"""A headless Chromium, driven over WebDriver: plain HTTP to the chromedriver that stands beside it."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.rehearsal import PATIENCE_SECONDS, wait_until

NAMES = ("chromium", "chromium-browser", "google-chrome")
DRIVER = "chromedriver"
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
_ARGUMENTS = (
    "--headless=new",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--window-size=1280,900",
    # Whatever a page might ask for, nothing leaves this machine.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


class WebDriverError(Exception):
    """The browser refused a command; the message says which and why."""


def binary() -> str | None:
    """A Chromium on this machine, None where there is none."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


@dataclass(frozen=True, slots=True)
class Browser:
    """A window of its own."""

    client: httpx.Client

    def open(self, url: str) -> None:
        self._sent("POST", "url", url=url)

    def url(self) -> str:
        return str(self._sent("GET", "url"))

    def title(self) -> str:
        return str(self._sent("GET", "title"))

    def texts(self, selector: str) -> list[str]:
        """What a person reads in every element that the selector finds."""
        return [str(self._sent("GET", f"element/{each}/text")) for each in self._found("css selector", selector)]

    def rows(self) -> list[list[str]]:
        """The cells of the page's table, as they are shown."""
        return [
            list(row)
            for row in self.script(
                "return [...document.querySelectorAll('tbody tr')]"
                ".map(row => [...row.cells].map(cell => cell.innerText))"
            )
        ]

    def click(self, selector: str) -> None:
        self._sent("POST", f"element/{self._found('css selector', selector)[0]}/click")

    def follow(self, text: str) -> None:
        """Click on the link with that text."""
        self._sent("POST", f"element/{self._found('link text', text)[0]}/click")

    def write(self, selector: str, text: str) -> None:
        """In place of what stands in a field."""
        field = self._found("css selector", selector)[0]
        self._sent("POST", f"element/{field}/clear")
        self._sent("POST", f"element/{field}/value", text=text)

    def script(self, source: str) -> Any:
        """Run by the driver, which no policy of the page stops."""
        return self._sent("POST", "execute/sync", script=source, args=[])

    def complaints(self) -> list[str]:
        """What the browser's console has said since it was last asked."""
        return [str(entry["message"]) for entry in self._sent("POST", "se/log", type="browser")]

    def has_dialog(self) -> bool:
        """Whether a script has opened an alert."""
        return self.client.get("alert/text").status_code == 200

    def _found(self, using: str, value: str) -> list[str]:
        found = [str(each[_ELEMENT]) for each in self._sent("POST", "elements", using=using, value=value)]
        if not found:
            raise WebDriverError(f"nothing on the page is {value!r}")
        return found

    def _sent(self, method: str, command: str, **content: Any) -> Any:
        answer = self.client.request(method, command, json=content if method == "POST" else None)
        value = answer.json()["value"]
        if answer.status_code != 200:
            raise WebDriverError(f"{command}: {value['error']}: {value['message'].splitlines()[0]}")
        return value


@contextmanager
def opened(folder: Path) -> Iterator[Browser]:
    """A browser for the length of the block; its profile and its log lie in `folder`."""
    log = folder / "chromedriver.log"
    with log.open("w", encoding="utf-8") as said:
        driver = subprocess.Popen([DRIVER, "--port=0"], stdout=said, stderr=subprocess.STDOUT)
    try:
        wait_until(lambda: _port(log) or driver.poll() is not None)
        with httpx.Client(
            base_url=f"http://127.0.0.1:{_port(log)}/", trust_env=False, timeout=PATIENCE_SECONDS
        ) as client:
            session = _session(client, folder)
            try:
                with httpx.Client(
                    base_url=f"{client.base_url}session/{session}/", trust_env=False, timeout=PATIENCE_SECONDS
                ) as window:
                    yield Browser(window)
            finally:
                client.delete(f"session/{session}")
    finally:
        driver.terminate()
        driver.wait(PATIENCE_SECONDS)


def _session(client: httpx.Client, folder: Path) -> str:
    # Chromium refuses its own sandbox to root, as which containers run.
    as_root = ["--no-sandbox"] if os.geteuid() == 0 else []
    options = {"binary": binary(), "args": [*_ARGUMENTS, *as_root, f"--user-data-dir={folder / 'profile'}"]}
    wanted = {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
    answer = client.post("session", json={"capabilities": {"alwaysMatch": wanted}}).json()["value"]
    if "sessionId" not in answer:
        raise WebDriverError(f"no browser started: {answer['message'].splitlines()[0]}")
    return str(answer["sessionId"])


def _port(log: Path) -> int | None:
    match = re.search(r"started successfully on port (\d+)", log.read_text(encoding="utf-8"))
    return int(match[1]) if match else None
