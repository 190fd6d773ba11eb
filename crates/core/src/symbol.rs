//! The names that callers choose: symbols, the ids of entities, and the words of conditions and bots.

use crate::refusal::{Code, Outcome, Refusal};

/// The longest symbol, in bytes.
pub const SYMBOL_MAX: usize = 64;

/// The longest id of an order, position, signal, fill or event, in bytes.
pub const ID_MAX: usize = 128;

/// The longest id of a condition or a bot, and type of bots, in bytes.
pub const WORD_MAX: usize = 64;

/// Takes a symbol or a stream's name, which `what` says (`the symbol`), as a caller wrote it. What passes can stand in
/// a key: it cannot change the hash tag that it is put into, is no glob pattern and needs no quoting.
///
/// # Errors
/// BADSYMBOL, naming the first byte that is not allowed.
pub fn parse_name<'a>(what: &str, text: &'a [u8]) -> Outcome<&'a str> {
    if text.is_empty() {
        return Err(Code::BadSymbol.because(format!("{what} is empty, 1 to {SYMBOL_MAX} bytes are wanted")));
    }
    if text.len() > SYMBOL_MAX {
        return Err(
            Code::BadSymbol.because(format!("{what} is {} bytes long, at most {SYMBOL_MAX} are allowed", text.len()))
        );
    }
    match text.iter().position(|&byte| !is_symbol_byte(byte)) {
        Some(at) => Err(bad_byte(Code::BadSymbol, what, text[at], at)),
        None => printable(text, Code::BadSymbol, what),
    }
}

const fn is_symbol_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'{' | b'}' | b'*' | b'?' | b'[' | b']' | b'\\' | b'"')
}

/// Takes an id as a caller wrote it; `what` is how an error names it (`order_id`).
///
/// # Errors
/// BADFIELD when it is empty, too long, or has a byte that is a space or not printable ASCII.
pub fn parse_id<'a>(what: &str, text: &'a [u8]) -> Outcome<&'a str> {
    if text.is_empty() || text.len() > ID_MAX {
        return Err(Code::BadField.because(format!("{what} is {} bytes long, 1 to {ID_MAX} are allowed", text.len())));
    }
    match text.iter().position(|byte| !byte.is_ascii_graphic()) {
        Some(at) => Err(bad_byte(Code::BadField, what, text[at], at)),
        None => printable(text, Code::BadField, what),
    }
}

/// Takes the id of a condition or of a bot, or a type of bots, as a caller wrote it; `what` is how an error names it
/// (`bot_id`). Fewer bytes than an id of [`parse_id`] has: such words stand in keys, channels and shell scripts.
///
/// # Errors
/// BADFIELD when it is empty, too long, or has a byte other than ASCII letters and digits, `_`, `.` and `-`.
pub fn parse_word<'a>(what: &str, text: &'a [u8]) -> Outcome<&'a str> {
    if text.is_empty() || text.len() > WORD_MAX {
        return Err(Code::BadField.because(format!("{what} is {} bytes long, 1 to {WORD_MAX} are allowed", text.len())));
    }
    let is_allowed = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    match text.iter().position(|byte| !is_allowed(byte)) {
        Some(at) => {
            let mut refusal = bad_byte(Code::BadField, what, text[at], at);
            refusal.text.push_str("; letters, digits, `_`, `.` and `-` are");
            Err(refusal)
        }
        None => printable(text, Code::BadField, what),
    }
}

fn printable<'a>(text: &'a [u8], code: Code, what: &str) -> Outcome<&'a str> {
    std::str::from_utf8(text).map_err(|_| code.because(format!("{what} is not ASCII")))
}

#[cold]
fn bad_byte(code: Code, what: &str, byte: u8, at: usize) -> Refusal {
    let name = match byte {
        b' ' => "a space".to_owned(),
        byte if byte.is_ascii_graphic() => format!("`{}`", char::from(byte)),
        byte => format!("byte 0x{byte:02x}"),
    };
    code.because(format!("{what} has {name} at offset {at}, which is not allowed"))
}

