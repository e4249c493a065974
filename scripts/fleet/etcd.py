"""etcd beside baton's Raft: three members on the disk under test, one writer's latency and the rate of many.

The latency is that of puts one after another over a kept-alive connection to the leader's JSON gateway; the rate is what
`etcdctl check perf --load=l` reaches (8,000 writes a second offered by 500 clients for a minute).
"""

import base64
import http.client
import json
import pathlib
import re
import subprocess
import sys
import time

BASE = 23_790
PUTS = 1_000


def main(directory):
    directory = pathlib.Path(directory)
    members = ",".join(f"m{n}=http://127.0.0.1:{BASE + 2 * n + 1}" for n in range(3))
    running = []
    try:
        for n in range(3):
            client, peer = (f"http://127.0.0.1:{BASE + 2 * n + more}" for more in (0, 1))
            running.append(subprocess.Popen(
                [
                    "etcd", "--name", f"m{n}", "--data-dir", str(directory / f"m{n}"), "--log-level", "error",
                    "--listen-client-urls", client, "--advertise-client-urls", client,
                    "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                    "--initial-cluster", members, "--initial-cluster-token", "baton-bench",
                ],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            ))
        time.sleep(4)
        leader = BASE
        for n in range(3):
            status = subprocess.run(
                ["etcdctl", f"--endpoints=127.0.0.1:{BASE + 2 * n}", "endpoint", "status", "-w", "simple"],
                capture_output=True, text=True, env={"ETCDCTL_API": "3", "PATH": "/usr/bin"}, check=True,
            ).stdout
            if ", true, " in status:
                leader = BASE + 2 * n
        connection = http.client.HTTPConnection("127.0.0.1", leader, timeout=10)
        value = base64.b64encode(b"x" * 300).decode()
        spans = []
        for n in range(PUTS):
            key = base64.b64encode(b"key-%06d" % (n % 1000)).decode()
            begin = time.perf_counter()
            connection.request("POST", "/v3/kv/put", json.dumps({"key": key, "value": value}))
            connection.getresponse().read()
            spans.append((time.perf_counter() - begin) * 1000)
        spans.sort()
        perf = subprocess.run(
            ["etcdctl", f"--endpoints=127.0.0.1:{leader}", "check", "perf", "--load=l"],
            capture_output=True, text=True, env={"ETCDCTL_API": "3", "PATH": "/usr/bin"},
        )
        rate = re.search(r"(\d+) writes/s", perf.stdout + perf.stderr)
        print(f"etcd      {spans[PUTS // 2]:8.2f} / {spans[PUTS * 99 // 100]:6.2f} {rate[1] if rate else '?':>15}")
    finally:
        for member in running:
            member.kill()


if __name__ == "__main__":
    main(sys.argv[1])
