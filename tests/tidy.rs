//! The house rules that a machine can check, on the source as it stands. Each rule is one test, and
//! tells every place that breaks it.

use std::fs;
use std::path::Path;

/// Lines of a file, above which it has more than one subject.
const LINES_MAX: usize = 500;

/// Longer files, each with the reason why it is better whole.
const LONG_FILES: &[(&str, &str)] = &[];

/// Where source is kept. Everything else (docs, examples' output, builds) has other readers.
const ROOTS: &[&str] = &["src", "crates", "tests", "benches", "examples", "fuzz"];

/// A source file: `path` from the project's root, and its text.
struct Source {
    path: String,
    text: String,
}

impl Source {
    /// The lines of code with their numbers: comments and the contents of literals are blank.
    fn code_lines(&self) -> Vec<(usize, String)> {
        let code = without_comments_and_literals(&self.text);
        let numbered = code.lines().zip(1..);
        numbered.map(|(line, number)| (number, line.to_owned())).collect()
    }

    /// The places where the code has one of these identifiers.
    fn mentions(&self, banned: &[&str]) -> Vec<String> {
        let mut places = Vec::new();
        for (number, line) in self.code_lines() {
            let words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
            for word in words.filter(|word| banned.contains(word)) {
                places.push(format!("{}:{number}: {word}", self.path));
            }
        }
        places
    }
}

/// The project's Rust sources, in a stable order.
fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = Vec::new();
    for folder in ROOTS {
        collect(root, &root.join(folder), &mut sources);
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(sources.len() > 10, "the sources have moved");
    sources
}

fn collect(root: &Path, folder: &Path, sources: &mut Vec<Source>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() && !path.ends_with("target") {
            collect(root, &path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let relative = path.strip_prefix(root).expect("below the root");
            sources.push(Source {
                path: relative.to_string_lossy().into_owned(),
                text: fs::read_to_string(&path).expect("UTF-8"),
            });
        }
    }
}

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Rust source of the same lines, with comments and the insides of string and character literals
/// blanked, so that rules about code do not fire on words about code.
fn without_comments_and_literals(source: &str) -> String {
    let bytes = source.as_bytes();
    let mut code = String::with_capacity(source.len());
    let mut at = 0;
    while at < bytes.len() {
        let length = comment_or_literal(source, at);
        let end = (at + length.max(1)).min(bytes.len());
        for &byte in &bytes[at..end] {
            let kept = byte == b'\n' || (length == 0 && byte.is_ascii());
            code.push(if kept { char::from(byte) } else { ' ' });
        }
        at = end;
    }
    code
}

/// The bytes of the comment or literal that starts at `at`, 0 if none does.
fn comment_or_literal(source: &str, at: usize) -> usize {
    let bytes = &source.as_bytes()[at..];
    let after_word = at > 0 && {
        let before = source.as_bytes()[at - 1];
        before.is_ascii_alphanumeric() || before == b'_'
    };
    match bytes {
        [b'/', b'/', ..] => bytes.iter().take_while(|&&byte| byte != b'\n').count(),
        [b'/', b'*', ..] => block_comment(bytes),
        [b'"', ..] => string(bytes),
        [b'r', b'"' | b'#', ..] if !after_word => raw_string(bytes, 1),
        [b'b', b'r', b'"' | b'#', ..] if !after_word => raw_string(bytes, 2),
        [b'\'', b'\\', _, rest @ ..] => 3 + rest.iter().take_while(|&&byte| byte != b'\'').count() + 1,
        // Otherwise it is a lifetime: 'a, without an end.
        [b'\'', ..] => {
            let mut chars = source[at + 1..].char_indices();
            chars.next();
            match chars.next() {
                Some((offset, '\'')) => offset + 2,
                _ => 0,
            }
        }
        _ => 0,
    }
}

