"""Renders the chart with Helm's own engine."""

import contextlib
import os
import pathlib

import helm_python as helm
import yaml

CHART = pathlib.Path(__file__).parents[2] / "deploy" / "helm" / "dnsgate"
IMAGE = {"image": {"repository": "registry.example/dnsgate"}}


@contextlib.contextmanager
def quiet():
    """Helm notes each symbolic link of the chart on standard error."""
    saved, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(null)


def render(values=None, name="demo"):
    """What an installation with these values would make: the manifests, and the notes."""
    values = {**IMAGE, **(values or {})}
    with quiet(), helm.Chart.load(str(CHART)) as loaded:
        loaded.validate_schema(loaded.merge_values(values))
        texts = loaded.render(values, name=name, namespace="dns")
    notes = texts.pop("dnsgate/templates/NOTES.txt")
    documents = [document for text in texts.values() for document in yaml.safe_load_all(text) if document]
    return documents, notes


def only(documents, kind):
    """The one manifest of a kind."""
    found = [document for document in documents if document["kind"] == kind]
    assert len(found) == 1, f"{len(found)} of the kind {kind}"
    return found[0]


def pod(documents):
    """The pod that the Deployment makes."""
    return only(documents, "Deployment")["spec"]["template"]["spec"]
