"""Answers `POST /os-server-external-events` under the schemas that Nova publishes; prints its address.

Nova's own controller needs cells, a message queue and their databases. What is wrong or right about a body stands in its
schemas alone, for microversion 2.76: the request is checked by them, and so is the answer that is sent back.
"""

import json
import os
import sys
import warnings
from http.server import BaseHTTPRequestHandler, HTTPServer

warnings.simplefilter("ignore")
import jsonschema  # noqa: E402
from nova.api.openstack.compute.schemas import server_external_events as schema  # noqa: E402

checker = jsonschema.FormatChecker()


class Events(BaseHTTPRequestHandler):
    def log_message(self, *arguments):
        pass

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        try:
            if self.path != "/v2.1/os-server-external-events":
                raise ValueError(self.path)
            if self.headers["openstack-api-version"] != "compute 2.76":
                raise ValueError("microversion")
            jsonschema.validate(body, schema.create_v276, format_checker=checker)
        except Exception as error:
            return self.answer(400, {"badRequest": {"code": 400, "message": str(error)}})
        for number, event in enumerate(body["events"]):
            unknown = number % 3 == 0
            event["code"] = 404 if unknown else 200
            event["status"] = "failed" if unknown else "completed"
        jsonschema.validate(body, schema.create_response_v276, format_checker=checker)
        self.answer(207, body)

    def answer(self, status, body):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


server = HTTPServer(("127.0.0.1", 0), Events)
server.timeout = 0.5
print(f"http://127.0.0.1:{server.server_port}/v2.1", flush=True)
while os.getppid() != 1:
    server.handle_request()
