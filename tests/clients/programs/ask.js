// Node's two resolvers: one question per line of standard input, `kind name`; see resolvers.py.
// The argument says which: `lookup` is the C library's, `resolve` is c-ares.
"use strict";
const dns = require("node:dns").promises;
const readline = require("node:readline");

const srv = (records) => records.map((r) => `${r.priority}:${r.weight}:${r.port}:${r.name}`);

async function both(name) {
  const outcomes = await Promise.allSettled([dns.resolve4(name), dns.resolve6(name)]);
  const found = outcomes.flatMap((each) => each.value ?? []);
  if (found.length === 0) throw outcomes[0].reason;
  return found;
}

const ways = {
  lookup: {
    addresses: async (name) => (await dns.lookup(name, { all: true })).map((each) => each.address),
    reverse: async (name) => [(await dns.lookupService(name, 80)).hostname],
  },
  resolve: {
    addresses: both,
    srv: async (name) => srv(await dns.resolveSrv(name)),
    reverse: (name) => dns.reverse(name),
  },
}[process.argv[2]];

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [kind, name] = line.split(" ");
    const begun = performance.now();
    let found = [];
    let error = "";
    try {
      found = await ways[kind](name);
    } catch (fault) {
      error = fault.code ?? String(fault);
    }
    const ms = (performance.now() - begun).toFixed(2);
    process.stdout.write(`${ms}\t${error}\t${found.join(" ")}\n`);
  }
}

main();
