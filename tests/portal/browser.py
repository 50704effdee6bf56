"""Debian's Chromium against the portal, served from this process."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.core.wsgi import get_wsgi_application

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
MISSING = "" if CHROMIUM and find_spec("playwright") else "Debian's chromium and playwright are needed"
ACCESSIBLE = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1440, "height": 900}
LISTEN = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) =>
  violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`));
"""


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the browser's own view is what counts."""


@contextmanager
def served() -> Iterator[str]:
    """The portal's address."""
    portal = get_wsgi_application()
    server = ThreadedWSGIServer(("127.0.0.1", 0), _Quiet)
    server.daemon_threads = True
    server.set_app(portal)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def sign_in(browser: Any, address: str, *, email: str, password: str) -> Any:
    """A page of somebody signed in, which remembers every breach of the policy and every script error."""
    context = browser.new_context(viewport=DESK, reduced_motion="reduce", color_scheme="light")
    context.add_init_script(LISTEN)
    page = context.new_page()
    page.errors = []
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.goto(f"{address}/sign-in")
    page.fill("[name=login]", email)
    page.fill("[name=password]", password)
    page.click("button:has-text('Sign in')")
    page.wait_for_selector("#live")
    return page


def findings(page: Any, *rules: str) -> list[str]:
    """What axe-core finds on the page as it is shown; `rules` narrow it."""
    if not page.evaluate("typeof axe === 'object'"):
        # Not as a script of the page: its policy would rightly refuse that.
        session = page.context.new_cdp_session(page)
        session.send("Runtime.evaluate", {"expression": _axe()})
        session.detach()
    wanted = {"type": "rule", "values": list(rules)} if rules else {"type": "tag", "values": list(ACCESSIBLE)}
    options = json.dumps({"resultTypes": ["violations"], "runOnly": wanted})
    violations = page.evaluate(f"axe.run({options}).then((result) => result.violations)")
    return [
        f"{each['id']}: {node['html'][:160]} {node['failureSummary'][:200]}"
        for each in violations
        for node in each["nodes"][:3]
    ]


def breaches(page: Any) -> list[str]:
    """Of the content security policy, and errors of scripts."""
    return [*page.evaluate("violations"), *page.errors]


def overflows(page: Any) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))


def _axe() -> str:
    spec = find_spec("axe_core_python")
    assert spec is not None
    assert spec.submodule_search_locations
    return (Path(spec.submodule_search_locations[0]) / "axe.min.js").read_text()
