"""Flax Linen modules. The only folder that imports `flax.linen`: the rest sees `init` and `apply`.

Every module is called as `module(x, train)`. Kernels are Glorot-uniform and biases zero, Keras's
defaults, so that the labs start where the course's notebooks start.
"""
