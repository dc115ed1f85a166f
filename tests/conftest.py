"""Shared pieces of the tests: a tiny task, real data where there is some, one CPU device."""

import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

# Compiling is most of what the tests do; what they check does not need fast programs. Two workers
# share two cores, where threads that wait for each other cost many times what they give. Set
# before NumPy loads, and inherited by the processes that tests start.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# Programs that were compiled before, by the other worker or in an earlier session, are read back.
os.environ.setdefault(
    "JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parents[1] / ".pytest_cache" / "compiled")
)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
os.environ.setdefault("JAX_PERSISTENT_CACHE_ENABLE_XLA_CACHES", "none")

import numpy as np
import pytest
from jaxtyping import install_import_hook

# The shapes that these rooms' functions are annotated with are checked at each call. Where they are
# called once for each event, this takes as long as all else: those only if asked for.
CHECKED_ROOMS = ["anomaly", "clustering", "figures", "scaling", "tables", "text", "vision"]
if os.environ.get("JAXDL_CHECK_SHAPES") == "all":
    CHECKED_ROOMS += ["serving", "timeseries"]
install_import_hook([f"jaxdl.{room}" for room in CHECKED_ROOMS], "beartype.beartype")

ROOT = Path(__file__).parents[1]
LABS = sorted(path.stem for path in (ROOT / "experiments").glob("[!_]*.py"))


def pytest_itemcollected(item: pytest.Item) -> None:
    """What one worker runs: a file, or all that is asked about one lab, which share its fits."""
    own = item.path.stem.removeprefix("test_")
    parameters = getattr(item, "callspec", None)
    lab = parameters.params.get("lab") if parameters else None
    group = lab or (own if own in LABS else item.path.as_posix())
    # here and not when all are collected: pytest-xdist reads the groups before that
    item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with upstream files; tests that need it are skipped where it is absent."""
    folder = os.environ.get("JAXDL_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("$JAXDL_DATA is not set: no real data here")
    return Path(folder)


@pytest.fixture
def rows() -> dict[str, np.ndarray]:
    """103 rows of 5 correlated columns: no multiple of any batch size used here."""
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(103, 2))
    x = hidden @ rng.normal(size=(2, 5)) + 0.1 * rng.normal(size=(103, 5))
    return {"x": x.astype(np.float32)}


@pytest.fixture
def reference_runs(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """benchmarks/reference_runs.py, which is no part of a package."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    yield importlib.import_module("reference_runs")
    sys.modules.pop("reference_runs")
