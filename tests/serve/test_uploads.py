import asyncio
import base64
import io
from pathlib import Path

import pytest
from PIL import Image
from starlette.datastructures import UploadFile

from unite.errors import ItemError
from unite.serve.faults import RequestError
from unite.serve.schemas import ItemForm
from unite.serve.uploads import uploads
from unite.types import Item

from .conftest import data_uri


def make(folder: Path, form: ItemForm, **files: bytes) -> Item:
    async def go() -> Item:
        given = [(name, UploadFile(io.BytesIO(data))) for name, data in files.items()]
        async with uploads(folder, given, 3) as place:
            item = await place.item(form)
            for ref in [*map(str, item.images), *(clip.path for clip in item.videos)]:
                assert Path(ref).is_file()
            return item

    return asyncio.run(go())


def data(content: bytes) -> str:
    return f"data:;base64,{base64.b64encode(content).decode()}"


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
def test_pictures_are_known_by_their_first_bytes(tmp_path: Path, kind: str) -> None:
    file = io.BytesIO()
    Image.new("RGB", (16, 16), "red").save(file, kind)
    assert make(tmp_path, ItemForm(image=data(file.getvalue()))).images


@pytest.mark.parametrize(
    "head", [b"#EXTM3U\n#EXT-X", b"ffconcat version 1.0", b"%!PS-Adobe-3.0", b"<svg xmlns="]
)
def test_what_names_other_files_or_is_run_is_not_let_through(tmp_path: Path, head: bytes) -> None:
    for form in (ItemForm(video=data(head)), ItemForm(image=data(head))):
        with pytest.raises(ItemError, match="of no kind that is opened"):
            make(tmp_path, form)


def test_media_are_files_for_as_long_as_the_request(tmp_path: Path, media: Path) -> None:
    form = ItemForm(
        text="t", image=["attachment:a", data_uri(media / "p0.png")], video="attachment:b"
    )
    files = {"a": (media / "p1.png").read_bytes(), "b": (media / "clip.mp4").read_bytes()}
    item = make(tmp_path, form, **files)
    assert len(item.images) == 2
    assert len(item.videos) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "reference",
    [
        "/etc/passwd",
        "p0.png",
        "file:///etc/passwd",
        "http://localhost/x.png",
        "attachment:none",
        "",
    ],
)
def test_nothing_but_data_is_read(tmp_path: Path, reference: str) -> None:
    with pytest.raises(RequestError):
        make(tmp_path, ItemForm(image=reference))


@pytest.mark.parametrize(
    "reference",
    [
        "data:image/png,abc",
        "data:image/png;base64,a",
        "data:;base64,",
        "data:;base64,AAAA",
        "data:",
    ],
)
def test_bad_data_fails_its_item(tmp_path: Path, reference: str) -> None:
    with pytest.raises(ItemError):
        make(tmp_path, ItemForm(image=reference))


def test_an_item_cannot_have_media_without_end(tmp_path: Path, media: Path) -> None:
    picture = data_uri(media / "p0.png")
    assert len(make(tmp_path, ItemForm(image=[picture] * 3)).images) == 3
    with pytest.raises(RequestError, match="more than 3 media") as refused:
        make(tmp_path, ItemForm(image=[picture] * 4))
    assert refused.value.status == 413


def test_a_picture_is_no_clip(tmp_path: Path, media: Path) -> None:
    with pytest.raises(ItemError, match="is an image"):
        make(tmp_path, ItemForm(video=data_uri(media / "p0.png")))
    with pytest.raises(ItemError, match="is empty"):
        make(tmp_path, ItemForm())
