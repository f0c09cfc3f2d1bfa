"""Configuration files of dnsmasq: --conf-file, --conf-dir, --servers-file, quotes and comments."""

import io
import os
import sys
from pathlib import Path

import pytest

from dnsmasq_py import conffile
from dnsmasq_py.options import OptionError, Options, parse, read_servers_file


def options(*words: str, conf_file: str = "") -> Options:
    """Return what words behind `--` and the files that they name ask for."""
    return parse(["--", *words], conf_file=conf_file, memory=1 << 40)


def written(path: Path, *lines: str) -> str:
    """Write a file and return its path."""
    path.write_text("".join(f"{line}\n" for line in lines))
    return str(path)


def refusal(*words: str) -> str:
    """Return the line that the start fails with."""
    with pytest.raises(OptionError) as caught:
        options(*words)
    return str(caught.value)


def test_a_file_holds_long_options_comments_and_blank_lines(tmp_path: Path) -> None:
    found = options(
        "-C",
        written(
            tmp_path / "a.conf",
            "# the cache",
            "",
            "cache-size=7 # small",
            "  no-negcache\t",
            "server = /a.b/1.2.3.4#53",
            "\tlocal=/c/\r",
            "log-queries=extra",
            "txt-record=t,a#b",
        ),
    )
    assert (found.cache_size, found.no_negcache, found.log_queries) == (7, True, "extra")
    assert [str(rule.server) for rule in found.servers] == ["1.2.3.4", "None"]
    assert found.local.txts[0][1] == (b"a#b",)
    assert found.warnings == ()


@pytest.mark.parametrize(
    ("line", "strings"),
    [
        ('txt-record=a,"x,y",z', (b"x,y", b"z")),
        ('txt-record=a,"x # y"', (b"x # y",)),
        ('txt-record=a,"  x  "', (b"  x  ",)),
        (r'txt-record=a,"\"\\\t\n\e\b\r\z"', (b'"\\\t\n\x1b\b\r\\z',)),
        ('txt-record=a,x"y"z', (b"xyz",)),
        ('txt-record="a",""', (b"",)),
        ("txt-record=a,b\\c", (b"b\\c",)),
        ("txt-record=a,\u00e9", (b"\xc3\xa9",)),
    ],
)
def test_quotes_take_the_meaning_from_commas_blanks_and_hashes(
    tmp_path: Path, line: str, strings: tuple[bytes, ...]
) -> None:
    found = options("-C", written(tmp_path / "a.conf", line))
    assert found.local.txts == ((b"\1a\0", strings),)


def test_quoted_values_of_other_options_are_read_without_their_quotes(tmp_path: Path) -> None:
    found = options(
        "-C",
        written(
            tmp_path / "a.conf",
            'cache-size="7"',
            'server="/a.b/1.2.3.4#54"',
            'addn-hosts="/etc/more hosts"',
            'listen-address="127.0.0.1","::1"',
            'user="dns"',
        ),
    )
    assert (found.cache_size, found.user) == (7, "dns")
    assert str(found.servers[0].server) == "1.2.3.4#54"
    assert found.addn_hosts == ("/etc/more hosts",)
    assert found.listen_addresses == ("127.0.0.1", "::1")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("cache-size=x", '{}: invalid value "x" for cache-size: must be a whole number'),
        ("cache-size", "{}: cache-size needs a value"),
        ("server", "{}: server needs a value"),
        ("no-resolv=1", "{}: no-resolv takes no value"),
        ("no-resolv=", "{}: no-resolv takes no value"),
        ("cache", '{}: unknown option "cache"'),
        ("cache-siz=1", '{}: unknown option "cache-siz", did you mean cache-size?'),
        ("--cache-size=1", '{}: unknown option "--cache-size", did you mean cache-size?'),
        ("c=1", '{}: unknown option "c"'),
        ('txt-record=a,"b', '{}: a " is missing'),
        ("dhcp-range=x,y", "{}: dhcp-range is not supported: DHCP is not served"),
        ("help", "{}: help is for the command line only"),
        ("test", "{}: test is for the command line only"),
        ("conf-file=/nowhere/at.all", 'cannot read "/nowhere/at.all": No such file or directory'),
        ("\x00=x", '{}: unknown option "\\u0000"'),
    ],
)
def test_a_fault_names_file_and_line(tmp_path: Path, line: str, reason: str) -> None:
    path = written(tmp_path / "a.conf", "# one", "# two", line)
    assert refusal("-C", path).startswith(reason.format(f"{path} line 3"))


def test_what_has_no_effect_names_its_place(tmp_path: Path) -> None:
    path = written(tmp_path / "a.conf", "pid-file=/run/x", "log-debug", "log-debug")
    assert options("-C", path, "-d").warnings == (
        "--no-daemon has no effect: this program stays in the foreground",
        f"{path} line 1: pid-file has no effect: this program stays in the foreground",
        f"{path} line 2: log-debug has no effect: this program always logs so",
    )


def test_an_option_in_a_file_overrides_the_command_line(tmp_path: Path) -> None:
    path = written(tmp_path / "a.conf", "cache-size=7", "server=1.1.1.1")
    found = options("-C", path, "--cache-size=5", "--server=2.2.2.2")
    assert found.cache_size == 7
    # the first file is read last
    assert [str(rule.server) for rule in found.servers] == ["2.2.2.2", "1.1.1.1"]
    # and so it does when it was read before
    found = options("-C", os.devnull, "-C", path, "--cache-size=5", "--server=2.2.2.2")
    assert found.cache_size == 7
    assert [str(rule.server) for rule in found.servers] == ["1.1.1.1", "2.2.2.2"]


