"""What a stranger's array program may contain, looked at before it is compiled.

A scorer file's sum says nothing about who made it. Its programs are StableHLO, which has no access
to files or the network, but a program can call out of StableHLO, wait for another device, call
itself, or declare an array that fills the memory. `check_program` refuses these by walking the
parsed operations, in every function and region. What no look can tell is whether a loop ends: the
first call of each program is given a limited time (`within`), and its memory is asked from the
compiler.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

from jax.interpreters import mlir
from jaxlib.mlir import ir

DIALECTS = ("builtin", "func", "stablehlo", "chlo")
HARMLESS_CALLS = {"shape_assertion", "Sharding", "mhlo.topk", "stablehlo.dynamic_top_k"}
# These wait for a host or another device, which a scorer never has.
FOREIGN = {
    f"stablehlo.{name}"
    for name in (
        "infeed",
        "outfeed",
        "send",
        "recv",
        "all_gather",
        "all_reduce",
        "all_to_all",
        "collective_broadcast",
        "collective_permute",
        "reduce_scatter",
        "cross-replica-sum",
        "partition_id",
        "replica_id",
    )
}
MAX_ELEMENTS = 1 << 28  # of one array; a dimension that is not said counts as 1
MAX_OPERATIONS = 1_000_000  # once every call is written out
MAX_MEMORY = 8 << 30  # of one call
TENSOR = re.compile(r"tensor<((?:[0-9?]+x)*)")


class UnfitProgram(Exception):
    """A program that is not to be run; the message says why, as in "calls foo"."""


# Threads that did not come back; the process must be ended without waiting for them.
stuck: list[threading.Thread] = []


def check_program(text: str) -> None:
    """Look at every operation of a module.

    Args:
        text: the module in MLIR's own notation.

    Raises:
        UnfitProgram: it contains what no scorer needs.
        Exception: it cannot be parsed.
    """
    with mlir.make_ir_context():
        module = ir.Module.parse(text)
        functions = {}
        for operation in module.body.operations:
            name = ir.StringAttr(operation.attributes["sym_name"]).value
            functions[name] = _check_function(operation.operation)
        _check_calls(functions)


def _check_function(function: ir.Operation) -> tuple[int, list[str]]:
    """How many operations a function has, and which functions it calls, each as often as it does.

    Raises:
        UnfitProgram: an operation is not to be run.
    """
    count, called = 0, []
    for operation in _all_operations(function):
        count += 1
        name = operation.name
        if name.partition(".")[0] not in DIALECTS or name in FOREIGN:
            raise UnfitProgram(f"uses {name[:60]}")
        if "custom_call" in name:
            target = _text_of(operation, "call_target_name")
            if target not in HARMLESS_CALLS or name != "stablehlo.custom_call":
                raise UnfitProgram(f"calls {target[:60]!r}")
            if _text_of(operation, "called_computations") not in ("", "[]"):
                raise UnfitProgram("hands functions to a call")
        for attribute in ("callee", "decomposition"):
            if attribute in operation.attributes:
                called.append(ir.FlatSymbolRefAttr(operation.attributes[attribute]).value)
        _check_sizes(operation)
    return count, called


def _all_operations(operation: ir.Operation) -> Iterator[ir.Operation]:
    """An operation and all those in its regions."""
    waiting = [operation]
    while waiting:
        operation = waiting.pop()
        yield operation
        for region in operation.regions:
            for block in region.blocks:
                waiting.extend(inner.operation for inner in block.operations)


def _text_of(operation: ir.Operation, attribute: str) -> str:
    if attribute not in operation.attributes:
        return ""
    return str(operation.attributes[attribute]).strip('"')


def _check_sizes(operation: ir.Operation) -> None:
    for result in operation.results:
        for dimensions in TENSOR.findall(str(result.type)):
            elements = 1
            for size in dimensions.split("x")[:-1]:
                elements *= 1 if size == "?" else int(size[:20])
            if elements > MAX_ELEMENTS:
                raise UnfitProgram(f"declares an array of {dimensions.strip('x')[:60]} numbers")


def _check_calls(functions: dict[str, tuple[int, list[str]]]) -> None:
    """Raises UnfitProgram where functions call each other in a circle, or too many operations come
    of their calls: the compiler writes out each of them."""
    sizes: dict[str, int] = {}
    open_ones: set[str] = set()
    waiting = list(functions)
    while waiting:  # depth first, without recursion
        name = waiting[-1]
        if name in sizes:
            waiting.pop()
            continue
        count, called = functions.get(name, (0, []))
        unknown = [one for one in dict.fromkeys(called) if one not in sizes]
        if unknown:
            if name in open_ones or not open_ones.isdisjoint(unknown):
                raise UnfitProgram(f"calls itself ({name[:60]!r})")
            open_ones.add(name)
            waiting.extend(unknown)
            continue
        sizes[name] = count + sum(sizes[one] for one in called)
        if sizes[name] > MAX_OPERATIONS:
            raise UnfitProgram(f"has more than {MAX_OPERATIONS:,} operations")
        open_ones.discard(name)
        waiting.pop()


def check_memory(compiled: Any) -> None:
    """Ask the compiler how much memory a call takes.

    Raises:
        UnfitProgram: more than `MAX_MEMORY` bytes.
    """
    found = compiled.memory_analysis()
    if found is None:  # this device does not say
        return
    parts = ("argument_size_in_bytes", "output_size_in_bytes", "temp_size_in_bytes")
    needed = sum(getattr(found, part, 0) for part in parts)
    if needed > MAX_MEMORY:
        raise UnfitProgram(f"needs {needed / 2**30:,.0f} GiB of memory for one call")


def within(seconds: float, work: Callable[[], Any]) -> Any:
    """The result of some work, done in a thread that is waited for so long.

    A thread rather than a process: what it compiles is what is used afterwards, and a process would
    add the start of JAX, seconds, to every start of the command. A thread cannot be stopped, so a
    command whose work did not end must leave with `os._exit`, as long as `stuck` holds any.

    Raises:
        UnfitProgram: the time is over.
        Exception: what the work raises.
    """
    results: list[Any] = []
    errors: list[BaseException] = []
    done = threading.Event()

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:
            errors.append(error)
        finally:
            done.set()

    thread = threading.Thread(target=run, daemon=True, name="first call of a scorer's program")
    # not `Thread.join`, which takes a thread for ended when a signal interrupts it (bpo-45274)
    try:
        thread.start()
        done.wait(seconds)
    finally:  # Ctrl-C, too, leaves it behind
        if not done.is_set():
            stuck.append(thread)
    if not done.is_set():
        raise UnfitProgram(f"does not end within {seconds:g} seconds")
    if errors:
        raise errors[0]
    return results[0]
