"""The typed options of the command line: those that every lab has, and those of a lab's Config."""

import contextlib
import dataclasses
import io
import itertools
import re
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from jaxdl.cli.catalogue import described
from jaxdl.cli.korean_help import filled, in_korean, unfilled
from jaxdl.cli.korean_options import lab_in_korean
from jaxdl.errors import UserError, nearest
from jaxdl.language import spoken


@dataclasses.dataclass(frozen=True)
class RunOptions:
    """Options that every lab has."""

    preset: Literal["quick", "default", "full"] = "default"
    """quick: the whole pipeline in a minute; full: the published setting, in labs that have one."""
    seed: int = 0
    """Seed of the first member of the population."""
    seeds: int = 1
    """How many seeds to train; tables then show mean ± standard deviation."""
    workdir: Path | None = None
    """Run folder. The same folder again continues. Default: runs/LAB-HASH, from the options."""
    source: Literal["auto", "real", "simulated", "tfds"] = "auto"
    """Where data come from; auto: local folder, cache, download, else the simulated twin."""
    data_dir: Path | None = None
    """Folder with the upstream files. Default: $JAXDL_DATA."""
    eval: Path | None = None
    """Evaluate this finished run folder: same table, nothing is trained or written."""
    fresh: bool = False
    """Forget what the run folder holds and start again."""
    device: str | None = None
    """cpu, gpu, tpu, or cpu:8 for eight simulated devices. Default: the best there is."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """What nets compute in; bfloat16 is for accelerators, weights and losses stay float32."""
    multihost: bool = False
    """Join a cluster (Slurm, GKE, Cloud TPU, or JAX_COORDINATOR_ADDRESS and its kin)."""
    compile_cache: Literal["on", "off"] = "on"
    """Keep compiled programs in the user's cache folder, so that the next run starts faster."""
    tensorboard: bool = False
    """Also write the curves as TensorBoard events into the run folder (extra: tensorboard)."""
    record: Path | None = None
    """Put the tables into this Markdown file (docs/results.md), replacing this lab's section."""
    language: Literal["auto", "en", "ko"] = "auto"
    """Of tables, report, figures and help; auto: Korean where the locale is (LANG=ko_KR.UTF-8)."""
    debug: bool = False
    """Show the whole traceback of an error."""


def parse(module: Any, lab: str, argv: Sequence[str]) -> tuple[RunOptions, Any]:
    """Typed run options and lab options from the command line.

    Raises:
        UserError: an unknown option (names the nearest), a missing or ill-typed value.
    """
    import tyro

    presets = {"default": module.Config(), **getattr(module, "PRESETS", {})}
    preset = peek(argv, "--preset") or "default"
    if preset not in presets:
        raise UserError(f"--preset {preset}: this lab has {', '.join(presets)}")
    run_options = readable(in_korean(RunOptions) if spoken() == "ko" else RunOptions)
    lab_options = readable(lab_in_korean(module.Config) if spoken() == "ko" else module.Config)
    omit = tyro.conf.OmitArgPrefixes
    args = dataclasses.make_dataclass(
        "Args",
        [("run", Annotated[run_options, omit]), ("lab", Annotated[lab_options, omit])],
        frozen=True,
    )
    parsed = typed(
        args,
        argv,
        (RunOptions, module.Config),
        default=args(run_options(), _values_as(lab_options, presets[preset])),
        prog=f"run.py experiments/{lab}.py",
        description=described(lab, module.__doc__ or ""),
        config=(tyro.conf.FlagCreatePairsOff,),
    )
    run, config = _values_as(RunOptions, parsed.run), _values_as(module.Config, parsed.lab)
    check(run, RunOptions())
    check(config, presets["default"])
    return run, config


def readable(options: type) -> Any:
    """The same dataclass with a help that people can read.

    An option that may be left out is shown as `PATH`, not `{None}|PATH`, and a default that is none
    (None, "", no values) is not told: the text says what happens then.
    """
    from tyro.conf import arg

    hints = typing.get_type_hints(options, include_extras=True)
    fields = []
    for field in dataclasses.fields(options):
        told = arg(metavar=_placeholder(hints[field.name]), help_behavior_hint=_default_told)
        kind: Any = Annotated[hints[field.name], told]
        fields.append((field.name, kind, field))
    doc = options.__doc__ or ""
    # dataclass makes one of all fields where there is none
    own = {} if doc.startswith(f"{options.__name__}(") else {"__doc__": doc}
    return dataclasses.make_dataclass(
        options.__name__, fields, bases=(options,), namespace=own, frozen=True
    )


