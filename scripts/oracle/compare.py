"""Asks a real Ironic and baton the same questions and compares statuses and JSON shapes.

Usage: compare.py <url of Ironic> <url of baton> [--verbose]; see README beside it. Both must be empty, serve fake-hardware and
let everybody in. Values are not compared, only which keys there are and of what type; null fits every type.
"""
import json
import sys
import time
import urllib.error
import urllib.request

VERSION = "1.106"


class Server:
    def __init__(self, base):
        self.base = base.rstrip("/")
        self.names = {}

    def ask(self, method, path, body=None, version=VERSION):
        for name, value in self.names.items():
            path = path.replace("{%s}" % name, value)
        data = json.dumps(body)
        for name, value in self.names.items():
            data = data.replace("{%s}" % name, value)
        request = urllib.request.Request(
            self.base + path,
            method=method,
            data=None if body is None else data.encode(),
            headers={"Content-Type": "application/json", "X-OpenStack-Ironic-API-Version": version},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, self.parse(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, self.parse(error.read())

    @staticmethod
    def parse(body):
        try:
            return json.loads(body) if body else None
        except ValueError:
            return "(no JSON)"

    def settle(self, node, state):
        """Waits for a node to come to rest; the state it rests in."""
        for _ in range(600):
            _, shown = self.ask("GET", "/v1/nodes/" + node)
            if shown.get("provision_state") == state and not shown.get("reservation"):
                return state
            time.sleep(0.1)
        return shown.get("provision_state")


def shape(value):
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    if value is None:
        return "null"
    return type(value).__name__


def differences(ours, theirs, place=""):
    if "null" in (ours, theirs):
        return []
    if isinstance(ours, dict) and isinstance(theirs, dict):
        found = ["%s/%s: only Ironic" % (place, key) for key in theirs if key not in ours]
        found += ["%s/%s: only baton" % (place, key) for key in ours if key not in theirs]
        for key in set(ours) & set(theirs):
            found += differences(ours[key], theirs[key], "%s/%s" % (place, key))
        return found
    if isinstance(ours, list) and isinstance(theirs, list):
        return differences(ours[0], theirs[0], place + "/0") if ours and theirs else []
    return [] if ours == theirs else ["%s: baton %s, Ironic %s" % (place, ours, theirs)]


# Free-form objects and what differs by nature: not looked into.
OPAQUE = {"driver_internal_info", "versions", "properties", "inventory", "plugin_data", "id", "version", "default_version"}


def strip(value):
    if isinstance(value, dict):
        return {key: "opaque" if key in OPAQUE else strip(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [strip(inner) for inner in value]
    return value


def fault(body):
    try:
        return json.loads(body["error_message"])["faultstring"]
    except (KeyError, TypeError, ValueError):
        return json.dumps(body)[:200]


NODE = {"driver": "fake-hardware", "name": "one", "resource_class": "x"}
PORT = {"address": "52:54:00:00:00:01", "node_uuid": "{one}"}
STEPS = [{"interface": "raid", "step": "create_configuration"}]

# Method, path, body; "settle" waits for a state; "keep" remembers the uuid of the last answer under a name.
TABLE = [
    ("GET", "/v1"),
    ("GET", "/v1/nodes"),
    ("GET", "/v1/drivers"),
    ("GET", "/v1/drivers/fake-hardware"),
    ("GET", "/v1/drivers/nonsense"),
    ("GET", "/v1/drivers/fake-hardware/properties"),
    ("GET", "/v1/drivers/fake-hardware/raid/logical_disk_properties"),
    ("GET", "/v1/conductors"),
    ("POST", "/v1/nodes", {"driver": "nonsense"}),
    ("POST", "/v1/nodes", {"name": "no driver"}),
    ("POST", "/v1/nodes", {"driver": "fake-hardware", "colour": "red"}),
    ("POST", "/v1/nodes", {"driver": "fake-hardware", "name": "a b"}),
    ("POST", "/v1/nodes", {"driver": "fake-hardware", "extra": 7}),
    ("POST", "/v1/nodes", NODE),
    ("keep", "one"),
    ("POST", "/v1/nodes", NODE),
    ("GET", "/v1/nodes"),
    ("GET", "/v1/nodes/detail"),
    ("GET", "/v1/nodes/one"),
    ("GET", "/v1/nodes/one?fields=uuid,name"),
    ("GET", "/v1/nodes/one?fields=colour"),
    ("GET", "/v1/nodes?limit=0"),
    ("GET", "/v1/nodes?limit=-1"),
    ("GET", "/v1/nodes?sort_key=colour"),
    ("GET", "/v1/nodes?provision_state=colour"),
    ("GET", "/v1/nodes/two"),
    ("GET", "/v1/nodes/one/states"),
    ("GET", "/v1/nodes/one/validate"),
    ("GET", "/v1/nodes/one/traits"),
    ("PUT", "/v1/nodes/one/traits/CUSTOM_A", None),
    ("PUT", "/v1/nodes/one/traits/colour", None),
    ("GET", "/v1/nodes/one/traits"),
    ("GET", "/v1/nodes/one/vifs"),
    ("GET", "/v1/nodes/one/bios"),
    ("GET", "/v1/nodes/one/bios/colour"),
    ("GET", "/v1/nodes/one/firmware"),
    ("GET", "/v1/nodes/one/history"),
    ("GET", "/v1/nodes/one/inventory"),
    ("GET", "/v1/nodes/one/children"),
    ("GET", "/v1/nodes/one/allocation"),
    ("GET", "/v1/nodes/one/management/boot_device"),
    ("GET", "/v1/nodes/one/management/boot_device/supported"),
    ("PUT", "/v1/nodes/one/management/boot_device", {"boot_device": "pxe"}),
    ("PUT", "/v1/nodes/one/management/boot_device", {"boot_device": "disk"}),
    ("GET", "/v1/nodes/one/management/indicators"),
    ("GET", "/v1/nodes/one/vendor_passthru/methods"),
    ("PUT", "/v1/nodes/one/management/inject_nmi", {}),
    ("PUT", "/v1/nodes/one/states/boot_mode", {"target": "uefi"}),
    ("PUT", "/v1/nodes/one/states/boot_mode", {"target": "colour"}),
    ("PUT", "/v1/nodes/one/states/secure_boot", {"target": True}),
    ("GET", "/v1/nodes/one/states/console"),
    ("PUT", "/v1/nodes/one/states/power", {"target": "colour"}),
    ("PUT", "/v1/nodes/one/states/power", {"target": "power on", "timeout": 0}),
    ("PUT", "/v1/nodes/one/states/provision", {"target": "active"}),
    ("PUT", "/v1/nodes/one/states/provision", {"target": "colour"}),
    ("PUT", "/v1/nodes/one/states/provision", {"target": "manage"}),
    ("settle", "manageable"),
    ("PUT", "/v1/nodes/one/states/power", {"target": "power on"}),
    ("settle", "manageable"),
    ("PUT", "/v1/nodes/one/states/provision", {"target": "clean"}),
    ("PUT", "/v1/nodes/one/states/provision", {"target": "clean", "clean_steps": []}),
    ("PUT", "/v1/nodes/one/states/provision", {"target": "clean", "clean_steps": [{"interface": "colour", "step": "x"}]}),
    ("PUT", "/v1/nodes/one/states/provision", {"target": "inspect"}),
    ("settle", "manageable"),
    ("PUT", "/v1/nodes/one/states/provision", {"target": "provide"}),
    ("settle", "available"),
    ("POST", "/v1/ports", PORT),
    ("keep", "port"),
    ("POST", "/v1/ports", PORT),
    ("POST", "/v1/ports", {"address": "zz", "node_uuid": "{one}"}),
    ("GET", "/v1/ports"),
    ("GET", "/v1/ports/detail"),
    ("GET", "/v1/ports?address=zz"),
    ("GET", "/v1/nodes/one/ports"),
    ("PATCH", "/v1/ports/{port}", [{"op": "add", "path": "/extra/a", "value": 1}]),
    ("PATCH", "/v1/ports/{port}", [{"op": "remove", "path": "/address"}]),
    ("POST", "/v1/chassis", {"description": "rack"}),
    ("keep", "chassis"),
    ("GET", "/v1/chassis"),
    ("GET", "/v1/chassis/{chassis}"),
    ("POST", "/v1/allocations", {"resource_class": "x", "name": "al"}),
    ("GET", "/v1/allocations"),
    ("POST", "/v1/allocations", {"name": "al2"}),
    ("DELETE", "/v1/allocations/al"),
    ("POST", "/v1/deploy_templates", {"name": "CUSTOM_T", "steps": [{"interface": "bios", "step": "s", "args": {}, "priority": 1}]}),
    ("GET", "/v1/deploy_templates"),
    ("GET", "/v1/deploy_templates/CUSTOM_T"),
    ("POST", "/v1/deploy_templates", {"name": "colour", "steps": []}),
    ("POST", "/v1/runbooks", {"name": "CUSTOM_R", "steps": [{"interface": "bios", "step": "s", "args": {}, "order": 1}]}),
    ("GET", "/v1/runbooks"),
    ("GET", "/v1/volume"),
    ("GET", "/v1/volume/connectors"),
    ("GET", "/v1/shards"),
    ("PATCH", "/v1/nodes/one", []),
    ("PATCH", "/v1/nodes/one", {}),
    ("PATCH", "/v1/nodes/one", [{"op": "add", "path": "/extra/a", "value": {"b": 1}}]),
    ("PATCH", "/v1/nodes/one", [{"op": "remove", "path": "/extra/zz"}]),
    ("PATCH", "/v1/nodes/one", [{"op": "replace", "path": "/colour", "value": 1}]),
    ("PATCH", "/v1/nodes/one", [{"op": "replace", "path": "/driver", "value": "nonsense"}]),
    ("PATCH", "/v1/nodes/one", [{"op": "add", "path": "/protected", "value": True}]),
    ("PATCH", "/v1/nodes/one", [{"op": "add", "path": "/power_interface", "value": "colour"}]),
    ("PUT", "/v1/nodes/one/maintenance", {"reason": "x"}),
    ("PUT", "/v1/nodes/one/states/provision", {"target": "active"}),
    ("DELETE", "/v1/nodes/one/maintenance"),
    ("PUT", "/v1/nodes/one/states/provision", {"target": "active"}),
    ("settle", "active"),
    ("DELETE", "/v1/nodes/one"),
    ("PUT", "/v1/nodes/one/states/provision", {"target": "rescue"}),
    ("PUT", "/v1/nodes/one/states/provision", {"target": "rescue", "rescue_password": "x"}),
    ("settle", "rescue"),
    ("PUT", "/v1/nodes/one/states/provision", {"target": "unrescue"}),
    ("settle", "active"),
    ("PUT", "/v1/nodes/one/states/provision", {"target": "rebuild"}),
    ("settle", "active"),
    ("GET", "/v1/nodes/one"),
    ("PUT", "/v1/nodes/one/states/provision", {"target": "deleted"}),
    ("settle", "available"),
    ("GET", "/v1/nodes/one/history"),
    ("GET", "/v1/nodes/one/states"),
    ("DELETE", "/v1/ports/{port}"),
    ("DELETE", "/v1/nodes/one"),
    ("DELETE", "/v1/nodes/one"),
    ("GET", "/colour"),
    ("GET", "/v1/colour"),
]


def main():
    urls = [word for word in sys.argv[1:] if not word.startswith("--")]
    verbose = "--verbose" in sys.argv
    ironic, baton = Server(urls[0]), Server(urls[1])
    last, different = (None, None), 0
    for row in TABLE:
        if row[0] == "keep":
            ironic.names[row[1]], baton.names[row[1]] = (body["uuid"] for body in last)
            continue
        if row[0] == "settle":
            answers = [(server.settle("one", row[1]), None) for server in (ironic, baton)]
        else:
            answers = [server.ask(*row) for server in (ironic, baton)]
        (theirs, their_body), (ours, our_body) = answers
        last = (their_body, our_body)
        found = []
        if theirs != ours:
            found.append("Ironic %s %s; baton %s %s" % (theirs, fault(their_body), ours, fault(our_body)))
        elif isinstance(theirs, int) and theirs < 300:
            found = differences(shape(strip(our_body)), shape(strip(their_body)))
        elif verbose and fault(their_body) != fault(our_body):
            print("text %s %s:\n  Ironic %s\n  baton  %s" % (row[0], row[1], fault(their_body), fault(our_body)))
        if found:
            different += 1
            print("%s %s %s" % (row[0], row[1], json.dumps(row[2]) if len(row) > 2 else ""))
            for line in found:
                print("    " + line)
    print("%d of %d answers differ" % (different, len(TABLE)))


main()
