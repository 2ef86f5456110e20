// node-redis against the server: what its users do every day, in RESP2 and in RESP3, with its cache
// that the server keeps true. Run by tests/clients/run with the folder where npm installed it and
// the server's port; the first thing that differs ends it.

const assert = require("node:assert/strict");
const { createRequire } = require("node:module");

const [folder, port] = process.argv.slice(2);
const load = createRequire(`${folder}/package.json`);
const { createClient } = load("redis");
const { version } = load("redis/package.json");

let checks = 0;
const check = (given, expected) => {
  checks += 1;
  assert.deepEqual(JSON.parse(JSON.stringify(given)), expected);
};
const connect = (options) => createClient({ url: `redis://127.0.0.1:${port}`, ...options }).connect();

async function values(client) {
  check(await client.set("s", "value", { expiration: { type: "EX", value: 100 } }), "OK");
  check(await client.get("s"), "value");
  check(await client.hSet("h", { a: "1", b: "2" }), 2);
  check(await client.hGetAll("h"), { a: "1", b: "2" });
  check(await client.rPush("l", ["a", "b"]), 2);
  check(await client.lRange("l", 0, -1), ["a", "b"]);
  check(await client.zAdd("z", [{ score: 1.5, value: "x" }]), 1);
  check(await client.zRangeWithScores("z", 0, -1), [{ score: 1.5, value: "x" }]);
  check(await client.zScore("z", "x"), 1.5);
  check(await client.sAdd("set", ["x", "y"]), 2);
  check((await client.sMembers("set")).sort(), ["x", "y"]);
  const found = [];
  for await (const keys of client.scanIterator({ MATCH: "?" })) found.push(...keys);
  check([...new Set(found)].sort(), ["h", "l", "s", "z"]);
  await assert.rejects(client.lPush("s", "x"), /WRONGTYPE/);
  checks += 1;
}

async function several(client) {
  check(await Promise.all([client.set("p", "1"), client.incr("p"), client.get("p")]), ["OK", 2, "2"]);
  check(await client.multi().incr("p").get("p").exec(), [3, "3"]);
  const other = await client.duplicate().connect();
  await client.watch("p");
  await other.set("p", "changed");
  await assert.rejects(client.multi().set("p", "lost").exec(), /watched keys has been changed/);
  checks += 1;
  other.destroy();
}

async function messages(client) {
  const listener = await client.duplicate().connect();
  const seen = new Promise((resolve) => {
    listener.subscribe("news", (text, channel) => resolve([text, channel]));
  });
  while ((await client.publish("news", "hello")) === 0) continue;
  check(await seen, ["hello", "news"]);
  await listener.unsubscribe();
  listener.destroy();
}

async function waiting(client) {
  const waiter = await client.duplicate().connect();
  const popped = waiter.blPop("wait", 30);
  while (!/blocked_clients:1/.test(await client.info("clients"))) continue;
  await client.rPush("wait", "served");
  check(await popped, { key: "wait", element: "served" });
  check(await client.xAdd("stream", "1-1", { k: "v" }), "1-1");
  check(await client.xGroupCreate("stream", "group", "0"), "OK");
  const entries = JSON.stringify(await waiter.xReadGroup("group", "me", { key: "stream", id: ">" }));
  check(/stream.*1-1.*k.*v/.test(entries), true);
  waiter.destroy();
}

async function scripts(client) {
  const { defineScript } = load("redis");
  const add = defineScript({
    SCRIPT: "return redis.call('incrby', KEYS[1], ARGV[1])",
    NUMBER_OF_KEYS: 1,
    parseCommand(parser, key, by) {
      parser.pushKey(key);
      parser.push(String(by));
    },
    transformReply: (reply) => reply,
  });
  const scripted = await connect({ scripts: { add } });
  check([await scripted.add("total", 2), await scripted.add("total", 3)], [2, 5]);
  check(await client.eval("return {KEYS[1], 7}", { keys: ["key"] }), ["key", 7]);
  scripted.destroy();
}

// The client keeps what it read, and is told when it is no longer true.
async function cached(client) {
  const cache = { ttl: 0, maxEntries: 10, evictPolicy: "LRU" };
  const reader = await connect({ RESP: 3, clientSideCache: cache });
  await client.set("kept", "1");
  check(await reader.get("kept"), "1");
  await client.set("kept", "2");
  let read = await reader.get("kept");
  while (read === "1") {
    // What is in the cache is read without a turn of the event loop, which the message needs.
    await new Promise(setImmediate);
    read = await reader.get("kept");
  }
  check(read, "2");
  reader.destroy();
}

(async () => {
  for (const RESP of [2, 3]) {
    const client = await connect({ RESP });
    await client.flushAll();
    for (const part of [values, several, messages, waiting, scripts, cached]) await part(client);
    client.destroy();
  }
  console.log(`node-redis ${version}: ${checks} checks hold`);
})();
