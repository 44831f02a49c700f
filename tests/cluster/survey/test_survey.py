from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from cryptography.x509 import load_pem_x509_certificate

from app.certificates.expiry import Validity
from app.certificates.issue import issue_serving, make_authority
from app.certificates.pairs import Pair
from app.cli.examination import ExaminationOptions, context_of
from app.cluster.survey.collected import Collected, Questions
from app.cluster.survey.live import Surveyor
from app.doctor.checks.neighbours import NEIGHBOUR_SELECTORS
from app.doctor.context import Product
from app.doctor.examine import examine
from app.doctor.findings import Check, Report
from app.errors import StateUnreadable
from app.model.survey import CallOutcome, ConfigMapUse
from tests.doctor.load import large
from tests.doctor.paginated import Manifest, Paginated
from tests.doctor.world import GUARD, OPERATOR, controlled, healthy, with_status


def objects() -> list[Manifest]:
    found = healthy()
    return [*map(with_status, found.values()), *controlled(found)]


def look(api: Paginated, *, calls: bool = True) -> Collected:
    return Surveyor(api, Questions(Product.shipped().service, NEIGHBOUR_SELECTORS, calls=calls)).collect()


def report_of(api: Paginated) -> Report:
    return examine(context_of(look(api), ExaminationOptions()))


def test_a_live_look_finds_the_same_as_manifests_do() -> None:
    assert report_of(Paginated(objects())).findings == ()


def test_the_number_of_calls_does_not_depend_on_the_number_of_namespaces() -> None:
    few, many = Paginated(large(2, 3)), Paginated(large(120, 3))
    look(few)
    look(many)
    assert few.count() == many.count()
    assert few.count().total() < 40


