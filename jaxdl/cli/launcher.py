"""The launcher: parses a lab's typed options, opens the run folder, prints and stores the results.

A lab is a file in `experiments/` with a docstring, a frozen dataclass `Config`, `PRESETS` (name ->
Config) and `main(config, run) -> Results`. A notebook can call `launch` with a list of arguments.
"""

import contextlib
import os
import shlex
import shutil
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxdl.cli import compile_cache
from jaxdl.cli.labs import (
    check_there_are_labs,
    find_lab,
    list_labs,
    load_lab,
    own_datasets,
    speaking_of_labs,
)
from jaxdl.cli.options import RunOptions, parse, peek
from jaxdl.errors import Interrupted, Irreproducible, UserError
from jaxdl.language import LANGUAGES, spoken, translate, translate_message

if TYPE_CHECKING:  # the labs are listed, and mistakes are told, without JAX
    from jaxdl.runs.progress import StopRequest
    from jaxdl.runs.run import Results, Run

USAGE = """\
usage: python run.py experiments/LAB.py [more labs] [--option value ...]
       python run.py experiments/LAB.py --help   the lab's own options
       python run.py --eval RUN                  evaluate a finished run
       python run.py --predict RUN INPUT...      what a finished run says of new data
       python run.py --compare RUN RUN           what differs between two runs
       python run.py --index [FOLDER]            runs/index.html: all runs
       python run.py --language ko               in Korean (한국어)

"""

KOREAN_USAGE = """\
사용법: python run.py experiments/실습.py [실습 더] [--옵션 값 ...]
        python run.py experiments/실습.py --help   실습의 옵션
        python run.py --eval RUN                   끝난 실행을 학습 없이 평가
        python run.py --predict RUN 입력...        끝난 실행으로 새 데이터를 예측
        python run.py --compare RUN RUN            두 실행에서 다른 점
        python run.py --index [FOLDER]             runs/index.html: 모든 실행
        python run.py --language en                영어로 (English)

"""

EXIT_CODES = """
exit status: 0 done; 1 a bug, or an evaluation whose tables are not the run's;
2 a mistake in the call or in the data, or a file that cannot be read or
written, told in one line; 130 after Ctrl-C and 143 after SIGTERM: the state is
saved, the same command continues.
"""

KOREAN_EXIT_CODES = """
종료 코드: 0 정상; 1 프로그램 오류, 또는 평가한 표가 실행의 표와 다름; 2 명령이나
데이터의 잘못, 읽거나 쓸 수 없는 파일(한 줄로 알려 줌); 130 Ctrl-C, 143 SIGTERM:
상태가 저장되어 같은 명령으로 이어집니다.
"""


