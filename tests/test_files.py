"""Files are written whole or not at all, and JSON is read with suspicion."""

import errno
from pathlib import Path

import pytest

from jaxdl.errors import UserError, nearest
from jaxdl.files import read_object, write_whole


def test_a_file_is_replaced_and_its_folder_made(tmp_path):
    path = tmp_path / "a" / "b.txt"
    for content in (b"one", b"two"):
        write_whole(path, content)
        assert path.read_bytes() == content
    assert [p.name for p in path.parent.iterdir()] == ["b.txt"]


def test_a_link_stays_one(tmp_path):
    (tmp_path / "there").write_bytes(b"old")
    (tmp_path / "link").symlink_to(tmp_path / "there")
    write_whole(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "there").read_bytes() == b"new"


def test_on_a_full_disk_the_old_file_stays_and_no_other(tmp_path, monkeypatch):
    path = tmp_path / "x"
    path.write_bytes(b"old")
    write = Path.write_bytes

    def full(self, content):
        write(self, content[:2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(UserError, match=r"x cannot be written \(No space left on device\)"):
        write_whole(path, b"new content")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("path", ["file/x", "x" * 300, "folder"])
def test_what_cannot_be_written_is_one_line(tmp_path, path):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match="cannot be written") as error:
        write_whole(tmp_path / path, b"content")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is no JSON"),
        (b"{", "is no JSON"),
        (b"\xff", "is no JSON"),
        (b"[" * 100_000, "is no JSON"),
        (b"[]", "holds no JSON object"),
        (b"null", "holds no JSON object"),
        (b"{}", "no proper 'rows'"),
        (b'{"rows": 3}', "no proper 'rows'"),
        (None, "does not exist"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_a_bad_json_file_is_one_line(tmp_path, content, problem):
    path = tmp_path / "x.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=problem) as error:
        read_object(path, rows=list)
    assert "\n" not in str(error.value)


def test_a_good_json_file_is_its_object(tmp_path):
    (tmp_path / "x.json").write_text('{"rows": [1], "more": null}')
    assert read_object(tmp_path / "x.json", rows=list) == {"rows": [1], "more": None}


def test_a_wrong_suggestion_is_worse_than_none():
    known = ["epochs", "seed", "workdir", "data-dir"]
    right = {"epoks": "epochs", "sed": "seed", "data-dri": "data-dir", "wordkir": "workdir"}
    assert {word: nearest(word, known) for word in right} == right
    others = ["eps", *known]
    assert [nearest(word, others) for word in ("csv", "image", "rows", "x")] == [None] * 4
