"""How many files, and so connections, a process may have open."""

from __future__ import annotations

import sys
from contextlib import suppress


def allow_open_files() -> None:
    """Raise the soft limit to the hard one: shells start processes with 1,024, for select()."""
    if sys.platform == "win32":
        return  # it has no such limit
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # A kernel may refuse what it calls unlimited; then the process goes on with what it has.
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
