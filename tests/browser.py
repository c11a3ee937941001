"""A real Chromium without a window, spoken to in its own language, the DevTools protocol.

Each call waits for its answer, so a test reads from top to bottom. A page is asked by JavaScript, and the
keys that it gets are real ones.
"""

import asyncio
import base64
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PATIENCE_SECONDS = 90.0
"""Long, as both cores may be busy with other tests."""
POLL_SECONDS = 0.05
FLAGS = (
    "--headless=new",
    "--remote-debugging-port=0",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-gpu",
    "--disable-sync",
    "--mute-audio",
    "--no-default-browser-check",
    "--no-first-run",
    "--password-store=basic",
)
KEYS = {
    "Tab": (9, ""),
    "Enter": (13, "\r"),
    "Space": (32, " "),
    "Escape": (27, ""),
    "ArrowLeft": (37, ""),
    "ArrowUp": (38, ""),
    "ArrowRight": (39, ""),
    "ArrowDown": (40, ""),
}
"""Code and text of the keys that have names; a letter or a digit is itself."""
CLIP = """(() => {
  const {x, y, width, height} = document.querySelector(SELECTOR).getBoundingClientRect();
  return {x: x + scrollX, y: y + scrollY, width, height, scale: 1};
})()"""
"""Where an element lies on the page."""
MODIFIERS = {"Alt": 1, "Control": 2, "Shift": 8}


class PageError(AssertionError):
    """JavaScript failed in the page, or what was waited for did not come."""


class Browser:
    """A running Chromium."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._loop = asyncio.new_event_loop()
        self._session: aiohttp.ClientSession | None = None
        self._tabs: list[Tab] = []

    def open(self, address: str = "about:blank", *, width: int = 1280, height: int = 900) -> "Tab":
        """A new tab in front, at this address, of so many pixels."""
        tab = self._loop.run_until_complete(self._connected())
        self._tabs.append(tab)
        for domain in ("Page", "Runtime", "Log", "DOM"):
            tab.call(f"{domain}.enable")
        tab.resize(width, height)
        if address != "about:blank":
            tab.go(address)
        return tab

    def close(self) -> None:
        """Lets go of all tabs."""
        self._loop.run_until_complete(self._closed())
        self._loop.close()

    async def _connected(self) -> "Tab":
        if self._session is None:
            self._session = aiohttp.ClientSession()
        address = f"http://127.0.0.1:{self._port}/json/new?about:blank"
        async with self._session.put(address) as answer:
            target = await answer.json()
        socket = await self._session.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=0)
        return Tab(self._loop, socket, close=f"http://127.0.0.1:{self._port}/json/close/{target['id']}")

    async def _closed(self) -> None:
        for tab in self._tabs:
            await tab.socket.close()
        if self._session is not None:
            await self._session.close()


class Tab:
    """One page."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, socket: aiohttp.ClientWebSocketResponse, *, close: str
    ) -> None:
        self.socket = socket
        self._close = close
        self._loop = loop
        self._number = 0
        self._events: list[dict[str, Any]] = []

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The answer to a command of the protocol. Raises PageError where it is refused."""
        return self._loop.run_until_complete(
            asyncio.wait_for(self._asked(method, parameters), PATIENCE_SECONDS)
        )

    def close(self) -> None:
        """Closes the tab; the one behind it comes to the front."""
        self._loop.run_until_complete(self._closed())

    def go(self, address: str) -> None:
        """Leads the tab to an address, and waits until the page is loaded."""
        self.call("Page.navigate", url=address)
        self.wait_for(
            f"location.href !== 'about:blank' && document.readyState === 'complete' && {_is(address)}"
        )

    def evaluate(self, script: str) -> Any:
        """What an expression comes to in the page, a promise included. Raises PageError where it fails."""
        answer = self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True, userGesture=True
        )
        if "exceptionDetails" in answer:
            raise PageError(f"{script}: {_text_of(answer['exceptionDetails'])}")
        return answer["result"].get("value")

    def wait_for(self, script: str, seconds: float = PATIENCE_SECONDS) -> Any:
        """What an expression comes to once that is true. Raises PageError, with the page's text."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = self.evaluate(script)
            if found:
                return found
            time.sleep(POLL_SECONDS)
        raise PageError(
            f"{script} did not become true in {seconds:g} s; the page: {self.text()!r}; {self.problems}"
        )

    def text(self, selector: str = "body") -> str:
        """What a person reads there; nothing of what is hidden."""
        found = f"document.querySelector({json.dumps(selector)})"
        return str(self.evaluate(f"{found}?.checkVisibility() ? {found}.innerText : ''"))

    def press(self, key: str, *modifiers: str) -> None:
        """A key goes down and up, where the focus is."""
        code, text = KEYS.get(key, (ord(key[0].upper()), key))
        parameters: dict[str, Any] = {
            "key": " " if key == "Space" else key,
            "code": key if key in KEYS else f"Key{key.upper()}",
            "windowsVirtualKeyCode": code,
            "modifiers": sum(MODIFIERS[name] for name in modifiers),
        }
        typed = {"text": text} if text and "Control" not in modifiers else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", **parameters, **typed)
        self.call("Input.dispatchKeyEvent", type="keyUp", **parameters)

    def choose_files(self, selector: str, files: Sequence[Path]) -> None:
        """As a person chooses files in the dialogue of a file field."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(file) for file in files])

    def resize(self, width: int, height: int, *, scale: float = 1.0) -> None:
        """Makes the page so many CSS pixels large."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=False,
        )

    def prefer(self, **features: str) -> None:
        """What the person prefers, such as `prefers_color_scheme="dark"`."""
        self.call(
            "Emulation.setEmulatedMedia",
            features=[{"name": name.replace("_", "-"), "value": value} for name, value in features.items()],
        )

    def screenshot(self, selector: str | None = None) -> bytes:
        """A PNG of what is in sight, or of one element."""
        clip = {}
        if selector is not None:
            clip = self.evaluate(CLIP.replace("SELECTOR", json.dumps(selector)))
        answer = self.call("Page.captureScreenshot", format="png", **({"clip": clip} if clip else {}))
        return base64.b64decode(answer["data"])

    @property
    def events(self) -> list[dict[str, Any]]:
        """What the page's domains told so far, such as requests once `Network.enable` was called."""
        return list(self._events)

    @property
    def problems(self) -> list[str]:
        """All that a person would see in the console as an error or a warning, so far."""
        with suppress(PageError):
            self.call("Runtime.evaluate", expression="0")  # what came before it has come by then
        return [text for event in self._events for text in _problems(event)]

    async def _closed(self) -> None:
        async with aiohttp.ClientSession() as session, session.get(self._close):
            pass
        await self.socket.close()

    async def _asked(self, method: str, parameters: dict[str, Any]) -> dict[str, Any]:
        self._number += 1
        await self.socket.send_json({"id": self._number, "method": method, "params": parameters})
        while True:
            message = await self.socket.receive_json()
            if message.get("id") != self._number:
                self._events.append(message)
            elif "error" in message:
                raise PageError(f"{method}: {message['error']['message']}")
            else:
                result: dict[str, Any] = message["result"]
                return result


