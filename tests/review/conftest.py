"""The review page in a browser."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    from _review_page import CHROMIUM

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def served(tmp_path, request):
    from _reviewing import review_server

    with review_server(tmp_path, getattr(request, "param", "landmark")) as found:
        yield found


@pytest.fixture
def context(browser, served):  # closed before the server stops
    from _review_page import no_errors

    with no_errors(browser.new_context(viewport={"width": 1280, "height": 860})) as context:
        yield context
