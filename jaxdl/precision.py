"""Double precision, where float32 would lose what is asked for."""

from typing import Any

import jax


def double_precision() -> Any:
    """Context in which float64 arrays stay what they are; JAX makes them float32 otherwise."""
    if hasattr(jax, "enable_x64"):
        return jax.enable_x64(True)
    from jax.experimental import enable_x64  # type: ignore[attr-defined]  # JAX before 0.8

    return enable_x64(True)
