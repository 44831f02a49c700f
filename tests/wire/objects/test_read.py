from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = """
import sys
from threading import Barrier, Thread

import msgspec

from app.wire.objects.read import read_object

DEPTH, THREADS = 12, 6
TEXT = b'{"f0": {"f0": {"f0": {}}, "f1": {"f0": {}}}, "f1": {"f0": {}}}'
sys.setswitchinterval(1e-5)

def shapes():
    inner = None
    for number in range(DEPTH):
        fields = [(f"f{each}", (inner or int) | None, None) for each in range(8)]
        inner = msgspec.defstruct(f"S{number}", fields)
        yield inner

def read(shape, barrier):
    barrier.wait()
    read_object(TEXT, shape, "Thing")

for _ in range(60):
    outermost, barrier = list(shapes())[-1], Barrier(THREADS)
    threads = [Thread(target=read, args=(outermost, barrier)) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
"""


def test_a_shape_that_several_threads_meet_first_at_the_same_time_crashes_nobody() -> None:
    command = [sys.executable, "-X", "faulthandler", "-c", PROGRAM]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
