"""Compiled programs are kept between runs, whole, bounded, and only where nobody else can write."""

import json
import os
import subprocess
import sys
import zlib

import pytest

from jaxdl.cli import compile_cache
from jaxdl.cli.compile_cache import CompileCache
from jaxdl.files import distrust
from tests.conftest import ROOT

QUICK = ["experiments/first_autoencoder.py", "--preset", "quick"]
# Without the cache that the tests share, which is JAX's own.
ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "JAX_COMPILATION_CACHE_DIR"}
SHORT = ["--epochs", "2", "--long-epochs", "3"]


@pytest.fixture
def folder(tmp_path):
    """An empty folder of compiled programs that is trusted."""
    made = tmp_path / "cache" / "compiled"
    made.mkdir(mode=0o700, parents=True)
    return made


def program(cache, name, content=b"machine code"):
    (cache.own / name).write_bytes(zlib.compress(content))


def kept(cache):
    return sorted(path.name for path in cache.kept.iterdir())


# ---- what is kept


def test_programs_of_one_process_are_there_for_the_next(folder):
    first = CompileCache(folder)
    program(first, "a-cache")
    first.publish()
    program(first, "b-cache")
    first.publish()
    first.close()
    assert not first.own.exists()
    second = CompileCache(folder)
    assert kept(second) == ["a-cache", "b-cache"]
    assert zlib.decompress((second.own / "a-cache").read_bytes()) == b"machine code"
    second.close()


def test_two_at_once_see_whole_programs_only_and_do_not_hurt_each_other(folder):
    first, second = CompileCache(folder), CompileCache(folder)
    program(first, "a-cache", b"of the first")
    (second.own / "a-cache").write_bytes(zlib.compress(b"of the second"))
    first.publish()
    second.publish()
    assert zlib.decompress((first.kept / "a-cache").read_bytes()) == b"of the first"
    first.close()
    assert zlib.decompress((second.own / "a-cache").read_bytes()) == b"of the second"
    second.close()


@pytest.mark.parametrize(
    "content", [b"", b"torn", zlib.compress(b"x" * 999)[:-3], b"\x28\xb5\x2f\xfd"]
)
def test_a_torn_program_is_not_kept(folder, content):
    cache = CompileCache(folder)
    (cache.own / "a-cache").write_bytes(content)
    program(cache, "b-cache")
    cache.publish()
    assert kept(cache) == ["b-cache"]
    cache.close()


def test_what_a_killed_process_leaves_is_removed_and_a_living_ones_stays(folder):
    killed, living = CompileCache(folder), CompileCache(folder)
    os.close(killed._lock)  # what the kernel does at its end
    third = CompileCache(folder)
    assert [killed.own.exists(), living.own.exists(), third.own.exists()] == [False, True, True]
    living.close()
    third.close()


def test_programs_that_were_not_used_for_longest_go_first(folder, monkeypatch):
    cache = CompileCache(folder)
    for number in range(6):
        (cache.kept / f"{number}-cache").write_bytes(b"x" * 100)
        os.utime(cache.kept / f"{number}-cache", (number, number))
    cache.close()
    monkeypatch.setattr(compile_cache, "LIMIT_BYTES", 350)
    cache = CompileCache(folder)
    assert kept(cache) == ["3-cache", "4-cache", "5-cache"]
    cache.close()
    monkeypatch.setattr(compile_cache, "LIMIT_FILES", 1)
    cache = CompileCache(folder)
    assert kept(cache) == ["5-cache"]
    cache.close()


# ---- what is trusted


def test_a_folder_of_ones_own_is_trusted(folder):
    assert distrust(folder) is None


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
def test_a_folder_that_others_may_write_to_is_not(folder, mode):
    folder.chmod(mode)
    assert "others may write to" in distrust(folder)


def test_nor_one_below_a_folder_that_all_may_write_to(folder):
    folder.parent.chmod(0o777)
    assert "others may write to" in distrust(folder)
    folder.parent.chmod(0o1777)  # as /tmp is: nobody can rename what is another's
    assert distrust(folder) is None


def test_nor_a_link(folder, tmp_path):
    (tmp_path / "b").mkdir(mode=0o700)
    (tmp_path / "b" / "compiled").symlink_to(folder)
    assert "is a link" in distrust(tmp_path / "b" / "compiled")
    (tmp_path / "c").symlink_to(folder.parent)
    assert "is a link" in distrust(tmp_path / "c" / "compiled")


def test_nor_another_users(folder, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert "belongs to another user" in distrust(folder)


# ---- runs


def run(folder, cache, *options):
    """(status, printed, errors) of a short run in a process of its own, with a cache folder."""
    done = subprocess.run(
        [sys.executable, "run.py", *QUICK, *SHORT, "--workdir", str(folder), *options],
        cwd=ROOT,
        env={**ENVIRONMENT, "JAXDL_CACHE": str(cache)},
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout, done.stderr


PROGRAM = """
import sys
from pathlib import Path
import jax
from jaxdl.cli import compile_cache
compile_cache.start(Path(sys.argv[1]))
print(jax.jit(lambda x: (x**2).sum())(jax.numpy.arange(4)))
compile_cache.publish()
"""


def compute(cache):
    """What a small program prints, and what it says beside, with a cache folder."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(cache)],
        cwd=ROOT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout, done.stderr


def outcome(folder):
    tables = json.loads((folder / "results.json").read_text())["tables"]
    return tables, (folder / "metrics.jsonl").read_bytes()


def programs(cache):
    return sorted(path.name for path in (cache / "compiled").glob("*/*-cache"))


def test_a_warm_cache_gives_the_bits_of_a_cold_one_and_of_none(tmp_path):
    cache = tmp_path / "cache"
    for name, options in {"none": ["--compile-cache", "off"], "cold": [], "warm": []}.items():
        status, _, err = run(tmp_path / name, cache, *options)
        assert (status, err) == (0, "")
        if name == "none":
            assert not cache.exists() or not programs(cache)
        if name == "cold":
            compiled = programs(cache)
    assert len(compiled) > 10
    assert programs(cache) == compiled  # the second run compiled nothing new
    assert outcome(tmp_path / "none") == outcome(tmp_path / "cold") == outcome(tmp_path / "warm")
    assert not list((cache / "compiled").glob("run-*"))


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        ("damaged", ""),
        ("a file", ""),
        ("not writable", ""),
        ("open to all", "compiled programs are not kept: others may write to"),
    ],
)
def test_no_trouble_with_the_cache_breaks_a_program(tmp_path, trouble, said):
    cache = tmp_path / "cache"
    cache.mkdir()
    if trouble == "damaged":
        assert compute(cache) == ("14\n", "")
        assert len(programs(cache)) > 0
        for path in (cache / "compiled").glob("*/*-cache"):
            path.write_bytes(path.read_bytes()[::-1])
    elif trouble == "a file":
        (cache / "compiled").write_text("")
    elif trouble == "not writable":
        (tmp_path / "file").write_text("")
        cache = tmp_path / "file" / "cache"
    else:
        (cache / "compiled").mkdir()
        (cache / "compiled").chmod(0o777)
    out, err = compute(cache)
    assert out == "14\n"
    assert err.startswith(said)
    assert err.count("\n") == bool(said)
