//! Text to JSON string.

use super::plain::plain_len;

/// Appends `text` to `out` as a JSON string: in quotes, with quotes, backslashes and control characters escaped
/// and everything else as it is.
pub fn push_string(text: &str, out: &mut String) {
    out.reserve(text.len() + 2);
    out.push('"');
    let mut rest = text;
    loop {
        // What stops a plain run is ASCII, so both sides of it are characters' boundaries.
        let (plain, special) = rest.split_at(plain_len(rest.as_bytes()));
        out.push_str(plain);
        let Some(&byte) = special.as_bytes().first() else {
            break;
        };
        push_escape(byte, out);
        rest = &special[1..];
    }
    out.push('"');
}

#[cold]
fn push_escape(byte: u8, out: &mut String) {
    let short = match byte {
        b'"' | b'\\' => byte,
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0x08 => b'b',
        0x0c => b'f',
        _ => {
            const HEX: &[u8; 16] = b"0123456789abcdef";
            out.push_str("\\u00");
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
            return;
        }
    };
    out.push('\\');
    out.push(char::from(short));
}
