"""A video file opened with care, and its frames one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from multiprocessing import parent_process
from typing import TYPE_CHECKING, Any

from unite.errors import MediaError
from unite.media.source import Limits, open_source

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

_PLAYLISTS = {"hls", "concat", "dash"}  # they name further files, anywhere
_TEXTS = {"tty", "bin", "xbin", "adf", "idf"}  # FFmpeg draws what such files say


@contextmanager
def opened(reference: str, limits: Limits) -> Iterator[tuple[InputContainer, VideoStream]]:
    """A container and its first real video stream, closed at the end.

    Raises:
        MediaError: It cannot be opened, or has no video that can be decoded.
    """
    import av

    name, source = open_source(reference, limits)
    try:
        # "file:" keeps a colon in a name from being read as a protocol; the whitelist keeps a
        # playlist from reaching the network.
        container = av.open(
            source if isinstance(source, BytesIO) else f"file:{source}",
            options={"protocol_whitelist": "file"},
            metadata_errors="replace",
        )
    except (av.FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise MediaError(
            f"{name} cannot be opened as a video: {reason}.", "Is it whole, and a video?"
        ) from error
    with container:
        yield container, _video_stream(name, container, limits)


def _video_stream(name: str, container: InputContainer, limits: Limits) -> VideoStream:
    from av.stream import Disposition

    if container.format.name in _PLAYLISTS:
        raise MediaError(f"{name} is a playlist.", "Name the video file itself.")
    if container.format.name in _TEXTS:
        raise MediaError(f"{name} is a text.", "Name the video file; or give it as a text.")
    # A song's cover is a stream of one picture.
    streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not streams:
        # An MP4 cut amid its index opens, with no stream at all.
        remedy = "Is it sound only?" if container.streams.audio else "Is it whole, and a video?"
        raise MediaError(f"{name} has no video stream.", remedy)
    stream = streams[0]
    if stream.codec_context is None:
        raise MediaError(f"{name} is coded in a way that is not known.", "Convert it to H.264.")
    limits.check_size(name, stream.width, stream.height)
    stream.thread_type = "NONE"  # clips are decoded in parallel, not frames
    return stream


def hasten(stream: VideoStream) -> None:
    """Let the decoder use all cores unless others decode beside it, and refuse damage.

    Threads make up for damage as chance has it, so what is damaged must be left to one thread.
    A worker has others beside it: there a second thread gains nothing and costs a tenth.
    """
    stream.codec_context.options = {"err_detect": "explode"}
    if parent_process() is None:
        stream.thread_type = "AUTO"


def frame_rate(stream: VideoStream) -> float:
    """Frames a second, on average; 0 where the container does not say."""
    return float(stream.average_rate or stream.guessed_rate or 0)


def packets(container: InputContainer, stream: VideoStream) -> Iterator[Any]:
    """Packets up to the end, or to where the file breaks off."""
    import av

    try:
        yield from container.demux(stream)
    except av.FFmpegError:
        return


def decode(packet: Any) -> list[Any]:
    """Frames that a packet brings out; none if it does not decode, and no damaged one."""
    import av

    try:
        frames = packet.decode()
    except av.FFmpegError:
        return []
    return [frame for frame in frames if not frame.is_corrupt]


def rest(stream: VideoStream) -> list[Any]:
    """What the decoder holds back; it takes no more packets before a seek."""
    import av

    try:
        frames = stream.decode(None)
    except av.FFmpegError:
        return []
    return [frame for frame in frames if not frame.is_corrupt]


def decoded(container: InputContainer, stream: VideoStream) -> Iterator[Any]:
    """Frames in the order shown, from where the container stands to its end.

    A packet that does not decode is passed over, and so is a frame that is flagged as damaged.
    """
    for packet in packets(container, stream):
        yield from decode(packet)
    yield from rest(stream)  # of a file that breaks off


def turn(frame: Any) -> int:
    """Degrees, against the clock, by which a player turns a frame: 0, 90, 180 or 270."""
    return round(float(frame.rotation or 0) / 90) % 4 * 90
