"""jaxdl: pure-function models, jitted train steps, populations, calibrated anomaly decisions.

Nothing heavy is imported here: `import jaxdl` must stay instant and must not pull in TensorFlow,
scikit-learn or matplotlib. Import the part you need, for example `from jaxdl.training import Task`.
"""

__version__ = "0.1.0"
