//! A condition as COND.GET and COND.LIST reply it.

use tradebus_core::condition::{field, Condition};
use tradebus_core::engine::within_condition;
use tradebus_core::key::Key;
use tradebus_core::record::Record;
use tradebus_core::refusal::Outcome;
use tradebus_core::store::Store;

use crate::redis::{Ctx, Keyspace};

/// A condition that was read.
pub struct Described<'a> {
    id: String,
    standing: &'static str,
    record: Record<'a>,
    subscribers: u64,
}

impl<'a> Described<'a> {
    /// Reads a condition; `None` when there is none of the id.
    ///
    /// # Errors
    /// WRONGTYPE, CORRUPT.
    pub fn read(ctx: &Ctx<'_>, keyspace: &Keyspace<'a>, id: &str) -> Outcome<Option<Described<'a>>> {
        let mut record = Record::new(keyspace, keyspace.open(Key::Condition(id))?);
        let loaded = Condition::load(keyspace, &mut record).map_err(|refusal| within_condition(refusal, id))?;
        let Some(condition) = loaded else { return Ok(None) };
        let now = ctx.now();
        let subscribers = keyspace.len(keyspace.open(Key::Subscriptions(id))?);
        Ok(Some(Described { id: id.to_owned(), standing: condition.standing(now), record, subscribers }))
    }

    /// The stored fields that are replied as they are, in one order: a server keeps those of a hash with a long
    /// expression in none.
    fn fields(&self) -> impl Iterator<Item = (&'static str, &[u8])> {
        let names = field::ALL.into_iter().filter(|name| *name != field::STATUS);
        names.filter_map(|name| Some((name, self.record.get(name)?)))
    }

    /// About how many bytes of a reply it is.
    pub fn size(&self) -> usize {
        self.fields().map(|(name, value)| name.len() + value.len()).sum::<usize>() + self.id.len()
    }

    /// Replies it.
    pub fn reply(&self, ctx: &Ctx<'_>, symbol: &str) {
        let first = [("id", self.id.as_str()), ("symbol", symbol), (field::STATUS, self.standing)];
        ctx.reply_map(first.len() + self.fields().count() + 1);
        let first = first.into_iter().map(|(name, value)| (name, value.as_bytes()));
        for (name, value) in first.chain(self.fields()) {
            ctx.reply_bulk(name.as_bytes());
            ctx.reply_bulk(value);
        }
        ctx.reply_bulk(b"subscribers");
        ctx.reply_integer(i64::try_from(self.subscribers).unwrap_or(i64::MAX));
    }
}
