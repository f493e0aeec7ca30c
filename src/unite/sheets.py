"""Contact sheets: queries and what they found, as one HTML page or one PNG.

A page stands alone: thumbnails are data URIs, nothing is fetched, every text is escaped. The
caller brings the function that opens media, so that sheets need no decoder.
"""

from __future__ import annotations

import base64
import bisect
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from unite.errors import UniteError
from unite.types import Clip, Item
from unite.whole import whole

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont, ImageFont

    Font = FreeTypeFont | ImageFont

Thumbnails = Callable[[str | Clip], Sequence["Image"]]
"""Opens an image by its path, or a clip as a few frames."""

SIDE = 320
"""Longest side of a thumbnail in an HTML page, in pixels."""

PICTURES = 4
"""Most pictures of one item."""


@dataclass(frozen=True, slots=True)
class SheetHit:
    """One hit to show; `expected` marks what should have been found."""

    path: str
    modality: str
    score: float
    text: str = ""
    start: float | None = None
    end: float | None = None
    expected: bool = False

    @property
    def file(self) -> Path:
        """The path, to take apart."""
        return Path(self.path)

    @property
    def times(self) -> str:
        """The part of a clip, such as ``0:12.0–0:18.5``; empty for a whole one."""
        if self.start is None and self.end is None:
            return ""
        return f"{_clock(self.start or 0.0)}–{'end' if self.end is None else _clock(self.end)}"


@dataclass(frozen=True, slots=True)
class Section:
    """One query with its hits, best first; `caption` says how they are ranked."""

    title: str
    query: Item
    hits: Sequence[SheetHit]
    caption: str = ""

    @property
    def media(self) -> list[str | Image | Clip]:
        """The query's pictures and clips."""
        return [*self.query.images, *self.query.videos]


@dataclass(frozen=True, slots=True)
class _Tile:
    """What both writers draw: pictures, or the reason why there are none."""

    pictures: list[Image]
    broken: str = ""


_Card = tuple[int, SheetHit, _Tile]
"""Rank, hit and pictures."""


def write_html(
    path: Path, sections: Sequence[Section], thumbnails: Thumbnails, *, title: str = "UNITE"
) -> None:
    """Write a page that needs nothing but itself; light or dark as the reader's system is.

    Args:
        path: The file to write.
        sections: Queries with their hits.
        thumbnails: Opens media; what it cannot open is shown as a labelled placeholder.
        title: The page's title.
    """
    from jinja2 import Environment

    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["uri"] = _data_uri
    template = files("unite").joinpath("templates/sheet.html").read_text(encoding="utf-8")
    page = environment.from_string(template).render(
        title=title,
        sections=[
            (
                section,
                _tile(section.media, thumbnails),
                _cards(section, thumbnails),
            )
            for section in sections
        ],
    )
    with whole(path) as draft:
        draft.write_bytes(page.encode())


def write_png(path: Path, sections: Sequence[Section], thumbnails: Thumbnails) -> None:
    """Draw the same as one picture, for reports and reviews.

    Args:
        path: The file to write.
        sections: Queries with their hits.
        thumbnails: Opens media.
    """
    import PIL.Image

    strips = [_draw_section(section, thumbnails) for section in sections]
    height = sum(strip.height for strip in strips) + 2 * MARGIN
    sheet = PIL.Image.new("RGB", (WIDTH, height), BACK)
    top = MARGIN
    for strip in strips:
        sheet.paste(strip, (0, top))
        top += strip.height
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG", optimize=True)
    with whole(path) as draft:
        draft.write_bytes(buffer.getvalue())


def _cards(section: Section, thumbnails: Thumbnails) -> list[_Card]:
    return [(rank, hit, _tile(_refs(hit), thumbnails)) for rank, hit in enumerate(section.hits, 1)]


def _refs(hit: SheetHit) -> list[str | Image | Clip]:
    """What to show of a hit; where it has pictures and clips, its path is that of a picture."""
    if "image" in hit.modality:
        return [hit.path]
    return [Clip(hit.path, hit.start, hit.end)] if "video" in hit.modality else []


def _tile(refs: Sequence[str | Image | Clip], thumbnails: Thumbnails) -> _Tile:
    """Small RGB pictures of what is referred to."""
    pictures: list[Image] = []
    for ref in refs:
        try:
            found = thumbnails(ref) if isinstance(ref, str | Clip) else [ref]
            pictures.extend(_small(picture) for picture in found)
        except (UniteError, OSError) as error:
            return _Tile([], str(error) or type(error).__name__)
    return _Tile(pictures[:PICTURES])


def _small(picture: Image) -> Image:
    """A copy in RGB on white, no side longer than `SIDE`."""
    import PIL.Image

    small = picture.convert("RGBA")
    small.thumbnail((SIDE, SIDE))
    flat = PIL.Image.new("RGBA", small.size, "white")
    return PIL.Image.alpha_composite(flat, small).convert("RGB")


def _clock(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes)}:{rest:04.1f}"


def _data_uri(picture: Image) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=82)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


WIDTH, MARGIN, GAP = 1240, 24, 16
COLUMNS = 4
CARD = (220, 232)
PICTURE = (220, 150)
QUERY = 232
BACK, INK, DIM, LINE, PAPER, GOOD, BAD = (
    "#f6f7f9", "#16191d", "#69717c", "#dde1e6", "#ffffff", "#1a8f4b", "#b3402e",
)  # fmt: skip


