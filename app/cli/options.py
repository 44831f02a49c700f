"""Options that several commands share, so that they are spelled and explained alike everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

KubeconfigOption = Annotated[
    Path | None,
    typer.Option(
        "--kubeconfig",
        help="The cluster, by this kubeconfig [default: in-cluster, $KUBECONFIG, ~/.kube/config].",
    ),
]
ContextOption = Annotated[
    str | None,
    typer.Option("--context", help="The context of the kubeconfig to use [default: its current one]."),
]
StateOption = Annotated[
    Path | None,
    typer.Option("--state", help="The cluster as a folder of manifests, as kubectl get -o yaml prints them."),
]
LiveOption = Annotated[bool, typer.Option("--live", help="Judge by the state of the live cluster.")]
ApiServerOption = Annotated[
    list[str] | None,
    typer.Option(
        "--api-server",
        metavar="CIDR",
        help="Where the API server's calls come from; repeatable, overrides discovery.",
    ),
]
NamespaceOption = Annotated[
    str | None,
    typer.Option(
        "--namespace",
        "-n",
        help="For manifests that name none [default: with a live cluster its context's; else default].",
    ),
]
PauseOption = Annotated[
    float,
    typer.Option("--pause", help="Seconds that the network plugin gets before a bridge policy goes.", min=0),
]
PAUSE = 10.0
