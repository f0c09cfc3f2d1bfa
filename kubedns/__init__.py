"""
kubedns: the cluster's own names.

options   command line → Options          config, configdir   the kube-dns ConfigMap
cluster/  API objects become records      an event walks apiserver → objects → pairing → records
zone/     records become an answer        tree → lookup
wire/     how DNS is spelled
serve/    sockets in front                a question walks receiver → responder → answers → lookup
outside/  what the zone cannot answer     stub domains and upstream nameservers
tell/     what changes, told to caches    a change walks pairing → tree → feed → teller → session
batch     reads sockets, many datagrams at a time; plainbatch, or _batch.c where a compiler was
explain/  why a name does not resolve  a result walks responder → sentences → why → reply
snapshot/ what is served outlives us      sealed, keptfile: any file that does
service   the wiring                      pages, metrics: what operators see
"""

__version__ = "0.1.0"