def test_an_option_that_counts_once_may_not_stand_twice_in_files(tmp_path: Path) -> None:
    a = written(tmp_path / "a.conf", "cache-size=7")
    b = written(tmp_path / "b.conf", "cache-size=7")
    assert refusal("-C", a, "-C", b) == f"{a} line 1: cache-size is given twice"


def test_without_a_conf_file_the_usual_one_is_read_if_it_is_there(tmp_path: Path) -> None:
    usual = written(tmp_path / "dnsmasq.conf", "user=root")
    assert options(conf_file=usual).user == "root"
    assert options("-C", os.devnull, conf_file=usual).user == ""
    assert options("--conf-file=", conf_file=usual).user == ""
    assert options(conf_file=str(tmp_path / "none.conf")).user == ""


def test_files_include_files_and_none_is_read_twice(tmp_path: Path) -> None:
    inner = tmp_path / "inner.conf"
    outer = written(
        tmp_path / "outer.conf", "server=1.1.1.1", f"conf-file={inner}", "server=3.3.3.3"
    )
    written(inner, "server=2.2.2.2", f"conf-file={outer}", f"conf-file={inner}")
    (tmp_path / "again.conf").symlink_to(inner)
    found = options("-C", outer, "-C", str(tmp_path / "again.conf"))
    assert [str(rule.server) for rule in found.servers] == ["2.2.2.2", "1.1.1.1", "3.3.3.3"]


def test_a_conf_file_may_be_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    stdin = io.TextIOWrapper(io.BytesIO(b"server=1.1.1.1\n"))
    monkeypatch.setattr(sys, "stdin", stdin)
    assert len(options("-C", "-").servers) == 1


@pytest.mark.parametrize(
    ("filter", "names"),
    [
        ("", ["a.conf", "b.conf.bak", "c.txt", "conf", "link.conf"]),
        (",*.conf", ["a.conf", "link.conf"]),
        (",*.conf,*.txt", ["a.conf", "c.txt", "link.conf"]),
        (",.bak,.txt", ["a.conf", "conf", "link.conf"]),
        (",*conf", ["a.conf", "link.conf"]),
        (",*", ["a.conf", "b.conf.bak", "c.txt", "conf", "link.conf"]),
        (", .bak , *.bak", []),
    ],
)
def test_a_folder_is_read_in_the_order_of_names_by_its_filters(
    tmp_path: Path, filter: str, names: list[str]
) -> None:
    for name in ("c.txt", "a.conf", "b.conf.bak", "conf", ".hidden", "old~", "#edited#", "#"):
        written(tmp_path / name)
    (tmp_path / "folder.conf").mkdir()
    (tmp_path / "link.conf").symlink_to("a.conf")
    assert conffile.folder(f"{tmp_path}{filter}") == [str(tmp_path / name) for name in names]


def test_the_files_of_a_folder_are_applied(tmp_path: Path) -> None:
    written(tmp_path / "20.conf", "server=2.2.2.2")
    written(tmp_path / "10.conf", "server=1.1.1.1")
    found = options(f"--conf-dir={tmp_path},*.conf")
    assert [str(rule.server) for rule in found.servers] == ["1.1.1.1", "2.2.2.2"]
    main = written(tmp_path / "main", f"conf-dir={tmp_path},*.conf")
    assert len(options("-C", main).servers) == 2


def test_a_folder_or_a_link_to_nowhere_is_a_fault(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    assert refusal(f"--conf-dir={gone}") == f'cannot read "{gone}": No such file or directory'
    (tmp_path / "link.conf").symlink_to(gone)
    assert (
        refusal(f"--conf-dir={tmp_path}") == f'cannot read "{tmp_path}": No such file or directory'
    )
    assert refusal("-C", str(tmp_path)) == f'cannot read "{tmp_path}": Is a directory'
    assert refusal("-C", "a\0b") == 'cannot read "a\\u0000b": embedded null byte'


def test_octets_that_are_no_text_reach_a_record_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "a.conf"
    path.write_bytes(b"txt-record=a,\xff\xfe\n# \xff\n")
    assert options("-C", str(path)).local.txts == ((b"\1a\0", (b"\xff\xfe",)),)


def test_a_line_may_be_long(tmp_path: Path) -> None:
    domains = "/".join(f"d{n}.example" for n in range(5000))
    found = options("-C", written(tmp_path / "a.conf", f"server=/{domains}/1.1.1.1"))
    assert len(found.servers) == 5000


def test_a_servers_file_holds_servers_only_and_what_is_wrong_in_it_is_left_out(
    tmp_path: Path,
) -> None:
    path = written(
        tmp_path / "servers",
        "# more of them",
        "server=/a/1.1.1.1",
        "rev-server=10.0.0.0/8,2.2.2.2",
        "local=/b/",
        "server=x",
        "cache-size=3",
        "frobnicate",
        "server=3.3.3.3",
    )
    assert options(f"--servers-file={path}").servers_file == path
    rules, errors = read_servers_file(path)
    assert [str(rule.server) for rule in rules] == ["1.1.1.1", "2.2.2.2", "3.3.3.3"]
    assert errors == [
        f"{path} line 4: local is not allowed in a servers file",
        f'{path} line 5: invalid value "x" for server: must be an IP address; servers given by '
        "name work in stubDomains of the ConfigMap",
        f"{path} line 6: cache-size is not allowed in a servers file",
        f'{path} line 7: unknown option "frobnicate"',
    ]


def test_a_servers_file_that_is_gone_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "gone"
    reason = f'cannot read "{path}": No such file or directory'
    assert read_servers_file(str(path)) == ((), [reason])
