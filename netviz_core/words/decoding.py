"""Reading files that others wrote: whatever a library says of a damaged one, netviz says the same sentence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import FileFormatError, NetvizError


@contextmanager
def decoding(path: str | Path, noun: str) -> Iterator[None]:
    """Turn every error of reading a file into one that names the file; that it cannot be opened stays what it is.

    Parameters
    ----------
    path : str or path
    noun : str
        What it should be, such as ``"safetensors file"``.

    Raises
    ------
    FileFormatError
        If anything fails in the context.
    OSError
        Before it, if the file is not there, is a folder, or may not be read.
    """
    with open(path, "rb"):
        pass
    try:
        yield
    except (NetvizError, MemoryError):
        raise
    except Exception as error:
        raise FileFormatError(damaged(path, noun, error)) from error


def damaged(path: str | Path, noun: str, error: Exception) -> str:
    """The sentence on a file that could not be read, with the reason and what to do."""
    reason = reason_of(error) if Path(path).stat().st_size else "it is empty"
    return (
        f"{str(path)!r} is not a whole {noun} ({reason}); "
        f"save it again, or, if it was copied or downloaded, fetch it again"
    )


def reason_of(error: BaseException) -> str:
    """The first sentence of what an error says; its type if it says nothing."""
    lines = str(error).strip().splitlines()
    return lines[0].partition(". ")[0].rstrip(".:; ")[:300] if lines else type(error).__name__
