"""Kills conductors by turns, leader and followers, and measures when the new owners reach the orphaned machines.

Then one conductor is drained while a hundred of its machines are being switched.

For each orphaned machine: from `kill -9` until its BMC answered the first read or command of anybody else, by the farm's
clock. Meanwhile a writer sets a field of one node after another through the survivors; the longest pause between two
acknowledged writes bounds the time without a leader, and every acknowledged write is looked for at the end.
"""

import argparse
import http.client
import random
import sys
import threading
import time

from cluster import Cluster, percentile, until


# The first look at the contacts: later than any takeover that meets its target.
QUIET_S = 2.5

# Machines that are being switched while their conductor is drained.
SWITCHED = 100


class Writer(threading.Thread):
    """Writes through whoever answers, and remembers what was acknowledged."""

    def __init__(self, cluster):
        super().__init__(daemon=True)
        self.cluster = cluster
        self.acknowledged = {}
        self.times = []
        self.errors = 0
        self.down = None
        self.running = True

    def run(self):
        number = 0
        while self.running:
            number += 1
            name = f"sim-{number % min(1000, self.cluster.nodes):05}"
            up = [one for one in self.cluster.conductors if one is not self.down]
            through = random.choice(up)
            patch = [{"op": "add", "path": "/extra/bench", "value": number}]
            try:
                status, _ = through.api.request("PATCH", f"/v1/nodes/{name}", patch)
            except (OSError, http.client.HTTPException):
                status = 0
            if status == 200:
                self.acknowledged[name] = number
                self.times.append(time.monotonic())
            else:
                self.errors += 1
            time.sleep(0.005)

    def longest_pause(self, begin, end):
        times = [begin, *(at for at in self.times if begin <= at <= end), end]
        return max(b - a for a, b in zip(times, times[1:]))


def one_round(cluster, writer, victim_leads):
    by = cluster.conductors[0]
    leader = until("a leader", lambda: cluster.leader(by))
    victims = [one for one in cluster.conductors if (str(leader) in (one.host, str(one.number))) == victim_leads]
    victim = random.choice(victims)
    survivors = [one for one in cluster.conductors if one is not victim]
    orphans = cluster.owned(survivors[0])[victim.host]
    offset = cluster.farm_clock()
    writer.down = victim
    killed = time.monotonic()
    victim.kill()
    cluster.control.must("DELETE", "/v1/counters")
    killed_ms = killed * 1000 + offset

    def all_reached():
        contacts, _ = cluster.contacts()
        return all(contacts[name][0] is not None for name in orphans) and contacts

    # Reading 30,000 contacts takes half a second of the cores that are measured.
    time.sleep(QUIET_S)
    contacts = until("every orphan reached", all_reached, limit=120.0, every=0.5)
    pause = writer.longest_pause(killed, time.monotonic())
    latencies = [contacts[name][0] - killed_ms for name in orphans]
    if victim.process:
        victim.process.wait()
    victim.restart(cluster.binary)
    until("the conductor's return", lambda: victim.host in cluster.alive(survivors[0]))
    until("its own nodes", lambda: victim.host in cluster.owned(survivors[0]))
    writer.down = None
    return latencies, pause


def drain(cluster):
    """Seconds until every drained machine was reached by its new owner, how many, and the power changes that failed."""
    conductor, by = cluster.conductors[1], cluster.conductors[0]
    drained = cluster.owned(by)[conductor.host]
    switched = random.sample(sorted(drained), SWITCHED)
    for name in switched:
        by.api.must("PUT", f"/v1/nodes/{name}/states/power", {"target": "power on"})
    until("all switched on", lambda: all(settled(by, name, "power on") for name in switched))
    for name in switched:
        by.api.must("PUT", f"/v1/nodes/{name}/states/power", {"target": "power off"})
    offset = cluster.farm_clock()
    began = time.monotonic()
    cluster.control.must("DELETE", "/v1/counters")
    by.admin.must("POST", f"/admin/v1/conductors/{conductor.host}/drain")
    time.sleep(QUIET_S)

    def all_reached():
        contacts, _ = cluster.contacts()
        return all(contacts[name][0] is not None for name in drained) and contacts

    contacts = until("every drained machine reached", all_reached, limit=120.0, every=0.5)
    until("nothing left there", lambda: conductor.host not in cluster.owned(by))
    latest = max(contacts[name][0] for name in drained) - began * 1000 - offset
    until("all switched off", lambda: all(settled(by, name, "power off") for name in switched))
    failed = sum(by.api.must("GET", f"/v1/nodes/{name}")["last_error"] is not None for name in switched)
    by.admin.must("POST", f"/admin/v1/conductors/{conductor.host}/undrain")
    return latest / 1000, len(drained), failed


def settled(by, name, power):
    states = by.api.must("GET", f"/v1/nodes/{name}/states")
    return states["power_state"] == power and states["target_power_state"] is None


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("binary")
    options.add_argument("--nodes", type=int, default=30_000)
    options.add_argument("--redfish", type=int, default=0)
    options.add_argument("--rounds", type=int, default=50)
    options.add_argument("--interval", type=int, default=60)
    options = options.parse_args()
    with Cluster(options.binary, options.nodes, options.redfish, options.interval) as cluster:
        print(f"{options.nodes} machines enrolled in {cluster.start_seconds:.0f} s", flush=True)
        time.sleep(5)
        writer = Writer(cluster)
        writer.start()
        everything, pauses = [], []
        print("round  killed    orphans  p50 s   p99 s   max s   longest pause of writes s", flush=True)
        for number in range(1, options.rounds + 1):
            leads = number % 2 == 1
            latencies, pause = one_round(cluster, writer, leads)
            everything += latencies
            pauses.append(pause)
            of = [f"{percentile(latencies, p) / 1000:7.2f}" for p in (50, 99, 100)]
            print(f"{number:5}  {'leader' if leads else 'follower':8} {len(latencies):8} {' '.join(of)} {pause:9.2f}", flush=True)
            time.sleep(random.uniform(2, 4))
        writer.running = False
        writer.join()
        seconds, count, failed = drain(cluster)
        print(f"drain: {count} machines reached by their new owners after {seconds:.2f} s, {failed} of {SWITCHED} changes failed")
        lost = 0
        for name, value in writer.acknowledged.items():
            node = cluster.conductors[0].api.must("GET", f"/v1/nodes/{name}")
            lost += node["extra"].get("bench", 0) < value
        of = [f"{percentile(everything, p) / 1000:7.2f}" for p in (50, 99, 100)]
        print(f"  all           {len(everything):8} {' '.join(of)} {max(pauses):9.2f}")
        print(f"{len(writer.times)} writes acknowledged, {writer.errors} refused or unanswered, {lost} lost")
        return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
