//! `EVENT.SCHEMA stream SET event_type schema | GET event_type | DEL event_type | LIST`

use std::borrow::Cow;
use std::collections::BTreeSet;

use tradebus_core::event_name::{fold_case, StreamType};
use tradebus_core::key::{Key, Scope};
use tradebus_core::log::tails::STREAM_TYPES_MAX;
use tradebus_core::plan::Plan;
use tradebus_core::record::Record;
use tradebus_core::refusal::{Code, Outcome};
use tradebus_core::schema::Schema;
use tradebus_core::store::Store;

use crate::args::{unknown_option, Args};
use crate::commands::spec::{Arg, Spec, Speed, STREAM};
use crate::config;
use crate::redis::{Access, Command, Ctx, Keyspace};

/// Sets, shows, removes or lists the schemas of a stream's event types.
pub struct EventSchema;

/// Schemas that a stream may have: as many as it may have types.
const SCHEMAS_MAX: u64 = STREAM_TYPES_MAX;

const EVENT_TYPE: Arg = Arg::text("event_type");

impl Command for EventSchema {
    const SPEC: Spec = Spec {
        name: "EVENT.SCHEMA",
        summary: "Sets, returns, removes or lists the JSON Schemas of a stream's event types",
        complexity: "O(N) where N is the size of the schema, or for LIST the number of schemas",
        since: "0.1.0",
        tips: "",
        arity: -3,
        access: Access::Write,
        speed: Speed::Slow,
        args: &[
            STREAM,
            Arg::one_of(
                "operation",
                &[
                    Arg::block("set", &[Arg::word("set", "SET"), EVENT_TYPE, Arg::text("schema")]),
                    Arg::block("get", &[Arg::word("get", "GET"), EVENT_TYPE]),
                    Arg::block("del", &[Arg::word("del", "DEL"), EVENT_TYPE]),
                    Arg::word("list", "LIST"),
                ],
            ),
        ],
    };

    fn run(ctx: &Ctx<'_>) -> Outcome<()> {
        let mut args = Args::of_command(ctx.args());
        let stream = args.stream()?;
        let operation = args.required("SET, GET, DEL or LIST")?;
        let is = |word: &[u8]| operation.eq_ignore_ascii_case(word);
        if is(b"LIST") {
            end(args)?;
            return list(ctx, stream);
        }
        if ![&b"SET"[..], b"GET", b"DEL"].into_iter().any(is) {
            return Err(unknown_option(operation, "SET, GET, DEL and LIST"));
        }
        let event_type = fold_case(args.required("event_type")?);
        let event_type = StreamType::parse(&event_type)?.as_str();
        if is(b"SET") {
            let text = args.required("schema")?;
            end(args)?;
            return set(ctx, stream, event_type, text);
        }
        end(args)?;
        match is(b"GET") {
            true => get(ctx, stream, event_type),
            false => delete(ctx, stream, event_type),
        }
    }
}

fn end(args: Args<'_>) -> Outcome<()> {
    match args.len() {
        0 => Ok(()),
        more => Err(Code::Err.because(format!("{more} arguments too many"))),
    }
}

fn set(ctx: &Ctx<'_>, stream: Scope<'_>, event_type: &str, text: &[u8]) -> Outcome<()> {
    Schema::compile(text, config::settings().max_event_size)?;
    let keyspace = Keyspace::open_scope(ctx, stream, Access::Write)?;
    let mut schemas = open_schema(&keyspace, event_type)?;
    if schemas.get(event_type).is_none() && keyspace.len(schemas.slot()) >= SCHEMAS_MAX {
        return Err(Code::TooBig.because(format!("the stream has {SCHEMAS_MAX} schemas already")));
    }
    schemas.set(event_type, Cow::Borrowed(text));
    write(&keyspace, schemas)?;
    ctx.reply_ok();
    Ok(())
}

fn get(ctx: &Ctx<'_>, stream: Scope<'_>, event_type: &str) -> Outcome<()> {
    let keyspace = Keyspace::open_scope(ctx, stream, Access::Read)?;
    match open_schema(&keyspace, event_type)?.get(event_type) {
        Some(text) => ctx.reply_bulk(text),
        None => ctx.reply_null(),
    }
    Ok(())
}

fn delete(ctx: &Ctx<'_>, stream: Scope<'_>, event_type: &str) -> Outcome<()> {
    let keyspace = Keyspace::open_scope(ctx, stream, Access::Write)?;
    let mut schemas = open_schema(&keyspace, event_type)?;
    let is_there = schemas.get(event_type).is_some();
    schemas.remove(event_type);
    write(&keyspace, schemas)?;
    ctx.reply_integer(i64::from(is_there));
    Ok(())
}

fn list(ctx: &Ctx<'_>, stream: Scope<'_>) -> Outcome<()> {
    let keyspace = Keyspace::open_scope(ctx, stream, Access::Read)?;
    let mut event_types = BTreeSet::new();
    keyspace.hash_each(keyspace.open(Key::Schema)?, &mut |event_type, _| {
        event_types.insert(event_type.to_vec());
    });
    ctx.reply_array(event_types.len());
    event_types.iter().for_each(|event_type| ctx.reply_bulk(event_type));
    Ok(())
}

/// The hash of the stream's schemas, with that of one type read.
fn open_schema<'a>(keyspace: &Keyspace<'a>, event_type: &'a str) -> Outcome<Record<'a>> {
    let mut schemas = Record::new(keyspace, keyspace.open(Key::Schema)?);
    schemas.load_named(keyspace, std::iter::once(Cow::Borrowed(event_type)));
    Ok(schemas)
}

fn write(keyspace: &Keyspace<'_>, schemas: Record<'_>) -> Outcome<()> {
    let Some(patch) = schemas.into_patch() else {
        return Ok(());
    };
    keyspace.write(&Plan { hashes: vec![patch], ..Plan::default() })
}