/// Block comments nest.
fn block_comment(bytes: &[u8]) -> usize {
    let (mut at, mut depth) = (0, 0);
    while at < bytes.len() {
        match &bytes[at..] {
            [b'/', b'*', ..] => (at, depth) = (at + 2, depth + 1),
            [b'*', b'/', ..] => (at, depth) = (at + 2, depth - 1),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn string(bytes: &[u8]) -> usize {
    let mut at = 1;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    at + 1
}

/// After a prefix of `r` or `br`; a raw identifier (`r#type`) is none.
fn raw_string(bytes: &[u8], prefix: usize) -> usize {
    let bytes = &bytes[prefix..];
    let hashes = bytes.iter().take_while(|&&byte| byte == b'#').count();
    if bytes.get(hashes) != Some(&b'"') {
        return 0;
    }
    let end = format!("\"{}", "#".repeat(hashes));
    let body = &bytes[hashes + 1..];
    let length = body.windows(end.len()).position(|window| window == end.as_bytes());
    prefix + hashes + 1 + length.unwrap_or(body.len()) + end.len()
}

/// A rule holds if nothing breaks it.
#[track_caller]
fn check(rule: &str, broken: Vec<String>) {
    assert!(broken.is_empty(), "{rule}:\n  {}", broken.join("\n  "));
}

#[test]
fn only_code_is_code() {
    let check = |source: &str, words: &[&str]| {
        let code = without_comments_and_literals(source);
        assert_eq!(code.split_whitespace().collect::<Vec<_>>(), words, "{source}");
        assert_eq!(code.matches('\n').count(), source.matches('\n').count());
    };
    check("a // b", &["a"]);
    check("a // b\nc", &["a", "c"]);
    check("a /* b /* c */ */ d", &["a", "d"]);
    check("a\n/* \n */b", &["a", "b"]);
    check(r#"f "a\"b" c"#, &["f", "c"]);
    check("f \"a\nb\" c", &["f", "c"]);
    check(r#"f "\\" c"#, &["f", "c"]);
    check(r##"f r#"a"b"# c"##, &["f", "c"]);
    check("f b\"a\" br\"b\" c\"d\" e", &["f", "b", "c", "e"]);
    check(r#"f 'a' '\'' '"' 'é' '\u{1F4A9}' b'x' c"#, &["f", "b", "c"]);
    check("f<'a>(x: &'a str)", &["f<'a>(x:", "&'a", "str)"]);
    check("r#type", &["r#type"]);
    check("\"open", &[]);
}

#[test]
fn files_have_one_subject() {
    let mut broken = Vec::new();
    let mut excused = Vec::new();
    for source in sources() {
        let lines = source.text.lines().count();
        let is_excused = LONG_FILES.iter().any(|(path, _)| *path == source.path);
        match (lines > LINES_MAX, is_excused) {
            (true, false) => broken.push(format!("{}: {lines} lines", source.path)),
            (true, true) => excused.push(source.path),
            (false, _) => {}
        }
    }
    check("a file has at most 500 lines", broken);
    let idle = LONG_FILES.iter().filter(|(path, _)| !excused.iter().any(|excused| excused == path));
    check("an exception that is not needed goes", idle.map(|(path, _)| (*path).to_owned()).collect());
}

#[test]
fn files_say_what_they_are_for() {
    let broken = sources().into_iter().filter(|source| !source.text.starts_with("//!"));
    check("a file starts with //!", broken.map(|source| source.path).collect());
}

#[test]
fn unsafe_code_stays_with_the_module_api() {
    let elsewhere = sources().into_iter().filter(|source| !source.path.starts_with("src/redis/"));
    check("only src/redis/ has unsafe code", elsewhere.flat_map(|source| source.mentions(&["unsafe"])).collect());
}

#[test]
fn nothing_is_left_unfinished() {
    let mut broken = Vec::new();
    for source in sources() {
        for (number, line) in source.code_lines() {
            for left in ["todo!", "unimplemented!", "dbg!"] {
                if line.contains(left) {
                    broken.push(format!("{}:{number}: {left}", source.path));
                }
            }
        }
    }
    check("nothing is left for later", broken);
}

/// Determinism by argument: a decision that is taken again from the same facts is the same.
#[test]
fn the_core_knows_no_clock_and_no_chance() {
    let core = sources().into_iter().filter(|source| source.path.starts_with("crates/core/src/"));
    let banned =
        ["SystemTime", "Instant", "rand", "RandomState", "thread_local", "OnceLock", "LazyLock", "Mutex", "RwLock"];
    check("what the core needs to know it is told", core.flat_map(|source| source.mentions(&banned)).collect());
}

/// Money is decimal. Indicators are not money: they are TA-Lib's doubles, and equal to them only as such. Expressions
/// compute with indicators.
#[test]
fn money_is_never_a_float() {
    let core = sources().into_iter().filter(|source| source.path.starts_with("crates/core/src/"));
    let inexact = ["indicators", "expression", "evaluator", "candle"].map(|name| format!("crates/core/src/{name}"));
    let exact = core.filter(|source| !inexact.iter().any(|part| source.path.starts_with(part)));
    check(
        "only indicators and what is made of them are floats",
        exact.flat_map(|source| source.mentions(&["f32", "f64"])).collect(),
    );
}

#[test]
fn the_core_does_not_know_the_server() {
    let manifest = read("crates/core/Cargo.toml");
    let broken = manifest.lines().filter(|line| !line.starts_with('#') && line.contains("redis"));
    check("crates/core builds without Redis", broken.map(str::to_owned).collect());
}

/// A wait that is long enough here is too short on a busy machine, and too long everywhere else.
#[test]
fn tests_do_not_sleep() {
    let tests = sources()
        .into_iter()
        .filter(|source| source.path.starts_with("tests/"))
        .filter(|source| source.path != "tests/support/wait.rs");
    check(
        "tests wait for conditions, by tests/support",
        tests.flat_map(|source| source.mentions(&["sleep", "sleep_ms"])).collect(),
    );
}

/// A file that main.rs does not name compiles nowhere, and its tests pass by not running.
#[test]
fn live_tests_are_run() {
    let main = without_comments_and_literals(&read("tests/live/main.rs"));
    let broken = sources().into_iter().filter_map(|source| {
        let module = source.path.strip_prefix("tests/live/")?.strip_suffix(".rs")?;
        let (module, _) = module.split_once('/').unwrap_or((module, ""));
        let declared = main.contains(&format!("mod {module};"));
        (module != "main" && !declared).then_some(source.path)
    });
    check("tests/live/main.rs names every module", broken.collect());
}

/// What `make test-all` wrote when all tests had passed on all of them.
#[test]
fn the_readme_names_the_servers_that_passed() {
    let script = read("scripts/servers");
    let names = script.lines().find_map(|line| line.strip_prefix("readonly names=(")?.strip_suffix(')'));
    let page = read("README.md");
    let (_, after) = page.split_once("<!-- servers: written by `make test-all` -->\n").expect("the table's beginning");
    let (table, _) = after.split_once("<!-- /servers -->\n").expect("the table's end");
    let mut lines = table.lines();
    assert_eq!(lines.next(), Some("| server | tested with | live tests passed |"));
    assert_eq!(lines.next(), Some("| --- | --- | --- |"));
    let mut rows = Vec::new();
    for line in lines {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let ["", server, version, passed, ""] = cells[..] else { panic!("not three cells: {line}") };
        let (kind, series) = server.split_once(' ').unwrap_or_else(|| panic!("a kind and a version: {line}"));
        assert!(version.starts_with(&format!("{series}.")), "{line}");
        assert!(passed.parse::<u32>().is_ok_and(|passed| passed > 0), "{line}");
        rows.push(format!("{}-{series}", kind.to_lowercase()));
    }
    let names: Vec<_> = names.expect("the list of servers").split(' ').collect();
    assert_eq!(rows, names, "make test-all writes the table");
}
