//! `EVENT.LAST stream [event_type]`

use tradebus_core::event_name::{fold_case, StreamType};
use tradebus_core::refusal::{Code, Outcome};
use tradebus_core::stream::{self, Newest};

use crate::args::Args;
use crate::commands::spec::{Arg, Spec, Speed, STREAM};
use crate::redis::{Access, Command, Ctx, Keyspace};

/// Returns the newest event of a type, or of each.
pub struct EventLast;

/// The events of a reply may be so large together, in bytes.
const REPLY_MAX: usize = 4 * 1_024 * 1_024;

impl Command for EventLast {
    const SPEC: Spec = Spec {
        name: "EVENT.LAST",
        summary: "Returns the newest event of a type of a stream, or of each type",
        complexity: "O(1) for one type, O(N) for all where N is the number of types; times the size of the data",
        since: "0.1.0",
        tips: "",
        arity: -2,
        access: Access::Read,
        speed: Speed::Slow,
        args: &[STREAM, Arg::text("event_type").optional()],
    };

    fn run(ctx: &Ctx<'_>) -> Outcome<()> {
        let mut args = Args::of_command(ctx.args());
        let scope = args.stream()?;
        let wanted = args.next().map(fold_case);
        let wanted = wanted.as_deref().map(StreamType::parse).transpose()?;
        if args.len() > 0 {
            return Err(Code::Err.because("there is nothing to come behind event_type"));
        }
        let keyspace = Keyspace::open_scope(ctx, scope, Access::Read)?;
        match wanted {
            Some(event_type) => match stream::newest(&keyspace, scope.name(), event_type)? {
                Some(newest) => reply(ctx, &newest),
                None => ctx.reply_null(),
            },
            None => {
                let all = stream::newest_of_each(&keyspace, scope.name(), REPLY_MAX)?;
                ctx.reply_array(all.len());
                all.iter().for_each(|newest| reply(ctx, newest));
            }
        }
        Ok(())
    }
}

/// An event as XRANGE shows it, but with its fields as a map.
fn reply(ctx: &Ctx<'_>, newest: &Newest) {
    ctx.reply_array(2);
    ctx.reply_id(newest.id);
    ctx.reply_map(newest.fields.len());
    for (field, value) in &newest.fields {
        ctx.reply_bulk(field.as_bytes());
        ctx.reply_bulk(value);
    }
}
