"""Why two layers differ: causes, put to the test."""
