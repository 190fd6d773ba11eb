#!/usr/bin/env python3
"""Writes crates/core/tests/vectors: bars, and TA-Lib's numbers for them.

    pip install 'TA-Lib>=0.8.2' backtesting pandas numpy
    scripts/vectors.py

TA-Lib 0.8.1 (in the wheel 0.8.2) is the one that the indicators follow. Older ones take what is below 1e-14 for 0,
compute the variance of bb with half the digits, and have no averages of one bar.

bars.csv has the bars of several series, one after the other; <function>.csv has a row for each of them, with
what TA-Lib gives for each line and set of parameters (named in the header) from the first bar of the series
on. Numbers have 17 significant digits, which is all of a double; a field is empty where there is no value.

TA-Lib gives a number also where its formula has none, by dividing by nothing. Such numbers are left out where
they are the result, and counted where a further function is computed from them:

- rsi: no number differs from the one before, from the first on (TA-Lib: 0);
- roc: the number of `period` bars ago is 0 (TA-Lib: 0);
- cci: the typical prices in the window differ by no more than rounding, their mean deviation being 1e-14 of them
  at most (TA-Lib: 0);
- stoch: the range has no height (TA-Lib: 0), for k if it is not smoothed, for d if neither is.
"""

import csv
import pathlib

import numpy
import talib
from backtesting.test import EURUSD, GOOG

FOLDER = pathlib.Path(__file__).parent.parent / "crates/core/tests/vectors"
COLUMNS = ["open", "high", "low", "close", "volume"]
ROUNDING = 1e-14


def taken(frame, start, count):
    """A slice of a frame of the package `backtesting`."""
    part = frame.iloc[start : start + count]
    return {name: part[name.capitalize()].to_numpy(dtype=float) for name in COLUMNS}


def walked(rng, count, start, tick, flat=(), jumps=(), dead=0):
    """A random walk in whole ticks, so that prices tie; with flat stretches, jumps and, at its beginning, bars
    in which nothing moves. Volumes are sometimes 0."""
    steps = rng.integers(-3, 4, size=count)
    steps[:dead] = 0
    for first, last in flat:
        steps[first:last] = 0
    for at, size in jumps:
        steps[at] += size
    ticks = round(start / tick) + numpy.cumsum(steps)
    opened = numpy.concatenate(([ticks[0]], ticks[:-1]))
    above, below = rng.integers(0, 3, size=count), rng.integers(0, 3, size=count)
    for first, last in [(0, dead), *flat]:
        above[first:last] = below[first:last] = 0
    # A gap: the bar after a jump opens where it closes.
    for at, _ in jumps:
        opened[at] = ticks[at]
    digits = max(0, round(-numpy.log10(tick)))

    def price(whole):
        return numpy.round(whole * tick, digits)

    volume = rng.integers(0, 5, size=count).astype(float)
    return {
        "open": price(opened),
        "high": price(numpy.maximum(opened, ticks) + above),
        "low": price(numpy.minimum(opened, ticks) - below),
        "close": price(ticks),
        "volume": volume,
    }


def all_bars():
    rng = numpy.random.default_rng(20240229)
    return {
        "goog": taken(GOOG, 900, 280),
        "eurusd": taken(EURUSD, 2500, 280),
        # The market stands still at first, and again for longer than any window.
        "still": walked(rng, 150, 100.1, 0.1, flat=[(60, 110)], dead=25),
        # Large prices, small steps, and gaps both ways.
        "gaps": walked(rng, 120, 67_000.0, 0.01, jumps=[(40, 500_000), (75, -900_000), (76, 40)]),
        # Far below 1: an absolute tolerance anywhere would show.
        "tiny": walked(rng, 60, 0.00001234, 0.00000001, flat=[(30, 40)]),
    }


def rma(x, period):
    """TA-Lib has no Wilder average by itself. Its ATR is one of the highs where lows and closes are 0, and a bar
    precedes that has no true range."""
    high = numpy.concatenate(([0.0], x))
    zeros = numpy.zeros_like(high)
    return talib.ATR(high, zeros, zeros, period)[1:]


def rsi(x, period):
    result = talib.RSI(x, period)
    result[numpy.maximum.accumulate(abs(x - x[0])) == 0] = numpy.nan
    return result


def roc(x, period):
    result = talib.ROC(x, period)
    result[period:][x[:-period] == 0] = numpy.nan
    return result


