"""Compiled programs, kept between runs: a second run does not wait for the compiler again.

JAX can keep compiled programs in a folder, but writes into it in place: a kill in between leaves a
torn file there, and two runs read what the other has half written. So every process gives JAX a
folder of its own, which begins with links to all that is kept, and what is new in it is checked and
moved over when a lab has ended.

    COMPILED/MACHINE/          programs of this kind of processor
    COMPILED/run-XXXX/         of one process; removed when it ends

A compiled program is machine code. So nothing is read from a folder that another user could have
written to.
"""

import atexit
import contextlib
import fcntl
import hashlib
import os
import platform
import shutil
import sys
import tempfile
import warnings
import zlib
from pathlib import Path

from jaxdl.files import distrust

LIMIT_BYTES = 256 << 20  # a lab's quick preset leaves about one megabyte
LIMIT_FILES = 5_000  # each costs some microseconds at the start of every run
LOCK = ".lock"
_ZSTANDARD = b"\x28\xb5\x2f\xfd"


class CompileCache:
    """The programs that are kept, and this process's folder of them.

    Args:
        folder: of all programs; it has been found trustworthy.
    """

    def __init__(self, folder: Path):
        self.kept = folder / machine()
        self.kept.mkdir(mode=0o700, exist_ok=True)
        _remove_left_over(folder)
        _shrink(folder)
        self.own = Path(tempfile.mkdtemp(prefix="run-", dir=folder))
        # the kernel lets go of the lock when the process ends; the file has its name only locked
        self._lock = os.open(self.own / "new", os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        (self.own / "new").rename(self.own / LOCK)
        for program in _files(self.kept):
            with contextlib.suppress(FileNotFoundError):  # another run has just removed it
                os.link(program.path, self.own / program.name)

    def publish(self) -> None:
        """Keep what was compiled since: whole programs only, each in one move."""
        known = {program.name for program in _files(self.kept)}
        for program in _files(self.own):
            if program.name not in (LOCK, *known) and _is_whole(Path(program.path)):
                with contextlib.suppress(OSError):  # no room, or another run was faster
                    os.link(program.path, self.kept / program.name)

    def close(self) -> None:
        """Remove the process's own folder."""
        shutil.rmtree(self.own, ignore_errors=True)
        os.close(self._lock)


_cache: CompileCache | None = None


def start(folder: Path | None) -> None:
    """Keep compiled programs below `folder` from now on. Call before anything is compiled.

    Where the folder cannot be used, programs are compiled as ever: a cache is a comfort. Nothing
    happens where the user has set JAX's own cache.

    Args:
        folder: the user's cache folder of this project; None where there is none.
    """
    global _cache
    import jax

    chosen_by_user = jax.config.jax_compilation_cache_dir  # type: ignore[attr-defined]
    if folder is None or _cache is not None or chosen_by_user is not None:
        return
    compiled = folder / "compiled"
    try:
        compiled.mkdir(mode=0o700, parents=True, exist_ok=True)
        problem = distrust(compiled)
        if problem is not None:
            print(f"compiled programs are not kept: {problem}", file=sys.stderr)
            return
        _cache = CompileCache(compiled)
    except OSError:
        return
    atexit.register(_cache.close)
    jax.config.update("jax_compilation_cache_dir", str(_cache.own))
    # small programs are most of them, and a quick run's time: all are kept
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    jax.config.update("jax_persistent_cache_enable_xla_caches", "none")
    # a program that cannot be read is compiled, one that cannot be written is not kept: no matter
    warnings.filterwarnings("ignore", message="Error (reading|writing) persistent compilation")


def publish() -> None:
    """Keep what this process has compiled so far, if it keeps anything."""
    if _cache is not None:
        _cache.publish()


def machine() -> str:
    """A name of this kind of processor, whose instructions the programs may use."""
    words = [platform.machine(), platform.processor()]
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(errors="replace").split("\n\n")[0].splitlines():
            if line.startswith(("model name", "flags", "CPU part", "Features")):
                words.append(line)
    return f"{platform.machine()}-{hashlib.sha256(chr(10).join(words).encode()).hexdigest()[:12]}"


def _files(folder: Path) -> list[os.DirEntry]:
    """The plain files of a folder that belong to this user."""
    with os.scandir(folder) as entries:
        return [
            entry
            for entry in entries
            if entry.is_file(follow_symlinks=False)
            and entry.stat(follow_symlinks=False).st_uid == os.geteuid()
        ]


def _is_whole(path: Path) -> bool:
    """Whether a program was written to its end: JAX compresses them, with a sum."""
    try:
        content = path.read_bytes()
        if content.startswith(_ZSTANDARD):
            import zstandard

            zstandard.decompress(content)
        else:
            zlib.decompress(content)
    except Exception:  # of no compression that is known here, torn, or gone: not kept
        return False
    return True


def _remove_left_over(folder: Path) -> None:
    """Remove the folders of processes that were killed: nobody holds their lock."""
    for own in folder.glob("run-*"):
        with contextlib.suppress(OSError):
            lock = os.open(own / LOCK, os.O_RDWR)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(own, ignore_errors=True)
            finally:
                os.close(lock)


def _shrink(folder: Path) -> None:
    """Remove the programs that were not used for longest, of all machines, beyond the limits."""
    programs = []
    for kept in folder.iterdir():
        if kept.is_dir() and not kept.is_symlink() and not kept.name.startswith("run-"):
            for entry in _files(kept):
                found = entry.stat()
                used = max(found.st_atime, found.st_mtime)
                programs.append((used, found.st_size, Path(entry.path)))
    total, count = sum(size for _, size, _ in programs), len(programs)
    for _, size, path in sorted(programs):
        if total <= LIMIT_BYTES and count <= LIMIT_FILES:
            break
        with contextlib.suppress(OSError):
            path.unlink()
        total, count = total - size, count - 1
