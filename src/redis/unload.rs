//! Unloading the module: what stands against it, and giving everything back.
//!
//! Servers do not keep a module whose commands are still referred to, and follow the reference afterwards. So the module
//! refuses to go while there is one that it can see.

use std::ffi::c_int;
use std::panic;

use redis_module::raw::{self, RedisModuleCtx};

use super::api;
use super::call::CallReply;
use super::ctx::{self, Server};
use super::load::guarded;
use super::log::warn;
use super::strings::{self, RString, OK};
use super::{alloc, claim, commit, config, cron};
use crate::commands::COMMANDS;
use crate::{closing, engines, rebuilds, schemas};

/// `REDISMODULE_ERR` as callbacks return it.
const ERR: c_int = raw::REDISMODULE_ERR as c_int;

/// The server's entry when it unloads the module.
///
/// # Safety
/// Called by the server, on a loaded module.
#[no_mangle]
pub unsafe extern "C" fn RedisModule_OnUnload(ctx: *mut RedisModuleCtx) -> c_int {
    guarded("unloading", ERR, || {
        // SAFETY: the context of this very callback.
        let obstacle = unsafe { Server::new(ctx) }
            .and_then(|server| rule_that_names_us(server).or_else(|| client_that_refers_to_us(server)));
        if let Some(obstacle) = obstacle {
            warn(&format!("not unloaded: {obstacle}"));
            return ERR;
        }
        give_back();
        OK
    })
}

fn is_ours(command: &str) -> bool {
    COMMANDS.iter().any(|known| known.name().eq_ignore_ascii_case(command))
}

/// A user's rules that name one of our commands. Redis 8 and Valkey 8 make the rules of all users again when a command
/// goes, and end with an assertion at one whose command is gone.
fn rule_that_names_us(server: Server<'_>) -> Option<String> {
    let Ok(users) = server.call(c"ACL", c"v", &[RString::new(b"LIST")]) else {
        return Some("ACL LIST, which tells whose rules name it, cannot be called".to_owned());
    };
    let names_us = |word: &str| {
        let word = word.trim_matches(['(', ')']);
        let command = word.strip_prefix(['+', '-']).unwrap_or_default();
        is_ours(command.split('|').next().unwrap_or_default())
    };
    let rules: Vec<_> = users.whole().elements().filter_map(|user| user.bytes().map(String::from_utf8_lossy)).collect();
    let rule = rules.iter().find(|rule| rule.split(' ').any(names_us))?;
    // Digests of passwords are nobody's business.
    let words: Vec<_> = rule.split(' ').filter(|word| !word.starts_with('#')).collect();
    Some(format!("an ACL rule names a command of tradebus, remove it first: {}", words.join(" ")))
}

/// A connection whose last command was one of ours, or that has commands queued, which may be ours. Servers keep a
/// pointer to them: all of them follow it in CLIENT LIST, Redis 8 also when the client sends the same command again, and
/// then it calls what is not there any more.
fn client_that_refers_to_us(server: Server<'_>) -> Option<String> {
    let reply = server.call(c"CLIENT", c"v", &[RString::new(b"LIST")]);
    let list = reply.as_ref().ok().and_then(|reply: &CallReply<'_>| reply.whole().bytes());
    let Some(list) = list.map(String::from_utf8_lossy) else {
        return Some("CLIENT LIST, which tells who uses it, cannot be called".to_owned());
    };
    let refers_to_us = |client: &&str| {
        client.split(' ').any(|field| match field.split_once('=') {
            Some(("cmd", command)) => is_ours(command),
            Some(("multi", queued)) => queued.parse().is_ok_and(|queued: i64| queued > 0),
            _ => false,
        })
    };
    let mut clients = list.lines().filter(refers_to_us);
    // `id=5 addr=127.0.0.1:40000 ...`
    let first = clients.next()?.split(' ').take(2).collect::<Vec<_>>().join(" ");
    Some(format!(
        "a connection has sent a command of tradebus last, or has some in MULTI: {first}, and {} more; end them with \
         CLIENT KILL TYPE normal and CLIENT KILL TYPE pubsub right before MODULE UNLOAD, or restart the server instead",
        clients.count()
    ))
}

/// Returns all that is kept between commands. What the libraries we use keep for themselves stays with the process.
pub fn give_back() {
    if api::is_resolved() {
        claim::clear();
        ctx::clear();
        commit::clear();
        config::clear();
        strings::clear();
        schemas::clear();
        rebuilds::clear();
        engines::clear();
        closing::clear();
        cron::clear();
    }
    drop(panic::take_hook());
    // Behind all that drops.
    alloc::clear();
}
