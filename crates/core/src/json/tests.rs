//! What is scanned, refused and told apart.

mod against_serde;

use std::fmt::Write;

use super::*;

/// `expected`: the members as `name=value`, or `offset: what is wrong`.
#[track_caller]
fn check(text: impl AsRef<[u8]>, expected: &str) {
    let actual = match parse_object(text.as_ref()) {
        Err(JsonError { at, what }) => format!("{at}: {what}"),
        Ok(object) => object.members.iter().fold(String::new(), |mut out, Member { name, value }| {
            let separator = if out.is_empty() { "" } else { " " };
            match value {
                Value::Null => write!(out, "{separator}{name}=null"),
                Value::Bool(value) => write!(out, "{separator}{name}={value}"),
                Value::Number(text) => write!(out, "{separator}{name}=#{text}"),
                Value::String(text) => write!(out, "{separator}{name}={text:?}"),
                Value::Nested { text, .. } => write!(out, "{separator}{name}={text}"),
            }
            .unwrap();
            out
        }),
    };
    let text = String::from_utf8_lossy(text.as_ref());
    assert_eq!(actual, expected, "{}", &text[..text.len().min(200)]);
}

fn digest(text: &str) -> u64 {
    parse_object(text.as_bytes()).unwrap().digest()
}

/// `{"m0":1,"m1":1,…}`, of `count` members.
fn wide(count: usize) -> String {
    let members: Vec<String> = (0..count).map(|i| format!("\"m{i}\":1")).collect();
    format!("{{{}}}", members.join(","))
}

