import absentframe  # noqa: F401
