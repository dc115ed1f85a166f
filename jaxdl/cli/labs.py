"""The labs of the checkout: where they lie, their titles, and how one is imported.

Labs import the project's folder `datasets`. A well-known package has the same name, and may be
there too, in Colab for example: so while a lab runs, and only then, that name means the folder.
"""

import contextlib
import importlib.machinery
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import ModuleType

from jaxdl.cli.catalogue import korean_titles, listing
from jaxdl.cli.options import peek
from jaxdl.errors import UserError, nearest
from jaxdl.language import language_of, speaking

ROOT = Path(__file__).resolve().parents[2]
EXPERIMENTS = ROOT / "experiments"

# The modules of our `datasets` between two runs, where another package has the name.
_set_aside: dict[str, ModuleType] = {}


def list_labs() -> str:
    """The labs by chapter, with run time and what each teaches. Imports none of them."""
    return listing(_files())


def speaking_of_labs(argv: Sequence[str]) -> AbstractContextManager[None]:
    """Speak the language that the words of a call, or the locale, ask for; labs by their titles."""
    language = language_of(peek(argv, "--language"))
    return speaking(language, korean_titles(_files()) if language == "ko" else None)


def find_lab(name: str) -> Path:
    """The file of a lab, by path or by name.

    Raises:
        UserError: there is none of that name, it lies outside `experiments/`, or there is no
            `experiments/` because only the package was installed.
    """
    check_there_are_labs()
    path, given = EXPERIMENTS / f"{Path(name).stem}.py", Path(name)
    if given.suffix == ".py" and given.is_file() and given.resolve() != path.resolve():
        # a lab is a Python program: only those of this project are run
        raise UserError(f"{name} is not a lab of this project; put it into {EXPERIMENTS}")
    if not path.exists():
        near = nearest(path.stem, [lab.stem for lab in _files()])
        hint = f"did you mean experiments/{near}.py?" if near else "`python run.py` lists them"
        raise UserError(f"there is no lab {name}; {hint}")
    return path


def check_there_are_labs() -> None:
    """Raises UserError where the package was installed without the checkout it comes from."""
    if not (EXPERIMENTS.is_dir() and (ROOT / "run.py").is_file()):
        raise UserError(
            "jaxdl is installed here without its labs: get a checkout of the project and run "
            "`python run.py` in it (python -m jaxdl.score and jaxdl.live need none)"
        )


def load_lab(path: Path) -> ModuleType:
    """Import a lab's file as a module. Inside `own_datasets`, unless the name is ours anyway."""
    spec = importlib.util.spec_from_file_location(f"experiments.{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up by name
    spec.loader.exec_module(module)
    return module


@contextlib.contextmanager
def own_datasets() -> Iterator[None]:
    """While it lasts, `import datasets` gives this project's folder; before and after, what it did.

    Nothing changes where the name already means the folder.
    """
    if _is_ours():
        yield
        return
    others = _take_out()
    sys.modules.update(_set_aside)
    sys.path.insert(0, str(ROOT))
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):  # someone has cleaned up for us
            sys.path.remove(str(ROOT))
        _set_aside.update(_take_out())
        sys.modules.update(others)


def _is_ours() -> bool:
    """Whether `datasets` means our folder: it is imported, or would be found first."""
    if "datasets" in sys.modules:
        origin = getattr(sys.modules["datasets"], "__file__", None)
    else:
        found = importlib.machinery.PathFinder.find_spec("datasets")
        origin = None if found is None else found.origin
    return origin is not None and Path(origin).resolve().parent == ROOT / "datasets"


def _take_out() -> dict[str, ModuleType]:
    """Remove `datasets` and all that lies in it from the imported modules; returns them."""
    names = [name for name in sys.modules if name == "datasets" or name.startswith("datasets.")]
    return {name: sys.modules.pop(name) for name in names}


def _files() -> list[Path]:
    return sorted(EXPERIMENTS.glob("[!_]*.py"))
