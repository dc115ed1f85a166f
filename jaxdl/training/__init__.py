"""Training: tasks, states, the pure step, the batch order, the fit loop."""

from jaxdl.training.fitted import Fitted
from jaxdl.training.loop import fit
from jaxdl.training.stream import Streamed
from jaxdl.training.task import Task, module_functions, parameter_count

__all__ = ["Fitted", "Streamed", "Task", "fit", "module_functions", "parameter_count"]
