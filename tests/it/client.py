"""Runs commands of the real client one after another in one process, which saves a second of start-up for each.

Reads lines of JSON lists (arguments of `baremetal`), answers each with a line of JSON: status, out, err. The list
["commands"] asks for the names of all commands.
"""
import contextlib
import io
import json
import sys

from importlib.metadata import entry_points

from ironicclient.shell import main


def commands():
    """The client's commands as they are typed."""
    points = entry_points(group="openstack.baremetal.v1")
    names = (point.name.removeprefix("baremetal_") for point in points)
    return "\n".join(name.replace("_", " ") for name in names)


answers = sys.stdout
for line in sys.stdin:
    if json.loads(line) == ["commands"]:
        print(json.dumps({"status": 0, "out": commands(), "err": ""}), file=answers, flush=True)
        continue
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = main(json.loads(line)) or 0
        except SystemExit as exit:
            status = exit.code or 0
    print(json.dumps({"status": status, "out": out.getvalue(), "err": err.getvalue()}), file=answers, flush=True)
