//! JSON Schemas and the data that is held against them.
//!
//! The first line is a schema, the others are data. What is to be found: a schema or data that takes the process down or
//! takes long (the run's `-timeout`), and one that the crate would have to fetch something for.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tradebus_core::json;
use tradebus_core::refusal::Code;
use tradebus_core::schema::Schema;
use tradebus_fuzz::{check_refusal, lines};

const LINES_MAX: usize = 8;

fuzz_target!(|input: &[u8]| {
    let mut lines = lines(input, LINES_MAX);
    let text = lines.next().unwrap_or_default();
    let schema = match Schema::compile(text, input.len()) {
        Ok(schema) => schema,
        Err(refusal) => {
            check_refusal(&refusal);
            assert!([Code::BadJson, Code::BadField].contains(&refusal.code), "{refusal}");
            assert!(refusal.code != Code::BadJson || json::parse_object(text).is_err() || is_forged(text), "{refusal}");
            return;
        }
    };
    for data in lines {
        let fits = schema.check("t", data);
        assert_eq!(schema.check("t", data), fits, "a check is of the data alone");
        let Err(refusal) = fits else { continue };
        check_refusal(&refusal);
        match refusal.code {
            Code::BadJson => assert!(json::parse_object(data).is_err() || is_forged(data), "{refusal}"),
            Code::Schema => assert!(json::parse_object(data).is_ok(), "{refusal}"),
            _ => panic!("{refusal}"),
        }
    }
});

/// A member of this name is how `serde_json` tells itself numbers: refused, though it is JSON.
fn is_forged(text: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(text) else { return false };
    text.contains("$serde_json::private::") || text.contains('\\')
}
