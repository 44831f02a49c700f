from __future__ import annotations

from pathlib import Path

import pytest

from app.admission.rules import Doubt, Mode
from app.engine.required_flows import IpBlockMatchesPods
from app.errors import SettingsError
from app.logs import LogFormat, LogLevel
from app.names import FailurePolicy
from app.settings.load import load
from app.settings.model import Notice, Settings


def _file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "guard.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def _problems(path: Path | None, environment: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(path, environment or {})
    return [problem.replace(f"{path}:", "line ") for problem in caught.value.problems]


def test_without_file_and_variables_everything_has_the_strict_default() -> None:
    settings = load(None, {})
    assert settings == Settings()
    assert settings.mode is Mode.ENFORCE
    assert settings.on_state_error is Doubt.DENY
    assert settings.on_too_complex is Doubt.DENY
    assert settings.no_effect is Notice.WARN
    assert settings.platform_egress.outside is Notice.OFF
    assert settings.ip_block_matches_pods is IpBlockMatchesPods.UNKNOWN
    assert settings.guard_namespace == "netpol-guard"
    assert (settings.exempt.users, settings.exempt.groups, settings.exempt.namespaces) == ((), (), ())
    assert [(dns.namespace, dict(dns.pod_labels)) for dns in settings.platform_egress.dns] == [
        ("kube-system", {"k8s-app": "kube-dns"})
    ]
    assert (settings.limits.body_bytes, settings.limits.in_flight) == (8 * 1024 * 1024, 64)
    assert (settings.listen.port, settings.listen.health_port) == (8443, 8080)
    assert (settings.budget_seconds, settings.drain_seconds) == (1.0, 15.0)


def test_an_empty_file_is_the_defaults(tmp_path: Path) -> None:
    assert load(_file(tmp_path, "# nothing yet\n"), {}) == Settings()


def test_every_key_can_be_set_in_a_file(tmp_path: Path) -> None:
    settings = load(
        _file(
            tmp_path,
            """
            mode: audit
            onStateError: warn
            onTooComplex: warn
            exempt: {users: [alice], groups: ["system:masters"], namespaces: [sandbox]}
            guardNamespace: guard
            noEffect: "off"
            ipBlockMatchesPods: unknown
            platformEgress:
              dns: [{namespace: dns, podLabels: {app: coredns}}]
              outside: warn
            apiServer: {sources: [10.0.0.1, 10.1.0.0/16, "fd00::1"]}
            podCIDRs: [10.244.0.0/16]
            budgetSeconds: 0.5
            state: {kubeconfig: /etc/kube/config, context: prod}
            listen: {host: "::", port: 9443, healthHost: 127.0.0.1, healthPort: 9080}
            tls:
              {certFile: /tls/tls.crt, keyFile: /tls/tls.key,
               authorityDays: 30, servingDays: 9, overlapDays: 0.5, settleSeconds: 5}
            webhook: {failurePolicy: Ignore, checkSeconds: 60}
            pod: {name: guard-1, node: worker-1}
            limits: {bodyBytes: 1024, inFlight: 2}
            log: {level: debug, format: text}
            drainSeconds: 0
            """,
        ),
        {},
    )
    assert (settings.mode, settings.no_effect) == (Mode.AUDIT, Notice.OFF)
    assert settings.exempt.groups == ("system:masters",)
    assert settings.platform_egress.outside is Notice.WARN
    assert settings.platform_egress.dns[0].pod_labels == {"app": "coredns"}
    assert settings.api_server.sources == ("10.0.0.1/32", "10.1.0.0/16", "fd00::1/128")
    assert settings.pod_cidrs == ("10.244.0.0/16",)
    assert settings.state.context == "prod"
    assert settings.listen.health_host == "127.0.0.1"
    assert settings.tls.cert_file == Path("/tls/tls.crt")
    assert (settings.tls.authority_days, settings.tls.serving_days, settings.tls.overlap_days) == (30, 9, 0.5)
    assert (settings.webhook.failure_policy, settings.webhook.check_seconds) == (FailurePolicy.IGNORE, 60)
    assert (settings.pod.name, settings.pod.node) == ("guard-1", "worker-1")
    assert settings.limits.in_flight == 2
    assert (settings.log.level, settings.log.format) == (LogLevel.DEBUG, LogFormat.TEXT)
    assert settings.drain_seconds == 0


