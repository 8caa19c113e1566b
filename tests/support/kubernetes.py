"""Renders the chart with Helm's own engine, checks what comes out against Kubernetes' schemas, and reads YAML. Answers in JSON.

    kubernetes.py chart DIR    values as JSON on stdin
    kubernetes.py yaml FILE
"""

import json
import sys

import yaml

# What Kubernetes is asked to accept. The oldest that is supported still.
VERSION = "1.34"

# Kinds that an operator brings, whose schemas Kubernetes does not have.
OTHERS = {"ServiceMonitor"}


def chart(path, values):
    import helm_python
    import kubernetes_validate
    from helm_python.chart import lint

    with helm_python.Chart.load(path) as loaded:
        try:
            rendered = loaded.render(values, name="demo", namespace="prod")
        except helm_python.HelmError as error:
            return {"refused": str(error)}
    documents = [
        document
        for name, text in sorted(rendered.items())
        if name.endswith(".yaml")
        for document in yaml.safe_load_all(text)
        if document
    ]
    invalid = []
    for document in documents:
        if document["kind"] in OTHERS:
            continue
        try:
            kubernetes_validate.validate(document, VERSION, strict=True)
        except kubernetes_validate.ValidationError as error:
            invalid.append(f"{document['kind']}: {error.message}")
    found = lint(path)
    # 1: information.
    lint_found = [one["error"] for one in found["messages"] if one["severity"] > 1] + found["errors"]
    return {"documents": documents, "invalid": invalid, "lint": lint_found}


def main():
    task, path = sys.argv[1:]
    if task == "chart":
        answer = chart(path, json.load(sys.stdin))
    else:
        with open(path, encoding="utf-8") as file:
            answer = list(yaml.safe_load_all(file))
    json.dump(answer, sys.stdout)


main()
