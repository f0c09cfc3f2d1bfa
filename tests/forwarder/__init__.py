"""The forwarder as a process, between real clients and real or scripted servers on loopback."""
