#!/usr/bin/python3
"""recorder.py KUBECONFIG KIND: a watch of the API; prints a line of JSON, [time, object], for each change that it shows."""
import json
import subprocess
import sys
import time

text = ""
with subprocess.Popen(["kubectl", "--kubeconfig", sys.argv[1], "get", sys.argv[2], "-w", "-o", "jsonpath-as-json={@}"],
                      stdout=subprocess.PIPE, text=True) as watch:
    for line in watch.stdout:
        text += line
        if line.startswith("]"):
            print(json.dumps([time.time(), json.loads(text)[0]]), flush=True)
            text = ""