def _draw_section(section: Section, thumbnails: Thumbnails) -> Image:
    import PIL.Image
    import PIL.ImageDraw

    cards = _cards(section, thumbnails)
    rows = max(1, -(-len(cards) // COLUMNS))
    head = 34 + 20 * bool(section.caption)
    strip = PIL.Image.new("RGB", (WIDTH, head + rows * (CARD[1] + GAP) + GAP), BACK)
    draw = PIL.ImageDraw.Draw(strip)
    _line(draw, (MARGIN, 0), section.title, 20, INK, WIDTH - 2 * MARGIN)
    if section.caption:
        _line(draw, (MARGIN, 28), section.caption, 13, DIM, WIDTH - 2 * MARGIN)
    _draw_query(
        strip,
        (MARGIN, head),
        section.query,
        _tile(section.media, thumbnails),
    )
    left = MARGIN + QUERY + 2 * GAP
    if not cards:
        _line(draw, (left, head + 8), "nothing found", 13, DIM, CARD[0])
    for place, card in enumerate(cards):
        row, column = divmod(place, COLUMNS)
        corner = (left + column * (CARD[0] + GAP), head + row * (CARD[1] + GAP))
        _draw_card(strip, corner, card)
    return strip


def _draw_query(strip: Image, corner: tuple[int, int], query: Item, tile: _Tile) -> None:
    import PIL.ImageDraw

    draw = PIL.ImageDraw.Draw(strip)
    x, y = corner
    draw.rounded_rectangle((x, y, x + QUERY, y + CARD[1]), 8, fill="#e9edf5", outline=LINE)
    _line(draw, (x + 10, y + 8), f"QUERY · {query.modality.label}", 11, DIM, QUERY - 20)
    top = y + 28
    if tile.pictures or tile.broken:
        _draw_tile(strip, (x + 8, top, QUERY - 16, 120), tile)
        top += 126
    _paragraph(draw, (x + 10, top, QUERY - 20, y + CARD[1] - 8 - top), query.text or "", 14)


def _draw_card(strip: Image, corner: tuple[int, int], card: _Card) -> None:
    import PIL.ImageDraw

    draw = PIL.ImageDraw.Draw(strip)
    rank, hit, tile = card
    x, y = corner
    border, width = (GOOD, 4) if hit.expected else (LINE, 1)
    box = (x, y, x + CARD[0], y + CARD[1])
    draw.rounded_rectangle(box, 8, fill=PAPER, outline=border, width=width)
    if tile.pictures or tile.broken:
        _draw_tile(strip, (x + 6, y + 6, PICTURE[0] - 12, PICTURE[1] - 6), tile)
    else:
        _paragraph(draw, (x + 12, y + 12, PICTURE[0] - 24, PICTURE[1] - 16), hit.text, 13)
    below, room = y + PICTURE[1] + 6, CARD[0] - 24
    label = f"{hit.modality} {hit.times.replace('–', ' to ')}".strip()  # the font has no dash
    label += " · expected" * hit.expected
    _line(draw, (x + 12, below), f"{rank} · {hit.score:.3f}", 16, INK, room)
    _line(draw, (x + 12, below + 24), label, 12, GOOD if hit.expected else DIM, room)
    _line(draw, (x + 12, below + 44), hit.file.name, 13, INK, room)


def _draw_tile(strip: Image, box: tuple[int, int, int, int], tile: _Tile) -> None:
    """Fit pictures side by side into a box (left, top, width, height)."""
    import PIL.ImageDraw
    import PIL.ImageOps

    x, y, width, height = box
    if tile.broken:
        draw = PIL.ImageDraw.Draw(strip)
        draw.rectangle((x, y, x + width - 1, y + height - 1), fill="#fbefec", outline=BAD)
        _paragraph(draw, (x + 8, y + 8, width - 16, height - 16), tile.broken, 12, BAD)
        return
    columns = 1 if len(tile.pictures) == 1 else 2
    rows = -(-len(tile.pictures) // columns)
    cell = (width // columns - (columns - 1), height // rows - (rows - 1))
    for place, picture in enumerate(tile.pictures):
        row, column = divmod(place, columns)
        fitted = PIL.ImageOps.pad(picture, cell, color="#eceff3")
        strip.paste(fitted, (x + column * (cell[0] + 2), y + row * (cell[1] + 2)))


def _line(
    draw: ImageDraw, at: tuple[int, int], text: str, size: int, color: str, width: int
) -> None:
    """One line, shortened in the middle where it is too long."""
    font = _font(size)
    text = " ".join(text.split())
    kept = range(min(len(text), width), 1, -1)  # no letter is narrower than a pixel
    fits = bisect.bisect_left(
        kept, True, key=lambda keep: draw.textlength(_shortened(text, keep), font) <= width
    )
    shown = _shortened(text, kept[fits] if fits < len(kept) else 2)
    draw.text(at, shown, fill=color, font=font)


def _shortened(text: str, keep: int) -> str:
    """As many letters of a text, from both its ends."""
    if keep >= len(text):
        return text
    return text[: keep - keep // 2] + "…" + text[len(text) - keep // 2 :]


def _paragraph(
    draw: ImageDraw, box: tuple[int, int, int, int], text: str, size: int, color: str = INK
) -> None:
    """Words broken into as many lines as the box holds."""
    x, y, width, height = box
    font = _font(size)
    lines = [""]
    room = max(1, height // (size + 4))
    for word in text.split():
        if len(lines) > room:
            break
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and draw.textlength(longer, font=font) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    for number, line in enumerate(lines[:room]):
        tail = " …" if number == room - 1 and len(lines) > room else ""
        _line(draw, (x, y + number * (size + 4)), line + tail, size, color, width)


def _font(size: int) -> Font:
    import PIL.ImageFont

    return PIL.ImageFont.load_default(size)
