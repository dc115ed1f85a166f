"""Where the bytes of a data set come from, and the proof that they are the right ones.

`find` looks in this order: a local folder (`--data-dir` or `$JAXDL_DATA`), the verified cache
(`$JAXDL_CACHE`, else `jaxdl` in the user's cache folder), a download from the upstream address.
A simulated twin is the business of each data set: `find` only says why there are no real bytes.
Nothing here unpickles, extracts an archive or keeps a file whose sum it has not checked.
"""

import contextlib
import functools
import hashlib
import inspect
import io
import os
import re
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np

from datasets import download
from jaxdl.errors import UserError
from jaxdl.files import distrust
from jaxdl.hashing import arrays_digest

Source = Literal["auto", "real", "simulated", "tfds"]
Kind = Literal["real", "local mirror", "simulated", "tfds", "user file"]

ATTEMPTS = 3
RETRY_SECONDS = 0.25


class DataError(UserError):
    """Data that cannot be used: one line naming the file, row (line number) and column."""

    def __init__(
        self, problem: str, *, file: Path | None = None, row: int = 0, column: str = ""
    ) -> None:
        place = [str(file)] * bool(file) + [f"row {row}"] * bool(row)
        place += [f"column {column}"] * bool(column)
        super().__init__(" ".join(f"{', '.join(place)}{': ' * bool(place)}{problem}".split()))


@dataclass(frozen=True)
class Request:
    """What the user asked for: which source, and the folder that holds upstream file names."""

    source: Source = "auto"
    data_dir: Path | None = None

    def folder(self) -> Path | None:
        """`data_dir`, else `$JAXDL_DATA`, else None. DataError when it is not a folder."""
        given = self.data_dir or os.environ.get("JAXDL_DATA")
        if not given:
            return None
        folder = _expand(given)
        if not folder.is_dir():
            said_by = "--data-dir" if self.data_dir else "$JAXDL_DATA"
            raise DataError(f"{said_by} is {folder}, which is not a folder: create it or unset it")
        return folder


@dataclass(frozen=True)
class Provenance:
    """Which bytes a result stands on; goes into the first line printed and into the record.

    `twin` is False where simulated data stand for no published ones: made up by a formula.
    """

    name: str
    kind: Kind
    sha256: str
    detail: str
    twin: bool = True

    def line(self) -> str:
        words = {"tfds": "TensorFlow Datasets", "simulated": "simulated" + " twin" * self.twin}
        kind = words.get(self.kind, self.kind)
        return f"data: {self.name}, {kind} ({self.detail}), sha256 {self.sha256[:12]}"

    def record(self) -> dict[str, str]:
        return asdict(self)


@dataclass(frozen=True)
class Upstream:
    """One published file. `filename` may hold sub-folders (`data/x.csv`).

    Without `sha256` the sum of the first download is kept beside the cached file, which guards
    against later damage but not against a wrong first answer: the caller has to check contents.
    """

    folder: str
    filename: str
    url: str
    sha256: str | None = None
    size: int | None = None


@dataclass(frozen=True)
class Found:
    """A file on disk whose sha256 was checked just now."""

    path: Path
    kind: Literal["real", "local mirror"]
    sha256: str


@dataclass(frozen=True)
class Missing:
    """No real bytes (only under `source="auto"`); `reason` is for the user to read."""

    reason: str


def find(upstream: Upstream, request: Request) -> Found | Missing:
    """Find a published file: local folder, then verified cache, then download.

    Raises:
        DataError: a local file that matches neither the published sum nor a SHA256SUMS beside
            it, a data folder that does not exist, or nothing found under `source="real"`.
    """
    if request.source not in ("auto", "real"):
        raise ValueError(f"find() serves the sources auto and real, not {request.source}")
    found = _find_local(upstream, request.folder()) or _find_cached(upstream)
    if found is not None:
        return found
    try:
        return _download(upstream)
    except download.Unavailable as error:
        host = urllib.parse.urlsplit(upstream.url).hostname
        reason = f"no local {upstream.filename}, and {host} {error}"
    if request.source == "real":
        place = f"{upstream.folder}/{upstream.filename} in --data-dir"
        raise DataError(f"{reason}; put {upstream.url} at {place}, or use --source simulated")
    return Missing(reason)


def find_all(upstreams: Iterable[Upstream], request: Request) -> list[Found] | Missing:
    """`find` for a data set of several files: all of them, or the first that is missing."""
    every = []
    for upstream in upstreams:
        found = find(upstream, request)
        if isinstance(found, Missing):
            return found
        every.append(found)
    return every


