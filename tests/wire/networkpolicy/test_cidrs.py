from __future__ import annotations

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.wire.networkpolicy.cidrs import HOST_BITS, LEADING_ZEROS, MAPPED, Cidr, read_cidr
from tests.wire.strategies import v4_networks, v6_networks


@given(st.one_of(v4_networks(), v6_networks()).map(str))
def test_every_network_is_read_as_itself(text: str) -> None:
    assert read_cidr(text) == Cidr(ip_network(text))


@given(v4_networks(), st.integers(0, 4))
def test_leading_zeros_change_nothing_but_are_complained_about(network: object, zeros: int) -> None:
    address, length = str(network).split("/")
    padded = ".".join(f"{'0' * zeros}{octet}" for octet in address.split("."))
    read = read_cidr(f"{padded}/{length}")
    assert read is not None
    assert str(read.network) == str(network)
    assert read.complaint == (LEADING_ZEROS if zeros else None)


@given(st.text(alphabet="0123456789abcdef:./% ", max_size=24))
def test_no_text_makes_the_reader_fail(text: str) -> None:
    read = read_cidr(text)
    assert read is None or ip_network(str(read.network)) == read.network


@pytest.mark.parametrize(
    "text",
    [
        *("", "/", "/8", "10.0.0.0", "10.0.0.0/", "10.0.0/8", "10.0.0.0.0/8", "10.0.0.0/33", "10.0.0.0/-1"),
        *("10.0.0.0/255.0.0.0", "10.0.0.0/8/8", "256.0.0.0/8", "a.b.c.d/8", " 10.0.0.0/8", "10.0.0.0/8\n"),
        *("::/129", ":::/8", "1::2::3/8", "fe80::1%eth0/64", "12345::/16", "::10.0.0/104", "\uff110.0.0.0/8"),
    ],
)
def test_what_no_api_server_ever_took_is_not_read(text: str) -> None:
    assert read_cidr(text) is None


@pytest.mark.parametrize(
    ("text", "network", "complaint"),
    [
        ("10.0.0.7/8", "10.0.0.0/8", HOST_BITS),
        ("010.0.0.0/8", "10.0.0.0/8", LEADING_ZEROS),
        ("10.0.0.0/08", "10.0.0.0/8", LEADING_ZEROS),
        ("00fd::/16", "fd::/16", None),
        ("000fd::/16", "fd::/16", LEADING_ZEROS),
        ("FD00:0::0/8", "fd00::/8", None),
        ("::ffff:10.0.0.0/104", "::ffff:a00:0/104", MAPPED),
        ("::ffff:010.0.0.0/104", "::ffff:a00:0/104", LEADING_ZEROS),
    ],
)
def test_what_only_old_api_servers_took_is_read_with_a_complaint(
    text: str, network: str, complaint: str | None
) -> None:
    assert read_cidr(text) == Cidr(ip_network(network), complaint)


@pytest.mark.parametrize(
    ("outer", "inner", "expected"),
    [
        ("10.0.0.0/8", "10.1.0.0/16", True),
        ("10.0.0.0/8", "10.0.0.0/8", False),
        ("10.1.0.0/16", "10.0.0.0/8", False),
        ("10.0.0.0/8", "11.0.0.0/16", False),
        ("10.0.0.0/8", "fd00::/64", False),
        ("::/0", "10.0.0.0/8", False),
        ("::/0", "fd00::/8", True),
        ("::ffff:10.0.0.0/104", "::ffff:10.1.0.0/112", True),
    ],
)
def test_an_except_lies_strictly_inside_its_block(outer: str, inner: str, *, expected: bool) -> None:
    one, other = read_cidr(outer), read_cidr(inner)
    assert one is not None
    assert other is not None
    assert one.holds(other) is expected
