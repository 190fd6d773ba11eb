"""An evaluator outside of the server, as it is written by hand, beside MARKET.CANDLE.

    client.py <port of a plain server> <port of a server with the module> <bars>

For each bar the evaluator stores the candle, reads the last ones back, computes each condition's function with TA-Lib,
and for what fires appends to a stream and publishes. With the module all of this is one command. Both have the same
conditions (RSI of different periods below 40, on the edge), must fire as often, and are told by one client over one
connection; the time is that of the client and the server together, which is what a bar waits for.
"""

import math
import sys
import time

try:
    import numpy
    import redis
    import talib
except ImportError as missing:
    print(f"the evaluator outside needs {missing.name}: pip install redis TA-Lib numpy", file=sys.stderr)
    sys.exit(3)

SYMBOL = "BENCH"
MINUTE_MS = 60_000
# Enough for the longest RSI to forget where it began.
WINDOW = 250
THRESHOLD = 40


def candles(count):
    first = int(time.time() * 1000) // MINUTE_MS - 20_000
    for bar in range(count):
        close = round(2000 + 50 * math.sin(bar / 9) + 20 * math.sin(bar / 2.3), 2)
        yield (first + bar) * MINUTE_MS, close + 1, close + 3, close - 3, close, 5 + bar % 3


class Outside:
    def __init__(self, port, periods):
        self.redis = redis.Redis(port=port)
        self.known = dict.fromkeys(periods)
        self.fired = 0

    def bar(self, candle):
        open_time, *numbers = candle
        names = ["open", "high", "low", "close", "volume"]
        key = f"market:{SYMBOL}:1m"
        self.redis.xadd(key, dict(zip(names, numbers)), id=f"{open_time}-0", maxlen=1000)
        entries = self.redis.xrevrange(key, count=WINDOW)
        closes = numpy.array([float(fields[b"close"]) for _, fields in reversed(entries)])
        for period, known in self.known.items():
            value = talib.RSI(closes, timeperiod=period)[-1]
            if math.isnan(value):
                continue
            is_true = bool(value < THRESHOLD)
            if is_true and known is False:
                self.fired += 1
                pipeline = self.redis.pipeline(transaction=True)
                pipeline.xadd(f"triggers:{SYMBOL}", {"period": period, "price": numbers[3]})
                pipeline.publish(f"condition.{period}", f'{{"price":{numbers[3]}}}')
                pipeline.execute()
            self.known[period] = is_true


class Inside:
    def __init__(self, port, periods):
        self.redis = redis.Redis(port=port)
        self.fired = 0
        for period in periods:
            self.redis.execute_command("COND.REGISTER", SYMBOL, "1m", f"rsi({period}) < {THRESHOLD}")

    def bar(self, candle):
        self.fired += len(self.redis.execute_command("MARKET.CANDLE", SYMBOL, "1m", *candle))


def measure(evaluator, bars):
    begun = time.perf_counter()
    for candle in bars:
        evaluator.bar(candle)
    return (time.perf_counter() - begun) * 1e6 / len(bars)


def main():
    outside_port, inside_port, count = map(int, sys.argv[1:])
    bars = list(candles(count))
    print(f"Client and server together, us a bar, {count} bars, one connection, no pipeline")
    print(f"{'conditions':<34}{'outside':>12}{'module':>9}{'x':>9}")
    for conditions in [1, 10, 100]:
        periods = range(2, 2 + conditions)
        for port in (outside_port, inside_port):
            redis.Redis(port=port).flushall()
        outside, inside = Outside(outside_port, periods), Inside(inside_port, periods)
        slow, fast = measure(outside, bars), measure(inside, bars)
        # A window of candles is not all of them: an RSI near the threshold may be on either side of it.
        if abs(outside.fired - inside.fired) > 0.05 * inside.fired + 1:
            sys.exit(f"{conditions} conditions fired {outside.fired} times outside and {inside.fired} times inside")
        print(f"{conditions:<34}{slow:>12.0f}{fast:>9.0f}{slow / fast:>9.1f}")


main()
