"""Runs the simulation: ``python -m tests.admission.ledger RUNS --seed N [--engine] [--mutant NAME]``.

Exit code 1 if a sound protocol lost something, or no run caught the mutant. A run is reproduced by its seed:
``python -m tests.admission.ledger 1 --seed N --trace``.
"""

from __future__ import annotations

import sys
import time
from argparse import ArgumentParser, Namespace

from tests.admission.ledger.mutants import MUTANTS
from tests.admission.ledger.runs import ENGINE, POINTS, one_run
from tests.admission.ledger.simulation import Counts

_PROGRESS_SECONDS = 10.0


def _arguments() -> Namespace:
    parser = ArgumentParser(prog="python -m tests.admission.ledger", description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=int)
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--engine", action="store_true", help="real NetworkPolicies instead of points")
    parser.add_argument(
        "--mutant", choices=[*MUTANTS, "all"], help="take a rule away; ends when it is caught"
    )
    parser.add_argument("--replicas", type=int, default=2)
    parser.add_argument("--trace", action="store_true", help="tell what happens in the first run")
    return parser.parse_args()


def _soak(arguments: Namespace, mutant: str | None) -> int:
    """Return how many runs lost something; a mutant is left at the first."""
    model, counts, lost = (ENGINE if arguments.engine else POINTS), Counts(), 0
    told = time.monotonic()
    for seed in range(arguments.seed, arguments.seed + arguments.runs):
        found, _ = one_run(
            seed,
            model,
            replicas=arguments.replicas,
            counts=counts,
            mutant=None if mutant is None else MUTANTS[mutant],
        )
        if found:
            lost += 1
            print(f"seed {seed}: {found[0]}" if mutant is None else f"{mutant}: caught by seed {seed}")
            if mutant is not None:
                return lost
        if time.monotonic() - told > _PROGRESS_SECONDS:
            told = time.monotonic()
            rate = counts.runs / time.process_time()
            print(
                f"{counts.runs} runs, {rate:.0f} a core second, {lost} with a loss; next: --seed {seed + 1}",
                flush=True,
            )
    print(f"{counts.runs} runs in {time.process_time():.0f} s of a core, {lost} lost something")
    print(f"next: --seed {arguments.seed + arguments.runs}; {counts}")
    return lost


def _trace(arguments: Namespace) -> None:
    model = ENGINE if arguments.engine else POINTS
    mutant = MUTANTS.get(arguments.mutant or "")
    found, run = one_run(arguments.seed, model, replicas=arguments.replicas, mutant=mutant, trace=True)
    print(*run.scenario.namespaces.items(), *run.scenario.policies.items(), sep="\n")
    print(*run.scenario.steps, *(run.trace or ()), *found, sep="\n")


def main() -> int:
    """Return the exit code."""
    arguments = _arguments()
    if arguments.trace:
        _trace(arguments)
        return 0
    if arguments.mutant is None:
        return int(_soak(arguments, None) > 0)
    names = list(MUTANTS) if arguments.mutant == "all" else [arguments.mutant]
    return int(min(_soak(arguments, name) for name in names) == 0)


if __name__ == "__main__":
    sys.exit(main())
