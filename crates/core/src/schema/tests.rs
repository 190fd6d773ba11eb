//! Schemas that mean harm, data that does, and what is to be told of it.

use proptest::prelude::*;

use super::*;

const MAX_SIZE: usize = 64 << 10;

fn compile(schema: &str) -> Schema {
    Schema::compile(schema.as_bytes(), MAX_SIZE).unwrap_or_else(|refusal| panic!("{schema}: {refusal}"))
}

/// A chain of 29 definitions, each of which is the next one twice.
fn doubling() -> String {
    let definition =
        |i| format!(r##""d{i}":{{"allOf":[{{"$ref":"#/$defs/d{0}"}},{{"$ref":"#/$defs/d{0}"}}]}}"##, i + 1);
    let definitions: Vec<String> = (0..29).map(definition).collect();
    format!(r##"{{"$ref":"#/$defs/d0","$defs":{{{},"d29":{{}}}}}}"##, definitions.join(","))
}

#[test]
fn what_is_no_schema_or_no_end_is_refused() {
    let check = |schema: &str, code: Code, says: &str| {
        let refusal = Schema::compile(schema.as_bytes(), MAX_SIZE).expect_err(schema);
        assert_eq!(refusal.code, code, "{schema}: {refusal}");
        assert!(refusal.text.contains(says), "{schema}: {refusal}");
        assert!(refusal.text.len() < 400 && refusal.text.bytes().all(|byte| !byte.is_ascii_control()), "{refusal}");
    };
    check("", Code::BadJson, "expected an object");
    check("true", Code::BadJson, "expected an object");
    check("{\"type\":\"a\0\"}", Code::BadJson, "control character");
    check(r#"{"type":"object","type":"object"}"#, Code::BadJson, "twice");
    check(&format!("{}1{}", r#"{"not":"#.repeat(65), "}".repeat(65)), Code::BadJson, "64 levels");
    check(&" ".repeat(MAX_SIZE + 1), Code::TooBig, "65536 are allowed");
    check(r#"{"$serde_json::private::Number":"1"}"#, Code::BadJson, "private::");

    check(r#"{"type":"objec"}"#, Code::BadField, "'/type'");
    check(r#"{"properties":[]}"#, Code::BadField, "'/properties'");
    check(r#"{"items":[{}]}"#, Code::BadField, "'/items'");
    check(r#"{"minLength":-1}"#, Code::BadField, "'/minLength'");
    check(r#"{"properties":{"a":{"required":"b"}}}"#, Code::BadField, "'/properties/a/required'");

    check(r#"{"$schema":"http://json-schema.org/draft-07/schema#"}"#, Code::BadField, "draft-07");
    check(r#"{"properties":{"a":{"$id":"http://other/"}}}"#, Code::BadField, "at the top");
    check(r#"{"$defs":{"a":{"$schema":"http://json-schema.org/draft-04/schema"}}}"#, Code::BadField, "at the top");
    check(r#"{"dependencies":{"a":["b"]}}"#, Code::BadField, "'dependencies'");
    check(r##"{"$dynamicAnchor":"a","$dynamicRef":"#a"}"##, Code::BadField, "'$dynamicRef'");

    for elsewhere in ["http://a/b", "https://a/b#/c", "file:///etc/passwd", "urn:a:b", "b.json", "#name", "#/%24defs/a"]
    {
        check(&format!(r#"{{"$ref":"{elsewhere}"}}"#), Code::BadField, "a reference to '");
    }
    check(r##"{"$ref":"https://json-schema.org/draft/2020-12/schema"}"##, Code::BadField, "a reference to '");
    check(r##"{"$ref":"#/$defs/a"}"##, Code::BadField, "where nothing is");
    let leads_back = "leads back to itself";
    check(r##"{"$ref":"#"}"##, Code::BadField, leads_back);
    check(r##"{"properties":{"a":{"$ref":"#"}}}"##, Code::BadField, leads_back);
    check(
        r##"{"$ref":"#/$defs/a","$defs":{"a":{"$ref":"#/$defs/b"},"b":{"not":{"$ref":"#/$defs/a"}}}}"##,
        Code::BadField,
        leads_back,
    );
    check(&doubling(), Code::BadField, "too large");
    let alternatives = r#"{"type":"string"}"#.to_owned();
    let nested =
        (0..30).fold(alternatives, |inner, _| format!(r#"{{"anyOf":[{inner},false],"unevaluatedProperties":{{}}}}"#));
    check(&nested, Code::BadField, "too large");
    let chain: Vec<String> = (0..70).map(|i| format!(r##""d{i}":{{"$ref":"#/$defs/d{}"}}"##, i + 1)).collect();
    let chain = format!(r##"{{"$ref":"#/$defs/d0","$defs":{{{},"d70":{{}}}}}}"##, chain.join(","));
    check(&chain, Code::BadField, "inside one another");

    for pattern in ["(a{1000}){1000}", "(?=a)b", r"(a)\\1", "(?<!a)b", "(", r"\\p{L}{50}"] {
        check(&format!(r#"{{"pattern":"{pattern}"}}"#), Code::BadField, "'/pattern'");
        check(&format!(r#"{{"patternProperties":{{"{pattern}":{{}}}}}}"#), Code::BadField, "regex");
    }
    check(&format!(r#"{{"pattern":"{}"}}"#, "a".repeat(2_049)), Code::BadField, "2048 bytes");
    check(r#"{"maximum":1e40}"#, Code::BadField, "40 digits");
    check(r#"{"enum":[[1e-999999999999999999999]]}"#, Code::BadField, "40 digits");
}

/// What the crate answers, on what traders' schemas ask.
#[test]
fn data_is_held_against_the_schema() {
    let check = |schema: &str, data: &str, expected: Option<&str>| {
        let result = compile(schema).check("t", data.as_bytes());
        match expected {
            None => assert_eq!(result, Ok(()), "{schema} {data}"),
            Some(place) => {
                let refusal = result.expect_err(data);
                assert_eq!(refusal.code, Code::Schema);
                assert!(refusal.text.starts_with(&format!("t at '{place}': ")), "{schema} {refusal}");
            }
        }
    };
    let price = |keyword: &str| format!(r#"{{"properties":{{"price":{{{keyword}}}}}}}"#);
    let cent = price(r#""multipleOf":0.01"#);
    check(&cent, r#"{"price":2000.50}"#, None);
    check(&cent, r#"{"price":0.1}"#, None);
    check(&cent, r#"{"price":0.07}"#, None);
    check(&cent, r#"{"price":12345678901234567890.12}"#, None);
    check(&cent, r#"{"price":2000.505}"#, Some("/price"));
    check(&cent, r#"{"price":1e-30}"#, Some("/price"));
    let wei = price(r#""multipleOf":0.000000000000000001"#);
    check(&wei, r#"{"price":12.123456789012345678}"#, None);
    check(&wei, r#"{"price":12.1234567890123456789}"#, Some("/price"));
    let top = price(r#""maximum":2000.50"#);
    check(&top, r#"{"price":2000.5}"#, None);
    check(&top, r#"{"price":2000.500000000000000000000000001}"#, Some("/price"));
    check(&price(r#""maximum":9007199254740992"#), r#"{"price":9007199254740993}"#, Some("/price"));
    check(&price(r#""const":0.1"#), r#"{"price":1e-1}"#, None);
    check(&price(r#""type":"integer""#), r#"{"price":2.0}"#, None);

    check("{}", r#"{"a":1}"#, None);
    check(r#"{"not":{}}"#, "{}", Some(""));
    check(r#"{"required":["a"]}"#, "{}", Some(""));
    check(r#"{"properties":{"a/b":{"items":{"type":"null"}}}}"#, r#"{"a/b":[null,1]}"#, Some("/a~1b/1"));
    check(r#"{"properties":{"a":true,"b":false}}"#, r#"{"b":1}"#, Some("/b"));
    check(r#"{"additionalProperties":false}"#, r#"{"b":1}"#, Some(""));
    check(r#"{"properties":{"a":{"format":"date-time"}}}"#, r#"{"a":"never"}"#, None);
    check(r#"{"$id":"urn:x","$schema":"https://json-schema.org/draft/2020-12/schema"}"#, "{}", None);
    check(r#"{"$id":"% no URI"}"#, "{}", None);
    check("{}", r#"{"a":"\"{\\","b":"{"}"#, None);
    let name_of_a_known_schema = "https://json-schema.org/draft/2020-12/schema";
    let schema = format!(
        r##"{{"$id":"{name_of_a_known_schema}","$defs":{{"a":{{"type":"null"}}}},"not":{{"$ref":"#/$defs/a"}}}}"##
    );
    check(&schema, "{}", None);
    check(r#"{"properties":{"$ref":{"type":"string"}}}"#, r#"{"$ref":"http://a/b"}"#, None);
    check(r#"{"const":{"$ref":"http://a/b"}}"#, r#"{"$ref":"http://a/b"}"#, None);
    check(r#"{"properties":{"a":{"pattern":"^\\d+$"}}}"#, r#"{"a":"٣"}"#, Some("/a"));
}

#[test]
fn what_is_told_is_one_short_line() {
    let data = format!(r#"{{"{0}":{{"{0}":"{0}"}}}}"#, "x\\n".repeat(5_000));
    for schema in
        [r#"{"additionalProperties":{"additionalProperties":{"const":1}}}"#, r#"{"additionalProperties":false}"#]
    {
        let refusal = compile(schema).check("t", data.as_bytes()).expect_err("data that does not fit");
        assert!(refusal.text.len() < 400 && refusal.text.bytes().all(|byte| !byte.is_ascii_control()), "{refusal}");
    }
}

#[test]
fn the_reason_is_told_without_the_value() {
    let check = |schema: &str, data: &str, expected: &str| {
        let refusal = compile(schema).check("fx.rate", data.as_bytes()).expect_err(schema);
        assert_eq!(refusal.to_string(), format!("SCHEMA fx.rate at {expected}"));
    };
    check(r#"{"properties":{"a":{"type":"number"}}}"#, r#"{"a":"secret"}"#, r#"'/a': this is not of type "number""#);
    check(r#"{"required":["é"]}"#, "{}", r#"'': "\u{e9}" is a required property"#);
    check(r#"{"properties":{"a":{"maximum":5}}}"#, r#"{"a":6}"#, "'/a': this is greater than the maximum of 5");
}

#[test]
fn data_that_costs_too_much_is_refused() {
    let check = |schema: &str, data: &str, says: &str| {
        let refusal = compile(schema).check("t", data.as_bytes()).expect_err(schema);
        assert!(refusal.text.contains(says), "{refusal}");
        assert_eq!(refusal.code, Code::Schema);
    };
    let each = |schema: String| format!(r#"{{"properties":{{"a":{{"items":{schema}}}}}}}"#);
    let list = |item: &str, count: usize| format!(r#"{{"a":[{}]}}"#, vec![item; count].join(","));
    let too_large = "too large to be held";
    check(
        &each(format!(r#"{{"allOf":[{}]}}"#, vec![r#"{"type":"number"}"#; 400].join(","))),
        &list("1", 15_000),
        too_large,
    );
    check(&each(r#"{"multipleOf":0.01,"maximum":5}"#.to_owned()), &list("1", 30_000), too_large);
    check(r#"{"properties":{"a":{"uniqueItems":true}}}"#, &list("1.5", 1_000), too_large);
    let pattern = r#"{"pattern":"[01]*1[01]{50}x"}"#;
    check(
        &format!(r#"{{"properties":{{"a":{{"allOf":[{pattern},{pattern}]}}}}}}"#),
        &format!(r#"{{"a":"{}"}}"#, "01".repeat(30_000)),
        too_large,
    );
    // Without a schema for it, too: reading such a number out takes the crate a millisecond.
    check("{}", r#"{"a":1e-4000}"#, "40 digits");
    check("{}", &format!(r#"{{"a":{}}}"#, "7".repeat(41)), "40 digits");
    let alternatives = each(r#"{"anyOf":[{"type":"string"},{"type":"null"}]}"#.to_owned());
    check(&alternatives, &list("1", 10), "at '/a/0'");
    check(&alternatives, &list("1", 30_000), "too large to say where");
}

/// With exact numbers and raw values, `serde_json` reads some objects as something else.
#[test]
fn nothing_passes_for_something_else() {
    let schema = compile(r#"{"properties":{"a":{"type":"number"},"b":{"const":{"c":1}}}}"#);
    let check = |data: &str| {
        let refusal = schema.check("t", data.as_bytes());
        assert_eq!(refusal.map_err(|refusal| refusal.code), Err(Code::BadJson), "{data}");
    };
    check(r#"{"a":{"$serde_json::private::Number":"1"}}"#);
    check(r#"{"a":{"\u0024serde_json::private::Number":"1"}}"#);
    check(r#"{"b":{"$serde_json::private::RawValue":"{\"c\":1}"}}"#);
    check(r#"{"b":{"$serde_json::private::\u0052awValue":"{\"c\":1}"}}"#);
    check(r#"{"x":["{\"","\\"],"b":{"$serde_json::private::Raw\u0056alue":"{\"c\":1}"}}"#);
    // A text may speak of it, and have any escapes.
    assert_eq!(
        schema.check("t", r#"{"x":"$serde_json::private::Number","y":"\u00e9\"\ud83d\ude00\\"}"#.as_bytes()),
        Ok(())
    );
}

/// Definitions with long names, each of which asks for the next one twice: to look the names up takes minutes.
#[test]
fn a_schema_whose_references_are_long() {
    const LEVELS: usize = 15;
    let name = |level: usize| format!("{level:02}{}", "x".repeat(300_000));
    let definition = |level: usize| {
        let reference = format!(r##"{{"$ref":"#/$defs/{}"}}"##, name(level + 1));
        format!(r#""{}":{{"allOf":[{reference},{reference}]}}"#, name(level))
    };
    let definitions: Vec<String> = (0..LEVELS).map(definition).collect();
    let first = format!(r##"{{"$ref":"#/$defs/{}","$defs":{{"##, name(0));
    let schema = format!(r#"{first}{},"{}":{{}}}}}}"#, definitions.join(","), name(LEVELS));
    let refusal = Schema::compile(schema.as_bytes(), 16 << 20).expect_err("a schema that is too large");
    assert_eq!(refusal.code, Code::BadField);
    assert!(refusal.text.contains("too large"), "{refusal}");
}

/// What a trading system sends has a place, even when it is large.
#[test]
fn large_events_of_common_schemas_are_not_too_large() {
    let position = r#"{"type":"object","required":["symbol","side","volume","price"],"additionalProperties":false,"properties":{
        "symbol":{"type":"string","pattern":"^[A-Z]{3,10}/?[A-Z]{3,10}$"},"side":{"enum":["LONG","SHORT"]},
        "volume":{"type":"number","exclusiveMinimum":0},"price":{"type":"number","minimum":0.01,"multipleOf":0.01}}}"#;
    let schema = format!(
        r#"{{"properties":{{"positions":{{"type":"array","items":{position}}}}},"unevaluatedProperties":false}}"#
    );
    let one = r#"{"symbol":"BTC/USDT","side":"LONG","volume":0.125,"price":45000.10}"#;
    let data = format!(r#"{{"positions":[{}]}}"#, vec![one; 950].join(","));
    assert!(data.len() < 64 << 10);
    assert_eq!(compile(&schema).check("t", data.as_bytes()), Ok(()));
}

/// A schema made of what schemas are made of, right and wrong.
fn schema() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("true".to_owned()),
        Just("1e-20".to_owned()),
        r#"\{"(type|const|pattern|minimum|multipleOf|minLength|required|enum)":("number"|"a"|1|-0.5|\["a",1\]|null)\}"#,
        r##"\{"\$(ref|dynamicRef|id|anchor|schema)":"(#|#/\$defs/a|#/not|#/properties/a|x)"\}"##,
        r#"\{"(uniqueItems|minContains)":(true|1)\}"#,
    ];
    leaf.prop_recursive(5, 40, 3, |inner| {
        let one = "(not|if|then|else|items|contains|propertyNames|additionalProperties|unevaluatedProperties|unevaluatedItems)";
        let list = "(allOf|anyOf|oneOf|prefixItems|items)";
        let named = r#"("properties":\{"a|"patternProperties":\{"a|"dependentSchemas":\{"a|"\$defs":\{"a)"#;
        prop_oneof![
            (one, inner.clone(), one, inner.clone())
                .prop_map(|(a, x, b, y)| if a == b { x } else { format!(r#"{{"{a}":{x},"{b}":{y}}}"#) }),
            (list, inner.clone(), inner.clone()).prop_map(|(keyword, x, y)| format!(r#"{{"{keyword}":[{x},{y}]}}"#)),
            (named, inner.clone(), inner).prop_map(|(keyword, x, y)| format!(r#"{{{keyword}":{x}}},"title":"","allOf":[{y}]}}"#)),
        ]
    })
}

proptest! {
    #[test]
    fn no_schema_and_no_data_panics(schema in schema(), data in r#"\{("a":(1|1e-9|"a"|\[1,"a",\{"a":1\}\]|\{"a":\{"a":null\}\}))?\}"#) {
        if let Ok(schema) = Schema::compile(schema.as_bytes(), MAX_SIZE) {
            let _ = schema.check("t", data.as_bytes());
        }
    }

    #[test]
    fn no_text_panics(schema in any::<Vec<u8>>(), text in r#"\{[\[\]{}:,"a-e\\u0-9$ ]{0,40}\}"#) {
        let _ = Schema::compile(&schema, MAX_SIZE);
        let _ = Schema::compile(text.as_bytes(), MAX_SIZE);
        let _ = compile(r#"{"minProperties":1}"#).check("t", text.as_bytes());
    }
}