@contextmanager
def running_browser(folder: Path, *flags: str) -> Iterator[Browser]:
    """A Chromium that keeps all it writes in `folder`; the test is skipped where there is none."""
    program = next((found for name in NAMES if (found := shutil.which(name))), None)
    if program is None:
        pytest.skip("there is no Chromium on this machine")
    profile = folder / "profile"
    profile.mkdir(parents=True)
    as_root = ("--no-sandbox",) if os.geteuid() == 0 else ()
    process = subprocess.Popen(
        [program, *FLAGS, *as_root, f"--user-data-dir={profile}", *flags, "about:blank"],
        env={**os.environ, "HOME": str(folder)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        browser = Browser(_port(process, profile / "DevToolsActivePort"))
        try:
            yield browser
        finally:
            browser.close()
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _port(process: subprocess.Popen[bytes], file: Path) -> int:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(FileNotFoundError, IndexError, ValueError):
            return int(file.read_text(encoding="utf-8").splitlines()[0])
        time.sleep(POLL_SECONDS)
    raise AssertionError(f"Chromium does not start (exit code {process.poll()})")


def _is(address: str) -> str:
    return f"location.href.startsWith({json.dumps(address.partition('#')[0].rstrip('/'))})"


def _problems(event: dict[str, Any]) -> Iterator[str]:
    found = event.get("params", {})
    match event.get("method"):
        case "Runtime.exceptionThrown":
            yield _text_of(found["exceptionDetails"])
        case "Runtime.consoleAPICalled" if found["type"] in ("error", "warning", "assert"):
            yield " ".join(str(one.get("value", one.get("description"))) for one in found["args"])
        case "Log.entryAdded" if found["entry"]["level"] in ("error", "warning"):
            yield f"{found['entry']['text']} {found['entry'].get('url', '')}"


def _text_of(details: dict[str, Any]) -> str:
    return str(details.get("exception", {}).get("description") or details["text"])
