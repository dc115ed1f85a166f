"""Who may import whom, and the form of a lab."""

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
BASE = "base"  # the modules directly in jaxdl/
# Room -> the rooms it may import; a room may always import itself. docs/architecture.md draws it.
MAY_IMPORT = {
    BASE: set(),
    "figures": set(),
    "report": {BASE},
    "training": {BASE},
    "models": {BASE},
    "clustering": {BASE},
    "tables": {BASE},
    "diagnostics": {"training", "models", BASE},
    "vision": {"models", "training", BASE},
    "text": {"models", "training", BASE},
    "timeseries": {"training", "models", BASE},
    "anomaly": {"diagnostics", "models", "training", BASE},
    "runs": {"training", "report", BASE},
    "serving": {"anomaly", "timeseries", "tables", BASE},
    "cli": {"runs", "training", "datasets", BASE},
    "datasets": {"tables", BASE},
}
# The table builders of anomaly detection and of judged pictures, and the doors of
# `python -m jaxdl.score` and `.live`.
ALSO = {
    "jaxdl/anomaly/tables.py": {"report", "figures"},
    "jaxdl/vision/classified.py": {"report", "figures"},
    "jaxdl/score.py": {"serving"},
    "jaxdl/live.py": {"serving"},
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


def room_of(name: str) -> str:
    """The room of a dotted name of this project."""
    first, *rest = name.split(".")
    if first != "jaxdl":
        return first
    return rest[0] if rest and (ROOT / "jaxdl" / rest[0]).is_dir() else BASE


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in LIBRARY + DATASETS + LABS}


def modules_imported_by(path: Path) -> set[str]:
    """Modules of this project that a file imports, anywhere in it."""
    return {name for name in imports_of(path) if name in MODULES} - {module_of(path)}


def test_imports_are_found_in_every_form():
    source = "import a.b as c\ndef f():\n    from d.e import g, h\n    from . import near"
    assert imports(source) == {"a.b", "d.e", "d.e.g", "d.e.h"}


def test_every_room_is_in_the_table():
    rooms = {path.name for path in (ROOT / "jaxdl").iterdir() if (path / "__init__.py").exists()}
    assert rooms <= set(MAY_IMPORT)


@pytest.mark.parametrize("path", LIBRARY + DATASETS, ids=name_of)
def test_arrows_follow_the_table(path):
    own = room_of(module_of(path))
    allowed = MAY_IMPORT[own] | {own} | ALSO.get(name_of(path), set())
    wrong = {name for name in modules_imported_by(path) if room_of(name) not in allowed}
    assert not wrong


def test_no_module_imports_itself_through_others():
    arrows = {name: modules_imported_by(path) for name, path in MODULES.items()}
    packages = {name for name, path in MODULES.items() if path.name == "__init__.py"}
    # `from jaxdl.training import parallel` names the package, but takes the module out of it
    arrows = {name: targets - packages for name, targets in arrows.items() if name not in packages}
    while arrows:
        leaves = {name for name, targets in arrows.items() if not targets & set(arrows)}
        assert leaves, f"a circle of imports among {sorted(arrows)}"
        arrows = {name: targets for name, targets in arrows.items() if name not in leaves}


def test_labs_do_not_import_one_another():
    assert not {name_of(path) for path in LABS if importers([path], "experiments")}


def test_linen_stays_with_the_models():
    outside = importers(LIBRARY + DATASETS + LABS, "flax.linen")
    assert {path for path in outside if not path.startswith("jaxdl/models/")} == set()


def test_orbax_stays_behind_the_checkpoints():
    assert importers(LIBRARY + DATASETS + LABS, "orbax") == {"jaxdl/training/checkpoint.py"}


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
