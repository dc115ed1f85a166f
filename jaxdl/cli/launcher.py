"""The launcher: finds labs, parses their typed options, opens the run folder, prints the results.

A lab is a file in `experiments/` with a docstring, a frozen dataclass `Config`, `PRESETS` (name ->
Config) and `main(config, run) -> Results`. A notebook can call `launch` with a list of arguments.
"""

import ast
import contextlib
import dataclasses
import difflib
import importlib.util
import json
import os
import shlex
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxdl.cli.options import RunOptions, parse, peek
from jaxdl.errors import Interrupted, UserError

ROOT = Path(__file__).resolve().parents[2]
EXPERIMENTS = ROOT / "experiments"

USAGE = """\
usage: python run.py experiments/LAB.py [more labs] [--option value ...]
       python run.py experiments/LAB.py --help     the lab's own options
       python run.py --eval RUN_FOLDER             evaluate a finished run, train nothing

labs:
"""

EXIT_CODES = """
exit status: 0 done; 1 a bug; 2 a mistake in the call or in the data, told in one line;
130 after Ctrl-C and 143 after SIGTERM: the state is saved, the same command continues.
"""


def script() -> None:
    """`main` as a process of its own."""
    try:
        status = main()
    except SystemExit as stop:
        status = stop.code
    if status in (130, 143):
        # JAX may be computing in threads of its own, and would crash a normal shutdown
        with contextlib.suppress(OSError, ValueError, AttributeError):
            sys.stdout.flush()
        os._exit(status)
    sys.exit(status)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the labs named in `argv` and return the exit status."""
    argv = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):  # a notebook's streams have none
            stream.reconfigure(errors="replace")  # a terminal without ± or Korean shows ?
    if not argv or (argv[0] in ("-h", "--help") and len(argv) == 1):
        print(USAGE + list_labs() + EXIT_CODES, end="")
        return 0
    debug = "--debug" in argv
    try:
        launch(argv)
    except Interrupted as stop:
        print(f"stopped; state saved at step {stop.saved_step}. The same command continues.")
        return 128 + stop.signum
    except BrokenPipeError:  # `run.py ... | head` closed the pipe: nothing more to say
        sys.stdout = None
        return 0
    except KeyboardInterrupt:
        print("stopped; finished fits are kept. The same command continues.")
        return 130
    except Exception as error:
        if not _is_user_error(error):
            raise
        if debug:
            traceback.print_exc()
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0


def _is_user_error(error: Exception) -> bool:
    from datasets.source import DataError

    return isinstance(error, UserError | DataError)


def list_labs() -> str:
    """One line per lab: its command and the first line of its docstring. Imports nothing."""
    lines = []
    for path in sorted(EXPERIMENTS.glob("[!_]*.py")):
        title = (ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").split("\n")[0]
        lines.append(f"  experiments/{path.name:28} {title}\n")
    return "".join(lines)


def launch(argv: Sequence[str]) -> list[Any]:
    """Run one or more labs; the same as `main`, but raises errors and returns the `Results`.

    Raises:
        UserError, datasets.source.DataError: one line that says what to do.
        Interrupted: the run was stopped and has saved its state.
    """
    split = next((i for i, word in enumerate(argv) if word.startswith("-")), len(argv))
    labs, rest = list(argv[:split]), list(argv[split:])
    evaluated = peek(rest, "--eval")
    if evaluated is not None and not labs:
        labs = [_stored(Path(evaluated))["lab"]]
    paths = [find_lab(lab) for lab in labs]
    if not paths and "--eval" in rest:
        raise UserError("--eval needs a run folder")
    if not paths:
        raise UserError("name a lab before the options; `python run.py` lists them")
    if not {"-h", "--help"} & set(rest):
        from jaxdl.training import parallel

        parallel.start(peek(rest, "--device"), "--multihost" in rest)
    from jaxdl.runs.progress import StopRequest

    stop = StopRequest()
    with contextlib.suppress(ValueError):  # a notebook's thread may not set signal handlers
        stop.install()
    finished = []
    for path in paths:
        began = time.monotonic()
        results = run_lab(path, rest, stop, several=len(paths) > 1)
        finished.append((path.stem, results, time.monotonic() - began))
    if len(finished) > 1:
        print("\n" + summary(finished))
    return [results for _, results, _ in finished]


def find_lab(name: str) -> Path:
    """The file of a lab, by path or by name.

    Raises:
        UserError: there is none of that name, or it lies outside `experiments/`.
    """
    path = EXPERIMENTS / f"{Path(name).stem}.py"
    given = Path(name)
    if given.suffix == ".py" and given.exists() and given.resolve() != path.resolve():
        # a lab is a Python program: only those of this project are run
        raise UserError(f"{name} is not a lab of this project; put it into {EXPERIMENTS}")
    if not path.exists():
        known = [p.stem for p in EXPERIMENTS.glob("[!_]*.py")]
        near = difflib.get_close_matches(path.stem, known, 1)
        hint = f"did you mean experiments/{near[0]}.py?" if near else "`python run.py` lists them"
        raise UserError(f"there is no lab {name}; {hint}")
    return path


def load_lab(path: Path) -> Any:
    """Import a lab's file as a module."""
    spec = importlib.util.spec_from_file_location(f"experiments.{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up by name
    spec.loader.exec_module(module)
    return module


def run_lab(path: Path, argv: Sequence[str], stop: Any, several: bool = False) -> Any:
    """Parse the options of one lab, run it in its folder, print and store what comes out.

    With `several` labs in one call, `--workdir` holds a folder for each.
    """
    module = load_lab(path)
    options, config = parse(module, path.stem, argv)
    from datasets.source import Request
    from jaxdl.runs import Run

    title = module.__doc__.split("\n")[0]
    stored = {
        "lab": path.stem,
        "preset": options.preset,
        "seed": options.seed,
        "seeds": options.seeds,
        "source": options.source,
        "options": _plain(config),
    }
    if options.record is not None:
        _check_document(options.record)
    if options.eval is not None:
        config, stored = _config_of_run(module, path.stem, options, config)
    workdir = options.workdir and (options.workdir / path.stem if several else options.workdir)
    folder = options.eval or workdir or _default_folder(path.stem, stored)
    run = Run(
        folder=folder,
        lab=path.stem,
        title=title,
        config=stored,
        command=shlex.join(["python", "run.py", f"experiments/{path.name}", *argv]),
        source=Request(source=stored["source"], data_dir=options.data_dir),
        evaluating=options.eval is not None,
        tensorboard=options.tensorboard,
        stop=stop,
    )
    with contextlib.closing(run):
        if not run.evaluating:
            run.open(options.fresh)
        try:
            results = module.main(config, run)
        except Exception as error:
            if _is_user_error(error):
                run.abandon()
            raise
        _publish(run, results, options)
    return results


def _check_document(path: Path) -> None:
    """A document that cannot be written must not cost the run first."""
    folder = path.resolve().parent
    if not folder.is_dir() or not os.access(path if path.exists() else folder, os.W_OK):
        raise UserError(f"--record {path}: cannot be written")


def _publish(run: Any, results: Any, options: RunOptions) -> None:
    """Store the tables before they are printed, or under `--eval` compare them with the stored."""
    from jaxdl.runs.folder import read_json
    from jaxdl.runs.record import record_run

    run.finish(results)
    for table in results.tables:
        run.say("\n" + table.text())
    for note in results.notes:
        run.say(f"\n{note}")
    if run.evaluating:
        run.say("\n" + _compare(read_json(run.folder / "results.json"), run, results))
    else:
        run.say(f"\nreport: {run.folder / 'report.html'}")
        if options.record is not None:
            record_run(options.record, run, results)


def _plain(config: Any) -> dict[str, Any]:
    """A Config as JSON gives it back: paths as text, tuples as lists."""
    values = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    return json.loads(json.dumps(values, default=lambda path: str(Path(path).resolve())))


def _default_folder(lab: str, stored: Mapping[str, Any]) -> Path:
    """runs/LAB-HASH: the same options find the same folder, others another."""
    from jaxdl.hashing import digest

    return Path("runs") / f"{lab}-{digest(stored)[:8]}"


def _stored(folder: Path) -> dict[str, Any]:
    from jaxdl.runs.folder import read_json

    return read_json(folder / "config.json")


def _config_of_run(module: Any, lab: str, options: RunOptions, given: Any) -> tuple[Any, dict]:
    """The Config that a finished run was trained with. Files may have moved, numbers may not.

    Raises:
        UserError: the run is of another lab, or a number was given that differs from the run's.
    """
    stored = _stored(options.eval)
    if stored["lab"] != lab:
        raise UserError(f"{options.eval} is a run of {stored['lab']}, not of {lab}")
    given_run, usual = dataclasses.asdict(options), dataclasses.asdict(RunOptions())
    for name in ("seed", "seeds", "source", "workdir", "fresh", "tensorboard", "record"):
        if given_run[name] != usual[name] and given_run[name] != stored.get(name):
            raise UserError(f"--eval takes everything from {options.eval}; leave --{name} out")
    defaults = {"default": module.Config(), **getattr(module, "PRESETS", {})}[options.preset]
    values = {}
    for field in dataclasses.fields(module.Config):
        value, saved = getattr(given, field.name), stored["options"].get(field.name)
        is_file = isinstance(value, Path) or "Path" in str(field.type)
        if value != getattr(defaults, field.name) and _plain(given)[field.name] != saved:
            if not is_file:
                raise UserError(
                    f"--eval takes the options from {options.eval}/config.json "
                    f"({field.name} is {saved} there); leave --{field.name.replace('_', '-')} out"
                )
            values[field.name] = value
        elif is_file and saved is not None:
            values[field.name] = Path(saved)
        else:
            values[field.name] = tuple(saved) if isinstance(saved, list) else saved
    return module.Config(**values), stored


def _compare(record: Mapping[str, Any], run: Any, results: Any) -> str:
    """One line: whether the evaluated tables are those of the run."""
    tables = json.loads(json.dumps([table.record() for table in results.tables]))
    if tables == record["tables"]:
        return f"evaluated {run.folder}: identical to its results.json; nothing was trained"
    return f"WARNING: evaluated {run.folder}: the tables DIFFER from its results.json"


def summary(finished: Sequence[tuple[str, Any, float]]) -> str:
    """One table over several labs."""
    from jaxdl.report import Table, format_cell

    rows = []
    for lab, results, seconds in finished:
        numbers = [f"{name} {format_cell(value, 3)}" for name, value in results.headline.items()]
        rows.append({"lab": lab, "result": ", ".join(numbers), "seconds": round(seconds, 1)})
    return Table("summary", rows, digits=1).text()
