"""Runs sequences: ``python -m tests.admission.sequences COUNT SEED [--lists] [--mutant NAME]``.

Exit code 1 if something was lost (with a mutant: if nothing was). ``1 SEED --trace`` tells what happens.
"""

from __future__ import annotations

import asyncio
import sys
import time
from argparse import ArgumentParser

from tests.admission.sequences.mutants import MUTANTS, mutated
from tests.admission.sequences.runs import one_run


def main() -> int:
    """Return the exit code."""
    parser = ArgumentParser(prog="python -m tests.admission.sequences", description=__doc__.splitlines()[0])
    parser.add_argument("count", type=int)
    parser.add_argument("seed", type=int, help="the first seed")
    parser.add_argument("--lists", action="store_true", help="a guard without a ledger, judging by lists")
    parser.add_argument("--mutant", choices=MUTANTS, help="take a rule away; ends when it is caught")
    parser.add_argument("--trace", action="store_true", help="tell what happens in the first sequence")
    given = parser.parse_args()
    losses = admitted = aside = 0
    told = time.monotonic()
    with asyncio.Runner() as runner, mutated(given.mutant):
        loop = runner.get_loop()
        for seed in range(given.seed, given.seed + given.count):
            found = one_run(seed, loop, has_ledger=not given.lists)
            admitted, aside = admitted + found.admitted, aside + found.aside
            if found.lost or given.trace:
                print(f"seed {seed}", *found.trace, f"lost: {found.lost}", sep="\n  ")
            losses += bool(found.lost)
            if given.mutant and losses:
                break
            if time.monotonic() - told > 30:
                told = time.monotonic()
                print(f"{seed + 1 - given.seed} sequences, {losses} lost something", flush=True)
    print(f"{given.count} sequences from seed {given.seed}: {losses} lost something;")
    print(f"{admitted} changes admitted by the guard, {aside} left aside; {time.process_time():.0f} s")
    return int(bool(losses) is not bool(given.mutant))


if __name__ == "__main__":
    sys.exit(main())
