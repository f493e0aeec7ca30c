"""Scene to pixels: pictures (84, 84, 3) and clips (T, 84, 84, 3) of uint8, and their files.

Shapes are signed distances cut off over one pixel, which is antialiasing without supersampling.
Only the four operations and square roots are used, so that every machine gives the same pixels;
what libswscale makes of them for a clip is the same on x86-64.

Letters: T frames, H and W canvas, h and w the box around a shape.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
import numpy.typing as npt
from PIL import Image

from unite.world.sampling import Rng
from unite.world.scenes import Scene, Thing

Frame = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

CANVAS = 84
CELL = CANVAS // 3
RADIUS = {"small": 6.5, "large": 11.5}
JITTER = 4.0
CROP = 42
FPS = 8
MIN_FRAMES, MAX_FRAMES = 17, 32
PALETTE = {
    "red": (228, 36, 36),
    "orange": (245, 138, 20),
    "yellow": (240, 228, 40),
    "green": (44, 176, 52),
    "cyan": (40, 220, 225),
    "blue": (48, 84, 240),
    "pink": (250, 120, 205),
    "white": (242, 242, 242),
}
NOISE = 5.0
H264 = {
    "preset": "veryfast",
    "qp": "20",
    "bf": "0",
    "threads": "1",
    "x264-params": "asm=0:rc-lookahead=0:scenecut=0:weightp=0",
}
"""Constant quality without looking ahead, in plain C.

