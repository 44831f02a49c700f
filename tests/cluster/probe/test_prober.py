"""How long one address is asked, with a guard of the tests' own behind it."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from app.cluster.client.connection import ApiAnswer, ApiRequest, Method
from app.cluster.client.errors import refusal
from app.cluster.probe import prober
from app.cluster.probe.api_servers import ApiServerEndpoint
from app.cluster.probe.prober import Prober, ProbeTimeouts, _Record
from app.cluster.probe.questions import OwnNamespaceQuestion, PolicyQuestion, Question
from app.deadline import Deadline
from app.errors import StateUnreadable
from app.model.measurement import Reach
from app.model.probe import PROBE_ANNOTATION, ProbeRefusal, Refusal, seen

Say = Callable[[str], str]
"""What a guard answers to a nonce; "" for nothing."""


IN_MANAGED = PolicyQuestion("managed")


def sees(peer: str, pod: str = "guard-1") -> Say:
    return lambda nonce: str(seen(nonce, peer, pod, "worker-1"))


def silent(_: str) -> str:
    return ""


class ApiServer:
    """Answers dry runs as the guards behind it say, in turn; the last one again and again."""

    def __init__(self, *says: Say) -> None:
        self.requests: list[ApiRequest] = []
        self.connections = 0
        self._says = list(says)

    def call(self, request: ApiRequest, deadline: Deadline) -> ApiAnswer:  # noqa: ARG002 - the interface
        self.requests.append(request)
        say = self._says.pop(0) if len(self._says) > 1 else self._says[0]
        annotations = json.loads(request.body or b"")["metadata"]["annotations"]
        said = say(annotations[PROBE_ANNOTATION])
        return ApiAnswer(b"{}", ("unrelated", said) if said else ())

    def close(self) -> None:
        self.connections += 1


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prober, "_PAUSE_SECONDS", 0)


def asked(
    server: ApiServer,
    timeouts: ProbeTimeouts = ProbeTimeouts(),  # noqa: B008 - frozen
    question: Question = IN_MANAGED,
) -> _Record:
    endpoint = ApiServerEndpoint("10.99.0.1:6443", Reach.SINGLE, server)  # type: ignore[arg-type]  # as much of one as is needed
    return Prober(None)._ask(endpoint, question, timeouts)  # type: ignore[arg-type]  # its configuration is not used


def test_twenty_probes_without_news_end_it() -> None:
    assert asked(ApiServer(sees("10.0.0.1"))).probes == 21


def test_each_new_way_asks_for_twenty_more() -> None:
    says = [*[sees("10.0.0.1")] * 15, sees("10.0.0.1", "guard-2"), *[sees("10.0.0.1")] * 19, sees("10.0.0.2")]
    record = asked(ApiServer(*says))
    assert record.probes == len(says) + 20
    assert [
        (str(observation.peer), observation.pod, observation.times) for observation in record.observations()
    ] == [
        ("10.0.0.1", "guard-1", 34),
        ("10.0.0.1", "guard-2", 1),
        ("10.0.0.2", "guard-1", 21),
    ]


def test_an_endless_stream_of_news_ends_all_the_same() -> None:
    ways = [sees(f"fd00::{number:x}") for number in range(1000)]
    assert asked(ApiServer(*ways)).probes == 400


def test_every_probe_is_a_dry_run_on_a_connection_and_with_a_nonce_of_its_own() -> None:
    server = ApiServer(sees("10.0.0.1"))
    asked(server)
    assert server.connections == len(server.requests) == 21
    assert {(request.method, request.query["dryRun"]) for request in server.requests} == {
        (Method.CREATE, "All")
    }
    assert len({request.body for request in server.requests}) == 21


def test_a_few_probes_without_any_answer_end_it_and_say_why() -> None:
    record = asked(ApiServer(silent))
    assert record.probes == 3
    assert record.coverage().trouble.startswith("no guard answered")


def test_a_webhook_that_was_just_registered_is_waited_for_and_the_wait_does_not_count() -> None:
    says = [*[silent] * 10, sees("10.0.0.1")]
    record = asked(ApiServer(*says), ProbeTimeouts(for_first_answer=60))
    assert (record.probes, record.coverage().trouble) == (21, "")


def test_members_that_learn_of_the_webhook_later_than_the_first_are_waited_for_too() -> None:
    says = [sees("10.0.0.1"), *[silent] * 30, sees("10.0.0.2")]
    record = asked(ApiServer(*says), ProbeTimeouts(for_first_answer=60))
    assert [str(observation.peer) for observation in record.observations()] == ["10.0.0.1", "10.0.0.2"]
    assert record.coverage().trouble == ""


def test_probes_that_are_not_answered_in_between_are_counted() -> None:
    says = [sees("10.0.0.1"), silent, silent, sees("10.0.0.1")]
    coverage = asked(ApiServer(*says)).coverage()
    assert (coverage.probes, coverage.answers) == (21, 19)


def test_whoever_may_not_probe_is_not_asked_about_again() -> None:
    server = ApiServer(lambda nonce: str(ProbeRefusal(nonce, Refusal.FORBIDDEN, "dev may not")))
    with pytest.raises(StateUnreadable, match="the guard says: dev may not") as failed:
        asked(server)
    assert 'verbs: ["probe"] in namespace managed' in failed.value.how
    assert len(server.requests) == 1


def test_the_guard_asks_by_a_dry_run_on_its_own_namespace_alone() -> None:
    server = ApiServer(sees("10.0.0.1"))
    assert asked(server, question=OwnNamespaceQuestion("guards")).coverage().answers == 21
    assert {(request.method, request.path, request.query["dryRun"]) for request in server.requests} == {
        (Method.MERGE, "/api/v1/namespaces/guards", "All")
    }
    (body, *_) = (json.loads(request.body or b"") for request in server.requests)
    assert body["metadata"]["labels"] == {"iomete.com/managed": "true"}


def test_a_guard_that_may_not_ask_is_told_the_rule_that_is_missing() -> None:
    server = ApiServer(lambda nonce: str(ProbeRefusal(nonce, Refusal.FORBIDDEN, "the guard may not")))
    with pytest.raises(StateUnreadable) as failed:
        asked(server, question=OwnNamespaceQuestion("guards"))
    assert 'resources: ["namespaces"], verbs: ["probe"] in namespace guards' in failed.value.how


def test_a_process_that_ends_asks_no_more() -> None:
    server = ApiServer(sees("10.0.0.1"))
    endpoint = ApiServerEndpoint("10.99.0.1:6443", Reach.SINGLE, server)  # type: ignore[arg-type]  # as above
    prober = Prober(None, is_stopped=lambda: len(server.requests) == 3)  # type: ignore[arg-type]  # as above
    assert prober._ask(endpoint, IN_MANAGED, ProbeTimeouts()).probes == 3


def test_where_the_right_to_probe_could_not_be_found_out_it_is_tried_again() -> None:
    says = [lambda nonce: str(ProbeRefusal(nonce, Refusal.UNDECIDED, "timed out")), sees("10.0.0.1")]
    assert asked(ApiServer(*says)).coverage().answers == 21


class Refusing(ApiServer):
    """Refuses so many dry runs, with a status and a message, before the guards are asked."""

    def __init__(self, status: int, said: str, times: int, *says: Say) -> None:
        super().__init__(*says)
        self.refusals = [(status, said)] * times

    def call(self, request: ApiRequest, deadline: Deadline) -> ApiAnswer:
        if self.refusals:
            status, said = self.refusals.pop()
            raise refusal(status, json.dumps({"message": said}).encode(), request.purpose)
        return super().call(request, deadline)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_moment_of_overload_does_not_end_it(status: int) -> None:
    coverage = asked(Refusing(status, "too many requests", 2, sees("10.0.0.1"))).coverage()
    assert (coverage.answers, coverage.probes) == (21, 23)
    assert "too many requests" in coverage.trouble


@pytest.mark.parametrize("status", [401, 403, 404, 422])
def test_a_request_that_is_refused_for_good_is_not_sent_again(status: int) -> None:
    server = Refusing(status, "no", 2, sees("10.0.0.1"))
    with pytest.raises(StateUnreadable, match=str(status)):
        asked(server)
    assert len(server.refusals) == 1


def test_an_answer_counts_although_another_webhook_denied_the_dry_run() -> None:
    class Denying(ApiServer):
        def call(self, request: ApiRequest, deadline: Deadline) -> ApiAnswer:
            answer = super().call(request, deadline)
            denied = b'{"message": "admission webhook \\"other\\" denied the request: no"}'
            refused = refusal(403, denied, request.purpose)
            refused.warnings = answer.warnings
            raise refused

    assert asked(Denying(sees("10.0.0.1"))).coverage().answers == 21
