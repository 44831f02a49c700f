from __future__ import annotations

from app.wire.cache import LONGEST_KEPT, Key, Memo, kept_if_short


def _put_twice(memo: Memo[str], key: Key, value: str) -> None:
    memo.put(key, value)
    memo.put(key, value)


def test_what_was_put_twice_is_found_again() -> None:
    memo: Memo[str] = Memo(most=2, most_bytes=100)
    assert memo.put((b"a", ""), "A") == "A"
    assert memo.get((b"a", "")) is None
    assert memo.put((b"a", ""), "A") == "A"
    assert memo.get((b"a", "")) == "A"
    assert memo.get((b"a", "other")) is None


def test_what_comes_only_once_is_not_kept_and_drives_nothing_out() -> None:
    memo: Memo[str] = Memo(most=2, most_bytes=100)
    _put_twice(memo, (b"a", ""), "A")
    for number in range(100):
        memo.put((b"once", str(number)), "X")
    assert len(memo) == 1
    assert memo.get((b"a", "")) == "A"


def test_the_first_time_is_forgotten_in_the_end() -> None:
    memo: Memo[str] = Memo(most=2, most_bytes=100)
    memo.put((b"a", ""), "A")
    for number in range(4):
        memo.put((b"once", str(number)), "X")
    memo.put((b"a", ""), "A")
    assert memo.get((b"a", "")) is None


def test_the_number_is_bounded_and_the_oldest_goes_first() -> None:
    memo: Memo[str] = Memo(most=2, most_bytes=100)
    for body in (b"a", b"b", b"c"):
        _put_twice(memo, (body, ""), body.decode())
    assert len(memo) == 2
    assert memo.get((b"a", "")) is None
    assert memo.get((b"c", "")) == "c"


def test_the_bytes_are_bounded() -> None:
    memo: Memo[str] = Memo(most=100, most_bytes=10)
    _put_twice(memo, (b"x" * 6, ""), "A")
    _put_twice(memo, (b"y" * 6, ""), "B")
    assert len(memo) == 1
    memo.put((b"y" * 6, ""), "B again")
    _put_twice(memo, (b"z" * 4, ""), "C")
    assert len(memo) == 2


def test_what_alone_is_too_large_is_not_kept_and_drives_nothing_out() -> None:
    memo: Memo[str] = Memo(most=100, most_bytes=10)
    _put_twice(memo, (b"a", ""), "A")
    _put_twice(memo, (b"x" * 11, ""), "B")
    assert memo.get((b"x" * 11, "")) is None
    assert memo.get((b"a", "")) == "A"


def test_short_texts_are_read_once_and_long_ones_each_time() -> None:
    calls: list[int] = []

    @kept_if_short(2)
    def read(text: bytes, more: str) -> str:
        calls.append(len(text))
        return f"{len(text)}{more}"

    for text in (b"a" * LONGEST_KEPT, b"a" * (LONGEST_KEPT + 1)):
        assert read(text, "x") == read(text, "x") == f"{len(text)}x"
    assert calls == [LONGEST_KEPT, LONGEST_KEPT + 1, LONGEST_KEPT + 1]
    assert read(b"a" * LONGEST_KEPT, "y") == f"{LONGEST_KEPT}y"


def test_only_the_last_results_are_remembered() -> None:
    calls: list[str] = []

    @kept_if_short(2)
    def read(text: str) -> str:
        calls.append(text)
        return text

    for text in "abca":
        read(text)
    assert calls == ["a", "b", "c", "a"]
