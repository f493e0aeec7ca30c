"""The incremental cases one by one: what is embedded, what is kept, what is counted."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from unite.data.item_folder import LONGEST
from unite.errors import LibraryError
from unite.library import ingest as module
from unite.library import parts, reading
from unite.library.ingest import Progress, ingest
from unite.library.library import Library
from unite.library.scan import folder_above
from unite.types import Embedding, Item

from .conftest import Run, contents_of, counts, new_library, picture, write
from .fakes import FakeEncoder

ALL = {"added": 4, "skipped": 1, "embedded": 5}


def paths_in(library: Library) -> set[str]:
    return {record.path for record in library.store.records()}


def later(path: Path) -> None:
    """Give a file another time without touching its contents."""
    os.utime(path, ns=(1, path.stat().st_mtime_ns + 1_000_000))


def test_new_files_are_embedded(run: Run, library: Library, media: Path) -> None:
    assert run() == ALL
    held = list(library.store.records())
    assert len(held) == 5
    assert {record.modality for record in held} == {"image", "video", "text"}
    assert str(media / "a.png") in {record.id for record in held}


def test_unchanged_files_are_not_even_opened(
    run: Run, encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    run()

    def opened(source: object, opener: object) -> None:
        raise AssertionError(source)

    monkeypatch.setattr(reading, "read_parts", opened)
    assert run() == {"kept": 4, "skipped": 1}
    assert encoder.seen == []


def test_touched_files_keep_their_vectors_and_then_cost_a_stat(
    run: Run, library: Library, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run()
    before = contents_of(library)
    for path in (media / "a.png", media / "notes.md"):
        later(path)
    assert run() == {"kept": 4, "skipped": 1}
    assert contents_of(library) == before
    monkeypatch.setattr(reading, "read_parts", None)
    assert run() == {"kept": 4, "skipped": 1}


def test_changed_files_are_embedded_again(
    run: Run, library: Library, encoder: FakeEncoder, media: Path
) -> None:
    run()
    before = contents_of(library)
    picture(media / "a.png", "green")
    assert run() == {"changed": 1, "kept": 3, "skipped": 1, "embedded": 1}
    assert encoder.seen == [str(media / "a.png")]
    after = contents_of(library)
    assert after.keys() == before.keys()
    assert {name for name in after if after[name] != before[name]} == {str(media / "a.png")}


def test_of_a_changed_text_only_new_passages_are_embedded(
    run: Run, library: Library, encoder: FakeEncoder, media: Path
) -> None:
    run()
    write(media / "notes.md", "new" * 200 + "\n\n" + "p" * 700 + "\n\n" + "q" * 700)
    assert run() == {"changed": 1, "kept": 3, "skipped": 1, "embedded": 1}
    assert encoder.seen == [f"{media / 'notes.md'}#1"]
    assert len(list(library.store.records([str(media / "notes.md")]))) == 3


def test_a_shorter_text_loses_its_last_passages(run: Run, library: Library, media: Path) -> None:
    run()
    write(media / "notes.md", "q" * 700)
    assert run() == {"changed": 1, "kept": 3, "skipped": 1}
    (only,) = library.store.records([str(media / "notes.md")])
    assert (only.text[:1], only.parts) == ("q", 1)


def test_a_text_that_became_empty_is_noted(
    run: Run, library: Library, encoder: FakeEncoder, media: Path
) -> None:
    run()
    write(media / "notes.md", "\n")
    outcome = ingest(library, [media], encoder)
    assert outcome.notes == {str(media / "notes.md"): "holds nothing to index"}
    assert not outcome.failed
    assert str(media / "notes.md") not in paths_in(library)


def test_renamed_files_keep_their_vectors(run: Run, library: Library, media: Path) -> None:
    run()
    before = contents_of(library)
    (media / "a.png").rename(media / "z.png")
    (media / "sub").rename(media / "other")
    (media / "notes.md").rename(media / "names.txt")
    assert run() == {"moved": 4, "skipped": 1}
    after = contents_of(library)
    assert sorted(after.values()) == sorted(before.values())
    assert paths_in(library) == {
        str(media / name) for name in ("z.png", "other/b.jpg", "other/clip.mp4", "names.txt")
    }
    assert run() == {"kept": 4, "skipped": 1}


def test_a_file_moved_from_a_folder_not_given_leaves_no_trace_there(
    run: Run, library: Library, media: Path, tmp_path: Path
) -> None:
    run()
    (tmp_path / "new").mkdir()
    (media / "a.png").rename(tmp_path / "new" / "a.png")
    assert run(tmp_path / "new") == {"moved": 1}
    assert str(media / "a.png") not in paths_in(library)
    assert run() == {"kept": 3, "skipped": 1}


def test_a_file_of_one_passage_of_a_vanished_text_is_no_move(
    run: Run, library: Library, media: Path, tmp_path: Path
) -> None:
    book = write(tmp_path / "drive" / "book.txt", "\n\n".join(sign * 700 for sign in "xyz"))
    assert run(book.parent) == {"added": 1, "embedded": 3}
    shutil.rmtree(book.parent)
    write(media / "note.txt", "y" * 700)
    assert run(media / "note.txt") == {"added": 1}
    assert len(list(library.store.records([str(book)]))) == 3


def test_a_text_that_repeats_itself_is_moved_whole(run: Run, library: Library, media: Path) -> None:
    write(media / "again.txt", "\n\n".join(["x" * 700] * 3))
    run()
    (media / "again.txt").rename(media / "other.txt")
    assert run() == {"moved": 1, "kept": 4, "skipped": 1}
    assert len(list(library.store.records([str(media / "other.txt")]))) == 3


def test_a_copy_borrows_the_vector(run: Run, library: Library, media: Path) -> None:
    run()
    shutil.copyfile(media / "a.png", media / "copy.png")
    assert run() == {"added": 1, "kept": 4, "skipped": 1}
    held = contents_of(library)
    assert held[str(media / "copy.png")] == held[str(media / "a.png")]


def test_one_vanished_file_is_the_origin_of_one_move(
    run: Run, library: Library, media: Path
) -> None:
    run()
    shutil.copyfile(media / "a.png", media / "b1.png")
    (media / "a.png").rename(media / "b2.png")
    assert run() == {"added": 1, "moved": 1, "kept": 3, "skipped": 1}
    assert len(list(library.store.records())) == 6


@pytest.mark.parametrize("ahead", [1, 64])
def test_swapped_files_swap_their_vectors(
    run: Run, library: Library, media: Path, monkeypatch: pytest.MonkeyPatch, ahead: int
) -> None:
    monkeypatch.setattr(reading, "AHEAD", ahead)
    picture(media / "b.png", "blue")
    run()
    before = contents_of(library)
    a, b = media / "a.png", media / "b.png"
    a.rename(media / "t.png")
    b.rename(a)
    (media / "t.png").rename(b)
    later(a)
    later(b)
    assert run()["changed"] == 2
    after = contents_of(library)
    assert (after[str(a)], after[str(b)]) == (before[str(b)], before[str(a)])


def test_a_swap_across_commits_is_no_mix_up(
    library: Library, encoder: FakeEncoder, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "AHEAD", 1)
    picture(media / "b.png", "blue")
    ingest(library, [media], encoder, batch=1)
    a, b = (media / "a.png").read_bytes(), (media / "b.png").read_bytes()
    write(media / "a.png", b)
    write(media / "b.png", a)
    later(media / "a.png")
    ingest(library, [media], encoder, batch=1)
    fresh = new_library(library.path.parent / "fresh")
    ingest(fresh, [media], FakeEncoder())
    assert contents_of(library) == contents_of(fresh)


def test_deleted_files_are_swept_beneath_the_given_paths_only(
    run: Run, library: Library, media: Path
) -> None:
    run()
    (media / "a.png").unlink()
    shutil.rmtree(media / "sub")
    (media / "sub").mkdir()
    assert run(media / "sub") == {"removed": 2}
    assert str(media / "a.png") in paths_in(library)
    assert run() == {"kept": 1, "removed": 1, "skipped": 1}
    assert paths_in(library) == {str(media / "notes.md")}


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_a_picture_whose_name_something_else_took_is_removed(
    run: Run, library: Library, media: Path, make: Callable[[Path], None]
) -> None:
    run()
    (media / "a.png").unlink()
    make(media / "a.png")
    skipped = 1 + (make is os.mkfifo)
    assert run() == {"kept": 3, "removed": 1, "skipped": skipped}
    assert str(media / "a.png") not in paths_in(library)


def test_a_folder_is_not_mistaken_for_its_namesake(
    run: Run, library: Library, tmp_path: Path
) -> None:
    one, two = picture(tmp_path / "pics" / "1.png"), picture(tmp_path / "pics2" / "2.png", "blue")
    run(one.parent, two.parent)
    one.unlink()
    two.unlink()
    assert run(one.parent) == {"removed": 1}
    assert paths_in(library) == {str(two)}


def test_a_broken_file_is_reported_each_time_and_not_stored(
    run: Run, library: Library, encoder: FakeEncoder, media: Path
) -> None:
    write(media / "bad.png", "broken")
    for expected in ({**ALL, "failed": 1}, {"kept": 4, "skipped": 1, "failed": 1}):
        assert run() == expected
    outcome = ingest(library, [media], encoder)
    assert outcome.failed == {str(media / "bad.png"): "cannot be decoded"}
    assert str(media / "bad.png") not in paths_in(library)


def test_a_broken_clip_is_told_once(library: Library, encoder: FakeEncoder, media: Path) -> None:
    write(media / "bad.mp4", "broken")
    outcome = ingest(library, [media], encoder)
    assert outcome.failed == {str(media / "bad.mp4"): "cannot be decoded"}
    assert str(media / "bad.mp4") not in outcome.notes


def test_a_file_that_breaks_is_dropped_and_mended_it_returns(
    run: Run, library: Library, media: Path
) -> None:
    run()
    good = (media / "a.png").read_bytes()
    write(media / "a.png", "broken")
    assert run() == {"kept": 3, "skipped": 1, "failed": 1}
    assert str(media / "a.png") not in paths_in(library)
    write(media / "a.png", good)
    assert run() == {"added": 1, "kept": 3, "skipped": 1, "embedded": 1}


def test_a_text_that_is_not_utf8_fails_alone(run: Run, library: Library, media: Path) -> None:
    write(media / "latin.txt", b"caf\xe9")
    assert run() == {**ALL, "failed": 1}


def test_a_text_that_is_too_long_fails_alone(
    library: Library, encoder: FakeEncoder, tmp_path: Path
) -> None:
    huge = write(tmp_path / "media" / "a.txt", "")
    os.truncate(huge, LONGEST + 1)
    write(tmp_path / "media" / "z.txt", "red")
    outcome = ingest(library, [huge.parent], encoder)
    assert counts(outcome) == {"added": 1, "embedded": 1, "failed": 1}
    assert f"more than {LONGEST:,} bytes" in outcome.failed[str(huge)]


def test_a_file_that_cannot_be_read_keeps_its_vector(
    run: Run, library: Library, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run()
    later(media / "a.png")
    real = parts.read_parts

    def refuse(source: object, opener: object) -> object:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(reading, "read_parts", refuse)
        assert run() == {"kept": 3, "skipped": 1, "failed": 1}
    assert str(media / "a.png") in paths_in(library)
    assert reading.read_parts is real
    assert run() == {"kept": 4, "skipped": 1}


def test_a_link_that_lost_its_target_fails_and_is_swept(
    run: Run, library: Library, media: Path, tmp_path: Path
) -> None:
    target = picture(tmp_path / "far.png", "black")
    (media / "link.png").symlink_to(target)
    run()
    target.unlink()
    assert run() == {"kept": 4, "removed": 1, "skipped": 1, "failed": 1}
    assert str(media / "link.png") not in paths_in(library)


def test_what_lay_behind_a_link_is_kept_while_its_drive_is_away(
    run: Run, library: Library, media: Path, tmp_path: Path
) -> None:
    drive, link = tmp_path / "drive", media / "holidays"
    picture(drive / "2024" / "far.png", "black")
    link.symlink_to(drive, target_is_directory=True)
    run()
    before = contents_of(library)
    drive.rename(tmp_path / "unplugged")
    outcome = ingest(library, [media], FakeEncoder())
    assert (outcome.removed, outcome.skipped) == (0, 2)
    assert "1 files beneath it are kept" in outcome.failed[str(link)]
    with pytest.raises(LibraryError, match="connect that"):
        run(link)
    assert contents_of(library) == before
    (tmp_path / "unplugged").rename(drive)
    assert run() == {"kept": 5, "skipped": 1}
    link.unlink()
    assert run() == {"kept": 4, "removed": 1, "skipped": 1}


def test_what_two_links_lead_to_does_not_grow_old_under_the_second(
    run: Run, library: Library, media: Path, tmp_path: Path
) -> None:
    far = picture(tmp_path / "far" / "x.png", "black")
    (media / "b_link").symlink_to(far.parent, target_is_directory=True)
    run()
    (media / "a_link").symlink_to(far.parent, target_is_directory=True)
    picture(far, "green")
    run()
    assert {path for path in paths_in(library) if path.endswith("x.png")} == {
        str(media / "a_link" / "x.png")
    }
    picture(far, "white")
    assert run() == {"kept": 4, "changed": 1, "skipped": 1, "embedded": 1}


def test_what_is_not_found_under_the_walked_link_is_kept_under_the_second(
    run: Run, library: Library, media: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    far, drive = tmp_path / "far", tmp_path / "drive"
    picture(far / "sub" / "z.png", "black")
    picture(drive / "d.png", "green")
    (far / "deep").symlink_to(drive, target_is_directory=True)
    (media / "b_link").symlink_to(far, target_is_directory=True)
    run()
    before = paths_in(library)
    (media / "a_link").symlink_to(far, target_is_directory=True)
    drive.rename(tmp_path / "unplugged")
    real = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("sub") and "link" in str(path):
            raise PermissionError(13, "Permission denied")
        return real(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", refuse)
        outcome = ingest(library, [media], FakeEncoder())
    assert outcome.removed == 0
    assert set(outcome.failed) == {
        str(media / "a_link" / "deep"), str(media / "a_link" / "sub"),
    }  # fmt: skip
    assert paths_in(library) == before
    (tmp_path / "unplugged").rename(drive)
    run()
    renamed = {path.replace("b_link", "a_link") for path in before}
    assert paths_in(library) == renamed


def test_links_that_lead_nowhere_cost_little_however_many_files_vanished(tmp_path: Path) -> None:
    class Links(set[str]):
        def __iter__(self) -> Iterator[str]:
            raise AssertionError("looked through")

    lost = Links(f"/root/{number}" for number in range(100))
    assert folder_above("/root/7/deep/er/a.png", lost) == "/root/7"
    assert folder_above("/root/700/a.png", lost) is None
    assert folder_above("/root/7", lost) is None


@pytest.mark.parametrize("seconds", [10_500_000_000, -10_500_000_000])
def test_a_date_beyond_all_calendars_stops_nothing(
    run: Run, library: Library, media: Path, seconds: int
) -> None:
    """In 2302 or 1637, which 64 bits of nanoseconds do not hold."""
    os.utime(media / "a.png", (seconds, seconds))
    assert run() == ALL
    assert run() == {"kept": 4, "skipped": 1}
    assert str(media / "a.png") in paths_in(library)


def test_notes_of_the_model_are_passed_on(
    library: Library, encoder: FakeEncoder, media: Path
) -> None:
    write(media / "long.png", "short")
    outcome = ingest(library, [media], encoder)
    assert outcome.notes == {str(media / "long.png"): "cut short"}


def item_file(path: Path, count: int, *, bad: bool = False) -> Path:
    rows = [json.dumps({"id": f"c{n}", "text": f"caption {n}"}) for n in range(count)]
    return write(path, "\n".join([*rows, *(["{]"] * bad)]))


def test_an_item_file_is_read_when_named_and_survives_its_folder(
    run: Run, library: Library, encoder: FakeEncoder, media: Path
) -> None:
    items = item_file(media / "items.jsonl", 3)
    assert run() == {**ALL, "skipped": 2}
    assert run(items) == {"added": 1, "embedded": 3}
    assert run() == {"kept": 4, "skipped": 2}
    assert len(list(library.store.records([str(items)]))) == 3
    item_file(items, 5)
    assert run(items) == {"changed": 1, "embedded": 2}
    assert encoder.seen == [f"{items}#c3", f"{items}#c4"]
    items.unlink()
    assert run() == {"kept": 4, "removed": 1, "skipped": 1}


def test_rows_that_no_store_can_hold_fail_alone(
    library: Library, encoder: FakeEncoder, tmp_path: Path
) -> None:
    rows = [
        {"id": "\ud800", "text": "red"},
        {"id": "\udfff", "text": "red", "tags": [5]},
        {"id": "\udffe", "sound": "x.wav"},
        {"text": "half \ud800"},
        {"image": "\ud800.png"},
        {"text": "blue", "tags": "sea, \ud800"},
        {"id": "good", "text": "green 🌊", "tags": "🌊"},
    ]
    path = write(tmp_path / "items.jsonl", "\n".join(map(json.dumps, rows)))
    outcome = ingest(library, [path], encoder)
    assert counts(outcome) == {"added": 1, "embedded": 1, "failed": 6}
    assert [record.id for record in library.store.records()] == [f"{path}#good"]
    assert outcome.failed.keys() == {
        f"{path}#{name}" for name in ("\\ud800", "\\udfff", "\\udffe", "4", "5", "6")
    }
    for name in ("\\ud800", "4", "5", "6"):
        assert "half of a surrogate pair" in outcome.failed[f"{path}#{name}"]
    json.dumps(outcome.failed, ensure_ascii=False).encode()


def test_bad_rows_are_reported_each_time_but_good_ones_embedded_once(
    run: Run, encoder: FakeEncoder, media: Path
) -> None:
    items = item_file(media / "items.jsonl", 3, bad=True)
    assert run(items) == {"added": 1, "embedded": 3, "failed": 1}
    assert run(items) == {"kept": 1, "failed": 1}
    assert encoder.seen == []


def test_a_library_inside_the_indexed_folder_does_not_eat_itself(
    encoder: FakeEncoder, media: Path
) -> None:
    inside = new_library(media / "lib")
    assert counts(ingest(inside, [media], encoder)) == ALL
    assert counts(ingest(inside, [media], encoder)) == {"kept": 4, "skipped": 1}
    around = new_library(media)
    assert counts(ingest(around, [media / "sub"], encoder)) == {"added": 2, "embedded": 2}


def test_another_model_is_refused_before_anything_happens(library: Library, media: Path) -> None:
    other = FakeEncoder("id-of-other")
    with pytest.raises(LibraryError, match="id-of-other"):
        ingest(library, [media], other)
    assert other.seen == []


def test_a_second_writer_is_refused(library: Library, encoder: FakeEncoder, media: Path) -> None:
    with library.writing(), pytest.raises(LibraryError, match="Another process"):
        ingest(Library.open(library.path), [media], encoder)


def test_a_wrong_path_indexes_nothing(library: Library, encoder: FakeEncoder, media: Path) -> None:
    with pytest.raises(LibraryError, match="does not exist"):
        ingest(library, [media, media / "typo"], encoder)
    assert library.store.count() == 0


@pytest.mark.parametrize(("batch", "window", "ahead"), [(1, 1, 1), (2, 3, 2), (256, 4096, 1000)])
def test_batches_windows_and_reading_ahead_change_nothing(
    library: Library, media: Path, monkeypatch: pytest.MonkeyPatch,
    batch: int, window: int, ahead: int,
) -> None:  # fmt: skip
    monkeypatch.setattr(module, "WINDOW", window)
    monkeypatch.setattr(reading, "AHEAD", ahead)
    write(media / "bad.png", "broken")
    write(media / "empty.txt", "")
    write(media / "last.txt", "p" * 700)
    outcome = ingest(library, [media], FakeEncoder(ahead=ahead), batch=batch)
    assert counts(outcome) == {**ALL, "added": 5, "embedded": 6, "failed": 1}
    assert len(list(library.store.records())) == 6


def test_an_interrupt_keeps_what_was_finished(
    library: Library, encoder: FakeEncoder, tmp_path: Path
) -> None:
    for n in range(10):
        write(tmp_path / "many" / f"{n}.txt", f"text {n}")

    def stop(progress: Progress) -> None:
        if progress.done == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ingest(library, [tmp_path / "many"], encoder, on_progress=stop)
    assert library.store.count() == 7
    assert counts(ingest(library, [tmp_path / "many"], encoder)) == {
        "added": 3, "kept": 7, "embedded": 3,
    }  # fmt: skip


def test_progress_counts_to_the_end(library: Library, encoder: FakeEncoder, media: Path) -> None:
    write(media / "bad.png", "broken")
    seen: list[Progress] = []
    ingest(library, [media], encoder, on_progress=seen.append)
    assert [one.done for one in seen] == [0, 1, 2, 3, 4, 5]
    assert {one.total for one in seen} == {5}
    assert seen[-1].failed == 1


def test_a_slow_model_commits_by_time(library: Library, encoder: FakeEncoder, media: Path) -> None:
    held: list[int] = []
    ingest(
        library,
        [media],
        encoder,
        seconds=0.0,
        on_progress=lambda _: held.append(library.store.count()),
    )
    assert held == [0, 1, 3, 4, 5]


def test_a_model_that_swallows_items_is_found_out(library: Library, media: Path) -> None:
    class Short(FakeEncoder):
        def embed(self, items: Iterable[Item]) -> Iterator[Embedding]:
            yield from list(super().embed(items))[:-1]

    with pytest.raises(LibraryError, match="fewer results"):
        ingest(library, [media], Short())
