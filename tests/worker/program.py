"""A program with a worker that is at work: it prints the worker's process id."""

from __future__ import annotations

import asyncio
import sys

from app.deadline import Deadline
from app.worker.process import WorkerProcess
from tests.worker import questions


async def main() -> None:
    """Keep a worker busy."""
    worker = WorkerProcess()
    running = asyncio.create_task(worker.run())
    while not worker.is_up:  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0.005)
    sys.stdout.write(f"{await worker.ask(questions.process_id, Deadline.after(60))}\n")
    sys.stdout.flush()
    await asyncio.gather(worker.ask(questions.hold, Deadline.after(600)), running)


if __name__ == "__main__":
    asyncio.run(main())
