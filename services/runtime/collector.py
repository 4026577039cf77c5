"""How the garbage collector works in a service that takes its work in batches."""

from __future__ import annotations

import gc


def spare_the_collector() -> None:
    """Let it look seldom, and never at what the start made. Call it once all is set up.

    Hundreds of calls wait for one commit, and by its defaults the collector takes their objects
    for long-lived ones: an eighth of the queue's time and a seventh of the gateway's goes there.
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
