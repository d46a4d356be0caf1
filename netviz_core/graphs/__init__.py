"""The data flow between layers."""
