"""The worker: `python -m app.worker MODULE...` answers one question after another until its parent is gone.

The modules are imported before the first question, which then need not wait for them.
"""

from __future__ import annotations

import gc
import importlib
import os
import queue
import resource
import sys
import threading
import traceback
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from app.deadline import Deadline
from app.engine.budget import TooComplexError
from app.worker.frames import Answered, Asked, Came, packed, read_frame, unpacked

MOST_BYTES = 256 * 1024 * 1024
"""Of memory. A question that needs more is too complex: the Pod's limit is for both processes, and past that
the kernel would end both."""
_THRESHOLDS = (100_000, 50, 100)
_OOM_SCORE = Path("/proc/self/oom_score_adj")
_FIRST_TO_GO = "1000"


def main(modules: list[str]) -> None:
    """Answer questions; ends with the process."""
    requests, replies = _own_pipes()
    _stand_back()
    for module in modules:
        importlib.import_module(module)
    _settle()
    frames: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(requests, frames), daemon=True).start()
    while True:
        replies.write(_answer(frames.get()))
        replies.flush()
        gc.collect()


def _settle() -> None:
    """Look for garbage between questions: among thousands of rules that are being read there is none."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)


def _own_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Return the pipes to the parent; what anything prints goes to standard error from now on."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return requests, replies


def _stand_back() -> None:
    """See to it that the parent, which answers the API server, is the last to suffer."""
    with suppress(OSError, ValueError):  # each is a precaution, and not every system knows all of them
        resource.setrlimit(resource.RLIMIT_DATA, (MOST_BYTES, MOST_BYTES))
    with suppress(OSError):
        _OOM_SCORE.write_text(_FIRST_TO_GO)
    with suppress(OSError):
        os.nice(5)


def _listen(requests: BinaryIO, frames: queue.SimpleQueue[bytes]) -> None:
    """Take questions in; once the parent is gone, however it ended, nobody waits for an answer."""
    while (frame := read_frame(requests)) is not None:
        frames.put(frame)
    os._exit(0)


def _answer(frame: bytes) -> bytes:
    try:
        asked: Asked = unpacked(frame)
        return packed(Answered(Came.ANSWERED, asked.question(Deadline.after(asked.seconds))))
    except (TooComplexError, MemoryError):
        return packed(Answered(Came.TOO_COMPLEX))
    except Exception:  # noqa: BLE001 - whatever it is, the parent waits for an answer
        return packed(Answered(Came.FAILED, traceback.format_exc()))


if __name__ == "__main__":
    main(sys.argv[1:])
