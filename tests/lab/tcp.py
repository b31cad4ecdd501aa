"""One TCP connection with a steady stream of short messages, each of which comes back.

    python tcp.py serve ADDRESS PORT      echoes until it is killed
    python tcp.py call ADDRESS PORT       sends until its input ends, and writes one line of JSON

A switch of the datapath may delay a message, by a retransmission. It may not end the connection.
"""

import json
import select
import socket
import sys
import time

EVERY_S = 0.005
MESSAGE = bytes(1000)
LINGER_S = 5.0


def serve(address: str, port: int) -> None:
    with socket.create_server((address, port)) as server:
        sys.stdout.write("listening\n")
        sys.stdout.flush()
        while True:
            peer, _ = server.accept()
            with peer:
                while data := peer.recv(65536):
                    peer.sendall(data)


def call(address: str, port: int) -> dict[str, object]:
    """Return how many bytes went out and came back, the longest wait, and what ended it early."""
    sent = received = 0
    longest_s, error = 0.0, ""
    peer = socket.create_connection((address, port), 10)
    due_s = arrived_s = time.monotonic()
    end_s = 0.0
    try:
        while not end_s or (received < sent and time.monotonic() < end_s):
            pause_s = max(0.0, due_s - time.monotonic())
            inputs = [peer] if end_s else [peer, sys.stdin]
            readable, _, _ = select.select(inputs, [], [], min(pause_s, EVERY_S))
            if peer in readable:
                received += len(peer.recv(65536))
                longest_s = max(longest_s, time.monotonic() - arrived_s)
                arrived_s = time.monotonic()
            if sys.stdin in readable:
                end_s = time.monotonic() + LINGER_S
            if not end_s and time.monotonic() >= due_s:
                peer.sendall(MESSAGE)
                sent += len(MESSAGE)
                due_s = time.monotonic() + EVERY_S
    except OSError as failure:
        error = str(failure)
    return {"sent": sent, "received": received, "longest_s": round(longest_s, 3), "error": error}


def main() -> None:
    verb, address, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
    if verb == "serve":
        serve(address, port)
    else:
        sys.stdout.write(json.dumps(call(address, port)) + "\n")


if __name__ == "__main__":
    main()
