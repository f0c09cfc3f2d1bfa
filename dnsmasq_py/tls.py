"""
DNS over TLS (RFC 7858) by the strict profile (RFC 8310 5): a verified name, or no question at all.

TLS itself is a machine without IO between octets and octets, so that any transport does. Imported
only when a server wants it: the library behind it takes some megabytes.
"""

import ssl


def context(ca_file: str) -> ssl.SSLContext:
    """
    Return what certificates are verified with: those of a PEM file, or of the system for "".

    Raises:
        OSError: the file cannot be read, or holds no certificate.
    """
    try:
        made = ssl.create_default_context(cafile=ca_file or None)
    except OSError as error:
        raise OSError(f"{ca_file}: {error.strerror or error}") from error
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    return made


class Channel:
    """
    TLS on one connection, for a client. name: that in the certificate, a host name or an address.

    Whatever is called here, `outgoing` has octets for the server afterwards.
    """

    def __init__(self, made: ssl.SSLContext, name: str) -> None:
        self.ready = False
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = made.wrap_bio(self._incoming, self._outgoing, server_hostname=name)

    def start(self) -> None:
        """Say hello."""
        self._shake_hands()

    def encrypt(self, octets: bytes) -> None:
        """Send octets; only when ready."""
        self._tls.write(octets)

    def outgoing(self) -> bytes:
        """Return what is to be sent to the server now."""
        return self._outgoing.read()

    def received(self, octets: bytes) -> bytes:
        """
        Take octets of the server in; return what they hold for us.

        Raises:
            ConnectionError: there is no trust in this server, or it makes no sense.
        """
        self._incoming.write(octets)
        if not self.ready:
            self._shake_hands()
        return self._plain() if self.ready else b""

    def _shake_hands(self) -> None:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return
        except ssl.SSLError as error:
            raise ConnectionError(_reason(error)) from error
        self.ready = True

    def _plain(self) -> bytes:
        parts = []
        try:
            while part := self._tls.read(65536):
                parts.append(part)
        except (ssl.SSLWantReadError, ssl.SSLZeroReturnError):
            pass
        except ssl.SSLError as error:
            raise ConnectionError(_reason(error)) from error
        return b"".join(parts)


def _reason(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate not accepted: {error.verify_message}"
    return (error.reason or str(error)).lower().replace("_", " ")
