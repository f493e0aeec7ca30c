from unite.cli.printable import printable, skipped


def test_control_characters_are_left_out() -> None:
    assert printable("a\x1b[31mb\x07\x9bc\nd") == "a[31mbc\nd"


def test_what_was_skipped_is_told_by_kind() -> None:
    assert skipped({".pdf": 2, ".xmp": 1}) == "skipped by kind: 2 .pdf, 1 .xmp"
    assert skipped({f".{n}": 1 for n in range(9)}).endswith("1 .7, …")
    assert "\x1b" not in skipped({".\x1b[2J": 1})