@pytest.mark.parametrize(
    ("lives", "problem"),
    [
        ("{authorityDays: 20, servingDays: 9}", "authorityDays must be at least three times servingDays"),
        ("{servingDays: 1, overlapDays: 0.6}", "servingDays must be at least twice overlapDays"),
    ],
)
def test_certificates_that_would_not_outlive_what_depends_on_them_are_refused(
    tmp_path: Path, lives: str, problem: str
) -> None:
    (told,) = _problems(_file(tmp_path, f"tls: {lives}\n"))
    assert told.startswith(f"line 1: tls: {problem}")


def test_words_that_yaml_takes_for_truth_values_mean_what_they_say(tmp_path: Path) -> None:
    settings = load(_file(tmp_path, "mode: off\nnoEffect: off\nplatformEgress: {outside: off}\n"), {})
    assert (settings.mode, settings.no_effect) == (Mode.OFF, Notice.OFF)
    assert (
        load(_file(tmp_path, "ipBlockMatchesPods: yes\n"), {}).ip_block_matches_pods is IpBlockMatchesPods.YES
    )
    assert (
        load(_file(tmp_path, "ipBlockMatchesPods: no\n"), {}).ip_block_matches_pods is IpBlockMatchesPods.NO
    )


def test_a_truth_value_that_is_no_word_of_the_key_is_refused(tmp_path: Path) -> None:
    assert _problems(_file(tmp_path, "mode: on\n")) == [
        "line 1: mode: must be 'enforce', 'warn', 'audit' or 'off'"
    ]
    assert _problems(_file(tmp_path, "listen: {port: yes}\n")) == [
        "line 1: listen.port: must be a number, not a truth value"
    ]


def test_a_variable_wins_over_the_file_and_the_file_over_the_default(tmp_path: Path) -> None:
    path = _file(tmp_path, "mode: warn\nlisten: {port: 1, healthPort: 2}\n")
    settings = load(path, {"NETPOL_GUARD_LISTEN__PORT": "3"})
    assert (settings.mode, settings.listen.port, settings.listen.health_port) == (Mode.WARN, 3, 2)


def test_lists_in_variables_are_written_with_commas_or_as_json() -> None:
    settings = load(
        None,
        {
            "NETPOL_GUARD_API_SERVER__SOURCES": "10.0.0.1, 10.1.0.0/16",
            "NETPOL_GUARD_EXEMPT__USERS": '["a,b", "c"]',
            "NETPOL_GUARD_PLATFORM_EGRESS__DNS": '[{"namespace": "dns", "podLabels": {"app": "x"}}]',
            "NETPOL_GUARD_POD_CIDRS": "",
        },
    )
    assert settings.api_server.sources == ("10.0.0.1/32", "10.1.0.0/16")
    assert settings.exempt.users == ("a,b", "c")
    assert settings.platform_egress.dns[0].namespace == "dns"
    assert settings.pod_cidrs == ()


def test_an_empty_variable_takes_away_what_is_optional(tmp_path: Path) -> None:
    path = _file(tmp_path, "state: {directory: /manifests}\n")
    assert load(path, {"NETPOL_GUARD_STATE__DIRECTORY": ""}).state.directory is None


def test_a_variable_may_name_the_file_and_an_argument_wins_over_it(tmp_path: Path) -> None:
    path = _file(tmp_path, "mode: warn\n")
    other = tmp_path / "other.yaml"
    other.write_text("mode: audit\n", encoding="utf-8")
    assert load(None, {"NETPOL_GUARD_CONFIG": str(path)}).mode is Mode.WARN
    assert load(other, {"NETPOL_GUARD_CONFIG": str(path)}).mode is Mode.AUDIT


def test_what_kubernetes_adds_for_a_service_of_this_name_is_no_setting() -> None:
    links = {
        "NETPOL_GUARD_SERVICE_HOST": "10.96.0.7",
        "NETPOL_GUARD_SERVICE_PORT": "443",
        "NETPOL_GUARD_SERVICE_PORT_HTTPS": "443",
        "NETPOL_GUARD_PORT": "tcp://10.96.0.7:443",
        "NETPOL_GUARD_PORT_443_TCP": "tcp://10.96.0.7:443",
        "NETPOL_GUARD_PORT_443_TCP_ADDR": "10.96.0.7",
        "NETPOL_GUARD_METRICS_SERVICE_HOST": "10.96.0.8",
    }
    assert load(None, links) == Settings()


