"""Who may live in which room: sizes of files, who imports what, and the form of a lab."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LABS = sorted((ROOT / "experiments").glob("[!_]*.py"))
LIBRARY = sorted((ROOT / "jaxdl").rglob("*.py"))
DATASETS = sorted((ROOT / "datasets").glob("*.py"))
EVERYTHING = sorted(
    path
    for folder in ("jaxdl", "datasets", "experiments", "benchmarks", "tests")
    for path in (ROOT / folder).rglob("*.py")
)
# cells and activations for a lab's list of models, and a module as the type of an argument
LINEN_OUTSIDE_MODELS = {
    "jaxdl/text/sentiment_task.py",
    "experiments/imdb_sequence.py",
}
UNPICKLERS = ("pickle", "cloudpickle", "dill", "joblib", "shelve")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def imports_of(path: Path) -> set[str]:
    return imports(path.read_text("utf-8"))


def imports(source: str) -> set[str]:
    """Dotted names of all that a program imports, anywhere in it; for `from a import b` both."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def importers(paths: list[Path], module: str) -> set[str]:
    """Files that import a module or something in it."""
    return {
        name_of(path)
        for path in paths
        if any(f"{name}.".startswith(f"{module}.") for name in imports_of(path))
    }


def too_long(paths: list[Path], most: int) -> dict[str, int]:
    lines = {name_of(path): len(path.read_text("utf-8").splitlines()) for path in paths}
    return {path: count for path, count in lines.items() if count > most}


def test_imports_are_found_in_every_form():
    source = "import a.b as c\ndef f():\n    from d.e import g, h\n    from . import near"
    assert imports(source) == {"a.b", "d.e", "d.e.g", "d.e.h"}


def test_a_lab_is_read_in_one_go():
    assert not too_long(LABS, 150)


def test_no_library_file_is_longer_than_400_lines():
    assert not too_long(LIBRARY + DATASETS, 400)


def test_linen_stays_with_the_models():
    outside = {
        path
        for path in importers(LIBRARY + DATASETS + LABS, "flax.linen")
        if not path.startswith("jaxdl/models/")
    }
    assert outside <= LINEN_OUTSIDE_MODELS


def test_orbax_stays_behind_the_checkpoints():
    assert importers(LIBRARY + DATASETS + LABS, "orbax") == {"jaxdl/training/checkpoint.py"}


def test_arrows_run_one_way():
    assert not importers(LIBRARY + DATASETS, "experiments")
    assert not importers(DATASETS, "jaxdl")


def test_nothing_can_be_unpickled():
    assert not set().union(*(importers(EVERYTHING, module) for module in UNPICKLERS))


@pytest.mark.parametrize("path", LABS, ids=lambda path: path.stem)
def test_a_lab_has_its_form(path):
    program = ast.parse(path.read_text("utf-8"))
    title, *rest = (ast.get_docstring(program) or "").splitlines()
    assert re.search("[가-힣]", title) or re.fullmatch(r"\S.* - \S.*", title), "the title"
    assert f"python run.py experiments/{path.name}" in "\n".join(rest), "the command"

    presets = [
        ast.unparse(key)
        for node in program.body
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Dict)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if ast.unparse(target) == "PRESETS"
        for key in node.value.keys
    ]
    assert "'quick'" in presets

    config = next(
        node for node in program.body if isinstance(node, ast.ClassDef) and node.name == "Config"
    )
    assert "dataclass(frozen=True)" in map(ast.unparse, config.decorator_list)
    fields = {
        ast.unparse(node.target): isinstance(after, ast.Expr)
        and isinstance(after.value, ast.Constant)
        and isinstance(after.value.value, str)
        for node, after in zip(config.body, [*config.body[1:], None], strict=True)
        if isinstance(node, ast.AnnAssign)
    }
    assert fields
    assert not [name for name, explained in fields.items() if not explained]
