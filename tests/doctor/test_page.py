from __future__ import annotations

import re
from collections.abc import Iterable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from app.doctor.examine import examine
from app.doctor.report.machine import Examination, as_html
from tests.doctor.browser import dom_of, picture_of
from tests.doctor.world import Manifest, changed, context, healthy

HOSTILE = "<script>alert(1)</script>\"'&"
BROKEN: tuple[Manifest, ...] = (
    {"delete": "NetworkPolicy data-plane/iomete-ingress-egress"},
    {
        "patch": "NetworkPolicy data-plane-2/iomete-ingress-egress",
        "with": {"metadata": {"annotations": {"netpol-guard.iomete.com/override": HOSTILE}}},
    },
)


def page(change: Iterable[Manifest] = BROKEN) -> str:
    given = context(changed(healthy(), change))
    return as_html(Examination(examine(given), given, "https://cluster.example:6443"))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(page())
    return path


class Links(HTMLParser):
    """Collects what a page loads or runs."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        loading = [name for name, _ in attrs if name in {"src", "href", "srcset", "data"} or name[:2] == "on"]
        if tag in {"script", "link", "img", "iframe", "object"} or loading:
            self.found.append(tag)


def test_the_page_loads_nothing_and_runs_nothing() -> None:
    links = Links()
    links.feed(page())
    assert links.found == []
    assert "url(" not in page()
    assert "default-src &#x27;none&#x27;" in page() or "default-src 'none'" in page()


def test_what_people_write_into_a_cluster_is_text_on_the_page() -> None:
    assert "<script>" not in page()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#x27;&amp;" in page()


def test_the_page_shows_every_namespace_by_every_flow_with_witness_and_fix() -> None:
    shown = page()
    for name in ("data-plane", "data-plane-2", "iomete-system"):
        assert f'<th scope="row">{name}</th>' in shown
    assert shown.count('class="cell"') == 3 * 4
    assert "example: a pod in data-plane-2 -&gt; a pod with label service=spark-operator" in shown
    assert "<pre>netpol-guard bootstrap --baselines-only -n data-plane</pre>" in shown


def test_a_healthy_cluster_is_said_to_be_healthy() -> None:
    assert "<strong>Healthy: nothing is cut off</strong>" in page(())


def test_a_thousand_namespaces_without_a_loss_are_folded_into_one_line() -> None:
    many: list[Manifest] = [
        {"create": {**manifest, "metadata": {**manifest["metadata"], field: f"more-{number}"}}}
        for number in range(1000)
        for manifest, field in _namespace_with_baselines()
    ]
    shown = page(many)
    assert "In 1003 namespaces every flow is open" in shown
    assert len(shown) < 100_000


def _namespace_with_baselines() -> list[tuple[Manifest, str]]:
    objects = healthy()
    return [
        (objects["Namespace", "", "data-plane"], "name"),
        (objects["NetworkPolicy", "data-plane", "iomete-spark-operator"], "namespace"),
        (objects["NetworkPolicy", "data-plane", "iomete-ingress-egress"], "namespace"),
    ]


def test_a_browser_understands_the_page_as_it_was_meant(written: Path) -> None:
    dom = dom_of(written)
    assert re.search(r'<th scope="row">data-plane</th>.*?class="mark error">lost', dom, re.DOTALL)
    assert dom.count("<article") == page().count("<article") == 2
    assert dom.count('class="cell"') == 12
    assert "&lt;script&gt;alert(1)" in dom


@pytest.mark.parametrize("width", [1280, 390], ids=["desktop", "phone"])
def test_a_browser_draws_the_page_in_light_and_dark(written: Path, tmp_path: Path, width: int) -> None:
    light = picture_of(written, tmp_path / "light.png", width=width, height=900)
    dark = picture_of(written, tmp_path / "dark.png", width=width, height=900, dark=True)
    assert light[:8] == dark[:8] == b"\x89PNG\r\n\x1a\n"
    assert light != dark
    assert min(len(light), len(dark)) > 20_000  # a page without anything on it is smaller by far
