"""A process that reads people's files, so that a hostile one harms nothing but this process.

Started by `worker_pool` as `python -m services.tools.media_worker MEMORY_BYTES`; takes one
`Task` a line on stdin, answers one line on stdout, and ends with its stdin.
"""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import msgspec

from services.tools.domain import BadMediaError, MediaTooCostlyError, MediaUnreadableError, Text
from services.tools.image import prepare_image
from services.tools.tool import Kind, MediaInput
from services.tools.video import prepare_video
from services.tools.worker_wire import READY, Answer, Broken, Ready, Refused, Task

MAX_WRITTEN_BYTES = 512 * 1024 * 1024
_PROBE_BYTES = 64 * 1024 * 1024
_OUR_FAULT = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EACCES, errno.ENOENT, errno.EMFILE}
)


def work(task: Task) -> Answer:
    """Prepare one file. Whatever a decoder raises becomes a refusal; none ends the process."""
    try:
        return _prepare(task)
    except BadMediaError as err:
        return _refused(err)
    except MemoryError:
        return _refused(_too_costly(task.rule))
    except OSError as err:
        # Pillow's own OSErrors carry no number; FFmpeg's carry numbers of their own.
        if err.errno in _OUR_FAULT:
            return Broken(why=str(err))
        costly = err.errno == errno.EFBIG
        return _refused(_too_costly(task.rule) if costly else _unreadable(task.rule, err))
    except Exception as err:  # decoders raise anything on a malformed file
        return _refused(_unreadable(task.rule, err), unexpected=True)


def _prepare(task: Task) -> Ready:
    source, target = Path(task.source), Path(task.target)
    if task.rule.kind is Kind.IMAGE:
        return prepare_image(source, target, task.rule)
    return prepare_video(source, target, task.content_type, task.rule)


def _refused(err: BadMediaError, unexpected: bool = False) -> Refused:
    facts = {name: value for name, value in err.facts.items() if name != "message_pt"}
    return Refused(
        reason=err.reason, pt=err.text.pt, en=err.text.en, facts=facts, unexpected=unexpected
    )


def _too_costly(rule: MediaInput) -> MediaTooCostlyError:
    text = Text(
        "Ler o arquivo exige memória demais. Envie uma versão menor ou mais simples.",
        "Reading the file takes too much memory. Send a smaller or simpler version.",
    )
    return MediaTooCostlyError(rule.name, text)


def _unreadable(rule: MediaInput, err: Exception) -> MediaUnreadableError:
    text = Text(
        "O arquivo está danificado e não pôde ser lido. Exporte-o de novo e envie.",
        "The file is damaged and cannot be read. Export it again and send that.",
    )
    words = f"{type(err).__name__}: {err}"[:200]
    return MediaUnreadableError(rule.name, text, {"decoder": words})


def _bound_process(memory_bytes: int) -> None:
    if sys.platform == "win32":
        return
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_FSIZE, (MAX_WRITTEN_BYTES, MAX_WRITTEN_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    bytearray(_PROBE_BYTES)  # a limit that leaves no room would blame every file; end here instead


def main() -> None:
    """Answer tasks until stdin ends."""
    _bound_process(int(sys.argv[1]))
    # Answers keep the real stdout to themselves: a library that prints must not garble them.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    decoder = msgspec.json.Decoder(Task)
    answers.write(READY)
    answers.flush()
    for line in sys.stdin.buffer:
        answers.write(msgspec.json.encode(work(decoder.decode(line))) + b"\n")
        answers.flush()


if __name__ == "__main__":
    main()