def provenance_of(name: str, found: list[Found], detail: str) -> Provenance:
    """Provenance of files: "real" only if all are; several files give the sum of their sums."""
    kind = "real" if all(each.kind == "real" for each in found) else "local mirror"
    sums = [each.sha256 for each in found]
    digest = sums[0] if len(sums) == 1 else hashlib.sha256("\n".join(sums).encode()).hexdigest()
    return Provenance(name, kind, digest, detail)


def provenance_of_twin(
    name: str, arrays: dict[str, np.ndarray], detail: str, found: Missing
) -> Provenance:
    """Provenance of a simulated twin: its arrays' sum, and why it is not the real data, if said."""
    detail += f"; {found.reason}" if found.reason else ""
    return Provenance(name, "simulated", arrays_digest(arrays), detail)


def cache_folder() -> Path | None:
    """Folder of the cache, which may not exist yet; None where the user has no home."""
    for variable, inside in (("JAXDL_CACHE", ""), ("XDG_CACHE_HOME", "jaxdl")):
        if os.environ.get(variable):
            return _expand(os.environ[variable]) / inside
    home = _expand("~")
    return home / ".cache" / "jaxdl" if home.is_absolute() else None


def sha256_of(path: Path) -> str:
    """Hexadecimal sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def listed_sum(path: Path, top: Path) -> str | None:
    """Sum that the nearest SHA256SUMS from `path`'s folder up to `top` lists for `path`.

    Raises:
        DataError: a SHA256SUMS with a line that is not "<64 hex digits>  <file name>".
    """
    for folder in path.parents:
        sums = folder / "SHA256SUMS"
        lines = sums.read_text("utf-8", "replace").splitlines() if sums.is_file() else []
        for row, line in enumerate(lines, start=1):
            entry = re.fullmatch(r"([0-9a-fA-F]{64}) [ *](?:\./)?(.+)", line.rstrip())
            if line.strip() and entry is None:
                raise DataError("is not '<sha256>  <file name>'", file=sums, row=row)
            if entry and entry[2] == path.relative_to(folder).as_posix():
                return entry[1].lower()
        if folder == top:
            break
    return None


def cached_arrays(key: str, build: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Arrays of `build()`, kept in the cache as a plain .npz with its sha256 beside it.

    The name on disk also holds the sum of the file that defines `build` (a function or lambda),
    so a changed parser or generator never meets arrays made by the old one. A damaged entry is
    built again; a cache that cannot be written is no error. Whoever can write an entry can write
    its sum, too: nothing is read from a folder that another user could have written to.
    """
    if not re.fullmatch(r"[\w.-]+", key, re.ASCII):
        raise ValueError(f"a cache key has letters, digits, '.', '_' and '-' only, not {key!r}")
    folder = cache_folder()
    if folder is None or not _own_folder(folder / "arrays"):
        return build()
    path = folder / "arrays" / f"{key}@{sha256_of(Path(inspect.getfile(build)))[:12]}.npz"
    arrays = _load_arrays(path)
    if arrays is None:
        arrays = build()
        if any(array.dtype.hasobject for array in arrays.values()):
            raise TypeError("arrays of Python objects would need pickle and are not cached")
        with contextlib.suppress(OSError):
            for stale in path.parent.glob(f"{key}@*"):
                stale.unlink()
            _save_arrays(path, arrays)
    return arrays


