"""Power sync of a whole fleet: how old the newest read of each machine is, and what keeping it so costs.

Ages are taken at the simulated BMCs (when each was last read), not from baton's own word. CPU and memory are the conductors'
own processes; the simulator's cost is shown apart. A tenth of the BMCs then falls silent, and the same is measured for the
healthy ones: while their nodes go into maintenance (`power_state_sync_max_retries` intervals), and after it. At the end the journal of every BMC is asked whether anything was switched that nobody asked for.
"""

import argparse
import os
import pathlib
import sys
import time

from cluster import PAGE, Cluster, percentile, until

SAMPLES = 6


def cpu_of(pid):
    stat = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")


def farms_cpu(cluster):
    return sum(cpu_of(pid) for *_, pid in cluster.simulators())


def measure(cluster, interval, healthy):
    """Ages of the healthy machines in seconds over two intervals, and what the conductors used meanwhile."""
    begin, used, farm = time.monotonic(), cluster.usage(), farms_cpu(cluster)
    reads = cluster.counted("counters", "power_reads")
    ages = []
    for _ in range(SAMPLES):
        time.sleep(2 * interval / SAMPLES)
        contacts, now = cluster.contacts()
        ages += [(now - last) / 1000 for name, (_, last) in contacts.items() if last is not None and name in healthy]
    span = time.monotonic() - begin
    after = cluster.usage()
    reads = cluster.counted("counters", "power_reads") - reads
    cores = sum(after[host][0] - used[host][0] for host in used) / span
    rss = max(rss for _, rss in after.values())
    return {
        "p50": percentile(ages, 50), "p99": percentile(ages, 99), "max": percentile(ages, 100),
        "cores": cores, "farm": (farms_cpu(cluster) - farm) / span, "rss": rss, "reads": reads / span,
    }


def in_maintenance(cluster):
    """How many nodes have a power failure."""
    found, marker = 0, ""
    while True:
        path = f"/v1/nodes?fault=power%20failure&fields=uuid&limit={PAGE}{marker}"
        page = cluster.conductors[0].api.must("GET", path)["nodes"]
        found += len(page)
        if len(page) < PAGE:
            return found
        marker = f"&marker={page[-1]['uuid']}"


def row(what, found, nodes):
    print(
        f"{what:22} {found['p50']:7.1f} {found['p99']:7.1f} {found['max']:7.1f} {found['cores']:10.3f} "
        f"{found['farm']:9.3f} {found['reads']:8.0f} {found['rss'] * 1024 / nodes:12.1f}", flush=True,
    )


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("binary")
    options.add_argument("--nodes", type=int, default=30_000)
    options.add_argument("--redfish", type=int)
    options.add_argument("--interval", type=int, default=45)
    options = options.parse_args()
    redfish = options.nodes // 2 if options.redfish is None else options.redfish
    with Cluster(options.binary, options.nodes, redfish, options.interval) as cluster:
        print(f"{options.nodes} machines ({redfish} Redfish) enrolled in {cluster.start_seconds:.0f} s, interval {options.interval} s")
        begin = time.monotonic()
        listed = sum(len(names) for names in cluster.owned(cluster.conductors[0]).values())
        print(f"{listed} nodes listed, {PAGE} a page, in {time.monotonic() - begin:.1f} s", flush=True)
        everybody = {f"sim-{n:05}" for n in range(options.nodes)}
        time.sleep(1.5 * options.interval)
        print("                        age p50     p99     max  conductors  simulator  reads/s  KiB per node")
        row("all healthy", measure(cluster, options.interval, everybody), options.nodes)
        silent = cluster.silence(0.1)
        row(f"{len(silent)} fall silent", measure(cluster, options.interval, everybody - silent), options.nodes)
        until("maintenance of all silent ones", lambda: in_maintenance(cluster) >= len(silent), limit=900, every=5)
        time.sleep(options.interval)
        row(f"{len(silent)} are silent", measure(cluster, options.interval, everybody - silent), options.nodes)
        edges = cluster.counted("edges")
        print(f"power edges {edges}, power commands {cluster.counted('commands')} (none were asked for)")
        print(f"in maintenance by a power failure: {in_maintenance(cluster)}")
        return 1 if edges else 0


if __name__ == "__main__":
    sys.exit(main())
