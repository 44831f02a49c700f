from __future__ import annotations

from app import __version__
from app.metrics import Metrics


def _lines(metrics: Metrics) -> list[str]:
    body, _ = metrics.render()
    return body.decode().splitlines()


def test_a_decision_is_counted_under_its_labels_with_its_time() -> None:
    metrics = Metrics()
    for _ in range(2):
        metrics.record_decision(("DELETE", "networkpolicies", "deny", "enforce"), 0.0002)
    metrics.record_decision(("CREATE", "networkpolicies", "allow", "enforce"), 2.0)
    lines = _lines(metrics)
    assert (
        'netpol_guard_decisions_total{mode="enforce",operation="DELETE",resource="networkpolicies",'
        'verdict="deny"} 2.0'
    ) in lines
    assert 'netpol_guard_decision_seconds_bucket{le="0.0001"} 0.0' in lines
    assert 'netpol_guard_decision_seconds_bucket{le="0.00025"} 2.0' in lines
    assert 'netpol_guard_decision_seconds_bucket{le="+Inf"} 3.0' in lines


def test_overrides_and_refusals_are_counted_by_outcome() -> None:
    metrics = Metrics()
    metrics.record_override("honoured")
    metrics.record_way("watched")
    metrics.record_refusal("overload")
    lines = _lines(metrics)
    assert 'netpol_guard_overrides_total{outcome="honoured"} 1.0' in lines
    assert 'netpol_guard_changes_total{way="watched"} 1.0' in lines
    assert 'netpol_guard_refused_requests_total{reason="overload"} 1.0' in lines


def test_gauges_are_asked_for_when_somebody_scrapes() -> None:
    metrics = Metrics()
    counts = iter([2, 3])
    metrics.watch_in_flight(lambda: next(counts))
    metrics.set_certificate_expiry(1_800_000_000)
    metrics.set_authority_expiry(1_900_000_000)
    metrics.record_reconcile("configuration: caBundle")
    assert "netpol_guard_in_flight_requests 2.0" in _lines(metrics)
    lines = _lines(metrics)
    assert "netpol_guard_in_flight_requests 3.0" in lines
    assert "netpol_guard_certificate_expiry_timestamp_seconds 1.8e+09" in lines
    assert "netpol_guard_authority_expiry_timestamp_seconds 1.9e+09" in lines
    assert 'netpol_guard_upkeep_total{what="configuration: caBundle"} 1.0' in lines


def test_whether_the_ledger_is_in_use_is_one_or_zero() -> None:
    metrics = Metrics()
    assert "netpol_guard_ledger_in_use 0.0" in _lines(metrics)
    metrics.set_ledger_in_use(is_in_use=True)
    assert "netpol_guard_ledger_in_use 1.0" in _lines(metrics)
    metrics.set_ledger_in_use(is_in_use=False)
    assert "netpol_guard_ledger_in_use 0.0" in _lines(metrics)


def test_the_version_and_the_process_are_reported() -> None:
    lines = _lines(Metrics())
    assert f'netpol_guard_info{{version="{__version__}"}} 1.0' in lines
    assert any(line.startswith("process_resident_memory_bytes ") for line in lines)


def test_two_instances_do_not_share_counts() -> None:
    first, second = Metrics(), Metrics()
    first.record_override("honoured")
    assert not any("honoured" in line for line in _lines(second))
