"""A Flask service that asks another one. `opentelemetry-instrument` adds the telemetry; nothing here knows of it."""

import logging
import os

import requests
from flask import Flask
from werkzeug.serving import make_server

logging.basicConfig(level=logging.INFO)
app = Flask("front")


@app.get("/order/<item>")
def order(item):
    app.logger.info("ordering %s", item)
    answer = requests.get(f"{os.environ['BACK_URL']}/stock/{item}", timeout=30)
    if answer.status_code != 200:
        app.logger.error("no %s left", item)
        return "sold out", 409
    return answer.text


if __name__ == "__main__":
    server = make_server("127.0.0.1", 0, app, threaded=True)
    print(f"serving http://127.0.0.1:{server.port}", flush=True)
    server.serve_forever()
