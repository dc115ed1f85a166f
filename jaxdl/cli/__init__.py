"""The command line: typed options, and the launcher that runs labs."""

from jaxdl.cli.launcher import launch, main, script

__all__ = ["launch", "main", "script"]
