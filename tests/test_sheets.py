from __future__ import annotations

import re
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from unite.errors import MediaError
from unite.sheets import COLUMNS, PICTURES, SIDE, WIDTH, Section, SheetHit, write_html, write_png
from unite.types import Clip, Item

EVIL = '<script>alert("x")</script>&\'"'


def opened(ref: str | Clip) -> Sequence[Image.Image]:
    """Pictures of any mode for paths, frames for clips; what is named bad cannot be opened."""
    if isinstance(ref, Clip):
        return [Image.new("RGB", (64, 36), color) for color in ("red", "green", "blue", "white")]
    if "bad" in ref:
        raise MediaError(f"{ref} is cut off.")
    if "gone" in ref:
        raise FileNotFoundError(2, "No such file", ref)
    return [Image.new("LA" if "grey" in ref else "RGB", (900, 300), 128)]


class Page(HTMLParser):
    """Collects what a test asks about; fails on tags that do not close."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self._open: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "link", "br"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


HITS = [
    SheetHit("/photos/red.png", "image", 0.8125, expected=True),
    SheetHit("/clips/walk.mp4", "video", 0.5, start=12.0, end=78.25),
    SheetHit("/docs/notes.md", "text", -0.25, text="words of the passage"),
    SheetHit("/photos/bad.png", "image", 0.1),
    SheetHit("/photos/gone.png", "text+image", 0.05, text="caption"),
]


def html(tmp_path: Path, *sections: Section, title: str = "UNITE") -> Page:
    write_html(tmp_path / "sheet.html", sections, opened, title=title)
    return Page(tmp_path / "sheet.html")


def test_a_page_shows_queries_and_hits(tmp_path: Path) -> None:
    page = html(tmp_path, Section("a red square", Item(text="red?"), HITS, "ranked by cosine"))
    for words in (
        "a red square", "red?", "ranked by cosine", "0.812", "0.500", "-0.250", "red.png",
        "/photos", "words of the passage", "0:12.0–1:18.2", "✓ expected",
    ):  # fmt: skip
        assert words in page.words
    assert page.words.count("✓ expected") == 1
    assert len(page.all("li")) == len(HITS)
    assert len(page.all("img")) == 1 + 4


def test_a_page_needs_nothing_but_itself(tmp_path: Path) -> None:
    page = html(tmp_path, Section("q", Item(videos=(Clip("/c.mp4"),)), HITS))
    assert all(str(image["src"]).startswith("data:image/jpeg;base64,") for image in page.all("img"))
    assert not page.all("link") + page.all("script")
    text = (tmp_path / "sheet.html").read_text(encoding="utf-8")
    assert not re.search(r"https?://|url\(|@import", text)
    assert "prefers-color-scheme: dark" in text
    assert "default-src 'none'" in str(page.all("meta")[2]["content"])


def test_every_text_is_escaped(tmp_path: Path) -> None:
    hit = SheetHit(f"/p/{EVIL}.md", EVIL, 0.5, text=EVIL)
    page = html(tmp_path, Section(EVIL, Item(text=EVIL), [hit], EVIL), title=EVIL)
    assert not page.all("script")
    assert page.words.count(EVIL) >= 6


def test_what_cannot_be_opened_is_labelled(tmp_path: Path) -> None:
    page = html(tmp_path, Section("q", Item(images=("/bad-query.png",)), HITS))
    assert "cannot be shown: /bad-query.png is cut off." in page.words
    assert "cannot be shown: /photos/bad.png is cut off." in page.words
    assert "No such file" in page.words


def test_a_bug_in_the_opener_is_not_hidden(tmp_path: Path) -> None:
    def buggy(ref: str | Clip) -> Sequence[Image.Image]:
        raise KeyError(ref)

    with pytest.raises(KeyError):
        write_html(tmp_path / "s.html", [Section("q", Item(text="q"), HITS)], buggy)
    assert list(tmp_path.iterdir()) == []


def test_pictures_are_made_small_and_few(tmp_path: Path) -> None:
    from unite.sheets import _tile

    tile = _tile(["/grey.png", Image.new("RGBA", (10, 9000), (0, 0, 0, 0))], opened)
    assert [picture.mode for picture in tile.pictures] == ["RGB", "RGB"]
    assert max(max(picture.size) for picture in tile.pictures) == SIDE
    assert tile.pictures[1].getpixel((0, 0)) == (255, 255, 255)
    assert len(_tile([Clip("/a.mp4"), Clip("/b.mp4")], opened).pictures) == PICTURES


def test_a_clip_is_opened_between_its_times(tmp_path: Path) -> None:
    asked: list[str | Clip] = []

    def note(ref: str | Clip) -> Sequence[Image.Image]:
        asked.append(ref)
        return opened(ref)

    write_html(tmp_path / "s.html", [Section("q", Item(text="q"), HITS[:3])], note)
    assert asked == ["/photos/red.png", Clip("/clips/walk.mp4", 12.0, 78.25)]


@pytest.mark.parametrize(
    ("start", "end", "shown"),
    [
        (None, None, ""),
        (0.0, 9.5, "0:00.0–0:09.5"),
        (None, 61.0, "0:00.0–1:01.0"),
        (3725.0, None, "62:05.0–end"),
    ],
)
def test_times_are_shown_as_on_a_clock(start: float | None, end: float | None, shown: str) -> None:
    assert SheetHit("/c.mp4", "video", 0.0, start=start, end=end).times == shown


def test_nothing_found_is_said(tmp_path: Path) -> None:
    assert "nothing found" in html(tmp_path, Section("q", Item(text="q"), [])).words
    assert html(tmp_path).all("section") == []


def png(path: Path, *sections: Section) -> Image.Image:
    write_png(path, sections, opened)
    with Image.open(path) as image:
        image.load()
        assert image.format == "PNG"
        return image.convert("RGB")


def test_a_png_opens_and_grows_with_its_rows(tmp_path: Path) -> None:
    one = png(tmp_path / "1.png", Section("q", Item(text="q"), HITS[:1]))
    row = png(tmp_path / "2.png", Section("q", Item(text="q"), HITS[:COLUMNS]))
    two = png(tmp_path / "3.png", Section("q", Item(text="q"), HITS))
    assert one.width == two.width == WIDTH
    assert one.height == row.height < two.height
    assert one.tobytes() != row.tobytes()
    assert png(tmp_path / "4.png").height > 0


def test_a_png_holds_any_text(tmp_path: Path) -> None:
    words = EVIL + " 日本語 ü " + "x" * 3000 + "\n\n" + "many words " * 500
    hit = SheetHit(f"/p/{'n' * 200}.md", "text", 1.0, text=words)
    query = Item(text=words, images=("/bad.png", Image.new("P", (5, 5))))
    image = png(tmp_path / "s.png", Section(words, query, [hit, *HITS], words))
    assert len(image.getcolors(1 << 24) or []) > 20


def test_expected_hits_are_marked_in_the_png(tmp_path: Path) -> None:
    green = (0x1A, 0x8F, 0x4B)
    marked = png(tmp_path / "1.png", Section("q", Item(text="q"), HITS[:1]))
    plain = png(tmp_path / "2.png", Section("q", Item(text="q"), HITS[2:3]))
    assert green in {color for _, color in marked.getcolors(1 << 24) or []}
    assert green not in {color for _, color in plain.getcolors(1 << 24) or []}


def test_writing_replaces_a_file_whole(tmp_path: Path) -> None:
    for name in ("s.html", "s.png"):
        (tmp_path / name).write_bytes(b"old" * 100_000)
    html(tmp_path)
    write_html(tmp_path / "s.html", [], opened)
    write_png(tmp_path / "s.png", [], opened)
    assert not list(tmp_path.glob(".*"))
    assert (tmp_path / "s.html").read_text().endswith("</html>\n") or "</html>" in (
        tmp_path / "s.html"
    ).read_text()
