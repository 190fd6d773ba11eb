//! What callgrind writes, read: whose instructions, and how often the module called the server.
//!
//! A file has the functions one after another (`ob=` the library, where it is another than before; `fn=`), each with its own
//! cost by line (`<line> <cost>`) and its calls: `cob=` the library, where it is another one, `cfn=`, `calls=`, and then
//! a line with what the calls cost in the function called, which is told there, too.

use std::io;
use std::path::Path;

/// The sums of a profile.
#[derive(Default, PartialEq, Debug)]
pub struct Profile {
    /// Instructions in the module's library.
    pub of_module: u64,
    /// Instructions everywhere.
    pub of_all: u64,
    /// Calls of the module into the server's API.
    pub calls: u64,
}

/// What names of functions of the API begin with: in Redis, in Valkey.
const API: [&str; 2] = ["RM_", "VM_"];

impl Profile {
    /// Reads the text of a profile; `module` is the library's path as the server was told it.
    ///
    /// # Errors
    /// When it is not as callgrind writes it, or its sums are not those that callgrind has.
    pub fn parse(text: &str, module: &Path) -> io::Result<Profile> {
        let module = module.to_string_lossy();
        let mut profile = Profile::default();
        let mut total = None;
        let mut is_module = false;
        let mut is_api = false;
        let mut is_of_callee = false;
        for line in text.lines() {
            if let Some(object) = line.strip_prefix("ob=") {
                is_module = object == module;
            } else if let Some(function) = line.strip_prefix("cfn=") {
                is_api = API.iter().any(|prefix| function.starts_with(prefix));
            } else if let Some(calls) = line.strip_prefix("calls=") {
                if is_module && is_api {
                    profile.calls += number(calls.split(' ').next(), line)?;
                }
                is_of_callee = true;
            } else if let Some(sum) = line.strip_prefix("totals:") {
                total = Some(number(Some(sum.trim()), line)?);
            } else if line.starts_with(|first: char| first.is_ascii_digit()) && !std::mem::take(&mut is_of_callee) {
                let cost = number(line.split(' ').nth(1), line)?;
                profile.of_all += cost;
                profile.of_module += if is_module { cost } else { 0 };
            }
        }
        if total != Some(profile.of_all) {
            return Err(io::Error::other(format!(
                "callgrind counts {total:?} instructions, but its lines add up to {}",
                profile.of_all
            )));
        }
        Ok(profile)
    }
}

fn number(text: Option<&str>, line: &str) -> io::Result<u64> {
    text.and_then(|text| text.parse().ok())
        .ok_or_else(|| io::Error::other(format!("not a line of a profile of callgrind: '{line}'")))
}