def test_an_unknown_key_is_refused_with_the_one_that_was_probably_meant(tmp_path: Path) -> None:
    text = "mode: warn\nonStateErorr: warn\nplatformEgress:\n  dns:\n  - podLabls: {a: b}\n"
    assert _problems(_file(tmp_path, text)) == [
        "line 5: platformEgress.dns[0].podLabls: is no setting; did you mean podLabels?",
        "line 2: onStateErorr: is no setting; did you mean onStateError?",
    ]


def test_the_spelling_of_python_is_not_taken_in_a_file(tmp_path: Path) -> None:
    assert _problems(_file(tmp_path, "drain_seconds: 3\n")) == [
        "line 1: drain_seconds: is no setting; did you mean drainSeconds?"
    ]


def test_an_unknown_variable_is_refused_with_the_one_that_was_probably_meant() -> None:
    assert _problems(None, {"NETPOL_GUARD_LISTEN_PORTS": "1"}) == [
        "variable NETPOL_GUARD_LISTEN_PORTS: is no setting; did you mean NETPOL_GUARD_LISTEN__PORT?"
    ]


def test_everything_that_is_wrong_is_said_at_once_with_its_place(tmp_path: Path) -> None:
    text = "mode: strict\nlisten:\n  port: 70000\nlimits: 3\n"
    assert _problems(_file(tmp_path, text), {"NETPOL_GUARD_DRAIN_SECONDS": "soon"}) == [
        "line 1: mode: must be 'enforce', 'warn', 'audit' or 'off', not 'strict'",
        "line 3: listen.port: must be less than or equal to 65535, not 70000",
        "line 4: limits: must be a section of keys and values, not 3",
        (
            "variable NETPOL_GUARD_DRAIN_SECONDS: drainSeconds: must be a number, "
            "unable to parse string as a number, not 'soon'"
        ),
    ]


def test_an_address_that_is_none_says_what_would_be(tmp_path: Path) -> None:
    assert _problems(_file(tmp_path, "apiServer:\n  sources:\n  - 10.0.0.7/24\n  - master-1\n")) == [
        (
            "line 3: apiServer.sources[0]: has bits set behind its prefix; write 10.0.0.0/24 for the network "
            "or 10.0.0.7 for the address, not '10.0.0.7/24'"
        ),
        (
            "line 4: apiServer.sources[1]: must be an address such as 10.0.0.1 or a CIDR such as "
            "10.0.0.0/24, not 'master-1'"
        ),
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "state: {directory: /a, context: b}\n",
            "line 1: state: directory excludes kubeconfig and context: the state comes from one place",
        ),
        ("tls: {certFile: /a}\n", "line 1: tls: keyFile is missing: a certificate needs its key"),
        (
            "listen: {port: 8080}\n",
            "line 1: listen: port and healthPort are both 8080; they must differ",
        ),
    ],
)
def test_settings_that_exclude_each_other_are_refused(tmp_path: Path, text: str, problem: str) -> None:
    assert _problems(_file(tmp_path, text)) == [problem]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("mode: [\n", "line 2: is not YAML: expected the node content, but found '<stream end>'"),
        ("mode: warn\nmode: off\n", "line 2: mode: stands here a second time"),
        ("a: &a [*a]\n", "line 1: anchors and aliases are not taken here; write the value out"),
        ("- mode\n", "line  must hold keys and values at its top, such as `mode: enforce`"),
        ("? [a]\n: b\n", "line 1: is not YAML: found unhashable key"),
    ],
)
def test_a_file_that_is_no_settings_says_so(tmp_path: Path, text: str, problem: str) -> None:
    assert _problems(_file(tmp_path, text)) == [problem]


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    assert _problems(tmp_path / "absent.yaml") == ["line  cannot be read: No such file or directory"]
    path = tmp_path / "latin.yaml"
    path.write_bytes(b"mode: \xe9\n")
    assert _problems(path) == ["line  is not UTF-8 text"]
