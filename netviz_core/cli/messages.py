"""Turns any error into one line that a person can act on."""

from __future__ import annotations

import re
from typing import Any

import typer

from ..words.errors import NetvizError
from ..words.text_tables import described, flattened
from . import options

_UsageError: Any = typer.BadParameter.__base__


def one_line(error: BaseException) -> str:
    """What an error says, on one line.

    Examples
    --------
    >>> one_line(FileNotFoundError(2, "No such file", "a.keras"))
    'a.keras: No such file'
    """
    if isinstance(error, _UsageError):
        return flattened(_usage(error))
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return flattened(f"{error.filename}: {error.strerror}")
    if isinstance(error, NetvizError):
        return in_options(flattened(str(error)))
    return f"{described(error)} (netviz --traceback … shows where)"


def in_options(text: str) -> str:
    """What a text says of arguments in Python, in the words of the command line.

    Examples
    --------
    >>> in_options("nothing ran: give x or input_shape= for shapes")
    'nothing ran: give --input for shapes'
    >>> in_options("rgb=True needs three channels; see netviz_core.feature_maps, or give loss='cross_entropy'")
    '--rgb needs three channels; see netviz feature-maps, or give --loss cross_entropy'
    >>> in_options("its channels seem to stand last: give x.transpose(0, 3, 1, 2), or nv.images(x)")
    'its channels seem to stand last: give --axes batch,y,x,channel'
    >>> in_options("leave loss= out, or say names=('original', 'port')")
    'leave --loss out, or say --names original port'
    """
    for pattern, words in _IN_OPTIONS:
        text = re.sub(pattern, words, text)
    return re.sub(_ARGUMENT, _as_option, text)


_IN_OPTIONS = (
    (r"trust=True \((?:on the command line, )?--trust(?: on the command line)?\)", "--trust"),
    (r"last: give x\.transpose\([^)]*\), or nv\.images\(x\)", "last: give --axes batch,y,x,channel"),
    (
        r"second: give x\.transpose\([^)]*\), or nv\.images\(x, [^)]*\)\)",
        "second: give --axes batch,channel,y,x",
    ),
    (r"\bgive x\.transpose\([^)]*\)", "name its axes with --axes"),
    (r",? or input_shape=(, such as \([^)]*\))?", ""),
    (r"\bgive x\[None\]", "give an array with a batch axis of one"),
    (r"\bgive x\b", "give --input"),
    (
        r"give nv\.images\(x\), or another AxisArray, which is laid out for each",
        "name its axes with --axes, so that it is laid out for each",
    ),
    (r"\bpair them with mapping=\{[^}]*\}", "pair them with --pair A=B"),
    (r"^channel=", "--channel "),  # elsewhere it is a size of a shape
    (r"\boutput=", "part="),
    (r"\bk=", "count="),
    (
        r"None was given as loss; (.*), so give one, .*",
        r"no --loss was given; \1, so give one, such as cross_entropy",
    ),
    (
        r"open it with netviz_core\.load_capture",
        "it can be given to histogram, histograms, feature-maps, compare and similarity",
    ),
    (r"\b(?:nv|netviz_core)\.(?:capture|feature_maps)\(…, axes=\(…\)\)", "nv.capture"),
)
"""Ways of speaking of arguments, and of the options that stand for them."""

QUESTIONS = (
    "attention", "cam", "capture", "compare", "copy_weights", "feature_maps", "graph", "health", "heatmap",
    "histograms", "histogram", "kernels", "report", "similarity", "statistics", "summary", "top_losses",
)  # fmt: skip
"""The functions that are commands, too."""

_ARGUMENT = re.compile(
    rf"\b({'|'.join(sorted(options.names() - {'channel'}, key=len, reverse=True))})=('[^']*'|\([^)]*\)|[^\s,;()…]*)"
    rf"|\b(?:nv|netviz_core)\.({'|'.join(QUESTIONS)})\b(?!\.)"
)


def _as_option(found: re.Match[str]) -> str:
    name, value, function = found.groups()
    if function is not None:
        return f"netviz {function.replace('_', '-')}"
    option = name.replace("_", "-")
    if value in ("True", "False"):
        return f"--{'no-' * (value == 'False')}{option}"
    words = " ".join(re.findall(r"[^\s,'()]+", value))
    return f"--{option} {words}".rstrip()


def _usage(error: Any) -> str:
    message = error.format_message().rstrip(".")
    return f"{message} (see {error.ctx.command_path} --help)" if error.ctx is not None else message
