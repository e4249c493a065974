"""Power actions as users feel them: one on an idle cluster, ten thousand at once, and many clients at few machines.

When a command reached a machine and when its power changed is read from the simulated machine's own journal, on the farm's
clock (milliseconds). The machines take `--power-delay` from a command until their power has changed.
"""

import argparse
import http.client
import statistics
import sys
import threading
import time

from cluster import PAGE, Cluster, percentile, until

# How often a client looks whether it is done: finer than what is measured.
LOOK_S = 0.002
LIMIT_S = 120


def states(cluster, number, name):
    return cluster.conductors[number % 3].api.must("GET", f"/v1/nodes/{name}/states")


def one_at_a_time(cluster, machines):
    """`(command, seen)` in milliseconds for each machine: request to command, and change to a GET that shows it."""
    found = []
    for place, machine in enumerate(machines):
        name = f"sim-{machine:05}"
        written = cluster.control.must("GET", f"/v1/machines/{machine}/journal")["written"]
        offset = cluster.farm_clock()
        api = cluster.conductors[place % 3].api
        begin = time.monotonic() * 1000 + offset
        api.must("PUT", f"/v1/nodes/{name}/states/power", {"target": "power on"})
        while True:
            now = states(cluster, place, name)
            if now["power_state"] == "power on" and now["target_power_state"] is None:
                break
            time.sleep(LOOK_S)
        seen = time.monotonic() * 1000 + offset
        entries = cluster.control.must("GET", f"/v1/machines/{machine}/journal?after={written}")["entries"]
        command = next(one["at_ms"] for one in entries if "command" in one)
        edge = next(one["at_ms"] for one in entries if "edge" in one)
        found.append((command - begin, seen - edge))
        time.sleep(0.05)
    return found


def all_at_once(cluster, machines, clients):
    """Seconds until every request was accepted, until every machine is on in the API, and how many requests failed."""
    waiting, failed, begin = list(machines), [], time.monotonic()
    lock = threading.Lock()

    def client(number):
        while True:
            with lock:
                if not waiting:
                    return
                machine = waiting.pop()
            api = cluster.conductors[number % 3].api
            status, answer = api.request("PUT", f"/v1/nodes/sim-{machine:05}/states/power", {"target": "power on"})
            if status != 202:
                failed.append((status, answer))

    threads = [threading.Thread(target=client, args=[number]) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    accepted = time.monotonic() - begin
    wanted = {f"sim-{machine:05}" for machine in machines}
    while time.monotonic() - begin < LIMIT_S:
        on, marker = set(), ""
        while True:
            path = f"/v1/nodes?fields=uuid,name,power_state,target_power_state&limit={PAGE}{marker}"
            page = cluster.conductors[0].api.must("GET", path)["nodes"]
            on |= {one["name"] for one in page if one["power_state"] == "power on" and one["target_power_state"] is None}
            if len(page) < PAGE:
                break
            marker = f"&marker={page[-1]['uuid']}"
        if wanted <= on:
            break
        time.sleep(0.2)
    return accepted, time.monotonic() - begin, failed, len(wanted - on)


def crowd(cluster, machines, clients, rounds):
    """Answers by status when each of many clients sends actions to few machines, waiting for none to end; seconds; edges.

    Every machine gets about as many power-ons as power-offs, in no order, so many of them change something."""
    answers, lock, before = {}, threading.Lock(), cluster.counted("edges")

    def client(number):
        for turn in range(rounds):
            machine = machines[(number + turn) % len(machines)]
            target = "power on" if (number // len(machines) + turn) % 2 else "power off"
            api = cluster.conductors[(number + turn) % 3].api
            try:
                status, _ = api.request("PUT", f"/v1/nodes/sim-{machine:05}/states/power", {"target": target})
            except (OSError, http.client.HTTPException) as error:
                status = type(error).__name__
            with lock:
                answers[status] = answers.get(status, 0) + 1

    threads = [threading.Thread(target=client, args=[number]) for number in range(clients)]
    begin = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.monotonic() - begin
    wanted = {f"sim-{machine:05}" for machine in machines}
    at_rest = lambda: all(states(cluster, 0, name)["target_power_state"] is None for name in wanted)
    until("the end of all actions", at_rest, limit=LIMIT_S)
    return answers, took, cluster.counted("edges") - before


def latency(binary, delay, count):
    with Cluster(binary, 200, 100, 600, power_delay=delay) as cluster:
        time.sleep(5)
        for what, machines in [("IPMI", range(count)), ("Redfish", range(100, 100 + count))]:
            found = one_at_a_time(cluster, machines)
            command, seen = [[row[column] for row in found] for column in (0, 1)]
            print(
                f"{what:8} {delay:6} ms  request to command p50 {statistics.median(command):5.1f}, p99 {percentile(command, 99):5.1f} ms; "
                f"change to done p50 {statistics.median(seen):5.1f}, p99 {percentile(seen, 99):5.1f} ms", flush=True,
            )
        # IPMI machines get one command in `[ipmi] min_command_interval`, so two or three changes fit in `node_lock_wait`.
        for what, first, rounds in [("Redfish", 150, 10), ("IPMI", 50, 1)] if delay == 0 else []:
            answers, took, edges = crowd(cluster, list(range(first, first + 10)), clients=50, rounds=rounds)
            print(
                f"50 clients, 10 {what} machines, {50 * rounds} actions in {took:.1f} s, {edges} of them changed a machine: {answers}",
                flush=True,
            )


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("binary")
    options.add_argument("--nodes", type=int, default=10_000)
    options.add_argument("--count", type=int, default=30)
    options.add_argument("--only", choices=["latency", "fleet"], help="one half of it")
    options = options.parse_args()
    for delay in (0, 1000, 3000) if options.only != "fleet" else ():
        latency(options.binary, delay, options.count)
    for delay in (0, 3000) if options.only != "latency" else ():
        with Cluster(options.binary, options.nodes, options.nodes // 2, 600, power_delay=delay) as cluster:
            time.sleep(5)
            before = cluster.usage()
            accepted, took, failed, left = all_at_once(cluster, range(options.nodes), clients=32)
            after = cluster.usage()
            cpu = sum(after[host][0] - before[host][0] for host in before)
            edges = cluster.control.must("GET", "/v1/counters")["edges"]
            print(
                f"{options.nodes} power-ons, machines take {delay} ms: accepted after {accepted:.1f} s, all on after {took:.1f} s "
                f"({left} not, {len(failed)} refused {failed[:2]}), {cpu:.1f} CPU-s, {edges} edges", flush=True,
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
