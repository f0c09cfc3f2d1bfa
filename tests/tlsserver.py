"""Servers of DNS over TCP and TLS, one thread each, and certificates for them from openssl."""

import socket
import ssl
import struct
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

Script = Callable[["Connection"], None]
"""What a server does with a connection; it is closed behind it."""


class Connection:
    """One connection of a client."""

    def __init__(self, stream: socket.socket) -> None:
        self.stream = stream

    def query(self) -> bytes:
        """
        Return the next query.

        Raises:
            EOFError: the client has closed.
        """
        return self._read(int.from_bytes(self._read(2)))

    def _read(self, size: int) -> bytes:
        octets = b""
        while len(octets) < size:
            more = self.stream.recv(size - len(octets))
            if not more:
                raise EOFError
            octets += more
        return octets

    def send(self, *messages: bytes) -> None:
        """Send messages, in one piece."""
        self.stream.sendall(b"".join(len(m).to_bytes(2) + m for m in messages))

    def wait_for_the_end(self) -> None:
        """Wait until the client closes."""
        while self.stream.recv(65536):
            pass

    def reset(self) -> None:
        """Close with a RST."""
        linger = struct.pack("ii", 1, 0)
        self.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.stream.close()


class StreamServer:
    """
    A server with a script for its first connection, its second, and so on; the last for all others.

    tls: speaks TLS. port: where it listens. accepted: how many connections there were.
    """

    def __init__(
        self, *scripts: Script, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
    ) -> None:
        self._scripts = scripts
        self._tls = tls
        self.accepted = 0
        self._streams: list[socket.socket] = []
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listening = socket.create_server((host, 0), family=family)
        self.port: int = self._listening.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def close(self) -> None:
        """End everything."""
        if self._listening.fileno() < 0:
            return
        self._listening.shutdown(socket.SHUT_RDWR)
        for stream in self._streams:
            try:
                stream.shutdown(socket.SHUT_RDWR)
            except OSError:  # closed already
                continue
        for thread in self._threads:
            thread.join(20)
            assert not thread.is_alive()
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                stream, _ = self._listening.accept()
            except OSError:
                return
            script = self._scripts[min(self.accepted, len(self._scripts) - 1)]
            self._streams.append(stream)
            self.accepted += 1
            thread = threading.Thread(target=self._serve, args=(stream, script), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, stream: socket.socket, script: Script) -> None:
        with stream:
            try:
                if self._tls:
                    stream = self._tls.wrap_socket(stream, server_side=True)
                    self._streams.append(stream)
                script(Connection(stream))
            except (OSError, EOFError):
                pass
            finally:
                stream.close()


class Certificates:
    """Certificates of a private CA, made in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made = 0
        self.ca = folder / "ca.pem"
        self._openssl("req -x509 -days 2 -subj /CN=CA -out ca.pem", key="ca.key")

    def server(self, names: str, *, days: int = 1) -> ssl.SSLContext:
        """Return what a server needs; names: as in a subjectAltName; negative days: in the past."""
        self._made += 1
        stem = f"server{self._made}"
        (self._folder / "names").write_text(f"subjectAltName={names}")
        self._openssl(f"req -subj /CN=server -out {stem}.csr", key=f"{stem}.key")
        self._openssl(
            f"x509 -req -in {stem}.csr -out {stem}.pem -days {days} -extfile names "
            "-CA ca.pem -CAkey ca.key -CAcreateserial"
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._folder / f"{stem}.pem", self._folder / f"{stem}.key")
        return context

    def _openssl(self, command: str, key: str = "") -> None:
        arguments = command.split()
        if key:
            kind = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout"
            arguments += [*kind.split(), key]
        subprocess.run(
            ["openssl", *arguments], cwd=self._folder, check=True, capture_output=True, timeout=60
        )
