"""The command ``netviz compare``: from what was typed to a comparison, and to a report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from ..captures.capture import Capture
from ..captures.files import is_capture
from ..captures.saved import load_capture
from ..comparing.compared import compare
from ..comparing.telling.view import Comparison
from ..models.network import Network
from ..words.errors import InputError
from ..words.whole_files import replace_file
from .inputs import read_input
from .models import failures_located, open_model


def compared(
    a: str,
    b: str,
    data: Path | None,
    input_of_b: Path | None,
    mapping: Mapping[str, str],
    tolerance: float | None,
    axes: str | None,
    trust: bool,
) -> Comparison:
    """Compare what was named.

    Raises
    ------
    InputError
        If an input is missing or too many; else as `compare`.
    """
    if input_of_b is not None and data is None:
        raise InputError("--input-b says what b sees; say with --input what a sees")
    if data is None and axes is not None:
        raise InputError("--axes names the axes of an input; give one with --input")
    x = read_input(data, axes) if data is not None else None
    both = x if input_of_b is None else (x, read_input(input_of_b, axes))
    model_a, model_b = _opened(a, trust), _opened(b, trust)
    with ExitStack() as stack:
        for model in (model_a, model_b):
            if isinstance(model, Network):
                stack.enter_context(failures_located(model))
        return compare(model_a, model_b, both, mapping or None, tolerance=tolerance)


def mapping_of(pairs: Sequence[str]) -> dict[str, str]:
    """From ``A=B`` to a mapping.

    Raises
    ------
    InputError
        If there is no ``=``.
    """
    found = {}
    for pair in pairs:
        a, separator, b = pair.partition("=")
        if not (a and separator and b):
            raise InputError(
                f"--pair {pair!r} names no two layers; give A=B, such as --pair conv1=features.0"
            )
        found[a] = b
    return found


def save_report(found: Comparison, path: Path) -> None:
    """Write a report in the form that the suffix names."""
    forms: Mapping[str, Callable[[], str]] = {
        ".html": found.to_html,
        ".md": found.to_markdown,
        ".json": found.to_json,
        ".txt": lambda: str(found),
    }
    text = forms[path.suffix.lower()]()
    replace_file(path, lambda unfinished: Path(unfinished).write_text(text + "\n", encoding="utf-8"))


def _opened(text: str, trust: bool) -> Network | Capture:
    return load_capture(text) if is_capture(text) else open_model(text, trust=trust)
