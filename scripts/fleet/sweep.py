"""What one power read costs a whole conductor cluster, beside freeipmi's `ipmipower` over the same simulated BMCs.

3,000 machines are read every three seconds, so each second is a sweep of 1,000; CPU is that of all conductors together, with
what the same cluster spends when it reads nothing shown apart. `ipmipower` opens a session, reads and closes it, as it does
for every sweep. Ironic's and redfishpower's figures are those of Ironic 39 and
powerman on such a machine (CPU seconds for 1,000 reads).
"""

import argparse
import resource
import shutil
import subprocess
import sys
import time

from cluster import Cluster, stolen

SPAN_S = 30
# A span in which the host took more than this from the machine is measured again, so often at most: what is left of the machine
# then runs with cold caches, and each read costs up to half as much again.
STOLEN_MAX, SPANS_MAX = 0.01, 6
# So long at most until every machine was read, and was asked once who made it.
SETTLE_S = 180
# Windows of five seconds without more than reads in their turn before it counts as settled: machines are asked who made them
# up to half a minute after the last one was created.
CALM = 8
INTERVAL_S = 3
IDLE_INTERVAL_S = 3000
PEERS = {"IPMI": {"Ironic": 60, "ipmipower": 0.37}, "Redfish": {"Ironic": 17, "redfishpower": 0.11}}


def settle(cluster, rate):
    """Waits until nothing but reads in their turn is left of enrolling."""
    end = time.monotonic() + SETTLE_S
    calm = 0
    while calm < CALM and time.monotonic() < end:
        before, reads = cluster.counted("counters", "requests"), cluster.counted("counters", "power_reads")
        time.sleep(5)
        after, reads = cluster.counted("counters", "requests"), cluster.counted("counters", "power_reads") - reads
        calm = calm + 1 if reads <= 1.05 * max(5 * rate, 20) and after - before <= 1.05 * max(5 * rate, 20) else 0


def ours(binary, nodes, redfish, interval):
    """Reads a second, and the cores that all conductors together use."""
    with Cluster(binary, nodes, redfish, interval) as cluster:
        settle(cluster, nodes / interval)
        spans = []
        while len(spans) < SPANS_MAX and not any(taken <= STOLEN_MAX for taken, *_ in spans):
            reads, taken = cluster.counted("counters", "power_reads"), stolen()
            used, begin = cluster.usage(), time.monotonic()
            time.sleep(SPAN_S)
            after, span = cluster.usage(), time.monotonic() - begin
            reads = cluster.counted("counters", "power_reads") - reads
            cores = sum(after[host][0] - used[host][0] for host in used) / span
            spans.append(((stolen() - taken) / span, reads / span, cores))
        taken, rate, cores = min(spans)
        if taken > STOLEN_MAX:
            print(f"(the host took {taken:.2f} of a core meanwhile: the next figure is too high)", flush=True)
        return rate, cores


def ipmipower(binary, nodes):
    """The same for `ipmipower`, if it is installed."""
    if not shutil.which("ipmipower"):
        return None
    farm = subprocess.Popen([binary, "bmc-sim", "--ipmi", str(nodes), "--redfish", "0"], stdout=subprocess.DEVNULL)
    try:
        time.sleep(2)
        hosts = ",".join(f"127.1.{n // 256}.{n % 256}:6230" for n in range(1, nodes + 1))
        before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        words = ["ipmipower", "-D", "LAN_2_0", "-I", "3", "-u", "admin", "-p", "password", "-h", hosts, "--stat"]
        answer = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=120, check=False)
        span, after = time.monotonic() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
        read = sum(line.rstrip().endswith((": on", ": off")) for line in answer.stdout.splitlines())
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return read / span, cpu * 1000 / max(read, 1), read
    finally:
        farm.terminate()
        farm.wait(10)


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("binary")
    options.add_argument("--sweep", type=int, default=1000, help="machines of one sweep, one of which is made each second")
    options = options.parse_args()
    nodes = INTERVAL_S * options.sweep
    _, idle = ours(options.binary, nodes, nodes // 2, IDLE_INTERVAL_S)
    print(f"an idle cluster of three uses {idle:.3f} of a core", flush=True)
    for protocol, redfish in [("IPMI", 0), ("Redfish", nodes)]:
        rate, cores = ours(options.binary, nodes, redfish, INTERVAL_S)
        cost = (cores - idle) * 1000 / rate
        beside = ", ".join(f"{name} {figure}: {figure / cost:.1f} times" for name, figure in PEERS[protocol].items())
        print(
            f"{protocol:8} conductors  {rate:7.0f} reads/s  {cost:6.3f} CPU-s per 1000, {cores * 1000 / rate:.3f} with the idle cluster's"
            f"   ({beside})", flush=True,
        )
    if found := ipmipower(options.binary, options.sweep):
        print(f"IPMI     ipmipower   {found[0]:7.0f} reads/s  {found[1]:6.3f} CPU-s per 1000   ({found[2]} of {options.sweep} answered)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
