"""Chromium without a window, driven through a pipe by its DevTools protocol: what the tests of pages need of it, no more."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

CHROMIUM = shutil.which("chromium")
PATIENCE = 60  # seconds, on a loaded machine


class Browser:
    """One page. `errors`: what it said on its console as an error, and exceptions; `requests`: the addresses it asked for."""

    def __init__(self, *flags: str):
        self.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        there, self.write = os.pipe()
        self.read, back = os.pipe()

        def pipes() -> None:  # Chromium reads commands from 3 and answers on 4
            high = os.dup(there), os.dup(back)
            os.dup2(high[0], 3)
            os.dup2(high[1], 4)

        self.process = subprocess.Popen([CHROMIUM, "--headless=new", "--no-sandbox", "--remote-debugging-pipe", "--hide-scrollbars",
                                         "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--disable-background-networking", "--no-first-run",
                                         f"--user-data-dir={self.folder.name}", *flags, "about:blank"], preexec_fn=pipes, close_fds=False,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                        start_new_session=True)
        os.close(there)
        os.close(back)
        self.buffer, self.count, self.session = b"", 0, ""
        self.errors: list[str] = []
        self.requests: list[str] = []
        targets = self.call("Target.getTargets")["targetInfos"]
        page = next(target["targetId"] for target in targets if target["type"] == "page")
        self.session = self.call("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def close(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self.read)
        os.close(self.write)
        self.folder.cleanup()

    def call(self, method: str, **parameters: object) -> dict:
        """The result of a command; what happens meanwhile is noted."""
        self.count += 1
        message = {"id": self.count, "method": method, "params": parameters} | ({"sessionId": self.session} if self.session else {})
        os.write(self.write, json.dumps(message).encode() + b"\0")
        until = time.monotonic() + PATIENCE
        while True:
            while b"\0" not in self.buffer:
                if not select.select([self.read], [], [], max(0.0, until - time.monotonic()))[0]:
                    raise TimeoutError(f"{method}: no answer in {PATIENCE} seconds")
                part = os.read(self.read, 2**20)
                if not part:
                    raise EOFError(f"{method}: the browser has ended")
                self.buffer += part
            line, _, self.buffer = self.buffer.partition(b"\0")
            answer = json.loads(line)
            if answer.get("id") == self.count:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return answer["result"]
            self.note(answer.get("method", ""), answer.get("params", {}))

    def note(self, event: str, what: dict) -> None:
        if event == "Runtime.exceptionThrown":
            self.errors.append(what["exceptionDetails"].get("exception", {}).get("description") or what["exceptionDetails"]["text"])
        elif event == "Runtime.consoleAPICalled" and what["type"] in ("error", "assert"):
            self.errors.append(json.dumps(what["args"]))
        elif event == "Log.entryAdded" and what["entry"]["level"] == "error":
            self.errors.append(what["entry"]["text"])
        elif event == "Network.requestWillBeSent":
            self.requests.append(what["request"]["url"])

    def value(self, expression: str) -> object:
        """Of JavaScript; promises are awaited."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(result["exceptionDetails"].get("exception", {}).get("description", expression))
        return result["result"].get("value")

    def wait(self, expression: str) -> object:
        """Until it is true."""
        until = time.monotonic() + PATIENCE
        while not (value := self.value(expression)):
            if time.monotonic() > until:
                raise TimeoutError(f"not true in {PATIENCE} seconds: {expression}; errors: {self.errors}")
            time.sleep(0.02)
        return value

    def look(self, width: int, height: int, dark: bool = False) -> None:
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def open(self, path: Path) -> None:
        """And waits until the figures in sight are drawn, or it says why not."""
        self.errors.clear()
        self.requests.clear()
        self.call("Page.navigate", url=path.absolute().as_uri())
        self.wait(f"document.readyState === 'complete' && location.href.startsWith({json.dumps(path.absolute().as_uri())}) && "
                  "(document.documentElement.dataset.ready || (document.getElementById('failure') || {hidden: true}).hidden === false)")

    def press(self, key: str, times: int = 1) -> None:
        code = {"ArrowRight": 39, "Tab": 9, "Home": 36, "End": 35}[key]
        for _ in range(times):
            for kind in ("rawKeyDown", "keyUp"):
                self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    def screenshot(self) -> bytes:
        return base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])
