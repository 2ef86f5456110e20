"""redis-py against the server: what its users do every day, in RESP2 and in RESP3.

Run by tests/clients/run with the server's port; the first thing that differs ends it.
"""

import sys
import threading

import redis

PORT = int(sys.argv[1])
CHECKS = 0


def check(given, expected):
    global CHECKS
    CHECKS += 1
    assert given == expected, f"{given!r} is not {expected!r}"


def refused(kind, start, call):
    global CHECKS
    CHECKS += 1
    try:
        given = call()
    except kind as error:
        assert str(error).startswith(start), str(error)
    else:
        raise AssertionError(f"{given!r} in place of an error")


def strings(r):
    check(r.set("s", "value", ex=100), True)
    check(r.get("s"), "value")
    check(99 <= r.ttl("s") <= 100, True)
    check(r.set("s", "other", nx=True), None)
    check(r.set("s", "other", xx=True, get=True), "value")
    check(r.mget("s", "none"), ["other", None])
    check(r.incrbyfloat("f", 1.5), 1.5)
    check(r.setbit("bits", 7, 1), 0)
    check(r.get("bits"), "\x01")
    check(sorted(r.scan_iter("s*")), ["s"])
    refused(redis.ResponseError, "WRONGTYPE", lambda: r.lpush("s", "x"))


def collections(r):
    check(r.hset("h", mapping={"a": 1, "b": 2}), 2)
    check(r.hgetall("h"), {"a": "1", "b": "2"})
    check(r.rpush("l", "a", "b", "c"), 3)
    check(r.lrange("l", 0, -1), ["a", "b", "c"])
    check(r.sadd("set", "x", "y"), 2)
    check(r.smembers("set"), {"x", "y"})
    check(r.zadd("z", {"one": 1, "two": 2.5}), 2)
    check([tuple(pair) for pair in r.zrange("z", 0, -1, withscores=True)], [("one", 1.0), ("two", 2.5)])
    check(r.zscore("z", "two"), 2.5)
    check(r.geoadd("geo", (13.361389, 38.115556, "Palermo")), 1)
    check(r.pfadd("hll", "a", "b"), 1)
    check(r.pfcount("hll"), 2)


def transactions(r):
    with r.pipeline(transaction=False) as pipe:
        pipe.set("p", 1).incr("p").lpush("p", "x").get("p")
        replies = pipe.execute(raise_on_error=False)
    check(replies[:2] + replies[3:], [True, 2, "2"])
    check(isinstance(replies[2], redis.ResponseError), True)
    with r.pipeline() as pipe:
        pipe.watch("p")
        r.set("p", "changed")
        pipe.multi()
        pipe.set("p", "lost")
        refused(redis.WatchError, "Watched variable changed", pipe.execute)
    check(r.transaction(lambda pipe: pipe.multi() or pipe.incr("n").incr("n"), "n"), [1, 2])


def messages(r):
    listener = r.pubsub(ignore_subscribe_messages=False)
    listener.subscribe("news")
    listener.psubscribe("ne*")
    kinds = [listener.get_message(timeout=10)["type"] for _ in range(2)]
    check(kinds, ["subscribe", "psubscribe"])
    check(r.publish("news", "hello"), 2)
    got = [listener.get_message(timeout=10) for _ in range(2)]
    check(sorted(message["type"] for message in got), ["message", "pmessage"])
    check({message["data"] for message in got}, {"hello"})
    check(r.pubsub_numsub("news"), [("news", 1)])
    listener.close()


def blocking(r):
    popped = []
    waiting = threading.Thread(target=lambda: popped.append(r.blpop(["wait"], timeout=30)))
    waiting.start()
    while r.info("clients")["blocked_clients"] == 0:
        pass
    r.rpush("wait", "served")
    waiting.join(30)
    check([list(reply) for reply in popped], [["wait", "served"]])


def streams(r):
    first = r.xadd("stream", {"k": "1"}, id="1-1")
    r.xadd("stream", {"k": "2"}, id="1-2")
    check(first, "1-1")
    check(r.xrange("stream"), [("1-1", {"k": "1"}), ("1-2", {"k": "2"})])
    check(r.xgroup_create("stream", "group", id="0"), True)
    reply = r.xreadgroup("group", "me", {"stream": ">"}, count=1)
    check(r.xpending("stream", "group")["pending"], 1)
    check("1-1" in str(reply) and "1-2" not in str(reply), True)
    check(r.xack("stream", "group", "1-1"), 1)
    check(r.xlen("stream"), 2)


def the_server(r, protocol):
    check(r.ping(), True)
    check(r.client_setname("tester"), True)
    check(r.client_info()["resp"], str(protocol))
    check(r.config_set("slowlog-max-len", "7"), True)
    check(r.config_get("slowlog-max-len"), {"slowlog-max-len": "7"})
    check(r.info("server")["redis_mode"], "standalone")
    check(r.command_count() > 200, True)
    check(r.memory_usage("s") > 0, True)
    check(r.object("encoding", "l"), "quicklist")


def scripts(r):
    add = r.register_script("return redis.call('incrby', KEYS[1], ARGV[1])")
    check([add(keys=["total"], args=[2]), add(keys=["total"], args=[3])], [2, 5])
    check(r.script_exists(add.sha, "0" * 40), [True, False])
    # Locks are given back, and held for longer, by scripts.
    lock = r.lock("lock", timeout=100)
    check(lock.acquire(blocking=False), True)
    check(r.lock("lock").acquire(blocking=False), False)
    check(lock.extend(100), True)
    lock.release()
    check(r.exists("lock"), 0)
    refused(redis.exceptions.LockError, "Cannot release", lock.release)
    library = "#!lua name=own\nredis.register_function('echo', function(keys, args) return args[1] end)"
    check(r.function_load(library, replace=True), "own")
    check(r.fcall("echo", 0, "word"), "word")


def users(r, protocol):
    rules = {"keys": ["own:*"], "categories": ["+@read"], "passwords": ["+word"]}
    check(r.acl_setuser("ann", enabled=True, **rules), True)
    check("ann" in r.acl_users(), True)
    check(r.acl_getuser("ann")["categories"], ["-@all", "+@read"])
    ann = redis.Redis(port=PORT, protocol=protocol, username="ann", password="word")
    check(ann.get("own:key"), None)
    refused(redis.exceptions.NoPermissionError, "this user has no permissions", lambda: ann.get("key"))
    refused(redis.exceptions.NoPermissionError, "this user has no permissions", lambda: ann.set("own:key", "v"))
    ann.close()
    check(r.acl_deluser("ann"), 1)


for protocol in (2, 3):
    client = redis.Redis(port=PORT, protocol=protocol, decode_responses=True)
    client.flushall()
    for part in (strings, collections, transactions, messages, blocking, streams):
        part(client)
    scripts(client)
    the_server(client, protocol)
    users(client, protocol)
    client.close()
print(f"redis-py {redis.__version__}: {CHECKS} checks hold")
