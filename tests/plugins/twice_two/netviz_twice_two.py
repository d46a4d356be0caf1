raise AssertionError("a plugin was imported although two distributions claim its name")