#[test]
fn members_are_as_written() {
    check("{}", "");
    check(" \t\r\n{ \n} \r\n", "");
    check(r#"{"z":1,"a":2}"#, "z=#1 a=#2");
    check(r#"{"":null,"t":true,"f":false}"#, "=null t=true f=false");
    check(r#"{ "a" : "b" , "c" : [ 1 , {} ] }"#, r#"a="b" c=[ 1 , {} ]"#);
    check(r#"{"a":{"b":"}]\""},"c":[]}"#, r#"a={"b":"}]\""} c=[]"#);
    check("{\"a\":\"žluť \u{7f}\u{1f600}\"}", "a=\"žluť \\u{7f}\u{1f600}\"");
}

#[test]
fn numbers() {
    check(r#"{"a":0,"b":-0,"c":-0.0,"d":10}"#, "a=#0 b=#-0 c=#-0.0 d=#10");
    check(r#"{"a":1.50,"b":1e5,"c":1E+05,"d":0e-0,"e":-9.9E-9}"#, "a=#1.50 b=#1e5 c=#1E+05 d=#0e-0 e=#-9.9E-9");
    check(r#"{"a":1e999}"#, "a=#1e999");
    check(r#"{"a":01}"#, "5: a number with a leading zero");
    check(r#"{"a":-00}"#, "6: a number with a leading zero");
    check(r#"{"a":-}"#, "6: expected a digit");
    check(r#"{"a":1.}"#, "7: expected a digit");
    check(r#"{"a":1.e1}"#, "7: expected a digit");
    check(r#"{"a":1e}"#, "7: expected a digit");
    check(r#"{"a":1e+"#, "8: expected a digit");
    check(r#"{"a":1e-+1}"#, "8: expected a digit");
    check(r#"{"a":-Infinity}"#, "6: expected a digit");
    check(r#"{"a":.5}"#, "5: expected a value");
    check(r#"{"a":+1}"#, "5: expected a value");
    check(r#"{"a":0x1}"#, "6: expected ',' or '}' after a member");
    check(r#"{"a":1 2}"#, "7: expected ',' or '}' after a member");
}

#[test]
fn literals() {
    for text in ["NaN", "Infinity", "nul", "True", "undefined", "'a'", ""] {
        check(format!(r#"{{"a":{text}}}"#), "5: expected a value");
    }
    check(r#"{"a":nulls}"#, "9: expected ',' or '}' after a member");
}

#[test]
fn strings() {
    check(r#"{"\u0061b":"\"\\\/\b\f\n\r\t\u00e9"}"#, r#"ab="\"\\/\u{8}\u{c}\n\r\té""#);
    check(r#"{"a":"\uD83D\uDE00\ud83d\ude00"}"#, "a=\"😀😀\"");
    check(r#"{"a":"\u0000\uffff\ud7ff\ue000"}"#, r#"a="\0\u{ffff}\u{d7ff}\u{e000}""#);
    check(r#"{"a":"1234567\n90"}"#, r#"a="1234567\n90""#);

    check(r#"{"a":"\ud800\udc00\udbff\udfff"}"#, "a=\"\u{10000}\\u{10ffff}\"");

    check(r#"{"a":"xy\ud83d"}"#, "8: half a surrogate pair");
    check(r#"{"a":"\ude00"}"#, "6: half a surrogate pair");
    check(r#"{"a":"\ud83dx"}"#, "6: half a surrogate pair");
    check(r#"{"a":"\ud83d\n"}"#, "6: half a surrogate pair");
    check(r#"{"a":"\ud83d\u0041"}"#, "6: half a surrogate pair");
    check(r#"{"a":"\ud83d\ud83d"}"#, "6: half a surrogate pair");
    check(r#"{"a":"\x41"}"#, "6: not an escape JSON knows");
    check(r#"{"a":"\U0041"}"#, "6: not an escape JSON knows");
    check("{\"a\":\"\\é\"}", "6: not an escape JSON knows");
    check(r#"{"a":"\"#, "6: not an escape JSON knows");
    check(r#"{"a":"\u004"}"#, "11: expected four hex digits after \\u");
    check(r#"{"a":"\u+041"}"#, "8: expected four hex digits after \\u");
    check("{\"a\":\"\\u00éé\"}", "10: expected four hex digits after \\u");
    check(r#"{"a":"\ud83d\u"#, "14: expected four hex digits after \\u");
    check(r#"{"a":"bc\""#, "5: a string without its closing quote");
    check(r#"{"abcdefghijkl"#, "1: a string without its closing quote");
}

#[test]
fn control_characters_are_refused_wherever_in_a_string_they_are() {
    for control in '\0'..' ' {
        for before in 0..20 {
            let text = format!("{{\"a\":\"{}{control}é\"}}", "x".repeat(before));
            let what = "a control character in a string must be escaped";
            check(text, &format!("{}: {what}", 6 + before));
        }
    }
}

#[test]
fn encoding() {
    check(b"{\"a\":\"\xff\"}", "6: not UTF-8");
    check(b"{\"a\":\"\xed\xa0\x80\"}", "6: not UTF-8");
    check(b"{\"a\":\"\xc0\xa2\"}", "6: not UTF-8");
    check(b"{\"a\":\"\xe2\x82", "6: not UTF-8");
    check("\u{feff}{}", "0: expected an object");
}

#[test]
fn structure() {
    check("", "0: expected an object");
    check("  ", "2: expected an object");
    check("[]", "0: expected an object");
    check("1", "0: expected an object");
    check("{", "1: expected a member's name");
    check("{,}", "1: expected a member's name");
    check("{a:1}", "1: expected a member's name");
    check(r#"{"a":1,}"#, "7: expected a member's name");
    check(r#"{"a":1, 2:3}"#, "8: expected a member's name");
    check(r#"{"a"}"#, "4: expected ':' after a member's name");
    check(r#"{"a" 1}"#, "5: expected ':' after a member's name");
    check(r#"{"a":"#, "5: expected a value");
    check(r#"{"a":1"#, "6: expected ',' or '}' after a member");
    check(r#"{"a":1;"b":2}"#, "6: expected ',' or '}' after a member");
    check(r#"{"a":[1"#, "7: expected ',' or ']' after an element");
    check(r#"{"a":[1}}"#, "7: expected ',' or ']' after an element");
    check(r#"{"a":[1,]}"#, "8: expected a value");
    check(r#"{"a":[,]}"#, "6: expected a value");
    check(r#"{"a":{"b":1]}"#, "11: expected ',' or '}' after a member");
    check("{} {}", "3: text after the object");
    check("{}\0", "2: text after the object");
    check("{\u{a0}}", "1: expected a member's name");
    check("{/**/}", "1: expected a member's name");
}

#[test]
fn a_member_is_there_once() {
    let twice = |at: usize| format!("{at}: this member's name appears twice");
    check(r#"{"a":1,"a":1}"#, &twice(7));
    check(r#"{"a":1,"b":2,"\u0061":3}"#, &twice(13));
    check(r#"{"":1,"":2}"#, &twice(6));
    check(r#"{"a":{"b":1,"c":{},"b":2}}"#, &twice(19));
    check(r#"{"a":[{"b":1},[{"c":1,"c":1}]]}"#, &twice(22));
    check(r#"{"a":1,"b":1,"c":1,"c":2,"b":2,"a":2}"#, &twice(19));
    // An object inside another has names of its own.
    check(r#"{"a":{"a":{"a":1},"b":1},"b":[{"a":1},{"a":1}]}"#, r#"a={"a":{"a":1},"b":1} b=[{"a":1},{"a":1}]"#);
    check(r#"{"a":1,"A":2}"#, "a=#1 A=#2");
}

#[test]
fn limits() {
    assert!(parse_object(wide(MAX_MEMBERS).as_bytes()).is_ok());
    let over = wide(MAX_MEMBERS + 1);
    let at = over.find("\"m128\"").unwrap();
    check(&over, &format!("{at}: more than {MAX_MEMBERS} members"));
    let nested = format!(r#"{{"a":{over}}}"#);
    assert!(parse_object(nested.as_bytes()).is_ok());

    for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
        let nested = |levels: usize| {
            let (open, close) = (open.repeat(levels - 1), close.repeat(levels - 1));
            format!(r#"{{"a":{open}0{close}}}"#)
        };
        assert!(parse_object(nested(MAX_DEPTH).as_bytes()).is_ok());
        let at = 5 + (MAX_DEPTH - 1) * open.len();
        let expected = format!("{at}: nested deeper than {MAX_DEPTH} levels");
        check(nested(MAX_DEPTH + 1), &expected);
        check(nested(1 << 16), &expected);
    }
}

/// The largest event, made of what there can be most of.
#[test]
fn hostile_texts() {
    const SIZE: usize = 1 << 16;
    let filled = |open: &str, item: &dyn Fn(usize) -> String, close: &str| {
        let mut items = item(0);
        for i in 1.. {
            let item = item(i);
            if open.len() + items.len() + 1 + item.len() + close.len() > SIZE {
                break;
            }
            write!(items, ",{item}").unwrap();
        }
        format!("{open}{items}{close}")
    };
    let members = filled(r#"{"a":{"#, &|i| format!(r#""{i}":0"#), "}}");
    let escaped = filled(r#"{"a":{"#, &|i| format!(r#""\u0061{i}":"\n""#), "}}");
    let elements = filled(r#"{"a":["#, &|_| "0".to_owned(), "]}");
    let objects = filled(r#"{"a":["#, &|_| "{}".to_owned(), "]}");
    for text in [&members, &escaped, &elements, &objects] {
        assert!(text.len() > SIZE - 32);
        let object = parse_object(text.as_bytes()).unwrap();
        let all = &text[r#"{"a":"#.len()..text.len() - 1];
        assert!(matches!(object.members[0].value, Value::Nested { text, .. } if text == all));
    }

    let twice = "this member's name appears twice";
    let at = members.len() - 1;
    let again = members.replace("}}", r#","0":0}}"#);
    check(again, &format!("{at}: {twice}"));
    let same = filled(r#"{"a":{"#, &|_| r#""b":0"#.to_owned(), "}}");
    check(same, &format!("12: {twice}"));
    check(format!("{{\"{}", "\\n".repeat(SIZE / 2)), "1: a string without its closing quote");
}

#[test]
fn the_same_data_has_one_digest() {
    let check = |a: &str, b: &str| assert_eq!(digest(a), digest(b), "{a} {b}");
    check("{}", " {\n} ");
    check(r#"{"a":1,"b":"x","c":null}"#, r#"{"c":null,"a":1,"b":"x"}"#);
    check(r#"{"a":{"b":1,"c":[{"d":1,"e":2}]}}"#, r#"{"a":{"c":[ {"e":2,"d":1}],"b":1}}"#);
    check(r#"{"a":"é/😀"}"#, r#"{"\u0061":"\u00e9\/\ud83d\ude00"}"#);
    check(r#"{"a":[1,{"\n":"\t"}]}"#, r#"{"a":[1,{"\u000a":"\u0009"}]}"#);
}

#[test]
fn other_data_has_another_digest() {
    let texts = [
        "{}",
        r#"{"":""}"#,
        r#"{"a":null}"#,
        r#"{"a":"null"}"#,
        r#"{"a":true}"#,
        r#"{"a":"true"}"#,
        r#"{"a":false}"#,
        r#"{"a":1}"#,
        r#"{"a":"1"}"#,
        r#"{"a":1.0}"#,
        r#"{"a":10e-1}"#,
        r#"{"a":-1}"#,
        r#"{"a":[]}"#,
        r#"{"a":{}}"#,
        r#"{"a":""}"#,
        r#"{"a":[[]]}"#,
        r#"{"a":[{}]}"#,
        r#"{"a":[null]}"#,
        r#"{"a":[1]}"#,
        r#"{"a":[[1]]}"#,
        r#"{"a":[1,2]}"#,
        r#"{"a":[2,1]}"#,
        r#"{"a":[12]}"#,
        r#"{"a":[1,[2]]}"#,
        r#"{"a":[[1],2]}"#,
        r#"{"a":[1,2,[]]}"#,
        r#"{"a":{"b":1}}"#,
        r#"{"a":["b",1]}"#,
        r#"{"a":{"b":{"c":1}}}"#,
        r#"{"a":{"b":{}},"c":1}"#,
        r#"{"a":{"b":{},"c":1}}"#,
        r#"{"b":{"a":1}}"#,
        r#"{"a":"b"}"#,
        r#"{"b":"a"}"#,
        r#"{"a":1,"b":2}"#,
        r#"{"a":2,"b":1}"#,
        r#"{"a":1,"b":1}"#,
        r#"{"a":2,"b":2}"#,
        r#"{"ab":1}"#,
        r#"{"A":1}"#,
    ];
    for (i, a) in texts.iter().enumerate() {
        for b in &texts[..i] {
            assert_ne!(digest(a), digest(b), "{a} {b}");
        }
    }
    // Every one-byte string against every one-digit number: short texts are where a hash is weakest.
    for string in ' '..='~' {
        let name = if string == '"' || string == '\\' { 'é' } else { string };
        for number in 0..10 {
            let (a, b) = (format!(r#"{{"a":"{name}"}}"#), format!(r#"{{"a":{number}}}"#));
            assert_ne!(digest(&a), digest(&b), "{a} {b}");
        }
    }
}

/// Digests are stored: they may not change with the machine or the version.
#[test]
fn the_digest_is_for_ever() {
    let text = r#"{"id":"o-1","price":2000.50,"ok":true,"no":false,"x":null,"tags":["a",{"b":[]}]}"#;
    assert_eq!(digest(text), 10_946_798_434_606_378_480);
    assert_eq!(digest("{}"), 0xc0ac_29b7_c97c_50dd);
    for text in [text, "{}", &wide(100)] {
        let outer = format!(r#"{{"nested":{text}}}"#);
        let object = parse_object(outer.as_bytes()).unwrap();
        assert_eq!(object.members[0].value, Value::Nested { text, digest: digest(text) });
    }
}

#[test]
fn strings_are_written_with_the_fewest_escapes() {
    let check = |text: &str, expected: &str| {
        let mut out = String::from("[");
        push_string(text, &mut out);
        assert_eq!(out, format!("[{expected}"));
    };
    check("", r#""""#);
    check("o-1", r#""o-1""#);
    check("a\"b\\c/d", r#""a\"b\\c/d""#);
    check("\u{8}\u{c}\n\r\t", r#""\b\f\n\r\t""#);
    check("\0\u{1f} \u{7f}", "\"\\u0000\\u001f \u{7f}\"");
    check("žluť\n\u{1f600}\"", "\"žluť\\n\u{1f600}\\\"\"");
}
