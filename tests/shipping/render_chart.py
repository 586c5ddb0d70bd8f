"""Prints the manifests of the chart with the values of standard input, as JSON. Needs the tools of requirements.txt."""

import json
import sys

import helm_python

chart, values = sys.argv[1], json.load(sys.stdin)
report = helm_python.lint(chart, values, strict=True)
problems = [message["error"] for message in report["messages"] if message["severity"] > 1]
manifests = helm_python.Chart.load(chart).render(values, name="test", namespace="llm")
json.dump({"problems": problems + report["errors"], "manifests": manifests}, sys.stdout)
