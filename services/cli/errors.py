"""The base of what the command line tells a person in one sentence, without a traceback."""

from __future__ import annotations


class CliError(Exception):
    """Something that the person can put right; the message says how."""
