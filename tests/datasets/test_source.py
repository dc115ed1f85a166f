"""Where bytes come from: local folder, cache, a faulty server on the loopback, TFDS."""

import hashlib
import http.server
import json
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from datasets import download, source
from datasets.source import DataError, Found, Missing, Provenance, Request, Upstream
from jaxdl.hashing import arrays_digest

BODY = b"Time,V1\n" + bytes(range(256)) * 40
SUM = hashlib.sha256(BODY).hexdigest()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache of the test's own, and no settings of the user."""
    for name in ("JAXDL_DATA", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("JAXDL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "nothing"))
    return tmp_path / "cache"


class Server:
    """Answers the n-th request with the n-th of `answers`, the last one for ever."""

    def __init__(self):
        self.answers, self.requests = [], 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                answer = outer.answers[min(outer.requests, len(outer.answers) - 1)]
                outer.requests += 1
                self.close_connection = True
                answer(self)

            def log_message(self, *args):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    def upstream(self, **changes):
        url = f"http://127.0.0.1:{self.http.server_port}/x.csv"
        return Upstream(**{"folder": "f", "filename": "x.csv", "url": url, **changes})


def reply(body=BODY, status=200, length=None, chunks=(), pause=0.0, **headers):
    """An answer: headers, then the body, or `chunks` in chunked coding with pauses."""

    def answer(handler):
        handler.send_response(status)
        if chunks:
            headers["Transfer-Encoding"] = "chunked"
        elif length != "none":
            headers["Content-Length"] = str(len(body) if length is None else length)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        try:
            for chunk in chunks:
                handler.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
                handler.wfile.flush()
                time.sleep(pause)
            handler.wfile.write(b"" if chunks else body)
        except OSError:
            pass  # the client has given up, as it should

    return answer


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(download, "CONNECT_SECONDS", 0.5)
    monkeypatch.setattr(download, "WINDOW_SECONDS", 0.2)
    monkeypatch.setattr(source, "RETRY_SECONDS", 0.01)
    server = Server()
    yield server
    server.http.shutdown()
    server.http.server_close()


def files_in(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def local(folder, sums=None, body=BODY):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "x.csv").write_bytes(body)
    if sums is not None:
        (folder / "SHA256SUMS").write_text(sums)


NOWHERE = Upstream("f", "x.csv", "http://127.0.0.1:9/x.csv")


# ---- local folder


@pytest.mark.parametrize("inside", ["f", ""])
def test_local_file_with_the_published_sum_is_real(tmp_path, monkeypatch, inside):
    local(tmp_path / "data" / inside)
    upstream = Upstream("f", "x.csv", "http://127.0.0.1:9/", sha256=SUM)
    path = tmp_path / "data" / inside / "x.csv"
    expected = Found(path, "real", SUM)
    assert source.find(upstream, Request("real", tmp_path / "data")) == expected
    monkeypatch.setenv("JAXDL_DATA", str(tmp_path / "data"))
    assert source.find(upstream, Request()) == expected


@pytest.mark.parametrize("entry", ["{}  x.csv", "{} *x.csv", "{}  ./x.csv\n", "\n{}  x.csv\r\n"])
def test_local_mirror_is_vouched_for_by_sha256sums(tmp_path, entry):
    local(tmp_path / "f", entry.format(SUM.upper()))
    upstream = Upstream("f", "x.csv", "http://127.0.0.1:9/", sha256="0" * 64)
    assert source.find(upstream, Request(data_dir=tmp_path)).kind == "local mirror"


def test_sums_at_the_top_of_a_nested_data_set(tmp_path):
    local(tmp_path / "f" / "data" / "deep")
    (tmp_path / "f" / "SHA256SUMS").write_text(f"{SUM}  data/deep/x.csv\n")
    upstream = Upstream("f", "data/deep/x.csv", "http://127.0.0.1:9/")
    assert source.find(upstream, Request(data_dir=tmp_path)).kind == "local mirror"


@pytest.mark.parametrize("sums", [None, "", f"{'0' * 64}  x.csv", f"{SUM}  y.csv"])
@pytest.mark.parametrize("kind", ["auto", "real"])
def test_unverified_local_file_is_refused(tmp_path, sums, kind):
    local(tmp_path / "f", sums)
    upstream = Upstream("f", "x.csv", "http://127.0.0.1:9/", sha256="1" * 64)
    with pytest.raises(DataError, match=r"x\.csv: has sha256 .* SHA256SUMS"):
        source.find(upstream, Request(kind, tmp_path))


def test_malformed_sums_name_the_row(tmp_path):
    local(tmp_path / "f", f"{SUM}  other\nnot a sum\n")
    with pytest.raises(DataError, match="SHA256SUMS, row 2"):
        source.find(NOWHERE, Request(data_dir=tmp_path))


def test_folder_in_place_of_a_file(tmp_path):
    (tmp_path / "f" / "x.csv").mkdir(parents=True)
    with pytest.raises(DataError, match="cannot be read"):
        source.find(NOWHERE, Request(data_dir=tmp_path))


def test_missing_data_folder_is_an_error(tmp_path, monkeypatch):
    with pytest.raises(DataError, match="--data-dir"):
        source.find(NOWHERE, Request(data_dir=tmp_path / "no"))
    monkeypatch.setenv("JAXDL_DATA", str(tmp_path / "no"))
    with pytest.raises(DataError, match=r"\$JAXDL_DATA"):
        source.find(NOWHERE, Request())


# ---- download


def test_download_once_then_cache(server, cache):
    server.answers = [reply()]
    upstream = server.upstream(sha256=SUM, size=len(BODY))
    first = source.find(upstream, Request())
    assert first == Found(cache / "f" / "x.csv", "real", SUM)
    assert first.path.read_bytes() == BODY
    assert source.find(upstream, Request()) == first
    assert server.requests == 1
    assert files_in(cache) == ["x.csv"]


@pytest.mark.parametrize(
    "passing",
    [
        reply(status=500),
        reply(status=429),
        reply(body=BODY[:900], length=len(BODY)),
        reply(chunks=[BODY[:900]]),
    ],
    ids=["500", "429", "cut", "cut chunks"],
)
def test_passing_faults_are_tried_again(server, cache, passing):
    server.answers = [passing, passing, reply()]
    found = source.find(server.upstream(sha256=SUM), Request())
    assert found.path.read_bytes() == BODY
    assert server.requests == 3
    assert files_in(cache) == ["x.csv"]


def hang(handler):
    time.sleep(2)


def header_drip(handler):
    """A good answer whose every byte comes in time, but not its header as a whole."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY)
    for place in range(12):
        handler.wfile.write(head[place : place + 1])
        time.sleep(0.15)
    handler.wfile.write(head[12:] + BODY)


FAULTS = {
    "header drip": (header_drip, "does not answer", 1),
    "404": (reply(status=404), "answers 404", 1),
    "500 for ever": (reply(status=500), "answers 500", 3),
    "cut body": (reply(body=BODY[:900], length=len(BODY)), "ended after 900", 3),
    "no length": (reply(length="abc"), "no number", 1),
    "negative length": (reply(length=-5), "no number", 1),
    "wrong length": (reply(body=BODY + b"x"), "instead of", 1),
    "longer than said": (reply(chunks=[BODY, b"x"]), "more bytes", 1),
    "web page": (reply(body=b"\n<!DOCTYPE html><p>quota".ljust(len(BODY))), "web page", 1),
    "other bytes": (reply(body=BODY[::-1]), "another file", 1),
    "drip": (reply(chunks=[b"x"] * 100, pause=0.02), "too slow", 1),
    "stalled body": (reply(chunks=[BODY[:9]] * 2, pause=1.5), "does not answer", 1),
    "no header": (hang, "does not answer", 1),
    "redirect loop": (reply(status=302, Location="/x.csv"), "answers 302", 5),
    "redirect to file": (reply(status=302, Location="file:///etc/hostname"), "answers 302", 1),
    "not http": (lambda handler: handler.wfile.write(b"\0\1\2\n\n"), "cannot be read", 3),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_bad_server_leaves_nothing_in_the_cache(server, cache, fault):
    answer, reason, requests = FAULTS[fault]
    server.answers = [answer]
    upstream = server.upstream(sha256=SUM, size=len(BODY))
    missing = source.find(upstream, Request())
    assert isinstance(missing, Missing)
    assert reason in missing.reason
    assert server.requests == requests
    assert files_in(cache) == []


def test_nothing_found_is_an_error_for_real_and_says_what_to_do(server):
    server.answers = [reply(status=404)]
    with pytest.raises(DataError, match=r"404 .* put .* at f/x\.csv in --data-dir"):
        source.find(server.upstream(), Request("real"))


def test_refused_connection():
    assert "refused" in source.find(NOWHERE, Request()).reason


def test_redirect_is_followed(server):
    server.answers = [reply(status=302, Location="/there"), reply()]
    assert source.find(server.upstream(sha256=SUM), Request()).sha256 == SUM


def test_without_a_published_sum_the_first_one_is_kept(server, cache):
    server.answers = [reply()]
    found = source.find(server.upstream(), Request())
    assert (found.sha256, found.kind) == (SUM, "real")
    assert files_in(cache) == ["x.csv", "x.csv.sha256"]
    assert source.find(server.upstream(), Request()) == found
    assert server.requests == 1
    found.path.write_bytes(BODY[:-1])
    assert source.find(server.upstream(), Request()).path.read_bytes() == BODY
    assert server.requests == 2


def test_without_sum_and_length_a_cut_could_hide(server):
    server.answers = [reply(length="none")]
    assert "how long" in source.find(server.upstream(), Request()).reason


def test_size_cap(server, cache, monkeypatch):
    monkeypatch.setattr(download, "MAX_BYTES", 5000)
    server.answers = [reply(length="none")]
    assert "more bytes" in source.find(server.upstream(sha256=SUM), Request()).reason
    assert files_in(cache) == []


def test_poisoned_cache_is_fetched_again(server, cache):
    server.answers = [reply()]
    upstream = server.upstream(sha256=SUM)
    path = source.find(upstream, Request()).path
    for place in range(0, len(BODY), len(BODY) // 16):
        damaged = bytearray(BODY)
        damaged[place] ^= 1
        path.write_bytes(damaged)
        assert source.find(upstream, Request()).path.read_bytes() == BODY
    server.answers = [reply(status=404)]
    path.write_bytes(damaged)
    assert isinstance(source.find(upstream, Request()), Missing)
    assert files_in(cache) == []


@pytest.mark.parametrize("trouble", ["no home", "not writable"])
def test_works_without_a_cache(server, tmp_path, monkeypatch, trouble):
    if trouble == "no home":
        monkeypatch.delenv("JAXDL_CACHE")
        monkeypatch.setattr(Path, "expanduser", lambda path: (_ for _ in ()).throw(RuntimeError))
        assert source.cache_folder() is None
    else:
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("JAXDL_CACHE", str(tmp_path / "file" / "cache"))
    server.answers = [reply()]
    assert source.find(server.upstream(sha256=SUM), Request()).path.read_bytes() == BODY
    arrays = source.cached_arrays("key", lambda: {"a": np.arange(3)})
    assert arrays["a"].tolist() == [0, 1, 2]


def test_cache_folder_order(monkeypatch, tmp_path):
    assert source.cache_folder() == tmp_path / "cache"
    monkeypatch.delenv("JAXDL_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert source.cache_folder() == tmp_path / "xdg" / "jaxdl"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert source.cache_folder() == tmp_path / ".cache" / "jaxdl"


def test_find_all_and_its_provenance(server, tmp_path):
    local(tmp_path / "f", f"{SUM}  x.csv")
    server.answers = [reply(), reply(status=404)]
    request = Request(data_dir=tmp_path)
    mirror, real = server.upstream(), server.upstream(filename="y.csv", sha256=SUM)
    found = source.find_all([mirror, real], request)
    assert [each.kind for each in found] == ["local mirror", "real"]
    both = source.provenance_of("two", found, "2 rows")
    assert both.kind == "local mirror"
    assert both.sha256 == hashlib.sha256(f"{SUM}\n{SUM}".encode()).hexdigest()
    assert source.provenance_of("one", found[1:], "").sha256 == SUM
    absent = server.upstream(filename="z.csv")
    assert isinstance(source.find_all([mirror, absent, real], request), Missing)


# ---- arrays


def test_arrays_come_back_equal_and_are_built_once():
    arrays = {"a": np.arange(6.0).reshape(2, 3), "b": np.array(["x", "yz"]), "c": np.zeros((0, 3))}
    built = []

    def build():
        built.append(1)
        return arrays

    for _ in range(2):
        loaded = source.cached_arrays("key", build)
        assert arrays_digest(loaded) == arrays_digest(arrays)
    assert len(built) == 1


def test_damaged_arrays_are_built_again(cache):
    def build():
        built.append(1)
        return {"a": np.arange(500)}

    built = []
    source.cached_arrays("key", build)
    entry, beside = sorted((cache / "arrays").iterdir())
    for path, count in ((entry, 32), (beside, 8)):
        whole = path.read_bytes()
        for place in np.linspace(0, len(whole) - 1, count, dtype=int):
            damaged = bytearray(whole)
            damaged[place] ^= 0x11
            path.write_bytes(damaged)
            before = len(built)
            assert source.cached_arrays("key", build)["a"].tolist() == list(range(500))
            assert len(built) == before + 1
        path.write_bytes(whole[: len(whole) // 2])
        source.cached_arrays("key", build)
    assert files_in(cache) == [entry.name, beside.name]


def test_arrays_of_another_version_of_the_code_are_dropped(cache):
    stale = cache / "arrays" / "key@0123456789ab.npz"
    other = cache / "arrays" / "key-2@0123456789ab.npz"
    stale.parent.mkdir(parents=True)
    stale.touch()
    other.touch()
    source.cached_arrays("key", lambda: {"a": np.arange(3)})
    assert not stale.exists()
    assert other.exists()


def test_no_pickle_enters_the_cache(cache):
    with pytest.raises(TypeError, match="pickle"):
        source.cached_arrays("key", lambda: {"a": np.array([{}])})
    with pytest.raises(ValueError, match="cache key"):
        source.cached_arrays("../key", dict)
    assert files_in(cache) == []


def test_the_digest_of_arrays_sees_every_part():
    base = {"a": np.arange(4), "b": np.zeros(2)}
    digest = arrays_digest(base)
    assert arrays_digest(dict(reversed(base.items()))) == digest
    for other in (
        {"a": np.arange(4), "c": np.zeros(2)},
        {"a": np.arange(4).reshape(2, 2), "b": np.zeros(2)},
        {"a": np.arange(4).astype(np.uint64), "b": np.zeros(2)},
        {"a": np.arange(4), "b": np.array([0, 1e-300])},
    ):
        assert arrays_digest(other) != digest


# ---- records and TFDS


def test_provenance_line_and_record():
    twin = Provenance("fraud", "simulated", "1a2b3c4d5e6f" + "0" * 52, "9 rows")
    assert twin.line() == "data: fraud, simulated twin (9 rows), sha256 1a2b3c4d5e6f"
    assert json.loads(json.dumps(twin.record()))["kind"] == "simulated"
    assert "simulated" not in Provenance("fraud", "local mirror", "0", "").line()


def test_data_error_is_one_line():
    error = DataError("bad\nthing", file=Path("a.csv"), row=3, column="V1")
    assert str(error) == "a.csv, row 3, column V1: bad thing"
    assert str(DataError("plain")) == "plain"


def test_tfds_folder_is_missing_or_empty(tmp_path):
    with pytest.raises(DataError, match=r"tfds/mnist .*: run this"):
        source.tfds_folder(Request("tfds", tmp_path), "mnist", "run this")


def test_tfds_takes_the_newest_version(tmp_path):
    for version in ("9.0.0", "10.0.0"):
        folder = tmp_path / "tfds" / "mnist" / version
        folder.mkdir(parents=True)
        (folder / "dataset_info.json").write_text("{}")
    found = source.tfds_folder(Request("tfds", tmp_path), "mnist", "")
    assert found == folder
    with pytest.raises(DataError, match="TFDS cannot read image"):
        source.read_tfds(found, ["image"])


def test_arrays_in_a_folder_that_others_may_write_to_are_not_read(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("JAXDL_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "cache" / "arrays"

    def build():
        return {"x": np.arange(3)}

    source.cached_arrays("points", build)
    assert len(list(folder.glob("points@*.npz"))) == 1
    folder.chmod(0o777)
    for path in folder.iterdir():
        path.unlink()
    assert source.cached_arrays("points", build)["x"].tolist() == [0, 1, 2]
    assert not list(folder.iterdir())
    assert f"prepared data are not kept: others may write to {folder}" in capsys.readouterr().err