def test_a_list_takes_a_call_for_each_page_and_no_more() -> None:
    api = Paginated(large(400, 3))
    look(api)
    policies = 400 * 3 + 7
    assert api.count()["/apis/networking.k8s.io/v1/networkpolicies"] == -(-policies // 500)
    assert api.count()["/api/v1/namespaces"] == 1


def test_nothing_is_read_namespace_by_namespace_but_what_belongs_to_a_webhook_or_the_guard() -> None:
    api = Paginated(large(50, 3))
    look(api)
    namespaces = {
        path.split("/namespaces/")[1].split("/")[0] for path in api.requests if "/namespaces/" in path
    }
    assert namespaces <= {"iomete-system", "netpol-guard", "kube-system"}


def test_webhooks_are_called_through_the_api_server_and_any_answer_shows_that_they_are_reached() -> None:
    survey = look(Paginated(objects())).survey
    assert {key: call.outcome for key, call in survey.calls.items()} == {
        OPERATOR: CallOutcome.ANSWERED,
        GUARD: CallOutcome.ANSWERED,
    }


def test_without_calls_no_webhook_is_called() -> None:
    api = Paginated(objects())
    assert look(api, calls=False).survey.calls == {}
    assert not any("/proxy" in path for path in api.requests)


def test_private_keys_are_never_kept() -> None:
    collected = look(Paginated(objects()))
    assert b"CERTIFICATE" in collected.survey.certificates[GUARD]
    assert "PRIVATE" not in repr(collected)


@pytest.mark.parametrize(
    "resource",
    [
        "services",
        "endpointslices",
        "mutatingwebhookconfigurations",
        "validatingwebhookconfigurations",
        "customresourcedefinitions",
        "nodes",
        "pods",
        "deployments",
        "secrets",
        "configmaps",
    ],
)
def test_what_must_not_be_read_is_listed_with_the_missing_rule_and_makes_no_false_alarm(
    resource: str,
) -> None:
    report = report_of(Paginated(objects(), forbidden=frozenset({resource})))
    assert {finding.check for finding in report.findings} == {Check.UNCHECKED}
    rules = " ".join(finding.repair.words for finding in report.findings if finding.repair is not None)
    assert f'resources: ["{resource}"' in rules


def test_a_call_that_is_not_permitted_is_listed_with_its_rule() -> None:
    report = report_of(Paginated(objects(), forbidden=frozenset({"services/https"})))
    assert {finding.check for finding in report.findings} == {Check.UNCHECKED}
    assert report.findings[0].repair is not None
    assert 'resources: ["services/proxy"], verbs: ["get"]' in report.findings[0].repair.words


@pytest.mark.parametrize("resource", ["namespaces", "networkpolicies"])
def test_without_namespaces_or_policies_there_is_nothing_to_look_at(resource: str) -> None:
    with pytest.raises(StateUnreadable, match=f'resources: ."{resource}".'):
        look(Paginated(objects(), forbidden=frozenset({f"v1/{resource}"})))


def test_policies_of_a_namespace_that_came_or_went_meanwhile_do_no_harm() -> None:
    gone = [stored for stored in objects() if stored["metadata"]["name"] != "data-plane-2"]
    report = report_of(Paginated(gone))
    assert report.is_healthy
    assert not any(finding.namespace == "data-plane-2" for finding in report.findings)


def test_a_namespace_that_is_being_deleted_is_not_examined() -> None:
    found = objects()
    for each in found:
        if (each["kind"], each["metadata"]["name"]) == ("Namespace", "data-plane-2"):
            each["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    broken = [
        each
        for each in found
        if (each["kind"], each["metadata"].get("namespace")) != ("NetworkPolicy", "data-plane-2")
    ]
    assert report_of(Paginated(broken)).findings == ()


def test_a_webhook_that_cannot_be_reached_is_found_by_the_call_and_named_silent_and_slow() -> None:
    class Broken(Paginated):
        """Its proxy reaches nobody."""

        def answer(self, path: str, query: object) -> tuple[int, bytes]:
            if "spark-operator-webhook" in path and path.endswith("/healthz"):
                said = "error trying to reach service: dial tcp 10.1.0.1:9443: i/o timeout"
                return 503, json.dumps({"kind": "Status", "message": said}).encode()
            return super().answer(path, query)  # type: ignore[arg-type]  # as it came

    (finding,) = report_of(Broken(objects())).findings
    assert finding.check is Check.WEBHOOK_UNREACHABLE
    assert "silent, slow failure" in finding.consequence
    assert "i/o timeout" in finding.evidence[0]


def test_declared_sources_of_the_guards_settings_count() -> None:
    found = objects()
    for each in found:
        if each["metadata"]["name"] == "netpol-guard-settings":
            each["data"] = {"settings.yaml": "apiServer: {sources: [10.1.2.3]}"}
    context = context_of(look(Paginated(found)), ExaminationOptions())
    assert [source.provenance.value for source in context.verdicts.cluster.sources] == ["declared"]
    given = replace(ExaminationOptions(), api_servers=("10.9.9.9",))
    sources = context_of(look(Paginated(found)), given).verdicts.cluster.sources
    assert [source.origin for source in sources] == ["given by --api-server"]


def test_a_certificate_that_no_secret_holds_is_looked_at_where_it_is_served() -> None:
    pair = issue(f"{OPERATOR[1]}.{OPERATOR[0]}.svc")
    with serving(pair) as port:
        found = [stored for stored in objects() if stored["metadata"]["name"] != "spark-operator-certs"]
        for each in found:
            if each["kind"] == "EndpointSlice" and each["metadata"]["name"].startswith("spark-operator"):
                each["endpoints"][0]["addresses"], each["ports"][0]["port"] = ["127.0.0.1"], port
        shown = look(Paginated(found)).survey.certificates[OPERATOR]
        unseen = look(Paginated(found), calls=False).survey.certificates
    assert load_pem_x509_certificate(shown) == load_pem_x509_certificate(pair.certificate)
    assert OPERATOR not in unseen


def test_a_certificate_of_somebody_else_at_a_pods_address_says_nothing() -> None:
    with serving(issue("somebody.else")) as port:
        found = [stored for stored in objects() if stored["metadata"]["name"] != "spark-operator-certs"]
        for each in found:
            if each["kind"] == "EndpointSlice" and each["metadata"]["name"].startswith("spark-operator"):
                each["endpoints"][0]["addresses"], each["ports"][0]["port"] = ["127.0.0.1"], port
        assert OPERATOR not in look(Paginated(found)).survey.certificates


class Scraped(Paginated):
    """A cluster whose guard answers with metrics."""

    metrics = b""

    def answer(self, path: str, query: Mapping[str, str]) -> tuple[int, bytes]:
        if path == "/api/v1/namespaces/netpol-guard/services/http:netpol-guard:metrics/proxy/metrics":
            return 200, self.metrics
        return super().answer(path, query)


@pytest.mark.parametrize(
    ("metrics", "use"),
    [
        (b"# HELP x y\nnetpol_guard_ledger_in_use 1.0\nother 0.0\n", ConfigMapUse.USED),
        (b"# HELP x y\nnetpol_guard_ledger_in_use 0.0\nother 1.0\n", ConfigMapUse.UNUSED),
        (b"netpol_guard_in_flight_requests 0.0\n", ConfigMapUse.UNKNOWN),
        (
            b"netpol_guard_ledger_in_use 1.0\nnetpol_guard_replicas_without_ledger 0.0\n",
            ConfigMapUse.USED,
        ),
        (
            b"netpol_guard_ledger_in_use 0.0\nnetpol_guard_replicas_without_ledger 2.0\n",
            ConfigMapUse.BESIDE_OTHERS,
        ),
        (b"", ConfigMapUse.UNKNOWN),
    ],
)
def test_whether_the_ledger_is_in_use_is_what_a_replica_says(metrics: bytes, use: ConfigMapUse) -> None:
    api = Scraped(objects())
    api.metrics = metrics
    assert look(api).survey.ledger is use
    found = {finding.check for finding in report_of(api).findings}
    assert (Check.GUARD_LEDGER in found) is (use in {ConfigMapUse.UNUSED, ConfigMapUse.BESIDE_OTHERS})
    assert look(api, calls=False).survey.ledger is ConfigMapUse.UNKNOWN


def test_a_ledger_that_is_not_there_is_missing_and_one_that_must_not_be_read_is_not() -> None:
    found = [each for each in objects() if each["metadata"]["name"] != "netpol-guard-ledger"]
    assert look(Paginated(found)).survey.ledger is ConfigMapUse.MISSING
    hidden = Paginated(found, forbidden=frozenset({"configmaps"}))
    assert look(hidden).survey.ledger is ConfigMapUse.UNKNOWN
    assert Check.GUARD_LEDGER not in {finding.check for finding in report_of(hidden).findings}


def issue(host: str) -> Pair:
    validity = Validity.lasting(timedelta(days=1), datetime.now(UTC))
    return issue_serving(make_authority("the test", validity), (host,), validity)


@contextmanager
def serving(pair: Pair) -> Iterator[int]:
    """Serve TLS on loopback; yield the port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with TemporaryDirectory() as folder:
        files = Path(folder, "crt"), Path(folder, "key")
        for file, pem in zip(files, (pair.certificate, pair.key), strict=True):
            file.write_bytes(pem)
        context.load_cert_chain(*files)
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as threads:

        def greet() -> None:
            connection, _ = listener.accept()
            with connection, suppress(OSError), context.wrap_socket(connection, server_side=True) as secured:
                secured.recv(1)

        answered = threads.submit(greet)
        yield listener.getsockname()[1]
        answered.result(10)
