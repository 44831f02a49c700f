from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.engine.addresses import address_of
from app.model.probe import ProbeAnswer, ProbeRefusal, Refusal, is_nonce, new_nonce, read_answer, seen

NONCE = "0123456789abcdef"
PODS = st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,60}[a-z0-9])?", fullmatch=True)


@given(peer=st.none() | st.ip_addresses(), pod=PODS, node=st.just("") | PODS)
def test_what_a_guard_answers_is_read_back_as_it_was_meant(peer: object, pod: str, node: str) -> None:
    answer = seen(NONCE, "" if peer is None else str(peer), pod, node)
    assert read_answer([str(answer)], NONCE) == answer


@given(
    kind=st.sampled_from(Refusal),
    why=st.text(st.characters(exclude_categories=["C"]), min_size=1).filter(str.strip),
)
def test_a_refusal_is_read_back_with_its_reason_on_one_line(kind: Refusal, why: str) -> None:
    found = read_answer([str(ProbeRefusal(NONCE, kind, why))], NONCE)
    assert isinstance(found, ProbeRefusal)
    assert found.kind is kind
    assert " ".join(why.split())[:400].strip() == found.why.strip()


@pytest.mark.parametrize("length", [16, 64])
def test_a_nonce_has_16_to_64_characters(length: int) -> None:
    assert is_nonce("A" * length)
    assert not is_nonce("A" * (15 if length == 16 else 65))


@pytest.mark.parametrize(
    "text", ["", NONCE + "\n", f"{NONCE}: peer=1.2.3.4", NONCE + "é", NONCE + " ", "x" * 15]
)
def test_what_is_not_safe_in_a_url_is_no_nonce(text: str) -> None:
    assert not is_nonce(text)


def test_every_new_nonce_is_valid_and_different() -> None:
    found = {new_nonce() for _ in range(1000)}
    assert len(found) == 1000
    assert all(map(is_nonce, found))


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("10.20.0.10", "10.20.0.10"),
        ("::ffff:10.20.0.10", "10.20.0.10"),
        ("::ffff:a14:a", "10.20.0.10"),
        ("fd00::10", "fd00::10"),
        ("fe80::1%eth0", "fe80::1"),
    ],
)
def test_an_ipv4_peer_of_an_ipv6_socket_is_told_as_ipv4(peer: str, address: str) -> None:
    assert seen(NONCE, peer, "pod").peer == ip_address(address)


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.0.0.6", "::1", "::ffff:127.0.0.1", "", "unix:"])
def test_a_peer_on_loopback_is_hidden_and_the_answer_says_why(peer: str) -> None:
    answer = seen(NONCE, peer, "pod")
    assert answer.peer is None
    assert str(answer) == (
        f"netpol-guard probe {NONCE}: peer=hidden pod=pod"
        " (the call came from loopback: a proxy in the pod, such as a mesh sidecar)"
    )


@pytest.mark.parametrize(
    "warning",
    [
        "",
        "netpol-guard: default-deny has no effect",
        f"netpol-guard probe {NONCE}:",
        f"netpol-guard probe {NONCE}: peer=10.0.0.1",
        f"netpol-guard probe {NONCE}: peer=everywhere pod=x",
        f"netpol-guard probe {NONCE}: peer=10.0.0.0/8 pod=x",
        f"netpol-guard probe {NONCE}: pod=x peer=10.0.0.1",
        f"netpol-guard probe {NONCE}: peer=10.0.0.1 pod=x node=y and more",
        f"said: netpol-guard probe {NONCE}: peer=10.0.0.1 pod=x",
        f"netpol-guard probe {NONCE}x: peer=10.0.0.1 pod=x",
    ],
)
def test_a_warning_of_another_shape_or_of_another_probe_is_no_answer(warning: str) -> None:
    assert read_answer([warning], NONCE) is None


def test_the_answer_is_found_among_other_warnings() -> None:
    answer = ProbeAnswer(NONCE, address_of("10.0.0.1"), "guard-1", "worker")
    other = ProbeAnswer("f" * 16, address_of("10.0.0.2"), "guard-2")
    assert read_answer(["something", str(other), str(answer)], NONCE) == answer
