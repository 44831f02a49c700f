"""The nonce probe: how somebody asks where the API server's calls come from, and what a guard answers.

A server-side dry run of a NetworkPolicy, or of the guard's namespace, carries a random nonce in an
annotation. The guard that the API server calls for it answers with one *warning*, which comes back to whoever
asked: the address that it saw the call come from, and which of its pods saw it (``docs/design/sources.md``,
Discovery).

::

    netpol-guard probe 1c5pVwYt3dXyBIoJjZl0yQ: peer=10.20.0.10 pod=netpol-guard-6f9c-x2x node=worker-1

Strict in what counts: a warning of another nonce, or of another shape, is no answer.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from app.engine.addresses import Address, address_of
from app.engine.cluster import MANAGED_LABEL, MANAGED_VALUE
from app.model.kinds import Manifest
from app.names import DOMAIN

PROBE_ANNOTATION = f"{DOMAIN}/probe"
PROBE_VERB = "probe"
"""The RBAC verb, on ``networkpolicies.networking.k8s.io``, that lets a user ask."""


_NONCE = re.compile(r"[A-Za-z0-9_-]{16,64}")
_ANSWER = re.compile(r"netpol-guard probe (\S+): peer=(\S+) pod=(\S+)(?: node=(\S+))?(?: \(.*\))?")
_REFUSAL = re.compile(r"netpol-guard probe (\S+): (refused|undecided): (.+)")
_HIDDEN = "hidden"
_LONGEST_REASON = 400


def new_nonce() -> str:
    """Return a nonce that nobody can guess."""
    return secrets.token_urlsafe(24)


def namespace_probe(nonce: str) -> Manifest:
    """Return the merge patch of the guard's own namespace whose dry run asks, as the webhook is registered.

    It is called there for a change of labels alone, and for the guard's alone (``deploy/webhook.yaml``).
    """
    return {"metadata": {"labels": {MANAGED_LABEL: MANAGED_VALUE}, "annotations": {PROBE_ANNOTATION: nonce}}}


def is_nonce(text: str) -> bool:
    """Tell whether ``text`` can be a nonce: 16 to 64 characters that are safe in a URL.

    >>> is_nonce(new_nonce()), is_nonce("too short"), is_nonce("x" * 65)
    (True, False, False)
    """
    return _NONCE.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class ProbeAnswer:
    """What one guard pod saw: the peer's address, None where a proxy in its pod hides it.

    ``str`` is the warning that says so; ``read_answer`` is its inverse.
    """

    nonce: str
    peer: Address | None
    pod: str
    node: str = ""

    def __str__(self) -> str:
        node = f" node={self.node}" if self.node else ""
        seen = f"peer={self.peer or _HIDDEN} pod={self.pod}{node}"
        why = "the call came from loopback: a proxy in the pod, such as a mesh sidecar"
        return f"netpol-guard probe {self.nonce}: {seen}" + ("" if self.peer else f" ({why})")


class Refusal(Enum):
    """Why a guard does not tell: the user may not know, or whether the user may could not be found out."""

    FORBIDDEN = "refused"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class ProbeRefusal:
    """A guard was reached, but does not tell; ``why`` says what the user lacks, or what went wrong."""

    nonce: str
    kind: Refusal
    why: str

    def __str__(self) -> str:
        why = " ".join(self.why.split())[:_LONGEST_REASON]
        return f"netpol-guard probe {self.nonce}: {self.kind.value}: {why}"


def seen(nonce: str, peer: str, pod: str, node: str = "") -> ProbeAnswer:
    """Return the answer of a guard pod that was called from ``peer``, the TCP peer's address as text.

    >>> print(seen("n" * 16, "::ffff:10.20.0.10", "guard-1", "worker-1"))
    netpol-guard probe nnnnnnnnnnnnnnnn: peer=10.20.0.10 pod=guard-1 node=worker-1
    """
    address = address_of(peer)
    hidden = address is None or address.is_loopback
    return ProbeAnswer(nonce, None if hidden else address, pod, node)


def read_answer(warnings: Iterable[str], nonce: str) -> ProbeAnswer | ProbeRefusal | None:
    """Return what a guard said to the probe ``nonce``, None where none said anything.

    >>> read_answer(["something else", str(ProbeAnswer("n" * 16, None, "guard-1"))], "n" * 16)
    ProbeAnswer(nonce='nnnnnnnnnnnnnnnn', peer=None, pod='guard-1', node='')
    """
    for warning in warnings:
        if (found := _REFUSAL.fullmatch(warning)) and found[1] == nonce:
            return ProbeRefusal(nonce, Refusal(found[2]), found[3])
        if (found := _ANSWER.fullmatch(warning)) and found[1] == nonce:
            peer = address_of(found[2])
            if peer is not None or found[2] == _HIDDEN:
                return ProbeAnswer(nonce, peer, found[3], found[4] or "")
    return None