x264's look-ahead (B-frames, rate by macroblock) reads memory that it has not set: of 150 clips, 13
changed with what the heap held before, and now and then one without B-frames. Plain C, a quarter
slower, also keeps the CPU out of it.
"""
_STAR = ((0.0, 1.0), (0.9510565, 0.3090170), (0.5877853, -0.8090170))
_STAR_NORMALS = (*_STAR, (-0.5877853, -0.8090170), (-0.9510565, 0.3090170))


@dataclass(frozen=True, slots=True)
class Look:
    """How a scene happens to look: all that its meaning does not say.

    Attributes:
        canvas_HWC: The background with its noise, float32.
        shift: Jitter (x, y) in pixels by the cell that a thing starts in.
        tint: Colour offset by the cell that a thing starts in.
    """

    canvas_HWC: Floats
    shift: tuple[tuple[float, float], ...]
    tint: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class Sprite:
    """A thing at one moment: where it is and how much of it shows (0 to 1)."""

    shape: str
    x: float
    y: float
    radius: float
    colour: tuple[float, ...]
    alpha: float = 1.0


def sample_look(rng: Rng) -> Look:
    """Draw background gradient, noise, jitter and tints."""
    corners = rng.uniform(8, 62, (2, 2, 3))
    ramp = np.linspace(0, 1, CANVAS)[:, None]
    left, right = (corners[0, i] + (corners[1, i] - corners[0, i]) * ramp for i in range(2))
    across = np.linspace(0, 1, CANVAS)[None, :, None]
    canvas = left[:, None] + (right - left)[:, None] * across
    noise = rng.uniform(-NOISE, NOISE, (CANVAS, CANVAS, 1))
    shift = rng.uniform(-JITTER, JITTER, (9, 2)).tolist()
    tint = rng.uniform(-14, 14, (9, 3)).tolist()
    return Look(
        (canvas + noise).astype(np.float32), tuple(map(tuple, shift)), tuple(map(tuple, tint))
    )


def sprite(thing: Thing, look: Look, home: int | None = None) -> Sprite:
    """Place a thing; ``home`` is the cell it started in, whose jitter and tint it keeps."""
    home = thing.cell if home is None else home
    (dx, dy), tint = look.shift[home], look.tint[home]
    x = CELL * (thing.cell % 3 + 0.5) + dx
    y = CELL * (thing.cell // 3 + 0.5) + dy
    colour = tuple(base + off for base, off in zip(PALETTE[thing.colour], tint, strict=True))
    return Sprite(thing.shape, x, y, RADIUS[thing.size], colour)


def render_image(scene: Scene, rng: Rng) -> Frame:
    """Draw a picture, shape (84, 84, 3)."""
    look = sample_look(rng)
    return paint(look.canvas_HWC, [sprite(thing, look) for thing in scene.things])


def render_crop(scene: Scene, thing: Thing, rng: Rng) -> Frame:
    """Draw the half-size window around one thing of a picture at twice its size.

    With the generator state of ``render_image`` it is a cut of that very picture.
    """
    look = sample_look(rng)
    whole = paint(look.canvas_HWC, [sprite(each, look) for each in scene.things])
    at = sprite(thing, look)
    left, top = (min(max(round(c) - CROP // 2, 0), CANVAS - CROP) for c in (at.x, at.y))
    cut = Image.fromarray(whole[top : top + CROP, left : left + CROP])
    return np.asarray(cut.resize((CANVAS, CANVAS), Image.Resampling.BILINEAR))


def render_clip(scene: Scene, rng: Rng) -> Frame:
    """Draw a clip of two to four seconds at 8 fps, shape (T, 84, 84, 3).

    Sampled at 0, 1/3, 2/3 and 1 of its length, the first motion shows in the second frame, and
    the next motion in the third or fourth, so that the order can be told.
    """
    look = sample_look(rng)
    frames = int(rng.integers(MIN_FRAMES, MAX_FRAMES + 1))
    rest = [sprite(thing, look) for thing in scene.things if thing != scene.mover]
    ground = paint(look.canvas_HWC, rest).astype(np.float32)
    times = [i / (frames - 1) for i in range(frames)]
    return np.stack([paint(ground, moment) for moment in _moments(scene, look, rng, times)])


def _moments(scene: Scene, look: Look, rng: Rng, times: Sequence[float]) -> Iterator[list[Sprite]]:
    assert scene.mover is not None, "a clip has a mover"
    home = scene.mover.cell
    stages = [None if state is None else sprite(state, look, home) for state in scene.states]
    spans = sample_spans(scene.sequence, rng)
    for time in times:
        shown = stages[0]
        for kind, span, before, after in zip(
            scene.sequence, spans, stages, stages[1:], strict=False
        ):
            if time > span[0] and before is not None:
                shown = _between(kind, before, after, (time - span[0]) / (span[1] - span[0]))
        yield [] if shown is None else [shown]


def sample_spans(sequence: Sequence[str], rng: Rng) -> list[tuple[float, float]]:
    """Draw when each motion begins and ends, as shares of the clip's length.

    A sampled frame lies within 0.033 of 1/3 or 2/3 (half a frame of the shortest clip). A blink
    is absence over such a frame; any other motion is over before the frame that shall show it.
    """
    spans = []
    for place, kind in enumerate(sequence):
        if kind == "blinks":
            begin, end = ((0.16, 0.27), (0.42, 0.55)) if place == 0 else ((0.44, 0.6), (0.74, 0.9))
        elif place == 0:
            begin, end = (0.04, 0.14), (0.2, 0.29)
        elif sequence[0] == "blinks" or rng.random() < 0.5:
            begin, end = (0.72, 0.8), (0.86, 0.97)
        else:
            begin, end = (0.38, 0.46), (0.54, 0.62)
        spans.append((float(rng.uniform(*begin)), float(rng.uniform(*end))))
    return spans


def _between(kind: str, before: Sprite, after: Sprite | None, part: float) -> Sprite | None:
    if kind == "blinks":
        return None if part < 1 else before
    if part >= 1:
        return after
    if after is None:
        return Sprite(before.shape, before.x, before.y, before.radius, before.colour, 1 - part)
    old = (before.x, before.y, before.radius, *before.colour)
    new = (after.x, after.y, after.radius, *after.colour)
    x, y, radius, *colour = (a + (b - a) * part for a, b in zip(old, new, strict=True))
    return Sprite(before.shape, x, y, radius, tuple(colour))


def paint(ground_HWC: Floats, sprites: Sequence[Sprite]) -> Frame:
    """Lay sprites over a ground, each in turn, shape (H, W, 3)."""
    canvas = ground_HWC.copy()
    for each in sprites:
        reach = each.radius * 1.3 + 2
        x0, y0 = max(int(each.x - reach), 0), max(int(each.y - reach), 0)
        x1, y1 = min(int(each.x + reach) + 1, CANVAS), min(int(each.y + reach) + 1, CANVAS)
        y_h, x_w = np.ogrid[y0:y1, x0:x1]
        x_w = (x_w + np.float32(0.5 - each.x)).astype(np.float32)
        y_h = (y_h + np.float32(0.5 - each.y)).astype(np.float32)
        cover = np.clip(0.5 - distance(each.shape, x_w, y_h, each.radius), 0, 1) * each.alpha
        box = canvas[y0:y1, x0:x1]
        box += cover[..., None] * (np.asarray(each.colour, np.float32) - box)
    painted: Frame = np.clip(canvas + 0.5, 0, 255).astype(np.uint8)
    return painted


def distance(shape: str, x: Floats, y: Floats, r: float) -> Floats:
    """Signed distance to a shape's edge in pixels, negative inside; y points down.

    Args:
        shape: One of ``SHAPES``.
        x: Columns relative to the centre, broadcastable to (h, w).
        y: Rows relative to the centre, broadcastable to (h, w).
        r: Radius in pixels.
    """
    across, along = np.abs(x), np.abs(y)
    match shape:
        case "circle":
            found = np.sqrt(x * x + y * y) - r
        case "ring":
            found = np.abs(np.sqrt(x * x + y * y) - 0.76 * r) - 0.24 * r
        case "square":
            found = np.maximum(across, along) - 0.88 * r
        case "diamond":
            found = (across + along - 1.2 * r) * 0.70710678
        case "triangle":
            found = np.maximum(y - 0.8 * r, (1.8 * across - y - r) * 0.48564293)
        case "cross":
            upright = np.maximum(across - 0.32 * r, along - r)
            found = np.minimum(upright, np.maximum(across - r, along - 0.32 * r))
        case "bar":
            found = np.maximum(across - 1.15 * r, along - 0.4 * r)
        case "star":
            # A pentagram is what lies inside at least four of the inner pentagon's five sides.
            sides = [nx * x + ny * y - 0.3819660 * r for nx, ny in _STAR_NORMALS]
            found = np.sort(np.stack(sides), axis=0)[-2]
        case _:
            raise ValueError(f"no such shape: {shape!r}")
    return np.asarray(found, np.float32)


def png_bytes(frame_HWC: Frame) -> bytes:
    """Encode a picture as PNG."""
    buffer = io.BytesIO()
    Image.fromarray(frame_HWC).save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()


def mp4_bytes(frames_THWC: Frame) -> bytes:
    """Encode a clip as H.264 in MP4 at 8 fps, the same bytes every time."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as file:
        stream = file.add_stream("libx264", rate=Fraction(FPS), options=H264)
        stream.width, stream.height, stream.pix_fmt = CANVAS, CANVAS, "yuv420p"
        for frame_HWC in frames_THWC:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(frame_HWC, format="rgb24")))
        file.mux(stream.encode(None))
    return buffer.getvalue()
