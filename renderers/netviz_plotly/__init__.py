"""Draws netviz' views with Plotly, for values under the cursor. It knows Plotly and the core's views, nothing else."""

from .renderer import PlotlyRenderer

__all__ = ["PlotlyRenderer"]
