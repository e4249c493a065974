"""A cluster started by `baton dev`, driven from outside: its processes, its API, its simulated BMCs.

Standard library only, so that a bench needs nothing but Python and the binary.
"""

import contextlib
import http.client
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time

START_LIMIT_S = 1200
PAGE = 1000


class Endpoint:
    """JSON over one kept-alive connection per thread."""

    def __init__(self, port, timeout=10.0):
        self.port = port
        self.timeout = timeout
        self.local = threading.local()

    def request(self, method, path, body=None):
        """Status and decoded body; raises OSError or HTTPException if no answer came."""
        connection = getattr(self.local, "connection", None)
        if connection is None:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=self.timeout)
            self.local.connection = connection
        headers = {"X-OpenStack-Ironic-API-Version": "1.99", "Content-Type": "application/json"}
        try:
            payload = None if body is None else json.dumps(body)
            connection.request(method, path, payload, headers)
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            self.local.connection = None
            raise
        return answer.status, json.loads(text) if text else None

    def must(self, method, path, body=None):
        try:
            status, answer = self.request(method, path, body)
        except http.client.RemoteDisconnected:
            # The kept connection was one to a process that is gone.
            status, answer = self.request(method, path, body)
        if status >= 300:
            raise RuntimeError(f"{method} {path}: {status} {answer}")
        return answer


class Conductor:
    def __init__(self, number, api_port):
        self.number = number
        self.host = f"conductor-{number}"
        self.api = Endpoint(api_port)
        self.admin = Endpoint(api_port + 1)
        self.pid = None
        self.config = None
        self.process = None

    def kill(self, how=signal.SIGKILL):
        os.kill(self.pid, how)

    def restart(self, binary):
        log = open(pathlib.Path(self.config).with_name("again.log"), "ab")
        self.process = subprocess.Popen(
            [binary, "run", "--config", self.config], stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        self.pid = self.process.pid


class Cluster:
    """`baton dev` with this many machines; use as a context."""

    def __init__(self, binary, nodes, redfish, interval, port=7385, conductors=3, power_delay=0):
        self.binary = binary
        self.nodes = nodes
        self.control = Endpoint(port + 5, timeout=60.0)
        self.conductors = [Conductor(n, port + 10 * (n - 1)) for n in range(1, conductors + 1)]
        self.data = tempfile.mkdtemp(prefix="baton-fleet-", dir=os.environ.get("BATON_BENCH_DIR"))
        self.command = [
            binary, "dev", "--nodes", str(nodes), "--redfish", str(redfish), "--sync-interval", str(interval),
            "--api-port", str(port), "--conductors", str(conductors), "--data-dir", self.data,
            "--power-delay", str(power_delay),
        ]
        self.process = None

    def __enter__(self):
        begin = time.monotonic()
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, text=True)
        limit = threading.Timer(START_LIMIT_S, self.process.kill)
        limit.start()
        for line in self.process.stdout:
            if found := re.match(r"conductor (\d)\s+process (\d+), log (\S+)", line):
                conductor = self.conductors[int(found[1]) - 1]
                conductor.pid = int(found[2])
                conductor.config = str(pathlib.Path(found[3]).with_name("baton.toml"))
            if line.startswith("stop"):
                break
        else:
            raise RuntimeError("the cluster did not start")
        limit.cancel()
        # Whatever it prints later must not fill the pipe.
        threading.Thread(target=lambda: all(True for _ in self.process.stdout), daemon=True).start()
        self.start_seconds = time.monotonic() - begin
        return self

    def __exit__(self, *_):
        for conductor in self.conductors:
            if conductor.process:
                conductor.process.kill()
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(40)
        except subprocess.TimeoutExpired:
            self.process.kill()
        subprocess.run(["rm", "-rf", self.data], check=False)

    # --- Looking ---------------------------------------------------------------------------------

    def leader(self, by):
        return by.admin.must("GET", "/admin/v1/cluster").get("leader")

    def owned(self, by):
        """Names of nodes by the host that owns them, as `by` sees it."""
        owned, marker = {}, ""
        while True:
            page = by.api.must("GET", f"/v1/nodes?fields=uuid,name,conductor&limit={PAGE}{marker}")["nodes"]
            for node in page:
                owned.setdefault(node["conductor"], set()).add(node["name"])
            if len(page) < PAGE:
                return owned
            marker = f"&marker={page[-1]['uuid']}"

    def contacts(self):
        """`machine -> (first_ms, last_ms)` on the farm's clock, and that clock's time."""
        contacts, offset, now = {}, 0, 0
        while offset < self.nodes:
            page = self.control.must("GET", f"/v1/contacts?offset={offset}&limit={PAGE}")
            now = page["now_ms"]
            for machine, first, last in page["contacts"]:
                contacts[f"sim-{machine:05}"] = (first, last)
            offset += PAGE
        return contacts, now

    def farm_clock(self):
        """The farm's milliseconds minus ours."""
        before = time.monotonic()
        now = self.control.must("GET", "/v1/contacts?offset=0&limit=1")["now_ms"]
        return now - (before + time.monotonic()) / 2 * 1000

    def alive(self, by):
        answer = by.api.must("GET", "/v1/conductors")
        return {one["hostname"] for one in answer["conductors"] if one["alive"]}

    def usage(self):
        """CPU seconds and resident MiB of each conductor."""
        ticks = os.sysconf("SC_CLK_TCK")
        used = {}
        for conductor in self.conductors:
            with contextlib.suppress(OSError):
                stat = pathlib.Path(f"/proc/{conductor.pid}/stat").read_text().rsplit(")", 1)[1].split()
                status = pathlib.Path(f"/proc/{conductor.pid}/status").read_text()
                rss = int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024
                used[conductor.host] = ((int(stat[11]) + int(stat[12])) / ticks, rss)
        return used


def until(what, condition, limit=60.0, every=0.05):
    end = time.monotonic() + limit
    while time.monotonic() < end:
        with contextlib.suppress(OSError, http.client.HTTPException, RuntimeError):
            if found := condition():
                return found
        time.sleep(every)
    sys.exit(f"gave up waiting: {what}")


def percentile(values, percent):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * percent / 100))] if values else float("nan")
