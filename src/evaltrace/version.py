"""The version of evaltrace, as outputs and `--version` state it."""

__version__ = "0.1.0"
