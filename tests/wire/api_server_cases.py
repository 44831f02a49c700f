"""NetworkPolicy manifests with one thing wrong (or nothing), by a sentence that says what.

Each is a minimal valid policy with one part replaced. What an API server says to each is in
``api_server_says.json`` (see ``record.py``).
"""

from __future__ import annotations

from collections.abc import Mapping

Json = dict[str, object]


def policy(**spec: object) -> Json:
    """Return a minimal policy with ``spec``."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "p", "namespace": "ns"},
        "spec": {"podSelector": {}, **spec},
    }


def named(**metadata: object) -> Json:
    """Return a minimal policy with other metadata."""
    return {**policy(), "metadata": {"name": "p", "namespace": "ns", **metadata}}


def peer(item: object) -> Json:
    """Return a policy whose only ingress rule has the one peer ``item``."""
    return policy(ingress=[{"from": [item]}])


def block(cidr: object, *excepts: object) -> Json:
    """Return a policy whose only peer is an ``ipBlock``."""
    return peer(
        {"ipBlock": {"cidr": cidr, "except": list(excepts)}} if excepts else {"ipBlock": {"cidr": cidr}}
    )


def port(**item: object) -> Json:
    """Return a policy whose only egress rule has the one port ``item``."""
    return policy(egress=[{"ports": [item]}])


def labels(**match: object) -> Json:
    """Return a policy that selects pods by ``match``, members written ``a__b`` for ``a/b``."""
    return policy(
        podSelector={"matchLabels": {key.replace("__", "/"): value for key, value in match.items()}}
    )


def expression(**one: object) -> Json:
    """Return a policy that selects pods by one expression."""
    return policy(podSelector={"matchExpressions": [one]})


def without(obj: Mapping[str, object], member: str) -> Json:
    """Return ``obj`` without ``member``."""
    return {key: value for key, value in obj.items() if key != member}


CASES: dict[str, Json] = {
    # -- nothing wrong (rules 5, 7, 8, 11, 26, 28)
    "the minimal policy": policy(),
    "no spec at all": without(policy(), "spec"),
    "a null spec": {**policy(), "spec": None},
    "an egress rule without policyTypes": policy(egress=[{}]),
    "an empty egress without policyTypes": policy(egress=[]),
    "policyTypes empty": policy(policyTypes=[]),
    "policyTypes twice the same": policy(policyTypes=["Egress", "Egress"]),
    "null members everywhere": policy(ingress=None, egress=[{"to": None, "ports": None}], policyTypes=None),
    "a null rule": policy(ingress=[None]),
    "a null port": policy(ingress=[{"ports": [None]}]),
    "a label value that is null": labels(app=None),
    "an empty label value": labels(tier=""),
    "a port range": port(port=8000, endPort=9000),
    "a port range of one port": port(port=8000, endPort=8000),
    "a port name": port(port="https"),
    "a protocol alone": port(protocol="SCTP"),
    "a block with excepts": block("10.0.0.0/8", "10.1.0.0/16", "10.2.0.0/16"),
    "an unusual spelling of IPv6": block("FD00:0:0:0::/8"),
    "all of IPv6": block("::/0"),
    "an annotation with upper-case letters": named(annotations={"Example.COM/Key": "any text"}),
    "a finalizer of the platform": named(finalizers=["foregroundDeletion"]),
    # -- peers (rules 22, 28)
    "an empty peer": peer({}),
    "a null peer": peer(None),
    "a peer with only null members": peer({"podSelector": None, "ipBlock": None}),
    "a block beside a selector": peer({"podSelector": {}, "ipBlock": {"cidr": "10.0.0.0/8"}}),
    "a block beside both selectors": peer(
        {"podSelector": {}, "namespaceSelector": {}, "ipBlock": {"cidr": "10.0.0.0/8"}}
    ),
    "a block without a CIDR": peer({"ipBlock": {}}),
    "a block with an empty CIDR": block(""),
    "an address without a length": block("10.0.0.1"),
    "no address": block("example.com/8"),
    "an octet that is too large": block("10.0.0.256/32"),
    "a length that is too large": block("10.0.0.0/33"),
    "a length with a sign": block("10.0.0.0/+8"),
    "a netmask for a length": block("10.0.0.0/255.0.0.0"),
    "too many IPv6 groups": block("1:2:3:4:5:6:7:8:9/128"),
    "a zone in an IPv6 address": block("fe80::1%eth0/128"),
    "host bits": block("10.0.0.1/8"),
    "host bits in IPv6": block("fd00::1/8"),
    "leading zeros in an octet": block("010.0.0.0/8"),
    "a leading zero in the length": block("10.0.0.0/08"),
    "leading zeros in an IPv6 group": block("00fd0::/12"),
    "an IPv4-mapped address": block("::ffff:10.0.0.0/104"),
    "an except outside": block("10.0.0.0/8", "11.0.0.0/16"),
    "an except that is all of the block": block("10.0.0.0/8", "10.0.0.0/8"),
    "an except that is more than the block": block("10.1.0.0/16", "10.0.0.0/8"),
    "an except of the other family": block("10.0.0.0/8", "fd00::/64"),
    "an except that is no CIDR": block("10.0.0.0/8", "10.1"),
    "an except with host bits": block("10.0.0.0/8", "10.1.0.1/16"),
    "an except that is null": block("10.0.0.0/8", None),
    "an except of a block that is no CIDR": block("nonsense", "10.1.0.0/16"),
    # -- ports (rules 18, 21, 23)
    "port zero": port(port=0),
    "a port that is too large": port(port=65536),
    "a negative port": port(port=-1),
    "an unknown protocol": port(protocol="ICMP"),
    "a protocol in lower case": port(protocol="tcp"),
    "an endPort alone": port(endPort=80),
    "an endPort below the port": port(port=80, endPort=79),
    "an endPort that is too large": port(port=80, endPort=65536),
    "a negative endPort": port(port=80, endPort=-1),
    "an endPort beside a name": port(port="http", endPort=80),
    "an endPort beside a bad name": port(port="HTTP", endPort=80),
    "a port name that is too long": port(port="averylongportname"),
    "a port name without a letter": port(port="8080"),
    "a port name in upper case": port(port="HTTP"),
    "a port name with two dashes": port(port="a--b"),
    "a port name that ends in a dash": port(port="http-"),
    "an empty port name": port(port=""),
    # -- selectors (rules 15, 24)
    "an operator nobody knows": expression(key="app", operator="Gt", values=["1"]),
    "an operator in lower case": expression(key="app", operator="in", values=["db"]),
    "no operator": expression(key="app"),
    "a null expression": policy(podSelector={"matchExpressions": [None]}),
    "In without values": expression(key="app", operator="In"),
    "NotIn with no values": expression(key="app", operator="NotIn", values=[]),
    "Exists with values": expression(key="app", operator="Exists", values=["db"]),
    "DoesNotExist with values": expression(key="app", operator="DoesNotExist", values=["db"]),
    "a bad value in an expression": expression(key="app", operator="In", values=["db", "d b"]),
    "an empty key": expression(key="", operator="Exists"),
    "a key with a space": labels(**{"my app": "db"}),
    "a key with two slashes": labels(**{"a/b/c": "db"}),
    "a key with an empty prefix": labels(__app="db"),
    "a key with an empty name": labels(**{"example.com/": "db"}),
    "a key with a prefix that is no domain": labels(**{"Example_com/app": "db"}),
    "a key whose name is too long": labels(**{"a" * 64: "db"}),
    "a key whose prefix is too long": labels(**{f"{'a' * 254}/app": "db"}),
    "a value with a space": labels(app="d b"),
    "a value that is too long": labels(app="a" * 64),
    "a value that ends in a dash": labels(app="db-"),
    "a bad selector in a peer": peer({"namespaceSelector": {"matchLabels": {"a b": "c"}}}),
    # -- types, names, metadata (rule 24)
    "an unknown policy type": policy(policyTypes=["ingress"]),
    "a null policy type": policy(policyTypes=[None]),
    "three policy types": policy(policyTypes=["Ingress", "Egress", "Ingress"]),
    "a name with upper-case letters": named(name="Policy"),
    "a name with an underscore": named(name="my_policy"),
    "a name that is too long": named(name="a" * 254),
    "a namespace with a dot": named(namespace="a.b"),
    "a namespace with upper-case letters": named(namespace="Data"),
    "no name": named(name=None),
    "a generateName that is no name": named(generateName="My-"),
    "a bad label": named(labels={"a b": "c d"}),
    "a bad annotation": named(annotations={"a b": "c"}),
    "annotations that are too large": named(annotations={"a": "x" * (256 * 1024)}),
    "a finalizer without a domain": named(finalizers=["mine"]),
    "a finalizer that is no name": named(finalizers=["a b"]),
    # -- unknown fields (rule 27)
    "to in an ingress rule": policy(ingress=[{"to": [{"podSelector": {}}]}]),
    "from in an egress rule": policy(egress=[{"from": []}]),
    "a misspelled member of spec": policy(Ingress=[]),
    "a misspelled member of a selector": policy(podSelector={"matchlabels": {"a": "b"}}),
    "a misspelled member of a port": port(port=80, endport=90),
    "a misspelled member of a block": peer({"ipBlock": {"cidr": "10.0.0.0/8", "excepts": []}}),
    "a misspelled member of an expression": expression(key="a", operator="Exists", value="b"),
    "an unknown member beside spec": {**policy(), "specs": {}},
    "an unknown member of metadata": named(lables={}),
    # -- values of the wrong type
    "a spec that is a list": {**policy(), "spec": []},
    "an ingress that is an object": policy(ingress={}),
    "a rule that is a string": policy(ingress=["all"]),
    "peers that are an object": policy(ingress=[{"from": {"podSelector": {}}}]),
    "a port that is a boolean": port(port=True),
    "a port that is a fraction": port(port=80.5),
    "a label that is a boolean": labels(managed=True),
    "a label that is a number": labels(version=2),
    "values that are a string": expression(key="a", operator="In", values="b"),
    "a CIDR that is a number": block(10),
    "policyTypes that are a string": policy(policyTypes="Ingress"),
    "a name that is a number": named(name=1),
}
