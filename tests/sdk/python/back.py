"""A FastAPI service that is asked. `opentelemetry-instrument` adds the telemetry; nothing here knows of it."""

import logging
import socket

import uvicorn
from fastapi import FastAPI, HTTPException

logging.basicConfig(level=logging.INFO)
log = logging.getLogger("back")
app = FastAPI()


@app.get("/stock/{item}")
def stock(item: str):
    log.warning("stock of %s is low", item)
    if item == "nothing":
        raise HTTPException(404)
    return {"item": item, "left": 1}


if __name__ == "__main__":
    listener = socket.create_server(("127.0.0.1", 0))
    print(f"serving http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    uvicorn.Server(uvicorn.Config(app)).run(sockets=[listener])
