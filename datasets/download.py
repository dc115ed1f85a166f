"""One download: a file over http(s) that is checked while it arrives, or a reason why not."""

import contextlib
import hashlib
import http.client
import re
import sys
import threading
import time
import urllib.error
import urllib.request
from typing import Any, BinaryIO

CONNECT_SECONDS = 3.0  # a dead network must cost seconds, not minutes
WINDOW_SECONDS = 5.0  # speed is judged over windows of this length ...
MIN_BYTES_PER_SECOND = 16 * 1024  # ... and below this the download is given up
MAX_BYTES = 512 * 1024 * 1024


class Unavailable(Exception):
    """The upstream address did not give the file; the text says why."""


class Interrupted(Unavailable):
    """A passing fault of the server or the connection: worth another attempt."""


def receive(url: str, file: BinaryIO, size: int | None, sha256: str | None) -> str:
    """Write the body of one answer to `file`, check it, return its sha256.

    Args:
        url: http or https; an https address that redirects to http is refused.
        size: bytes that the file has, if it is known.
        sha256: its published sum, if there is one.

    Raises:
        Unavailable: no answer in time, another file, a web page, too slow, too large.
        Interrupted: a passing fault; another attempt may help.
    """
    name = url.rpartition("/")[2]
    digest, received, window, since = hashlib.sha256(), 0, 0, time.monotonic()
    with contextlib.closing(_open(url)) as answer:
        said = answer.headers.get("Content-Length", "-1").strip()
        if not re.fullmatch(r"-1|[0-9]{1,18}", said):
            raise Unavailable(f"says a length that is no number ({said[:20]!r})")
        length = int(said)
        expected = length if size is None else size
        if length not in (-1, expected):
            raise Unavailable(f"offers {length:,} bytes instead of {expected:,}")
        if expected < 0 and sha256 is None and not answer.chunked:
            raise Unavailable("does not say how long the file is")
        with progress(f"downloading {name}", expected, "B") as bar:
            while chunk := _read(answer):
                if received == 0 and re.match(rb"\s*<(!doctype html|html)\b", chunk[:256], re.I):
                    raise Unavailable("answers with a web page instead of the file")
                received, window = received + len(chunk), window + len(chunk)
                if received > (expected if expected >= 0 else MAX_BYTES):
                    raise Unavailable("sends more bytes than the file may have")
                digest.update(chunk)
                file.write(chunk)
                bar.update(len(chunk))
                elapsed = time.monotonic() - since
                if elapsed > WINDOW_SECONDS:
                    if window < MIN_BYTES_PER_SECOND * elapsed:
                        raise Unavailable("is too slow")
                    window, since = 0, time.monotonic()
    if 0 <= expected != received:
        raise Interrupted(f"ended after {received:,} of {expected:,} bytes")
    if sha256 not in (None, digest.hexdigest()):
        raise Unavailable(f"gave another file (sha256 {digest.hexdigest()[:12]})")
    return digest.hexdigest()


def _open(url: str) -> http.client.HTTPResponse:
    """Answer with a good status, or the reason why not, within about CONNECT_SECONDS."""
    outcome: list = []

    def work() -> None:
        try:
            outcome.append(urllib.request.urlopen(url, timeout=CONNECT_SECONDS))  # noqa: S310
        except Exception as error:
            outcome.append(error)

    # A thread, because neither the name look-up nor a header sent byte by byte obeys `timeout`.
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(1.5 * CONNECT_SECONDS)
    answer = outcome[0] if outcome else TimeoutError()
    if isinstance(answer, Exception):
        raise _explained(answer)
    if url.startswith("https:") and not answer.url.startswith("https:"):
        raise Unavailable("redirects to an address without https")
    return answer


def _read(answer: http.client.HTTPResponse) -> bytes:
    try:
        return answer.read1(1 << 18)  # read() would wait for a whole block from a slow server
    except (OSError, http.client.HTTPException) as error:
        raise _explained(error) from error


def _explained(error: Exception) -> Unavailable:
    if isinstance(error, urllib.error.HTTPError):
        kind = Interrupted if error.code >= 500 or error.code == 429 else Unavailable
        return kind(f"answers {error.code} {error.msg}")
    cause = getattr(error, "reason", error)
    if isinstance(cause, TimeoutError):
        return Unavailable(f"does not answer within {CONNECT_SECONDS:g} s")
    broken = isinstance(cause, (ConnectionResetError, http.client.HTTPException))
    return (Interrupted if broken else Unavailable)(f"cannot be read ({str(cause) or repr(cause)})")


def progress(title: str, total: int, unit: str) -> Any:
    """A progress bar (tqdm) that appears on work of more than a second."""
    from tqdm.auto import tqdm

    # A log file gets one line in ten seconds of it.
    options = {"unit": unit, "unit_scale": True, "delay": 1.0, "leave": False}
    pace = 0.2 if sys.stderr.isatty() else 10.0
    return tqdm(total=max(total, 0) or None, desc=title, mininterval=pace, **options)
