"""`python run.py --predict RUN INPUT...`: what a finished run says of data it has not seen.

A lab that can do so has a function `predict(config, run, inputs) -> Results`. It asks for its fits
by the names under which it trained them, so that they are restored; the run folder is only read.
"""

import contextlib
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jaxdl.cli import compile_cache
from jaxdl.cli.labs import EXPERIMENTS, find_lab, load_lab, own_datasets
from jaxdl.cli.options import parse, peek
from jaxdl.errors import UserError
from jaxdl.runs.folder import read_config

if TYPE_CHECKING:  # mistakes in the call are told without JAX
    from jaxdl.runs import Run

OUTPUT = "--output"
# Files of a run whose rows or series other commands judge.
SCORER = "scorer.jaxdl"
JUDGES = ("detector.npz", SCORER)


def predict(words: Sequence[str]) -> Path:
    """Predict, print the table, and write it with its figures into a folder of its own.

    Args:
        words: the run folder, inputs, then options: `--output FOLDER`, and those of the lab that
            say where data lie.

    Returns:
        The output folder.

    Raises:
        UserError: one line on what is wrong with the run, the inputs or the output folder.
    """
    first_option = next((i for i, word in enumerate(words) if word.startswith("-")), len(words))
    named, options = list(words[:first_option]), list(words[first_option:])
    if len(named) < 2:
        raise UserError("--predict takes a run folder and what to judge: --predict RUN INPUT...")
    folder, inputs = Path(named[0]), named[1:]
    stored = read_config(folder)
    if not (folder / "results.json").is_file():
        raise UserError(f"{folder} is not finished: repeat its command until it is")
    output, options = _output_folder(folder, options)
    path = find_lab(stored["lab"])

    from jaxdl.training import parallel

    parallel.start(peek(options, "--device"), multihost=False)
    with own_datasets():
        from datasets.source import Request, cache_folder
        from jaxdl.cli.stored import config_of_run
        from jaxdl.runs import Run
        from jaxdl.runs.folder import RunFolder
        from jaxdl.runs.predictions import check_output, publish

        check_output(output)
        if peek(options, "--compile-cache") != "off":
            compile_cache.start(cache_folder())
        module = load_lab(path)
        if not hasattr(module, "predict"):
            raise UserError(_who_answers_instead(folder, path.stem, inputs))
        chosen, given = parse(module, path.stem, [*options, "--eval", str(folder)])
        config, stored = config_of_run(module, path.stem, chosen, given)
        run = Run(
            folder=RunFolder(folder, evaluating=True),
            lab=path.stem,
            title=module.__doc__.split("\n")[0],
            config=stored,
            command=shlex.join(["python", "run.py", "--predict", *words]),
            source=Request(source=stored["source"], data_dir=chosen.data_dir),
        )
        with contextlib.closing(run.folder):
            results = module.predict(config, run, inputs)
            _check_data(run)
            publish(run, results, output)
    compile_cache.publish()
    return output


def _who_answers_instead(folder: Path, lab: str, inputs: Sequence[str]) -> str:
    """What to do with a run whose lab does not predict: the command that does, if there is one."""
    run, first = shlex.quote(str(folder)), shlex.quote(inputs[0])
    if lab.startswith("nab_") and any((folder / name).is_file() for name in JUDGES):
        return f"runs of {lab} judge a series: python -m jaxdl.live {run} --series {first}"
    if (folder / SCORER).is_file():
        return f"runs of {lab} score the rows of a table: python -m jaxdl.score {run} {first}"
    labs = sorted(EXPERIMENTS.glob("[!_]*.py"))
    able = [path.stem for path in labs if "\ndef predict(" in path.read_text("utf-8")]
    return f"{folder} is a run of {lab}, which has nothing to predict, unlike {', '.join(able)}"


def _check_data(run: "Run") -> None:
    """Refuse answers of a model that was fitted anew to other data than the run's.

    Labs that keep no checkpoints fit their models again, from the same rows.

    Raises:
        UserError: names the data that the run did not learn from.
    """
    stored = run.folder.read("results.json", data=list)["data"]
    learnt = {entry.get("sha256") for entry in stored if isinstance(entry, dict)}
    for entry in run.data:
        if entry["sha256"] not in learnt:
            raise UserError(
                f"{entry['name']} is not what {run.folder.path} learnt from (sha256 "
                f"{entry['sha256'][:12]}): restore it, or train anew"
            )


def _output_folder(run: Path, options: Sequence[str]) -> tuple[Path, list[str]]:
    """Where predictions are written, beside the run if it is not said; and the other options."""
    given = peek(options, OUTPUT)
    if given is None and OUTPUT in options:
        raise UserError(f"{OUTPUT} needs a folder")
    others, words = [], iter(options)
    for word in words:
        if word == OUTPUT:
            next(words)
        elif not word.startswith(f"{OUTPUT}="):
            others.append(word)
    whole = run.resolve()
    output = Path(given) if given else whole.with_name(f"{whole.name}-predictions")
    if output.resolve() == whole or whole in output.resolve().parents:
        raise UserError(f"{OUTPUT} {output}: nothing is written into the run folder")
    return output, others
