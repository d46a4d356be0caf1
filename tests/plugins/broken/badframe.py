"""A framework whose backend cannot be imported."""


class Net:
    pass
