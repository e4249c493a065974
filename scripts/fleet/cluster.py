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

from farm import Farm, shares

START_LIMIT_S = 1200
PAGE = 1000


class Endpoint:
    """JSON over one kept-alive connection per thread."""

    def __init__(self, port, timeout=30.0):
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
        self.farms = []
        redfish, self.farmed = shares(redfish)
        self.conductors = [Conductor(n, port + 10 * (n - 1)) for n in range(1, conductors + 1)]
        self.data = tempfile.mkdtemp(prefix="baton-fleet-", dir=os.environ.get("BATON_BENCH_DIR"))
        self.command = [
            binary, "dev", "--nodes", str(nodes - sum(self.farmed)), "--redfish", str(redfish), "--sync-interval", str(interval),
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
        first = self.nodes - sum(self.farmed)
        for number, count in enumerate(self.farmed):
            control = Endpoint(self.control.port + 1 + number, timeout=60.0)
            self.farms.append(Farm(self.binary, number, first, count, control, self.data))
            self.farms[-1].enroll(self.conductors)
            first += count
        self.start_seconds = time.monotonic() - begin
        return self

    def __exit__(self, *_):
        for conductor in self.conductors:
            if conductor.process:
                conductor.process.kill()
        for farm in self.farms:
            farm.stop()
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

    def simulators(self):
        """Control endpoint, number of the first machine, number of machines and process of each simulator."""
        yield self.control, 0, self.nodes - sum(self.farmed), self.process.pid
        for farm in self.farms:
            yield farm.control, farm.first, farm.count, farm.process.pid

    def contacts(self):
        """`machine -> (first_ms, last_ms)` and the time now, all on the clock of the first simulator."""
        contacts, clock = {}, self.farm_clock()
        for control, number, count, _ in self.simulators():
            behind = 0 if control is self.control else clock - self.farm_clock(control)
            for offset in range(0, count, PAGE):
                for machine, first, last in control.must("GET", f"/v1/contacts?offset={offset}&limit={PAGE}")["contacts"]:
                    seen = tuple(None if at is None else at + behind for at in (first, last))
                    contacts[f"sim-{number + machine:05}"] = seen
        return contacts, time.monotonic() * 1000 + clock

    def farm_clock(self, control=None):
        """A simulator's milliseconds minus ours; the first one's, if none is named."""
        before = time.monotonic()
        now = (control or self.control).must("GET", "/v1/contacts?offset=0&limit=1")["now_ms"]
        return now - (before + time.monotonic()) / 2 * 1000

    def counted(self, *names):
        """The sum over all simulators of these of their counters."""
        total = 0
        for control, *_ in self.simulators():
            found = control.must("GET", "/v1/counters")
            for name in names:
                found = found[name]
            total += found if isinstance(found, int) else sum(found.values())
        return total

    def silence(self, fraction):
        """Makes this share of all machines silent; their names."""
        fault = {"machines": "all", "fraction": fraction, "faults": [{"kind": "silent"}]}
        silent = set()
        for control, number, count, _ in self.simulators():
            control.must("PUT", "/v1/faults", fault)
            for offset in range(0, count, PAGE):
                page = control.must("GET", f"/v1/machines?offset={offset}&limit={PAGE}")["machines"]
                silent |= {f"sim-{number + offset + place:05}" for place, one in enumerate(page) if one["faults"]}
        return silent

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


def stolen():
    """CPU seconds that the host of this virtual machine has given to others while there was work here."""
    cpu = pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()
    return int(cpu[8]) / os.sysconf("SC_CLK_TCK")


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
