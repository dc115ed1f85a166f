"""`python run.py --predict RUN INPUT...`: what a finished run says of data it has not seen.

A lab that can do so has a function `predict(config, run, inputs) -> Results`. It asks for its fits
by the names under which it trained them, so that they are restored; the run folder is only read.
"""

import contextlib
import shlex
from collections.abc import Sequence
from pathlib import Path

from jaxdl.cli import compile_cache
from jaxdl.cli.labs import find_lab, load_lab, own_datasets
from jaxdl.cli.options import parse, peek
from jaxdl.errors import UserError
from jaxdl.runs.folder import read_config

OUTPUT = "--output"


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
            raise UserError(f"{folder} is a run of {path.stem}, which has nothing to predict")
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
            publish(run, module.predict(config, run, inputs), output)
    compile_cache.publish()
    return output


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
