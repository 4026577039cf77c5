"""The other end of `contestant.py`: reads requests on stdin and answers them on stdout."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import traceback
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

Handler = Callable[..., Awaitable[dict[str, Any]]]


async def answer_requests(ready: dict[str, Any], handlers: Mapping[str, Handler]) -> None:
    """Say that we are ready, then answer until "stop" or the end of the input.

    From here on standard output is for answers alone: what else is printed goes to the log.
    """
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def say(answer: dict[str, Any]) -> None:
        print(json.dumps(answer), file=answers, flush=True)

    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    say(ready)
    while line := await reader.readline():
        request = json.loads(line)
        what = request.pop("do")
        if what == "stop":
            return
        try:
            say(await handlers[what](**request))
        except Exception as error:  # the driver is told, and decides
            traceback.print_exc()
            say({"error": f"{type(error).__name__}: {error}"})
