"""Runs: the folder, the fits, the logs, the recorded results."""

from jaxdl.runs.run import Run

__all__ = ["Run"]
