"""Files that are written whole or not at all, and those that are read with suspicion."""

import contextlib
import json
import os
import stat
from pathlib import Path
from typing import Any

from jaxdl.errors import UserError


def write_whole(path: Path, content: bytes) -> None:
    """Write a file in one move: it holds the old content or the new one, never a part.

    Args:
        path: of the file, whose folder is made; where it is a link, the file it leads to is
            replaced.
        content: all of it.

    Raises:
        UserError: it cannot be written (no room, no permission); what was there stays.
    """
    try:
        path = path.resolve()
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_bytes(content)
            temporary.replace(path)
        finally:
            with contextlib.suppress(OSError):  # moved, or never made
                temporary.unlink()
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror or error})") from error


def read_object(path: Path, **needed: type) -> dict[str, Any]:
    """The object that a JSON file holds.

    Args:
        path: of the file.
        needed: key -> type that its value must have, such as `tables=list`.

    Raises:
        UserError: it cannot be read, is no JSON object, or lacks a key of the right type.
    """
    try:
        found = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist; is {path.parent} a run folder?") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error})") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is damaged: it is no JSON ({error})") from error
    if not isinstance(found, dict):
        raise UserError(f"{path} is damaged: it holds no JSON object")
    for key, kind in needed.items():
        if not isinstance(found.get(key), kind):
            raise UserError(f"{path} is damaged: it has no proper {key!r}")
    return found


def distrust(folder: Path) -> str | None:
    """Why what lies in a folder is not trusted; None where only this user can have put it there.

    The folder has to be this user's, no link, and closed to writing by others; of the folders above
    it, none may belong to another user (but root) or be open to all.
    """
    for path in (folder, folder.parent):
        if path.is_symlink():
            return f"{path} is a link"
    found = folder.stat()
    if found.st_uid != os.geteuid():
        return f"{folder} belongs to another user"
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"others may write to {folder}"
    for above in folder.resolve().parents:
        found = above.stat()
        if found.st_uid not in (0, os.geteuid()):
            return f"{above} belongs to another user"
        if found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX:
            return f"others may write to {above}"
    return None
