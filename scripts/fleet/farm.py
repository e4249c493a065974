"""Simulated BMCs in processes of their own, beside those of `baton dev`.

A process opens only so many files, and each kept-alive Redfish connection is one at either end: a fleet with more Redfish
machines than that is served by several simulators.
"""

import concurrent.futures
import pathlib
import resource
import subprocess
import sys
import threading
import time

# Left of the process's files for everything but the BMCs' connections.
FILES_SPARE = 3000
ENROLLED_AT_ONCE = 32
ENROLL_LIMIT_S = 600
ENROLL_LOOK_S = 0.1
FIRST_PORT = 8444


def redfish_max():
    """How many Redfish machines one process can serve."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1] - FILES_SPARE


class Farm:
    """One `baton bmc-sim` with Redfish machines only, which continue the fleet's numbers at `first`."""

    def __init__(self, binary, number, first, count, control, directory):
        self.first = first
        self.count = count
        self.control = control
        self.port = FIRST_PORT + number
        self.ca = str(pathlib.Path(directory) / f"farm-{number}-ca.pem")
        self.process = subprocess.Popen(
            [
                binary, "bmc-sim", "--ipmi", "0", "--redfish", str(count), "--redfish-port", str(self.port),
                "--control-port", str(control.port), "--ca-file", self.ca, "--power", "alternate",
            ],
            stdout=subprocess.PIPE, text=True,
        )
        if not self.process.stdout.readline():
            sys.exit(f"the simulator on port {self.port} did not start")
        threading.Thread(target=lambda: all(True for _ in self.process.stdout), daemon=True).start()

    def enroll(self, conductors):
        """Every machine to `available`, through the API."""
        with concurrent.futures.ThreadPoolExecutor(ENROLLED_AT_ONCE) as threads:
            list(threads.map(lambda n: self.enroll_one(n, conductors[n % len(conductors)].api), range(self.count)))

    def enroll_one(self, machine, api):
        name = f"sim-{self.first + machine:05}"
        address = self.control.must("GET", f"/v1/machines/{machine}")["redfish"]
        info = {
            "redfish_address": address, "redfish_username": "admin", "redfish_password": "password",
            "redfish_verify_ca": self.ca,
        }
        api.must("POST", "/v1/nodes", {"name": name, "driver": "redfish", "driver_info": info, "resource_class": "baremetal"})
        end = time.monotonic() + ENROLL_LIMIT_S
        verbs = {"enroll": "manage", "manageable": "provide"}
        while time.monotonic() < end:
            node = api.must("GET", f"/v1/nodes/{name}?fields=provision_state,power_state,last_error")
            state = node["provision_state"]
            if state == "available" and node["power_state"]:
                return
            if state == "enroll" and node["last_error"]:
                sys.exit(f"{name}: {node['last_error']}")
            if verb := verbs.get(state):
                # A refusal means that the node has moved meanwhile.
                api.request("PUT", f"/v1/nodes/{name}/states/provision", {"target": verb})
            time.sleep(ENROLL_LOOK_S)
        sys.exit(f"{name} was not available after {ENROLL_LIMIT_S} s")

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()


def shares(redfish):
    """How many Redfish machines the first simulator serves, and each further one."""
    most = redfish_max()
    first = min(redfish, most)
    rest = redfish - first
    further = -(-rest // most)
    return first, [rest // further + (n < rest % further) for n in range(further)] if further else []
