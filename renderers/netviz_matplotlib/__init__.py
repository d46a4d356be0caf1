"""Draws netviz' views with matplotlib. It knows matplotlib and the core's views, nothing else."""

from .renderer import MatplotlibRenderer

__all__ = ["MatplotlibRenderer"]
