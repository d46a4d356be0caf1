"""What layers return, computed in NumPy from netviz' words alone: by it a cause can be put to the test."""
