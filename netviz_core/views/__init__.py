"""Views: NumPy data, complete before anything is drawn."""
