"""The values of options while they are read, and what must hold between them."""

from typing import Any

from dnsmasq_py import recordtext
from dnsmasq_py.getopt import OptionError
from dnsmasq_py.rules import AddressRule, LocalRecords, ServerRule
from kubedns.wire import name as names

PORT_MIN, PORT_MAX = 1024, 65535  # to ask from, when nothing is said


class Collected:
    """The values of Options so far; those that repeat are lists until the end."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.warnings: list[str] = []
        self.listen_addresses: list[str] = []
        self.interfaces: list[str] = []
        self.except_interfaces: list[str] = []
        self.servers: list[ServerRule] = []
        self.addresses: list[AddressRule] = []
        self.resolv_files: list[str] | None = None
        self.rebind_domains_ok: list[bytes] = []
        self.addn_hosts: list[str] = []
        self.hostsdirs: list[str] = []
        self.host_records: list[recordtext.HostRecord] = []
        self.cnames: list[recordtext.Cname] = []
        self.txts: list[recordtext.Txt] = []
        self.srvs: list[recordtext.Srv] = []
        self.ptrs: list[recordtext.Ptr] = []

    def finished(self) -> dict[str, Any]:
        """
        Return the values by field of Options.

        Raises:
            OptionError: options that are right alone and make no sense together.
        """
        values = self.values
        for field in (
            "listen_addresses",
            "interfaces",
            "except_interfaces",
            "servers",
            "addresses",
        ):
            values[field] = tuple(getattr(self, field))
        for field in ("rebind_domains_ok", "addn_hosts", "hostsdirs"):
            values[field] = tuple(getattr(self, field))
        if self.resolv_files is not None:
            values["resolv_files"] = tuple(self.resolv_files)
        values["local"] = self._records(values.get("domain", names.ROOT))
        self._check_together()
        return values

    def _records(self, domain: bytes) -> LocalRecords:
        try:
            srvs = tuple(recordtext.in_domain(row, domain) for row in self.srvs)
        except names.BadNameError as error:
            raise OptionError(f"--srv-host with --domain: {error}") from None
        return LocalRecords(
            host_records=tuple(self.host_records),
            cnames=tuple(self.cnames),
            txts=tuple(self.txts),
            srvs=srvs,
            ptrs=tuple(self.ptrs),
        )

    def _check_together(self) -> None:
        values = self.values
        files = self.resolv_files or []
        if len(files) > 1 and values.get("no_poll") and not values.get("no_resolv"):
            raise OptionError("--no-poll allows only one --resolv-file")
        low, high = values.get("min_port", PORT_MIN), values.get("max_port", PORT_MAX)
        if low > high:
            raise OptionError(f"--max-port={high} is smaller than --min-port={low}")
        if alias := recordtext.looping(self.cnames):
            raise OptionError(f"--cname: {names.to_text(alias)} leads back to itself")
