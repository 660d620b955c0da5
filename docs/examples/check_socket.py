#!/usr/bin/env python3
"""Asks a running `veilmatch run` about files: check_socket.py SOCKET FILE..."""
import json
import os
import socket
import sys

with socket.socket(socket.AF_UNIX) as connection:
    connection.connect(sys.argv[1])
    stream = connection.makefile("rw", encoding="utf-8")
    for number, path in enumerate(sys.argv[2:]):
        request = {"id": number, "path": os.path.abspath(path), "deadline_ms": 5000}
        stream.write(json.dumps(request) + "\n")
    stream.flush()
    # Answers come as they are ready; the id says which is which.
    for _ in sys.argv[2:]:
        answer = json.loads(stream.readline())
        # "not_checked" is no "no_match": hold the file back and ask again. A "match" that is "weak_only" is for a person to
        # look at.
        print(answer["outcome"], answer.get("label") or answer.get("reason") or "-", answer["path"])