def _values_as(options: type, given: Any) -> Any:
    """The values of one dataclass in another one with the same fields."""
    return options(**{f.name: getattr(given, f.name) for f in dataclasses.fields(options)})


def _placeholder(kind: Any) -> str | None:
    """What stands for the value of an option that may be None; None: tyro's own words.

    >>> _placeholder(Path | None), _placeholder(Literal["a", "b"] | None), _placeholder(int)
    ('PATH', '{a,b}', None)
    """
    if typing.get_origin(kind) is Annotated:
        kind = typing.get_args(kind)[0]
    members = typing.get_args(kind)
    if len(members) != 2 or type(None) not in members:
        return None
    (other,) = (member for member in members if member is not type(None))
    if typing.get_origin(other) is Literal:
        values = [str(value) for value in typing.get_args(other)]
        between = " " if "," in values else ","
        return "{" + between.join(values) + "}"
    return str(getattr(other, "__name__", other)).upper()


def _default_told(default: str) -> str:
    if default in ("None", "''", ""):
        return ""
    return filled(f"(기본값: {default})") if spoken() == "ko" else f"(default: {default})"


def typed(spec: Any, argv: Sequence[str], parts: Sequence[Any], **settings: Any) -> Any:
    """`tyro.cli`, with its framed error as one line.

    Args:
        spec: the type to build.
        argv: the words given.
        parts: dataclasses whose fields are the options, for the hint at a misspelt one.
        settings: further arguments of `tyro.cli`.

    Raises:
        UserError: the words do not fit.
    """
    import tyro

    box = io.StringIO()
    try:
        with contextlib.redirect_stderr(box), unfilled():
            return tyro.cli(spec, args=list(argv), **settings)
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        known = ["--" + f.name.replace("_", "-") for p in parts for f in dataclasses.fields(p)]
        raise UserError(_one_line(box.getvalue(), known, argv)) from stop


def check(config: Any, default: Any) -> None:
    """Refuse numbers that no lab could use.

    Args:
        config: as given.
        default: the lab's own: where no number of it is negative, none may be; where all are whole
            and positive (epochs, widths, budgets), all have to be, unless the field's metadata
            {"least": 0} allows zero.

    Raises:
        UserError: a negative number, a zero among sizes, or an empty tuple.
    """
    for field in dataclasses.fields(config):
        option = f"--{field.name.replace('_', '-')}"
        given, usual = (_values(getattr(c, field.name)) for c in (config, default))
        if usual and not given:
            raise UserError(f"{option} needs at least one value")
        if not usual or not all(map(_is_number, usual)) or min(usual) < 0:
            continue
        sizes = all(isinstance(v, int) and v > 0 for v in usual)
        least = field.metadata.get("least", 1 if sizes else 0)
        for value in given:
            if _is_number(value) and value < least:
                raise UserError(f"{option} {value}: must be at least {least}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _values(value: Any) -> list[Any]:
    return list(value) if isinstance(value, tuple) else [value]


def _one_line(box: str, known: Sequence[str], argv: Sequence[str]) -> str:
    """The message in tyro's framed error, and the nearest option where one is unknown."""
    box = re.sub(r"\x1b\[[0-9;]*m", "", box)
    # a framed title, then sections between rules; without Unicode the title is a section too
    framed = "│" in box
    lines = [line.strip("│ ") for line in box.splitlines() if not line.startswith(("╭", "╰"))]
    rules = itertools.groupby(lines, key=lambda line: bool(line) and not line.strip("─-"))
    sections = [" ".join(group).strip() for is_rule, group in rules if not is_rule]
    message = next(iter(sections[0 if framed else 1 :]), "")
    if message.startswith("Unrecognized"):
        unknown = [w.split("=")[0] for w in argv if w.startswith("--")]
        unknown = [w for w in unknown if w.replace("_", "-") not in known]
        if unknown:
            near = nearest(unknown[0].lstrip("-"), [option.lstrip("-") for option in known])
            hint = f"did you mean --{near}?" if near else "--help lists the options"
            return f"unknown option {unknown[0]}; {hint}"
    return message or "the options could not be read; see --help"


def peek(argv: Sequence[str], option: str) -> str | None:
    """The value of an option that must be known before the rest is parsed."""
    for i, word in enumerate(argv):
        if word == option and i + 1 < len(argv):
            return argv[i + 1]
        if word.startswith(option + "="):
            return word.partition("=")[2]
    return None
