"""Runs Keystone over SQLite in a directory; prints its address and an application credential of its admin.

Usage: run_keystone.py DIRECTORY COMPUTE_URL
"""

import os
import socket
import subprocess
import sys
import threading
import time
import warnings

warnings.simplefilter("ignore")
work, compute = sys.argv[1:3]
config = os.path.join(work, "keystone.conf")
keys = os.path.join(work, "keys")
os.makedirs(keys, exist_ok=True)
with open(config, "w") as out:
    out.write(
        f"[database]\nconnection = sqlite:///{work}/keystone.db\n"
        f"[fernet_tokens]\nkey_repository = {keys}/fernet\n"
        f"[credential]\nkey_repository = {keys}/credential\n"
        f"[receipt]\n[fernet_receipts]\nkey_repository = {keys}/fernet\n"
        "[cache]\nenabled = false\n"
        # The lowest cost, since the password guards nothing.
        "[identity]\npassword_hash_rounds = 4\n"
    )
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
port = listener.getsockname()[1]
listener.close()
url = f"http://127.0.0.1:{port}"


def manage(*arguments):
    tool = os.path.join(os.path.dirname(sys.executable), "keystone-manage")
    subprocess.run([tool, "--config-file", config, *arguments], check=True, stdout=sys.stderr)


user = str(os.getuid())
os.makedirs(os.path.join(keys, "fernet"), mode=0o700, exist_ok=True)
os.makedirs(os.path.join(keys, "credential"), mode=0o700, exist_ok=True)
manage("db_sync")
manage("fernet_setup", "--keystone-user", user, "--keystone-group", str(os.getgid()))
manage("credential_setup", "--keystone-user", user, "--keystone-group", str(os.getgid()))
manage(
    "bootstrap",
    "--bootstrap-password", "s3cret",
    "--bootstrap-region-id", "one",
    "--bootstrap-public-url", url + "/v3",
)

os.environ["OS_KEYSTONE_CONFIG_FILES"] = config
os.environ["OS_KEYSTONE_CONFIG_DIR"] = work
from keystone.server import wsgi  # noqa: E402
from werkzeug.serving import WSGIRequestHandler, make_server  # noqa: E402


class Quiet(WSGIRequestHandler):
    def log(self, *arguments):
        pass


sys.argv = sys.argv[:1]
server = make_server("127.0.0.1", port, wsgi.initialize_public_application(), threaded=False, request_handler=Quiet)
threading.Thread(target=server.serve_forever, daemon=True).start()

from keystoneauth1 import session  # noqa: E402
from keystoneauth1.identity import v3  # noqa: E402

auth = v3.Password(
    auth_url=url + "/v3", username="admin", password="s3cret", project_name="admin",
    user_domain_id="default", project_domain_id="default",
)
keystone = session.Session(auth=auth)
base = url + "/v3"
service = keystone.post(
    base + "/services", json={"service": {"type": "compute", "name": "nova"}}
).json()["service"]
for interface in ("public", "internal"):
    endpoint = {"service_id": service["id"], "interface": interface, "url": compute, "region_id": "one"}
    keystone.post(base + "/endpoints", json={"endpoint": endpoint})
person = keystone.get_user_id()
credential = keystone.post(
    f"{base}/users/{person}/application_credentials",
    json={"application_credential": {"name": "baton"}},
).json()["application_credential"]
print("READY", url, credential["id"], credential["secret"], flush=True)
while os.getppid() != 1:
    time.sleep(0.5)
