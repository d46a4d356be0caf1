"""A model seen as layers and weights, with a framework or from a file."""
