"""Runs commands of the real client one after another in one process, which saves a second of start-up for each.

Reads lines of JSON lists (arguments of `baremetal`), answers each with a line of JSON: status, out, err.
"""
import contextlib
import io
import json
import sys

from ironicclient.shell import main

answers = sys.stdout
for line in sys.stdin:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = main(json.loads(line)) or 0
        except SystemExit as exit:
            status = exit.code or 0
    print(json.dumps({"status": status, "out": out.getvalue(), "err": err.getvalue()}), file=answers, flush=True)