def cci(bars, period):
    result = talib.CCI(bars["high"], bars["low"], bars["close"], period)
    typical = (bars["high"] + bars["low"] + bars["close"]) / 3
    for i in range(period - 1, len(typical)):
        window = typical[i - period + 1 : i + 1]
        mean = window.mean()
        if abs(window - mean).mean() <= ROUNDING * (abs(typical[i]) + abs(mean)):
            assert result[i] == 0
            result[i] = numpy.nan
    return result


def stoch(bars, k, d, slowing):
    high, low, close = bars["high"], bars["low"], bars["close"]
    lines = talib.STOCH(high, low, close, fastk_period=k, slowk_period=slowing, slowd_period=d)
    for i in range(k - 1, len(close)):
        if high[i - k + 1 : i + 1].max() == low[i - k + 1 : i + 1].min() and slowing == 1:
            lines[0][i] = numpy.nan
            if d == 1:
                lines[1][i] = numpy.nan
    return lines


def columns(bars):
    """By function, the numbers of each line under its name: `<function> <parameters> [of <source>] [line]`."""
    high, low, close, volume = (bars[name] for name in COLUMNS[1:])
    raw_rsi = talib.RSI(close, 14)
    raw_roc = talib.ROC(volume, 1)
    files = {}

    def add(name, *lines):
        names = {"macd": ["line", "signal", "hist"], "bb": ["upper", "middle", "lower"], "stoch": ["k", "d"]}
        function = name.split()[0]
        for line, numbers in zip(names.get(function, [""]), lines, strict=True):
            files.setdefault(function, {})[f"{name} {line}".strip()] = numbers

    for period in [1, 5, 30, 100]:
        add(f"sma {period}", talib.SMA(close, period))
    add("sma 7 of volume", talib.SMA(volume, 7))
    add("sma 5 of rsi 14", talib.SMA(raw_rsi, 5))
    for period in [1, 12, 50]:
        add(f"ema {period}", talib.EMA(close, period))
    add("ema 9 of roc 1 of volume", talib.EMA(raw_roc, 9))
    for period in [1, 2, 21]:
        add(f"wma {period}", talib.WMA(close, period))
    for period in [1, 2, 14]:
        add(f"rma {period}", rma(close, period))
    for period in [2, 14, 21]:
        add(f"rsi {period}", rsi(close, period))
    for fast, slow, signal in [(12, 26, 9), (2, 2, 1), (10, 3, 5)]:
        add(f"macd {fast} {slow} {signal}", *talib.MACD(close, fast, slow, signal))
    for period, deviations in [(2, 1.5), (20, 2.0), (50, 2.5)]:
        add(f"bb {period} {deviations}", *talib.BBANDS(close, period, deviations, deviations))
    for period in [1, 14]:
        add(f"atr {period}", talib.ATR(high, low, close, period))
    for k, d, slowing in [(14, 3, 3), (5, 1, 1), (9, 4, 1), (1, 2, 6)]:
        add(f"stoch {k} {d} {slowing}", *stoch(bars, k, d, slowing))
    for period in [2, 14]:
        add(f"adx {period}", talib.ADX(high, low, close, period))
    for period in [2, 20, 40]:
        add(f"cci {period}", cci(bars, period))
    for period in [1, 10]:
        add(f"roc {period}", roc(close, period))
    add("roc 1 of volume", roc(volume, 1))
    add("obv", talib.OBV(close, volume))
    for period in [2, 20]:
        add(f"highest {period}", talib.MAX(close, period))
        add(f"lowest {period}", talib.MIN(close, period))
    add("highest 50 of high", talib.MAX(high, 50))
    add("lowest 50 of low", talib.MIN(low, 50))
    return files


def text(number):
    return "" if numpy.isnan(number) else f"{number:.17g}"


def write(name, header, rows):
    with open(FOLDER / f"{name}.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    rows, files = [], {}
    for series, bars in all_bars().items():
        rows += [[series, *map(text, bar)] for bar in zip(*bars.values())]
        for function, lines in columns(bars).items():
            header, body = files.setdefault(function, (list(lines), []))
            assert header == list(lines)
            body += [[text(number) for number in row] for row in zip(*lines.values())]
    write("bars", ["series", *COLUMNS], rows)
    for function, (header, body) in files.items():
        write(function, header, body)


if __name__ == "__main__":
    main()