def keep_threads_from_spinning() -> None:
    """Settings of the libraries under NumPy and scikit-learn, read when those are loaded.

    Their threads spin while they wait for each other, and where another process computes on the
    same cores, one spins while the other is not let in: logistic regression on the digits took 47 s
    instead of 0.8, gradient boosting of 170,000 rows 49 s instead of 2.7. So BLAS, whose products
    are small here beside those of JAX, gets one thread, and OpenMP's sleep while they wait. Values
    that are set already are kept.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def script() -> None:
    """`main` as a process of its own."""
    keep_threads_from_spinning()
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
    try:
        with speaking_of_labs(argv):
            if not _told_without_a_lab(argv):
                _launch(argv)
    except Interrupted as stop:
        told = f"stopped; state saved at step {stop.saved_step}. The same command continues."
        print(_said(told, argv))
        return 128 + stop.signum
    except BrokenPipeError:  # `run.py ... | head` closed the pipe: nothing more to say
        sys.stdout = None
    except KeyboardInterrupt:
        told = "stopped; finished fits are kept. The same command continues."
        print(_said(told, argv))
        return 130
    except Irreproducible as error:
        return _told(str(error), argv, 1)
    except UserError as error:
        return _told(str(error), argv, 2)
    except OSError as error:  # a full disk, say, wherever it was met
        return _told(f"{error.filename or 'a file'}: {error.strerror or error}", argv, 2)
    return 0


def _told_without_a_lab(argv: Sequence[str]) -> bool:
    """Do what names no lab: list them, compare two runs, predict with one, or show all runs.

    Returns:
        Whether the call was of that kind.

    Raises:
        UserError: a mistake in such a call.
    """
    first, *rest = _without_language(argv) or ["--help"]
    if first in ("-h", "--help") and not rest:
        check_there_are_labs()
        korean = spoken() == "ko"
        before, after = (KOREAN_USAGE, KOREAN_EXIT_CODES) if korean else (USAGE, EXIT_CODES)
        print(before + list_labs() + after, end="")
    elif first == "--index":
        from jaxdl.runs.index import write_index

        if len(rest) > 1:
            raise UserError("--index takes one folder of runs")
        print(f"{translate('all runs')}: {write_index(Path(rest[0] if rest else 'runs'))}")
    elif first == "--compare":
        from jaxdl.runs.compare import print_comparison

        if len(rest) != 2:
            raise UserError("--compare takes two run folders")
        print_comparison(Path(rest[0]), Path(rest[1]), terminal_width())
    elif first == "--predict":
        from jaxdl.cli.predict import predict

        predict(rest)
    else:
        return False
    return True


def _without_language(argv: Sequence[str]) -> list[str]:
    """The words without `--language`; raises UserError at a language that is not spoken here."""
    language = peek(argv, "--language")
    if language not in (None, *LANGUAGES):
        raise UserError(f"--language {language}: choose {', '.join(LANGUAGES)}")
    words = iter(argv)
    kept = []
    for word in words:
        if word == "--language":
            next(words, None)
        elif not word.startswith("--language="):
            kept.append(word)
    return kept


def terminal_width() -> int:
    """Letters in a line of the terminal; 80 where the output is none."""
    return shutil.get_terminal_size((80, 24)).columns


def _told(problem: str, argv: Sequence[str], status: int) -> int:
    """Say what went wrong in one line, with the traceback under --debug; returns the status."""
    if "--debug" in argv:
        traceback.print_exc()
    line = " ".join(problem.split())
    with speaking_of_labs(argv):
        word = "오류" if spoken() == "ko" else "error"
        print(f"{word}: {translate_message(line)}", file=sys.stderr)
    return status


def _said(message: str, argv: Sequence[str]) -> str:
    """A message in the language that the words of a call ask for."""
    with speaking_of_labs(argv):
        return translate_message(message)


def launch(argv: Sequence[str]) -> list["Results"]:
    """Run one or more labs; the same as `main`, but raises errors and returns the `Results`.

    Raises:
        UserError: one line that says what to do.
        Interrupted: the run was stopped and has saved its state.
        Irreproducible: an evaluation gave other tables than the run stored.
    """
    with speaking_of_labs(argv):
        return _launch(argv)


def _launch(argv: Sequence[str]) -> list["Results"]:
    split = next((i for i, word in enumerate(argv) if word.startswith("-")), len(argv))
    labs, rest = list(argv[:split]), list(argv[split:])
    evaluated = peek(rest, "--eval")
    if evaluated is not None and not labs:
        from jaxdl.runs.folder import read_config

        labs = [read_config(Path(evaluated))["lab"]]
    paths = [find_lab(lab) for lab in labs]
    if not paths and "--eval" in rest:
        raise UserError("--eval needs a run folder")
    if not paths:
        raise UserError("name a lab before the options; `python run.py` lists them")
    if not {"-h", "--help"} & set(rest):
        from jaxdl.training import parallel

        parallel.start(peek(rest, "--device"), "--multihost" in rest)
    from jaxdl.runs.overview import Finished, overview
    from jaxdl.runs.progress import StopRequest

    stop = StopRequest()
    with contextlib.suppress(ValueError):  # a notebook's thread may not set signal handlers
        stop.install()
    finished = []
    with own_datasets():
        from datasets.source import cache_folder

        if peek(rest, "--compile-cache") != "off":
            compile_cache.start(cache_folder())
        for path in paths:
            began = time.monotonic()
            try:
                results = run_lab(path, rest, stop, several=len(paths) > 1)
            finally:
                compile_cache.publish()
            finished.append(Finished(path.stem, results, time.monotonic() - began))
    if len(finished) > 1:
        print("\n" + overview(finished).text(terminal_width()))
    return [results for _, results, _ in finished]


def run_lab(
    path: Path, argv: Sequence[str], stop: "StopRequest", several: bool = False
) -> "Results":
    """Parse the options of one lab, run it in its folder, print and store what comes out.

    With `several` labs in one call, `--workdir` holds a folder for each. Call inside
    `own_datasets`.
    """
    module = load_lab(path)
    options, config = parse(module, path.stem, argv)
    from datasets.source import Request
    from jaxdl.cli.stored import config_of_run, plain
    from jaxdl.runs import Run
    from jaxdl.runs.folder import RunFolder

    stored = {
        "lab": path.stem,
        "preset": options.preset,
        "seed": options.seed,
        "seeds": options.seeds,
        "source": options.source,
        "options": plain(config),
    }
    if options.precision != RunOptions.precision:
        stored["precision"] = options.precision
    if options.record is not None:
        _check_document(options.record)
    if options.eval is not None:
        config, stored = config_of_run(module, path.stem, options, config)
    workdir = options.workdir and (options.workdir / path.stem if several else options.workdir)
    folder = RunFolder(
        options.eval or workdir or _default_folder(stored), evaluating=options.eval is not None
    )
    with contextlib.closing(folder):
        if not folder.evaluating:
            folder.open(stored, options.fresh)
        run = Run(
            folder=folder,
            lab=path.stem,
            title=module.__doc__.split("\n")[0],
            config=stored,
            command=shlex.join(["python", "run.py", f"experiments/{path.name}", *argv]),
            source=Request(source=stored["source"], data_dir=options.data_dir),
            tensorboard=options.tensorboard,
            stop=stop,
        )
        try:
            results = module.main(config, run)
        except UserError:
            folder.abandon()
            raise
        _publish(run, results, options)
    return results


def _check_document(path: Path) -> None:
    """A document that cannot be written must not cost the run first."""
    try:
        folder = path.resolve().parent
        good = folder.is_dir() and os.access(path if path.exists() else folder, os.W_OK)
    except OSError:
        good = False
    if not good:
        raise UserError(f"--record {path}: cannot be written")


def _publish(run: "Run", results: "Results", options: RunOptions) -> None:
    """Store the tables before they are printed, or under `--eval` compare them with the stored."""
    from jaxdl.runs.evaluation import verdict
    from jaxdl.runs.record import record_run

    run.finish(results)
    for table in results.tables:
        # who reads the output of a program, and no terminal, looks for titles
        told = table.text(terminal_width(), whole_title=not sys.stdout.isatty())
        run.say(f"\n{told}", told=True)
    for note in results.notes:
        run.say(f"\n{translate(note)}", told=True)
    if run.evaluating:
        told = translate_message(verdict(run.folder.path, results.tables))
        run.say(f"\n{told}", told=True)
    else:
        page = run.folder.path / "report.html"
        run.say(f"\n{translate('report')}: {page}", told=True)
        if run.folder.writes:
            _refresh_index(run)
        if options.record is not None:
            record_run(options.record, run, results)


def _refresh_index(run: "Run") -> None:
    """The overview of all runs is a comfort: the run is done, whether it can be written or not."""
    from jaxdl.runs.index import refresh_index

    try:
        refresh_index(run.folder.path)
    except UserError as error:
        run.say(f"the overview of all runs was not written: {error}")


def _default_folder(stored: dict[str, Any]) -> Path:
    """runs/LAB-HASH: the same options find the same folder, others another."""
    from jaxdl.hashing import digest

    return Path("runs") / f"{stored['lab']}-{digest(stored)[:8]}"
