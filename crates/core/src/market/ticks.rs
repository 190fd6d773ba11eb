//! Ticks: the bars that they build, and when these close.

use std::cmp::Ordering;

use super::candles::Tail;
use super::{text_field, Decision, Market, NextClose, Origin};
use crate::engine::open_time;
use crate::forming::{Feed, Forming, Tick};
use crate::key::Key;
use crate::refusal::{Code, Outcome};
use crate::store::MarketStore;
use crate::stream_id::StreamId;
use crate::timeframe::Timeframe;

impl<'a, S: MarketStore<'a>> Market<'_, 'a, S> {
    /// Takes a tick into the bar of every timeframe that ticks build, closes those that it is behind of, and ends.
    ///
    /// # Errors
    /// BADFIELD when it is ahead of the clock by more than `tradebus.bar-grace`, or a sum of volumes would not be
    /// exact; WRONGTYPE, CORRUPT.
    pub fn tick(mut self, tick: &Tick) -> Outcome<Decision<'a>> {
        self.check_time(tick.at)?;
        let mut is_late = false;
        for (timeframe, feed) in self.feeds()? {
            let bar = match feed {
                Feed::Candles => continue,
                Feed::Ticks => self.begin_bar(timeframe, tick)?,
                Feed::Bar(mut bar) => match bar.bar_of(tick.at) {
                    Ordering::Less => {
                        self.wait_for(NextClose { end: bar.end(), is_fed: false });
                        None
                    }
                    Ordering::Equal => {
                        bar.take(tick)?;
                        Some(bar)
                    }
                    Ordering::Greater => {
                        self.close(timeframe, bar)?;
                        Some(Forming::begin(timeframe, tick))
                    }
                },
            };
            match bar {
                Some(bar) => {
                    self.wait_for(NextClose { end: bar.end(), is_fed: true });
                    self.set_feed(timeframe, &Feed::Bar(bar))?;
                }
                None => is_late = true,
            }
        }
        self.tally.late_ticks += u64::from(is_late);
        Ok(self.finish())
    }

    /// The bar that a tick begins, unless it is closed already.
    fn begin_bar(&self, timeframe: Timeframe, tick: &Tick) -> Outcome<Option<Forming>> {
        let last = open_time(self.last_candle(timeframe)?);
        let is_late = last.is_none_or(|last| timeframe.open_of(tick.at) <= last);
        Ok((!is_late).then(|| Forming::begin(timeframe, tick)))
    }

    /// Notes that a bar is to be closed at its end.
    fn wait_for(&mut self, next: NextClose) {
        self.next_close = match self.next_close {
            Some(first) if first.end <= next.end => Some(first),
            _ => Some(next),
        };
    }

    fn close(&mut self, timeframe: Timeframe, bar: Forming) -> Outcome<()> {
        let candle = bar.into_candle();
        // A candle that was added by hand has the last word, or no tick would be taken any more.
        let last = self.last_candle(timeframe)?;
        let slot = self.store.open(Key::Candles(timeframe))?;
        if open_time(last).is_some_and(|last| candle.open_time > last) {
            let tail = Tail { newest: self.store.newest_id(slot), last };
            self.store_candle(timeframe, &candle, Origin::Live, tail)?;
        }
        Ok(())
    }

    /// The last id of the stream of candles. Several may be written, and only the first may fail, so it is asked for.
    fn last_candle(&self, timeframe: Timeframe) -> Outcome<StreamId> {
        Ok(self.store.last_id_of(Key::Candles(timeframe))?.unwrap_or_default())
    }

    /// Closes the bars that ended `tradebus.bar-grace` ago, and ends.
    ///
    /// # Errors
    /// WRONGTYPE, CORRUPT.
    pub fn close_due(mut self) -> Outcome<Decision<'a>> {
        for (timeframe, feed) in self.feeds()? {
            if let Feed::Bar(bar) = feed {
                if bar.end().saturating_add_unsigned(self.settings.bar_grace_ms) <= self.now {
                    self.close(timeframe, bar)?;
                    self.set_feed(timeframe, &Feed::Ticks)?;
                } else {
                    self.wait_for(NextClose { end: bar.end(), is_fed: false });
                }
            }
        }
        Ok(self.finish())
    }

    /// What the timeframes with conditions are fed by, the shortest first.
    fn feeds(&self) -> Outcome<Vec<(Timeframe, Feed)>> {
        let mut feeds = Vec::new();
        let mut fault = Ok(());
        // Most timeframes have no field: to read what is there beats asking for each of them.
        self.store.hash_each(self.store.open(Key::Forming)?, &mut |name, text| {
            let timeframe = Timeframe::ALL.iter().find(|timeframe| timeframe.as_str().as_bytes() == name);
            match timeframe.map(|&timeframe| Ok((timeframe, parse_feed(timeframe, text)?))) {
                Some(Ok(feed)) => feeds.push(feed),
                Some(Err(refusal)) => fault = Err(refusal),
                // Not ours, and no timeframe is fed by it.
                None => {}
            }
        });
        feeds.sort_unstable_by_key(|(timeframe, _)| *timeframe);
        feeds.dedup_by_key(|(timeframe, _)| *timeframe);
        fault.map(|()| feeds)
    }

    /// What a timeframe is fed by; `None` without conditions and candles.
    pub(super) fn feed(&mut self, timeframe: Timeframe) -> Outcome<Option<Feed>> {
        let at = self.record(Key::Forming)?;
        self.records[at].load(self.store, &[timeframe.as_str()]);
        self.records[at].get(timeframe.as_str()).map(|text| parse_feed(timeframe, text)).transpose()
    }

    /// Notes what a timeframe is fed by from now on.
    pub(super) fn set_feed(&mut self, timeframe: Timeframe, feed: &Feed) -> Outcome<()> {
        let at = self.record(Key::Forming)?;
        self.records[at].set(timeframe.as_str(), text_field(feed.to_text().into_owned()));
        Ok(())
    }

    /// Notes that a timeframe is fed by nothing.
    pub(super) fn remove_feed(&mut self, timeframe: Timeframe) -> Outcome<()> {
        let at = self.record(Key::Forming)?;
        self.records[at].remove(timeframe.as_str());
        Ok(())
    }
}

fn parse_feed(timeframe: Timeframe, text: &[u8]) -> Outcome<Feed> {
    Feed::parse(timeframe, text).ok_or_else(|| {
        Code::Corrupt.because(format!(
            "field {} of the forming bars is not as tradebus writes it; HDEL it, and ticks build the bar anew",
            timeframe.as_str()
        ))
    })
}
