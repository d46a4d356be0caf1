"""A place on a figure, in which one view is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from .style import Style
from .texts import safe


@dataclass(frozen=True)
class Place:
    """One column of a figure.

    Parameters
    ----------
    figure : plotly.graph_objects.Figure
    column : int
        From 1.
    look : Style
    explains : bool
        Whether colours are explained here, and not beside another view of the same scale.
    """

    figure: go.Figure
    column: int
    look: Style
    explains: bool = True

    def add(self, trace: Any) -> None:
        """Draw a trace."""
        self.figure.add_trace(trace, row=1, col=self.column)

    def x(self, **settings: Any) -> None:
        """Set up the axis across."""
        self.figure.update_xaxes(row=1, col=self.column, **settings)

    def y(self, **settings: Any) -> None:
        """Set up the axis upwards."""
        self.figure.update_yaxes(row=1, col=self.column, **settings)

    @property
    def number(self) -> str:
        """What Plotly appends to the names of its axes."""
        return "" if self.column == 1 else str(self.column)

    @property
    def across(self) -> tuple[float, float]:
        """From where to where it reaches, as shares of the figure."""
        low, high = self.figure.layout[f"xaxis{self.number}"].domain
        return low, high

    def square(self) -> None:
        """Let a unit be as long across as upwards."""
        self.y(scaleanchor=f"x{self.number}", constrain="domain")
        self.x(constrain="domain")

    def write(self, text: str, x: float, y: float, **settings: Any) -> None:
        """Write a text at a place of its axes."""
        self.figure.add_annotation(
            text=text, x=x, y=y, xref=f"x{self.number}", yref=f"y{self.number}", showarrow=False, **settings
        )

    def notes(self, notes: list[str]) -> None:
        """Write what is to be known below."""
        if notes:
            self.figure.add_annotation(
                text=" · ".join(map(safe, notes)), x=0, y=0, xref=f"x{self.number} domain",
                yref="paper", yshift=-44, xanchor="left", yanchor="top", showarrow=False, opacity=0.8,
            )  # fmt: skip

    def empty(self, text: str) -> None:
        """Say that there is nothing to be drawn."""
        self.x(visible=False, range=[0, 1])
        self.y(visible=False, range=[0, 1])
        self.write(safe(text), 0.5, 0.5)