def _own_folder(folder: Path) -> bool:
    """Whether arrays may be kept in a folder, which is made if need be; if not, it is told why."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        problem = distrust(folder)
    except OSError:  # a cache that cannot be written is no error
        return False
    if problem is not None:
        _tell_once(f"prepared data are not kept: {problem}")
    return problem is None


@functools.cache
def _tell_once(line: str) -> None:
    print(line, file=sys.stderr)


def tfds_folder(request: Request, name: str, how: str) -> Path:
    """Newest prepared TFDS folder of a data set (the one with dataset_info.json).

    Looks below `<data_dir>/tfds/<name>`, then where TFDS itself prepares: `$TFDS_DATA_DIR` or
    `~/tensorflow_datasets`. Raises DataError, ending in `how` (what to do), where there is none.
    """
    data_dir = request.folder()
    tops = [data_dir / "tfds" / name] if data_dir else []
    tops += [_expand(os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets") / name]
    for top in tops:
        prepared = [path.parent for path in top.glob("**/dataset_info.json")]
        if prepared:
            return max(prepared, key=lambda path: [int(n) for n in re.findall(r"\d+", path.name)])
    raise DataError(f"no prepared TFDS folder {' or '.join(map(str, tops))}: {how}")


def read_tfds(folder: Path, names: Iterable[str], split: str = "all") -> dict[str, list]:
    """Read features of a prepared TFDS folder into lists, without TensorFlow.

    TFDS reads only the array_record format this way. It imports the feature classes that
    features.json names, so a folder from a stranger is to be treated like a stranger's program.

    Raises:
        DataError: TFDS is absent, cannot read the folder, or has no such feature or split.
    """
    columns: dict[str, list] = {name: [] for name in names}
    try:
        import tensorflow_datasets as tfds

        rows = tfds.builder_from_directory(str(folder)).as_data_source(split=split)
        with download.progress(f"reading {folder.name}", len(rows), "rows") as bar:
            for start in range(0, len(rows), 4096):
                block = rows.__getitems__(range(start, min(start + 4096, len(rows))))
                for name, column in columns.items():
                    column.extend(example[name] for example in block)
                bar.update(len(block))
    except Exception as error:  # TFDS and its readers raise dozens of types, none shared
        problem = f"TFDS cannot read {', '.join(columns)} of split {split!r} as array_record"
        raise DataError(f"{problem} ({type(error).__name__}: {error})", file=folder) from error
    return columns


def _expand(path: str | Path) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError:  # no HOME and no entry in the user database
        return Path(path)


def _find_local(upstream: Upstream, data_dir: Path | None) -> Found | None:
    if data_dir is None:
        return None
    places = (Path(upstream.folder, upstream.filename), Path(upstream.filename))
    for path in (data_dir / place for place in places):
        try:
            digest, listed = sha256_of(path), listed_sum(path, data_dir)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise DataError(f"cannot be read ({error.strerror})", file=path) from error
        if digest in (upstream.sha256, listed):
            return Found(path, "real" if digest == upstream.sha256 else "local mirror", digest)
        expected = listed or upstream.sha256 or "unknown"
        raise DataError(
            f"has sha256 {digest[:12]}, expected {expected[:12]}: restore or remove it, or list "
            "it in a SHA256SUMS beside it (sha256sum * > SHA256SUMS) if it is meant to differ",
            file=path,
        )
    return None


def _find_cached(upstream: Upstream) -> Found | None:
    folder = cache_folder()
    if folder is None:
        return None
    path = folder / upstream.folder / upstream.filename
    with contextlib.suppress(OSError):
        digest = sha256_of(path)
        if digest == (upstream.sha256 or _sum_beside(path).read_text(errors="replace")):
            return Found(path, "real", digest)
        path.unlink()  # damaged or tampered with: fetched again
    return None


def _download(upstream: Upstream) -> Found:
    if not upstream.url.startswith(("https://", "http://")):
        raise ValueError(f"only http and https are served, not {upstream.url}")
    for attempt in range(1, ATTEMPTS + 1):
        try:
            target = _writable(Path(upstream.folder, upstream.filename))
            with _replacing(target) as file:
                digest = download.receive(upstream.url, file, upstream.size, upstream.sha256)
                if upstream.sha256 is None:
                    with _replacing(_sum_beside(target)) as beside:
                        beside.write(digest.encode())
            return Found(target, "real", digest)
        except download.Interrupted:
            if attempt == ATTEMPTS:
                raise
            time.sleep(RETRY_SECONDS * attempt)
        except OSError as error:
            raise download.Unavailable(f"cannot be stored ({error})") from error
    raise AssertionError("the last attempt returns or raises")


@functools.cache
def _scratch() -> tempfile.TemporaryDirectory:
    return tempfile.TemporaryDirectory(prefix="jaxdl-")  # removed when the program ends


def _writable(relative: Path) -> Path:
    """Path in the cache, or in a folder of this process only where no cache can be written."""
    cache = cache_folder()
    with contextlib.suppress(OSError):
        if cache is not None:
            (cache / relative).parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=(cache / relative).parent):
                return cache / relative
    path = Path(_scratch().name) / relative
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    """A new file that takes the place of `path` in one move, and only if nothing was raised."""
    handle, name = tempfile.mkstemp(prefix=path.name, suffix=".part", dir=path.parent)
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        part.chmod(0o644)  # mkstemp makes private files; a cache may be shared
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _sum_beside(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def _save_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    for target, payload in (
        (path, buffer.getbuffer()),
        (_sum_beside(path), hashlib.sha256(buffer.getbuffer()).hexdigest().encode()),
    ):
        with _replacing(target) as file:
            file.write(payload)


def _load_arrays(path: Path) -> dict[str, np.ndarray] | None:
    with contextlib.suppress(OSError, ValueError, zipfile.BadZipFile):
        payload = path.read_bytes()
        if hashlib.sha256(payload).hexdigest() == _sum_beside(path).read_text():
            with np.load(io.BytesIO(payload), allow_pickle=False) as stored:
                return {name: stored[name] for name in stored.files}
    return None
