"""
Limits, by worker.

What is promised to others (questions at one group of servers, TCP connections, lines of the query
log) holds for all workers together: each has its part. What protects a process from itself
(questions and waiting clients in all, errors to one client, the cache) holds for each.
"""

from dataclasses import replace

from dnsmasq_py import limits
from dnsmasq_py.options import Options

_LEAST_PER_CLIENT = 4  # TCP connections; the kernel does not deal them out evenly


def of(options: Options, count: int, number: int) -> Options:
    """
    Return the options of one of so many workers, by its number.

    Regular reports are left to number 0, who leads; the others add their number to the hot-file.
    """
    leads = number == 0
    hot_file = options.hot_file if leads or not options.hot_file else f"{options.hot_file}.{number}"
    return replace(
        options,
        dns_forward_max=part(options.dns_forward_max or limits.MAX_GROUP_QUESTIONS, count),
        max_tcp_connections=part(options.max_tcp_connections, count),
        log_queries_per_s=part(options.log_queries_per_s, count),
        log_interval_s=options.log_interval_s if leads else 0.0,
        hot_file=hot_file,
        warnings=options.warnings if leads else (),
    )


def per_client(most: int, count: int) -> int:
    """Return how many TCP connections of one client a worker takes while there are many."""
    return max(min(most, _LEAST_PER_CLIENT), part(most, count))


def part(number: int, count: int) -> int:
    """Return a worker's part of a number, rounded up."""
    return -(-number // count)
