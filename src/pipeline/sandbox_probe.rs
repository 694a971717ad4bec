//! The proof that the sandbox holds here: a process that enters it and then tries to get out.

use std::fs::{self, File};
use std::io;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::{getppid, test_kill_process};
use serde::{Deserialize, Serialize};

use super::sandbox::{Entered, SandboxMode, enter};
use crate::error::{Error, ErrorKind, Result, Stage};

/// Argument that makes the program such a process; its own arguments are a mode and a folder.
pub const PROBE_ARG: &str = "sandbox-probe";

/// What the process saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    pub landlock_abi: Option<i32>,
    /// What is not enforced, when that was let pass.
    pub missing: Option<String>,
    /// What it could not do though it has to.
    pub hindered: Vec<String>,
    /// What it could do though it must not.
    pub escapes: Vec<String>,
    /// What was refused, as it has to be.
    pub refused: Vec<String>,
}

impl Probe {
    /// Nothing is missing, hindered or open.
    pub fn holds(&self) -> bool {
        self.missing.is_none() && self.hindered.is_empty() && self.escapes.is_empty()
    }
}

fn failed(message: &str) -> Error {
    Error::new(Stage::Worker, ErrorKind::Worker, message)
}

/// Starts the process and waits for what it tells.
///
/// # Errors
/// `Worker` when it does not start, can't enter the sandbox or broke it by running another program.
pub fn probe(mode: SandboxMode) -> Result<Probe> {
    let broken = |e: io::Error| failed("the sandbox can't be tried").because(e);
    let folder = tempfile::Builder::new().prefix("withhold-probe-").tempdir().map_err(broken)?;
    // Beside the folder that it may use, one that it may not.
    let (inside, outside) = (folder.path().join("inside"), folder.path().join("outside"));
    for place in [&inside, &outside] {
        fs::create_dir(place).map_err(broken)?;
    }
    fs::write(outside.join("file"), "outside").map_err(broken)?;
    let word = serde_json::to_string(&mode).map_err(|e| failed("the sandbox can't be tried").because(e))?;
    let output = Command::new(std::env::current_exe().map_err(broken)?)
        .args([PROBE_ARG, word.trim_matches('"')])
        .arg(folder.path())
        .stdin(Stdio::null())
        .output()
        .map_err(broken)?;
    if !output.status.success() {
        let told = String::from_utf8_lossy(&output.stderr);
        return Err(failed(told.trim()));
    }
    serde_json::from_slice(&output.stdout).map_err(|e| failed("the sandbox does not hold").because(e))
}

/// The process itself: enters, tries, tells on standard output.
///
/// # Errors
/// As [`enter`].
pub fn main(mode: &str, folder: &Path) -> Result<()> {
    let unusable = |e| failed("the sandbox can't be tried").because(e);
    let mode = serde_json::from_str(&format!("\"{mode}\"")).map_err(unusable)?;
    let Entered { landlock_abi, missing } = enter(mode, &folder.join("inside"), &[])?;
    let mut probe = Probe { landlock_abi, missing, hindered: vec![], escapes: vec![], refused: vec![] };
    for (what, done) in needed(&folder.join("inside")) {
        if done.is_err() {
            probe.hindered.push(what.into());
        }
    }
    for (what, done) in forbidden(folder) {
        if done.is_ok() { probe.escapes.push(what.into()) } else { probe.refused.push(what.into()) }
    }
    // If it succeeds, another program speaks instead of this one.
    let exec = Command::new("/proc/self/exe").arg("--version").exec();
    probe.refused.push(format!("run a program ({exec})"));
    println!("{}", serde_json::to_string(&probe).map_err(unusable)?);
    Ok(())
}

type Attempt = (&'static str, io::Result<()>);

fn needed(inside: &Path) -> Vec<Attempt> {
    let file = inside.join("new");
    vec![
        ("write a file", fs::write(&file, "new")),
        ("read a file", fs::read(&file).map(drop)),
        ("replace a file", fs::rename(&file, inside.join("newer"))),
        ("remove a file", fs::remove_file(inside.join("newer"))),
        ("start a thread", std::thread::Builder::new().spawn(|| ()).map(drop)),
    ]
}

fn forbidden(folder: &Path) -> Vec<Attempt> {
    let (inside, outside) = (folder.join("inside"), folder.join("outside"));
    let parent = getppid().ok_or_else(|| io::Error::other("no parent"));
    vec![
        ("read a file elsewhere", File::open(outside.join("file")).map(drop)),
        ("list a folder elsewhere", fs::read_dir(&outside).map(drop)),
        ("write a file elsewhere", fs::write(outside.join("new"), "new")),
        ("truncate a file elsewhere", File::options().write(true).truncate(true).open(outside.join("file")).map(drop)),
        ("read its own program", File::open("/proc/self/exe").map(drop)),
        ("read what it is told about itself", fs::read("/proc/self/environ").map(drop)),
        ("make a link", std::os::unix::fs::symlink("/etc/passwd", inside.join("link"))),
        ("make a hard link", fs::hard_link(outside.join("file"), inside.join("hard"))),
        ("remove a file elsewhere", fs::remove_file(outside.join("file"))),
        ("make a folder", fs::create_dir(inside.join("folder"))),
        ("listen on the network", TcpListener::bind("127.0.0.1:0").map(drop)),
        ("speak to the network", UdpSocket::bind("127.0.0.1:0").map(drop)),
        ("make a pair of sockets", UnixStream::pair().map(drop)),
        ("start a process", Command::new("/proc/self/exe").arg("--version").stdout(Stdio::null()).status().map(drop)),
        ("signal another process", parent.and_then(|p| Ok(test_kill_process(p)?))),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_sandbox_every_attempt_succeeds() {
        let folder = tempfile::tempdir().unwrap();
        for place in ["inside", "outside"] {
            fs::create_dir(folder.path().join(place)).unwrap();
        }
        fs::write(folder.path().join("outside/file"), "outside").unwrap();
        for (what, done) in needed(&folder.path().join("inside")).into_iter().chain(forbidden(folder.path())) {
            assert!(done.is_ok(), "{what}: {done:?}");
        }
    }
}
