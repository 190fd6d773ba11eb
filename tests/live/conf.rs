//! redis.conf, as it is shipped: a server starts with it, and what it says of defaults is true.

use std::fs;

use crate::support::{project_path, Options, Server};

const NAME: &str = "tradebus.";

/// The settings that the file shows, commented out, with their values.
fn shown_settings(file: &str) -> Vec<(String, String)> {
    let settings = file.lines().filter_map(|line| {
        let setting = line.strip_prefix("# ")?;
        let (name, value) = setting.strip_prefix(NAME)?.split_once(' ')?;
        Some((format!("{NAME}{name}"), value.trim_matches('"').to_owned()))
    });
    settings.collect()
}

#[test]
fn the_file_starts_a_server_with_the_module() {
    let server = Server::start(Options::from_file(&project_path("redis.conf")));
    let mut client = server.client();
    let modules = client.text("MODULE LIST");
    assert!(modules.contains("\"tradebus\""), "{modules}");
    assert_eq!(client.map("CONFIG GET appendonly")["appendonly"], "yes");
    assert_eq!(client.map("CONFIG GET maxmemory-policy")["maxmemory-policy"], "noeviction");
}

#[test]
fn the_defaults_it_shows_are_the_modules_and_complete() {
    let path = project_path("redis.conf");
    let file = fs::read_to_string(&path).expect("redis.conf");
    let server = Server::start(Options::from_file(&path));
    let actual = server.client().map(format!("CONFIG GET {NAME}*"));
    let shown = shown_settings(&file).into_iter().collect();
    assert_eq!(actual, shown);
}

/// They are comments, so that nothing else would notice a line that is no configuration.
#[test]
fn a_server_starts_with_the_settings_uncommented() {
    let path = project_path("redis.conf");
    let file = fs::read_to_string(&path).expect("redis.conf");
    let uncommented = file.replace(&format!("\n# {NAME}"), &format!("\n{NAME}"));
    assert_ne!(uncommented, file);
    let changed = tempfile::NamedTempFile::new().expect("a temporary file");
    fs::write(changed.path(), uncommented).expect("a temporary file");
    Server::start(Options::from_file(changed.path()));
}
