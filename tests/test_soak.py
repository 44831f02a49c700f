from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.soak import PARTS, ROOT, Memory, Part, Slice, Soak, chosen, slices_of


def counting(log: Path, code: int = 0) -> Part:
    """Return a part whose slices note size and seed, and end with that exit code."""
    program = f"import sys; open({str(log)!r}, 'a').write(' '.join(sys.argv[1:]) + '\\n'); sys.exit({code})"
    return Part(
        "counting", 10, 3, lambda size, seed: [sys.executable, "-c", program, str(size), str(seed)], ""
    )


def run(folder: Path, pieces: list[Slice], commit: str = "abc") -> int:
    return Soak(pieces, folder, Memory(folder, commit)).run(jobs=2)


def test_every_part_has_a_twin_among_the_tests_and_a_name_of_its_own() -> None:
    assert all((ROOT / part.twin).is_file() for part in PARTS)
    assert max(Counter(part.name for part in PARTS).values()) == 1


def test_slices_are_the_whole_with_seeds_that_no_other_run_has(tmp_path: Path) -> None:
    part = counting(tmp_path / "log")
    first, second = slices_of(part, 10, 1), slices_of(part, 10, 2)
    assert [each.size for each in first] == [4, 3, 3]
    assert len({each.seed for each in (*first, *second)}) == 6


def test_what_passed_at_a_commit_is_not_run_again_and_at_another_it_is(tmp_path: Path) -> None:
    log = tmp_path / "log"
    pieces = slices_of(counting(log), 10, 1)
    assert run(tmp_path, pieces[:1]) == 0
    assert run(tmp_path, pieces) == 0
    assert sorted(log.read_text().splitlines()) == ["3 1001", "3 1002", "4 1000"]
    assert run(tmp_path, pieces, "def") == 0
    assert len(log.read_text().splitlines()) == 6


@pytest.mark.parametrize(("commit", "code"), [("abc", 1), ("abc-dirty", 0)], ids=["failed", "dirty"])
def test_what_failed_or_was_no_commit_is_run_again(tmp_path: Path, commit: str, code: int) -> None:
    log = tmp_path / "log"
    pieces = slices_of(counting(log, code), 10, 1)
    for _ in range(2):
        assert run(tmp_path, pieces, commit) == 3 * code
    assert len(log.read_text().splitlines()) == 6


def test_a_part_is_chosen_by_its_name_with_a_size_if_wanted_and_all_are_by_default() -> None:
    assert {each.part.name for each in chosen([], 1)} == {part.name for part in PARTS}
    assert sum(each.size for each in chosen(["flows=77"], 1)) == 77
    with pytest.raises(SystemExit, match="no part nonsense"):
        chosen(["nonsense"], 1)
