"""A framework of one class: a network that doubles its input."""


class Net:
    def __call__(self, x):
        return x * 2
