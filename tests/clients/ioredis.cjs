// ioredis against the server: what its users do every day. Run by tests/clients/run with the folder
// where npm installed it and the server's port; the first thing that differs ends it.

const assert = require("node:assert/strict");
const { createRequire } = require("node:module");

const [folder, port] = process.argv.slice(2);
const load = createRequire(`${folder}/package.json`);
const { Redis } = load("ioredis");
const { version } = load("ioredis/package.json");

let checks = 0;
const check = (given, expected) => {
  checks += 1;
  assert.deepEqual(given, expected);
};
const connect = (options = {}) => new Redis({ port: Number(port), host: "127.0.0.1", ...options });

async function values(redis) {
  check(await redis.set("s", "value", "EX", 100), "OK");
  check(await redis.get("s"), "value");
  check(await redis.getBuffer("s"), Buffer.from("value"));
  check(await redis.set("s", "other", "NX"), null);
  check(await redis.mset({ a: 1, b: 2 }), "OK");
  check(await redis.mget("a", "b", "c"), ["1", "2", null]);
  check(await redis.hset("h", { x: "1", y: "2" }), 2);
  check(await redis.hgetall("h"), { x: "1", y: "2" });
  check(await redis.rpush("l", "1", "2", "3"), 3);
  check(await redis.lpos("l", "2"), 1);
  check(await redis.zadd("z", 1, "one", 2, "two"), 2);
  check(await redis.zrange("z", 0, -1, "WITHSCORES"), ["one", "1", "two", "2"]);
  check(await redis.sadd("set", "m"), 1);
  check(await redis.smismember("set", "m", "n"), [1, 0]);
  await assert.rejects(redis.lpush("s", "x"), /^ReplyError: WRONGTYPE/);
  checks += 1;
  const found = [];
  for await (const keys of redis.scanStream({ match: "?", count: 5 })) found.push(...keys);
  check([...new Set(found)].sort(), ["a", "b", "h", "l", "s", "z"]);
}

async function several(redis) {
  check(await redis.pipeline().set("p", 1).incr("p").get("p").exec(), [[null, "OK"], [null, 2], [null, "2"]]);
  check(await redis.multi().incr("p").incr("p").exec(), [[null, 3], [null, 4]]);
  const other = connect();
  await redis.watch("p");
  await other.set("p", "changed");
  check(await redis.multi().set("p", "lost").exec(), null);
  // Sent one by one, the queue seen from outside.
  check(await redis.multi({ pipeline: false }), "OK");
  check(await redis.get("p"), "QUEUED");
  check(await redis.exec(), [[null, "changed"]]);
  other.disconnect();
}

async function messages(redis) {
  const listener = connect();
  check(await listener.subscribe("news", "sport"), 2);
  check(await listener.psubscribe("n*"), 3);
  const seen = new Promise((resolve) => {
    const all = [];
    const note = (...message) => all.push(message) === 2 && resolve(all);
    listener.on("message", note);
    listener.on("pmessage", note);
  });
  check(await redis.publish("news", "hello"), 2);
  check((await seen).sort(), [["n*", "news", "hello"], ["news", "hello"]]);
  check(await listener.unsubscribe("news", "sport"), 1);
  listener.disconnect();
}

async function waiting(redis) {
  const waiter = connect();
  const popped = waiter.blpop("wait", 30);
  while (!/blocked_clients:1/.test(await redis.info("clients"))) continue;
  await redis.rpush("wait", "served");
  check(await popped, ["wait", "served"]);
  check(await redis.xadd("stream", "1-1", "k", "v"), "1-1");
  check(await redis.xgroup("CREATE", "stream", "group", "0"), "OK");
  check(await redis.xreadgroup("GROUP", "group", "me", "COUNT", 1, "STREAMS", "stream", ">"), [
    ["stream", [["1-1", ["k", "v"]]]],
  ]);
  const read = waiter.xread("BLOCK", 30000, "STREAMS", "stream", "$");
  while (!/blocked_clients:1/.test(await redis.info("clients"))) continue;
  await redis.xadd("stream", "2-1", "k", "w");
  check(await read, [["stream", [["2-1", ["k", "w"]]]]]);
  waiter.disconnect();
}

async function scripts(redis) {
  check(await redis.eval("return {KEYS[1], ARGV[1], 7}", 1, "key", "word"), ["key", "word", 7]);
  // Known by its text at first, and by its hash from then on.
  redis.defineCommand("add", { numberOfKeys: 1, lua: "return redis.call('incrby', KEYS[1], ARGV[1])" });
  check([await redis.add("total", 2), await redis.add("total", 3)], [2, 5]);
  await redis.script("FLUSH");
  check(await redis.add("total", 1), 6);
}

async function theServer(redis) {
  await assert.rejects(redis.call("NO-SUCH", "x"), /unknown command 'NO-SUCH'/);
  checks += 1;
  check(await redis.config("GET", "databases"), ["databases", "16"]);
  const second = connect({ db: 3, connectionName: "second", keyPrefix: "p:" });
  check(await second.set("k", "v"), "OK");
  check(/name=second .*db=3/.test(await second.client("LIST")), true);
  await redis.select(3);
  check(await redis.get("p:k"), "v");
  check(await second.quit(), "OK");
}

(async () => {
  const redis = connect({ showFriendlyErrorStack: true });
  await redis.flushall();
  for (const part of [values, several, messages, waiting, scripts, theServer]) await part(redis);
  redis.disconnect();
  console.log(`ioredis ${version}: ${checks} checks hold`);
})();
