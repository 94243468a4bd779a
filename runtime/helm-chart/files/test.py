"""Asks a front door as a client does: fails unless a node that is ready answers it."""

import socket
import ssl
import sys

host, port, name = sys.argv[1:]
context = ssl.create_default_context(cafile="/srv/cortexkg/front/ca.crt")
with (
    socket.create_connection((host, int(port)), timeout=10) as plain,
    context.wrap_socket(plain, server_hostname=name) as connection,
):
    connection.sendall(f"GET /healthz HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
    answer = connection.makefile().readline()
sys.stdout.write(answer)
sys.exit(" 200 " not in answer)
