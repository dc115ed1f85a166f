"""Live series: ten thousand in one process, and one event at a time, beside river.

    python benchmarks/live_series.py [--series 10000] [--ticks 64] [--rounds 3]

The streaming detector steps all series together, one event of each in a tick, as one vmapped
program; each has the state of a series with an event in five minutes. river's half-space trees (its
defaults: ten trees of height 8, a window of 250) score an event and learn it, one model for each
series, scaled to 0..1 as they need it. "One event" is what a series that comes line by line waits
for: a step of one series, answer included. Memory is what the process grew by when the states were
made. Values are invented: a course of the day with noise. Peers: the extra `peers`.
"""

import resource
import time
from typing import Any

import numpy as np
from harness import build, machine, markdown, measure, options, publish

DAY = 288
ONE_EVENT_CALLS = 5_000


def values_of(series: int, ticks: int) -> np.ndarray:
    """[ticks, series] numbers between 0 and 1: a course of the day, each with its phase, noise."""
    rng = np.random.default_rng(0)
    phase = rng.random(series)
    turn = np.arange(ticks)[:, None] / DAY + phase
    noise = 0.05 * rng.standard_normal((ticks, series))
    return np.clip(0.5 + 0.3 * np.sin(2 * np.pi * turn) + noise, 0, 1).astype(np.float32)


def grown(before: int) -> float:
    """MB that the process's largest size grew by since `before` (kB)."""
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def jaxdl_peer(values: np.ndarray, memory: dict[str, float]):
    import jax
    import jax.numpy as jnp

    from jaxdl.timeseries import streaming

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    one = streaming.start(DAY)
    states = jax.tree.map(lambda leaf: jnp.repeat(leaf[None], values.shape[1], axis=0), one)
    step = jax.jit(jax.vmap(streaming.step), donate_argnums=0)

    def run():
        nonlocal states
        began = time.perf_counter()
        for tick in values:
            states, score, alarm = step(states, tick)
            np.asarray(score), np.asarray(alarm)
        return time.perf_counter() - began

    run()
    memory["jaxdl"] = grown(before)
    return run


def river_peer(values: np.ndarray, memory: dict[str, float]):
    from river.anomaly import HalfSpaceTrees

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    models = [HalfSpaceTrees(seed=number) for number in range(values.shape[1])]

    def run():
        began = time.perf_counter()
        for tick in values.tolist():
            for model, value in zip(models, tick, strict=True):
                event = {"value": value}
                model.score_one(event)
                model.learn_one(event)
        return time.perf_counter() - began

    run()
    memory["river, half-space trees"] = grown(before)
    return run


def one_event() -> dict[str, np.ndarray]:
    """Microseconds of single events, by who answers."""
    values = values_of(1, ONE_EVENT_CALLS + 200)[:, 0].tolist()
    found = {"jaxdl": np.array(timed_calls(jaxdl_event(), values))}
    try:
        found["river, half-space trees"] = np.array(timed_calls(river_event(), values))
    except ImportError as error:
        print(f"left out: river ({error})")
    return found


def jaxdl_event() -> Any:
    import jax

    from jaxdl.timeseries import streaming

    step, state = jax.jit(streaming.step), streaming.start(DAY)

    def answer(value):
        nonlocal state
        state, score, alarm = step(state, value)
        return float(score), bool(alarm)

    return answer


def river_event() -> Any:
    from river.anomaly import HalfSpaceTrees

    model = HalfSpaceTrees(seed=0)

    def answer(value):
        event = {"value": value}
        score = model.score_one(event)
        model.learn_one(event)
        return score

    return answer


def timed_calls(answer: Any, values: list[float]) -> list[float]:
    """Microseconds of each call behind the first 200."""
    taken = []
    for value in values:
        began = time.perf_counter()
        answer(value)
        taken.append(1e6 * (time.perf_counter() - began))
    return taken[200:]


def main() -> None:
    args = options(__doc__, rounds=3, series=10_000, ticks=64).parse_args()
    values, memory = values_of(args.series, args.ticks), {}
    single = one_event()
    peers = build(
        {
            "jaxdl": lambda: jaxdl_peer(values, memory),
            "river, half-space trees": lambda: river_peer(values, memory),
        }
    )
    seconds = measure(peers, args.rounds)
    events = values.size
    title = f"{args.series:,} series, {args.ticks} events of each, seconds"
    lines = [markdown(title, seconds), "", "| | events/s | memory, MB |", "|---|---:|---:|"]
    for name, taken in seconds.items():
        lines.append(f"| {name} | {events / np.median(taken):,.0f} | {memory[name]:,.0f} |")
    lines += [
        "",
        f"**One event, score and alarm** ({machine()})",
        "",
        "| | calls | p50 us | p99 us |",
        "|---|---:|---:|---:|",
    ]
    for name, taken in single.items():
        p50, p99 = np.quantile(taken, [0.5, 0.99])
        lines.append(f"| {name} | {len(taken):,} | {p50:,.0f} | {p99:,.0f} |")
    command = f"python benchmarks/live_series.py --series {args.series} --ticks {args.ticks}"
    publish(args.record, "live_series", "Live series", "\n".join(lines), command)


if __name__ == "__main__":
    main()
