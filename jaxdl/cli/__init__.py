"""The command line: typed options, and the launcher that finds and runs labs."""

from jaxdl.cli.launcher import find_lab, launch, list_labs, load_lab, main, script

__all__ = ["find_lab", "launch", "list_labs", "load_lab", "main", "script"]
