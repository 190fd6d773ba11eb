"""A producer on redis-py that waits for each event, as most do.

    client.py <port> multi|publish <file of events>

`multi` sends what such clients send today: the writes of an event in one transaction, blindly. `publish` sends
TRADE.PUBLISH. Both have the data as a dict, and write it as JSON once. The file has an event a line, with the keys and
fields that `multi` writes: to find out those costs it nothing here.

Prints the client's version, the seconds that all events took, the CPU seconds that this process took for them, and what
TRADE.PUBLISH replied, a line each.
"""

import json
import sys
import time

try:
    import redis
except ImportError as missing:
    print(f"{sys.executable} has no {missing.name}: pip install redis", file=sys.stderr)
    sys.exit(3)

try:
    import hiredis
    PARSER = f"hiredis {hiredis.__version__}"
except ImportError:
    PARSER = "no hiredis"

dumps = json.JSONEncoder(separators=(",", ":")).encode


def multi(client, event):
    symbol, event_type, data = event["symbol"], event["type"], dumps(event["data"])
    pipe = client.pipeline(transaction=True)
    if "key" in event:
        pipe.hset(event["key"], mapping=event["fields"])
    if "index" in event:
        command, key, *rest = event["index"]
        if command == "ZADD":
            score, member = rest
            pipe.zadd(key, {member: score})
        else:
            pipe.zrem(key, *rest)
    if "expires_at" in event:
        pipe.pexpireat(event["key"], event["expires_at"])
    entry = {"type": event_type, "data": data, "ts": event["ts"]}
    pipe.xadd(f"trade:{{{symbol}}}:events", entry, maxlen=1_000_000, approximate=True)
    message = f'{{"event_type":"{event_type}","symbol":"{symbol}","timestamp":"{event["timestamp"]}","data":{data}}}'
    pipe.publish(f"trades:{symbol}:{event_type}", message)
    pipe.execute()


def publish(client, event):
    return client.execute_command("TRADE.PUBLISH", event["symbol"], event["type"], dumps(event["data"]))


def main():
    port, way, path = sys.argv[1:]
    with open(path, encoding="utf-8") as file:
        events = [json.loads(line) for line in file]
    send = {"multi": multi, "publish": publish}[way]
    client = redis.Redis(port=int(port))
    client.ping()
    begun, cpu_begun = time.perf_counter(), time.process_time()
    replies = [send(client, event) for event in events]
    seconds, cpu_seconds = time.perf_counter() - begun, time.process_time() - cpu_begun
    print(f"redis-py {redis.__version__} ({PARSER}), Python {sys.version.split()[0]}")
    print(seconds)
    print(cpu_seconds)
    if way == "publish":
        print("\n".join(reply.decode() for reply in replies))


main()
