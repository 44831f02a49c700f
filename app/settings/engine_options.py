"""What an administrator decided, as the engine takes it: for the webhook and for the commands alike."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network

from app.engine.addresses import network_set
from app.engine.intervals import IntervalSet
from app.engine.policy import PodPeer
from app.engine.required_flows import Options
from app.engine.selectors import Selector
from app.settings.model import Notice, Settings


def options_of(settings: Settings) -> Options:
    """Return what the engine needs to know of the settings."""
    platform = settings.platform_egress
    options = Options(
        ip_block_matches_pods=settings.ip_block_matches_pods,
        dns=tuple(PodPeer.own(dns.namespace, Selector.labels(dns.pod_labels)) for dns in platform.dns),
        outside=platform.outside is Notice.WARN,
    )
    if not settings.pod_cidrs:
        return options
    addresses = IntervalSet.union(network_set(ip_network(cidr)) for cidr in settings.pod_cidrs)
    return replace(options, pod_addresses=addresses)