#[cfg(test)]
mod tests {
    use super::{parse_id, parse_name, parse_word, ID_MAX, SYMBOL_MAX, WORD_MAX};

    fn check(text: &[u8], expected: Result<&str, &str>) {
        let symbol = parse_name("the symbol", text).map_err(|refusal| refusal.to_string());
        assert_eq!(symbol.as_deref().map_err(String::as_str), expected, "{text:?}");
    }

    #[test]
    fn symbols_of_every_venue_pass() {
        let longest = "S".repeat(SYMBOL_MAX);
        for symbol in
            ["X", "XAUUSD", "BTC/USDT", "BTC/USDT:USDT", "BINANCE:BTCUSDT", "ES=F", "^GSPC", "BRK.B", &longest]
        {
            check(symbol.as_bytes(), Ok(symbol));
        }
    }

    #[test]
    fn symbols_that_would_break_a_key_are_refused() {
        check(b"", Err("BADSYMBOL the symbol is empty, 1 to 64 bytes are wanted"));
        check(&[b'S'; SYMBOL_MAX + 1], Err("BADSYMBOL the symbol is 65 bytes long, at most 64 are allowed"));
        check(b"A B", Err("BADSYMBOL the symbol has a space at offset 1, which is not allowed"));
        check(b"{A", Err("BADSYMBOL the symbol has `{` at offset 0, which is not allowed"));
        check(b"AB\n", Err("BADSYMBOL the symbol has byte 0x0a at offset 2, which is not allowed"));
        check("€".as_bytes(), Err("BADSYMBOL the symbol has byte 0xe2 at offset 0, which is not allowed"));
        for byte in *b"{}*?[]\\\"" {
            assert!(parse_name("the symbol", &[b'A', byte]).is_err(), "{byte}");
        }
    }

    #[test]
    fn ids_are_printable_and_bounded() {
        let check = |text: &[u8], expected: Result<&str, &str>| {
            let id = parse_id("order_id", text).map_err(|refusal| refusal.to_string());
            assert_eq!(id.map_err(|text| text.to_owned()), expected.map_err(str::to_owned), "{text:?}");
        };
        let longest = "i".repeat(ID_MAX);
        check(b"ord:1{*}\"", Ok("ord:1{*}\""));
        check(longest.as_bytes(), Ok(&longest));
        check(b"", Err("BADFIELD order_id is 0 bytes long, 1 to 128 are allowed"));
        check(&[b'i'; ID_MAX + 1], Err("BADFIELD order_id is 129 bytes long, 1 to 128 are allowed"));
        check(b"a b", Err("BADFIELD order_id has a space at offset 1, which is not allowed"));
        check(b"a\x7f", Err("BADFIELD order_id has byte 0x7f at offset 1, which is not allowed"));
    }

    #[test]
    fn words_are_plain() {
        let check = |text: &[u8], expected: Result<&str, &str>| {
            let word = parse_word("bot_id", text).map_err(|refusal| refusal.to_string());
            assert_eq!(word.as_deref().map_err(String::as_str), expected, "{text:?}");
        };
        let longest = "w".repeat(WORD_MAX);
        check(b"dca-bot_7.EU", Ok("dca-bot_7.EU"));
        check(longest.as_bytes(), Ok(&longest));
        check(b"", Err("BADFIELD bot_id is 0 bytes long, 1 to 64 are allowed"));
        check(&[b'w'; WORD_MAX + 1], Err("BADFIELD bot_id is 65 bytes long, 1 to 64 are allowed"));
        let refused = |name: &str, at: usize| {
            format!(
                "BADFIELD bot_id has {name} at offset {at}, which is not allowed; letters, digits, `_`, `.` and `-` are"
            )
        };
        check(b"a b", Err(&refused("a space", 1)));
        check(b"a:b*", Err(&refused("`:`", 1)));
        check("b\u{e9}".as_bytes(), Err(&refused("byte 0xc3", 1)));
        for byte in (0..=u8::MAX).filter(|byte| !byte.is_ascii_alphanumeric() && !b"_.-".contains(byte)) {
            assert!(parse_word("bot_id", &[b'A', byte]).is_err(), "{byte}");
        }
    }
}
