"""What requests cost at a cluster of three: CPU of all conductors together for a thousand requests, and their latency.

The load is made by `examples/api_load.rs`, a process of its own with 16 connections spread over the conductors. Ironic's
figures beside are those of Ironic 39 with MariaDB on such a machine (CPU seconds for a thousand requests).
"""

import argparse
import json
import subprocess
import sys
import time

from cluster import Cluster

IRONIC_CPU_S = {"show": 16, "list": 300, "patch": 60, "create": 30}
CONNECTIONS = 16


def load(cluster, tool, kind, count, connections=CONNECTIONS, first=0):
    ports = ",".join(str(one.api.port) for one in cluster.conductors)
    before = cluster.usage()
    words = [tool, kind, str(count), str(connections), ports, str(cluster.nodes), str(first)]
    found = json.loads(subprocess.run(words, check=True, stdout=subprocess.PIPE).stdout)
    after = cluster.usage()
    found["cpu"] = sum(after[host][0] - before[host][0] for host in before) * 1000 / count
    return found


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("binary")
    options.add_argument("tool")
    options.add_argument("--nodes", type=int, default=10_000)
    options.add_argument("--interval", type=int, default=600, help="seconds between reads of a machine; long, to measure the API alone")
    options = options.parse_args()
    with Cluster(options.binary, options.nodes, 0, options.interval) as cluster:
        each = options.nodes / cluster.start_seconds
        print(f"{options.nodes} machines enrolled to `available` in {cluster.start_seconds:.0f} s ({each:.0f}/s)")
        time.sleep(10)
        print("request     count     req/s   p50 ms   p99 ms   max ms  CPU-s per 1000   Ironic  times", flush=True)
        for kind, count in [("show", 40_000), ("list", 600), ("detail", 200), ("patch", 10_000), ("create", 10_000)]:
            found = load(cluster, options.tool, kind, count)
            ironic = IRONIC_CPU_S.get(kind)
            beside = f"{ironic:8} {ironic / found['cpu']:6.0f}" if ironic else ""
            print(
                f"{kind:8} {count:8} {count / found['seconds']:9.0f} {found['p50_ms']:8.2f} {found['p99_ms']:8.2f} "
                f"{found['max_ms']:8.1f} {found['cpu']:15.3f} {beside}", flush=True,
            )
        found = load(cluster, options.tool, "walk", 3, connections=1)
        print(f"the whole fleet, page after page of 1000: {found['p50_ms'] / 1000:.2f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
