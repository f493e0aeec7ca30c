"""The page in real Chromium, against a real server; no complaint of the console's is let pass."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Playwright, expect, sync_playwright

from unite.embedder import Embedder
from unite.library.library import Library
from unite.library.progress import Progress, published
from unite.serve.app import create_app
from unite.serve.settings import Settings
from unite.serve.shelf import key_of

from .running import Server, running

CHROMIUM = Path("/usr/bin/chromium")
pytestmark = [
    pytest.mark.skipif(not CHROMIUM.is_file(), reason="there is no /usr/bin/chromium"),
    # Playwright's own loop is left open when its process ends before the test's collector runs.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
HEIC = Path(__file__).parents[1] / "data" / "heic" / "plain.heic"
CARD = ".card:not(.ghost)"
OPEN = f"{CARD} button.open"
DROP = """([data, type, name]) => {
    const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
    const transfer = new DataTransfer();
    transfer.items.add(new File([bytes], name, { type }));
    const event = (kind) => document.body.dispatchEvent(
        new DragEvent(kind, { bubbles: true, cancelable: true, dataTransfer: transfer }));
    event("dragenter"); event("dragover"); event("drop");
}"""
PASTE = """([data, type, name]) => {
    const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
    const transfer = new DataTransfer();
    transfer.items.add(new File([bytes], name, { type }));
    document.body.dispatchEvent(
        new ClipboardEvent("paste", { bubbles: true, clipboardData: transfer }));
}"""


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    expect.set_options(timeout=100_000)
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
    yield browser
    browser.close()


@pytest.fixture
def complaints() -> list[str]:
    """What a test expects the console to say; anything else fails it."""
    return []


@pytest.fixture
def page(browser: Browser, server: Server, complaints: list[str]) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1280, "height": 860})
    said: list[str] = []
    page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.set_default_timeout(100_000)
    page.goto(server.url)
    page.wait_for_selector(".kind")
    yield page
    page.close()
    assert [line for line in said if not any(known in line for known in complaints)] == []


def file(path: Path, kind: str = "image/png") -> list[str]:
    return [base64.b64encode(path.read_bytes()).decode(), kind, path.name]


def ask(page: Page, text: str) -> None:
    page.fill("#text", text)
    page.keyboard.press("Enter")
    page.wait_for_selector(CARD)


def names(page: Page) -> list[str]:
    return page.locator(f"{CARD} .file").all_text_contents()


def test_words_find_and_the_ranking_is_told(page: Page) -> None:
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    ask(page, "a red boat near the lighthouse")
    expect(page.locator(CARD)).to_have_count(6)
    expect(page.locator("#summary")).to_contain_text("6 results")
    expect(page.locator("#summary")).to_contain_text("interleaved")
    expect(page.get_by_role("heading", level=1)).to_be_hidden()
    shown = page.locator(".card.image img").first
    expect(shown).to_have_js_property("complete", value=True)
    page.wait_for_function("() => document.querySelector('.card.image img').naturalWidth > 0")
    assert set(page.locator(".badge").all_text_contents()) == {"image", "text", "video"}


@pytest.mark.parametrize("way", [DROP, PASTE])
def test_a_picture_dropped_or_pasted_finds_itself(page: Page, media: Path, way: str) -> None:
    page.get_by_role("button", name="Images").click()
    page.evaluate(way, file(media / "p1.png"))
    page.wait_for_selector(CARD)
    assert names(page)[0] == "p1.png"
    expect(page.locator(f"{CARD} .score").first).to_have_text("1.000")
    expect(page.locator("#given li")).to_have_count(1)
    ask(page, "and words")
    assert page.locator(f"{CARD} .score").first.text_content() != "1.000"
    page.get_by_label("Take away p1.png").click()
    expect(page.locator("#given li")).to_have_count(0)


@pytest.mark.slow
def test_a_clip_is_picked_found_and_plays(page: Page, media: Path) -> None:
    page.get_by_role("button", name="Videos").click()
    page.set_input_files("#files", media / "clip.mp4")
    page.wait_for_selector(CARD)
    assert names(page) == ["clip.mp4"]
    page.locator(OPEN).click()
    page.wait_for_function("() => document.querySelector('#stage video')?.currentTime > 0")
    page.keyboard.press("Escape")
    expect(page.locator("#viewer")).to_be_hidden()
    expect(page.locator("#stage video")).to_have_count(0)


@pytest.mark.slow
def test_a_phones_picture_is_asked_with_although_the_browser_cannot_show_it(page: Page) -> None:
    page.set_input_files("#files", HEIC)
    page.wait_for_selector(CARD)
    assert len(names(page)) > 1
    expect(page.locator("#given li span")).to_have_text("plain.heic")


@pytest.mark.slow
def test_more_like_this_and_back(page: Page) -> None:
    ask(page, "a red boat")
    before = names(page)
    page.locator(CARD).nth(1).hover()
    page.get_by_role("button", name=f"More like {before[1]}").click()
    expect(page.locator("#summary")).to_contain_text("More like this")
    expect(page.locator(CARD)).to_have_count(5)
    assert before[1] not in names(page)
    page.go_back()
    expect(page.locator(CARD)).to_have_count(6)
    assert names(page) == before
    expect(page.locator("#text")).to_have_value("a red boat")


def test_it_can_be_used_by_the_keyboard_alone(page: Page) -> None:
    page.keyboard.press("Tab")
    page.keyboard.press("/")
    expect(page.locator("#text")).to_be_focused()
    page.keyboard.type("boat")
    page.keyboard.press("Enter")
    page.wait_for_selector(CARD)
    page.keyboard.press("ArrowDown")
    expect(page.locator(OPEN).nth(0)).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(page.locator(OPEN).nth(1)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#viewer-name")).to_have_text(names(page)[1])
    page.keyboard.press("ArrowRight")
    expect(page.locator("#viewer-name")).to_have_text(names(page)[2])
    page.keyboard.press("Escape")
    expect(page.locator(OPEN).nth(2)).to_be_focused()
    page.keyboard.press("m")
    expect(page.locator("#summary")).to_contain_text("More like this")


@pytest.mark.slow
def test_filters_narrow_and_an_empty_answer_says_so(page: Page) -> None:
    ask(page, "boat")
    page.get_by_role("button", name="Texts").click()
    expect(page.locator(CARD)).to_have_count(2)
    assert page.get_by_role("button", name="Texts").get_attribute("aria-pressed") == "true"
    page.fill("#where", "path:*/nowhere/*")
    page.keyboard.press("Enter")
    expect(page.locator("#summary")).to_contain_text("passes the filter")


@pytest.mark.slow
def test_errors_are_told_and_can_be_tried_again(page: Page, complaints: list[str]) -> None:
    complaints.append("Failed to load resource")
    page.route("**/v1/search", lambda route: route.abort())
    page.fill("#text", "boat")
    page.keyboard.press("Enter")
    notice = page.get_by_role("alert")
    expect(notice).to_contain_text("cannot be reached")
    page.unroute("**/v1/search")
    page.get_by_role("button", name="Try again").click()
    page.wait_for_selector(CARD)
    expect(notice).to_be_hidden()
    ask_too_much = "word " * 3000
    page.fill("#text", ask_too_much)
    page.keyboard.press("Enter")
    expect(notice).to_contain_text("tokens")
    expect(page.get_by_role("button", name="Try again")).to_have_count(0)


HALF = """(ends) => {
    const real = window.fetch;
    window.fetch = (address, options) => {
        window.fetch = real;
        const body = new ReadableStream({ start(half) {
            half.enqueue(new TextEncoder().encode('{"hits": ['));
            if (ends) half.error(new TypeError("network error"));
            else options.signal.addEventListener("abort", () => half.error(options.signal.reason));
        } });
        return Promise.resolve(new Response(body, { status: 200 }));
    };
}"""


def test_a_search_is_not_disturbed_by_the_one_before_whose_answer_was_on_its_way(
    page: Page,
) -> None:
    page.evaluate(HALF, False)
    page.fill("#text", "the sea at night")
    page.keyboard.press("Enter")
    page.wait_for_selector(".ghost")
    ask(page, "a red boat")
    expect(page.locator(CARD)).to_have_count(6)
    expect(page.get_by_role("alert")).to_be_hidden()


@pytest.mark.slow
def test_an_answer_that_broke_off_is_told_and_can_be_tried_again(page: Page) -> None:
    page.evaluate(HALF, True)
    page.fill("#text", "the sea at night")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("The answer broke off")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(CARD)).to_have_count(6)


@pytest.mark.slow
def test_a_part_of_a_clip_plays_from_its_time(page: Page, media: Path) -> None:
    at = f"/v1/items/{key_of(str(media / 'clip.mp4'))}"
    part = {"kind": "video", "start": 1.0, "end": 1.5, "media": f"{at}/media"}
    hit = {**_EVIL, **part, "thumbnail": f"{at}/thumbnail"}
    answer = {**_ANSWER, "hits": [hit]}
    page.route("**/v1/search", lambda route: route.fulfill(json=answer))
    ask(page, "x")
    expect(page.locator(f"{CARD} .time")).to_have_text("0:01–0:01")
    page.locator(OPEN).click()
    page.wait_for_function("() => document.querySelector('#stage video')?.currentTime >= 1")
    page.wait_for_function("() => document.querySelector('#stage video').paused")
    assert page.evaluate("document.querySelector('#stage video').currentTime") < 1.9


@pytest.mark.slow
def test_what_the_browser_cannot_play_is_shown_still(
    page: Page, media: Path, complaints: list[str]
) -> None:
    complaints.append("Failed to load resource")
    at = f"/v1/items/{key_of(str(media / 'clip.mp4'))}"
    hit = {**_EVIL, "kind": "video", "media": f"{at}/nothing", "thumbnail": f"{at}/thumbnail"}
    answer = {**_ANSWER, "hits": [hit]}
    page.route("**/v1/search", lambda route: route.fulfill(json=answer))
    ask(page, "x")
    page.locator(OPEN).click()
    expect(page.locator("#stage")).to_contain_text("cannot play")
    page.wait_for_function("() => document.querySelector('#stage img').naturalWidth > 0")


@pytest.mark.slow
def test_what_the_browser_cannot_show_is_shown_large_as_a_copy(
    page: Page, media: Path, complaints: list[str]
) -> None:
    complaints.append("Failed to load resource")
    at = f"/v1/items/{key_of(str(media / 'p0.png'))}"
    hit = {**_EVIL, "kind": "image", "media": f"{at}/nothing", "thumbnail": f"{at}/thumbnail?v=1"}
    page.route("**/v1/search", lambda route: route.fulfill(json={**_ANSWER, "hits": [hit]}))
    ask(page, "x")
    page.locator(OPEN).click()
    expect(page.locator("#stage")).to_contain_text("this is a copy")
    page.wait_for_function("() => document.querySelector('#stage img').naturalWidth > 0")
    expect(page.locator("#stage img")).to_have_attribute("src", re.compile("side=1600"))


@pytest.mark.slow
def test_a_name_is_never_read_as_markup(page: Page) -> None:
    page.route(
        "**/v1/search",
        lambda route: route.fulfill(json={**_ANSWER, "how": "<b>x</b>", "hits": [_EVIL]}),
    )
    ask(page, "x")
    expect(page.locator(f"{CARD} .file")).to_have_text(_EVIL["name"])
    page.locator(OPEN).click()
    assert page.locator("main b, #viewer b, img[src='x']").count() == 0


_EVIL: dict[str, Any] = {
    "id": "x",
    "path": "<img src=x onerror=alert(1)>",
    "name": "<img src='x' onerror='alert(1)'>",
    "kind": "text",
    "modality": "text",
    "score": 1.0,
    "start": None,
    "end": None,
    "duration": None,
    "width": None,
    "height": None,
    "tags": [],
    "text": "<b>bold</b><script>alert(1)</script>",
    "thumbnail": None,
    "media": "/v1/items/x/media",
    "segments": 0,
    "copies": [],
}
_ANSWER: dict[str, Any] = {"ranking": "cosine", "how": "", "shares": {}, "cursor": None}


@pytest.mark.slow
def test_a_long_answer_comes_in_pages(page: Page) -> None:
    hits = [{**_EVIL, "name": f"{number}"} for number in range(96)]

    def fulfil(route: Any) -> None:
        asked = route.request.post_data_json
        first = int(asked.get("cursor", "0"))
        assert "text" not in asked if first else asked["text"] == "x"
        following = str(first + 48) if first < 48 else None
        route.fulfill(json={**_ANSWER, "hits": hits[first : first + 48], "cursor": following})

    page.route("**/v1/search", fulfil)
    ask(page, "x")
    page.locator(CARD).last.scroll_into_view_if_needed()
    expect(page.locator(CARD)).to_have_count(96)
    assert names(page) == [str(number) for number in range(96)]


@pytest.mark.slow
def test_a_hit_says_what_it_stands_for_and_the_line_above_what_was_found(page: Page) -> None:
    parts = {**_EVIL, "segments": 2, "copies": ["/else/copy.txt"]}
    hits = [parts, {**_EVIL, "modality": "image"}, _EVIL]
    page.route("**/v1/search", lambda route: route.fulfill(json={**_ANSWER, "hits": hits}))
    ask(page, "x")
    expect(page.locator(f"{CARD} .further")).to_have_text("+2 parts, +1 copy")
    expect(page.locator(".further")).to_have_attribute("title", "/else/copy.txt")
    expect(page.locator("#summary .shares")).to_have_text("text 2, image 1")


@pytest.mark.slow
def test_indexing_is_seen(page: Page, library: Library) -> None:
    with published(library.path) as publish:
        publish(Progress(1200, 5000, 3))
        page.reload()
        expect(page.locator("#indexing")).to_contain_text("Indexing 1,200 of 5,000, 3 failed")
    expect(page.locator("#indexing")).to_be_hidden()


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_has_no_sideways_scroll_and_all_is_legible(
    browser: Browser, server: Server, scheme: Any
) -> None:
    context = browser.new_context(color_scheme=scheme, viewport={"width": 390, "height": 800})
    page = context.new_page()
    page.goto(server.url)
    page.wait_for_selector(".kind")
    ask(page, "a red boat near the lighthouse and much more")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    for chosen in ("#library", ".file", ".score", ".badge", ".how", ".kind", "#text", ".go"):
        assert page.evaluate(_CONTRAST, chosen) >= 4.5, chosen
    context.close()


# WCAG's contrast of an element's letters with the nearest background that is painted.
_CONTRAST = """(chosen) => {
    const parts = (color) => color.match(/[\\d.]+/g).map(Number);
    const light = (color) => {
        const [r, g, b] = parts(color).map((v) => v / 255)
            .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const element = document.querySelector(chosen);
    let under = element;
    while (under && parts(getComputedStyle(under).backgroundColor)[3] === 0) under = under.parentElement;
    const [a, b] = [light(getComputedStyle(element).color), light(getComputedStyle(under).backgroundColor)];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
}"""


@pytest.mark.slow
def test_everything_to_press_or_fill_has_a_name(page: Page) -> None:
    ask(page, "boat")
    tree = page.locator("body").aria_snapshot()
    assert not re.search(r"- (button|textbox|link|img)( \[|:|$)", tree, re.MULTILINE), tree


@pytest.mark.slow
def test_a_token_is_asked_for_and_kept(
    browser: Browser, library: Library, encoder: Embedder
) -> None:
    app = create_app(library, encoder, Settings(token="a-token-of-some-length"))  # type: ignore[arg-type]
    with running(app) as locked:
        page = browser.new_page()
        page.goto(locked.url)
        page.fill("#token", "a-token-of-some-length")
        page.keyboard.press("Enter")
        page.wait_for_selector(".kind")
        ask(page, "boat")
        page.wait_for_function("() => document.querySelector('.card.image img').naturalWidth > 0")
        page.close()
