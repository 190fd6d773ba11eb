//! An evaluator outside of the server, beside the module: the same bars, conditions and subscribers.

use std::env;
use std::io;
use std::path::Path;
use std::process::Command;

use crate::server::{is_quick, Persistence, Server};

/// What `client.py` exits with when a package of its is missing.
const NOT_INSTALLED: i32 = 3;

/// Runs both ways on servers of their own, and prints what the script tells.
///
/// # Errors
/// When the script fails.
pub fn compare(module: &Path) -> io::Result<()> {
    let python = env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/conditions/client.py");
    let bars = if is_quick() { "20" } else { "300" };
    let (outside, inside) = (Server::start(Persistence::Off, None)?, Server::start(Persistence::Off, Some(module))?);
    let ports = [outside.port(), inside.port()].map(|port| port.to_string());
    let output = Command::new(&python).arg(script).args(&ports).arg(bars).output();
    match output {
        Ok(output) if output.status.success() => print!("{}", String::from_utf8_lossy(&output.stdout)),
        Ok(output) if output.status.code() == Some(NOT_INSTALLED) => {
            print!("Left out: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(output) => return Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned())),
        Err(error) => println!("Left out: the evaluator outside, as {python} cannot be run ({error})."),
    }
    Ok(())
}
