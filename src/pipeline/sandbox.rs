//! What a worker gives up before it parses a byte that others made.
//!
//! By then it holds everything that it needs as open descriptors: the source, the weights, the loaded runtime. What is
//! left to it:
//!
//! - **files** (Landlock): those in its own staging folder, and reading the few that it names and the layout of the
//!   processor. No links, pipes, devices or folders can be made, so the supervisor finds plain files there.
//! - **calls** (seccomp): memory, threads, time, and reading and writing files. Every other call of the kernel fails: no
//!   socket, no program, no new process, no other process's memory or signals, no executable memory from data.
//!
//! Both hold for threads that start later; the one that runs by then is checked to be alone.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, LandlockStatus, PathBeneath, PathFd, RestrictionStatus, Ruleset,
    RulesetAttr, RulesetCreatedAttr, RulesetStatus, Scope,
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, apply_filter_all_threads,
};
use serde::{Deserialize, Serialize};

use super::sandbox_calls::{ALLOWED, FCNTL_COMMANDS};
use crate::error::{Error, ErrorKind, Result, Stage};

/// Whether workers are locked in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SandboxMode {
    /// Without a sandbox there is no work.
    Require,
    /// As far as the kernel can; what is missing is told.
    #[default]
    Auto,
    Off,
}

/// How many cores there are and how they are joined: x265 makes its threads, and thereby its output, of that.
const TOPOLOGY: [&str; 2] = ["/sys/devices/system/cpu", "/sys/devices/system/node"];

/// Rules are written for this version of Landlock; older kernels enforce what they know.
const LANDLOCK_ABI: ABI = ABI::V7;

/// What holds of the sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entered {
    /// Version of Landlock that the kernel has.
    pub landlock_abi: Option<i32>,
    /// What is not enforced, as far as the mode let that pass.
    pub missing: Option<String>,
}

/// Locks the process in, for ever. `staging`: the folder to work in; `readable`: files that may be opened for reading.
///
/// # Errors
/// `Worker` when the mode requires what the kernel does not do.
pub fn enter(mode: SandboxMode, staging: &Path, readable: &[&Path]) -> Result<Entered> {
    if mode == SandboxMode::Off {
        return Ok(Entered { landlock_abi: None, missing: Some("it was switched off".into()) });
    }
    let alone = alone();
    let files = restrict_files(staging, readable);
    let landlock_abi = files.as_ref().ok().copied();
    let calls = restrict_calls();
    let missing: Vec<String> = [alone, files.map(drop), calls].into_iter().filter_map(Result::err).collect();
    let missing = (!missing.is_empty()).then(|| missing.join(" and "));
    match (missing, mode) {
        (Some(missing), SandboxMode::Require) => {
            let message = format!("the sandbox is required, but {missing}");
            Err(Error::new(Stage::Worker, ErrorKind::Worker, message).advise("--sandbox auto works without"))
        }
        (missing, _) => Ok(Entered { landlock_abi, missing }),
    }
}

/// Why a part of the sandbox does not hold.
type Unenforced = String;

/// Landlock holds for the calling thread and those that it starts.
fn alone() -> Result<(), Unenforced> {
    match fs::read_dir("/proc/self/task").map(Iterator::count) {
        Ok(1) => Ok(()),
        Ok(threads) => Err(format!("{threads} threads ran before it was entered")),
        Err(e) => Err(format!("nobody knows what threads run: /proc is not there ({e})")),
    }
}

/// Leaves `staging` and `readable`; gives the version of Landlock.
fn restrict_files(staging: &Path, readable: &[&Path]) -> Result<i32, Unenforced> {
    let failed = |e: &dyn fmt::Display| format!("Landlock is not enforced: {e}");
    let status = restricted(staging, readable).map_err(|e| failed(&*e))?;
    match (status.ruleset, status.landlock) {
        (RulesetStatus::NotEnforced, LandlockStatus::NotEnabled) => Err(failed(&"it is disabled in this kernel")),
        (RulesetStatus::NotEnforced, _) => Err(failed(&"this kernel has none")),
        // What older versions leave open (truncation by path, TCP, signals) the filter of calls closes.
        (_, LandlockStatus::Available { effective_abi, kernel_abi }) => Ok(kernel_abi.unwrap_or(effective_abi as i32)),
        (_, _) => Err(failed(&"this kernel has none")),
    }
}

type Unspecific = Box<dyn std::error::Error>;

fn restricted(staging: &Path, readable: &[&Path]) -> Result<RestrictionStatus, Unspecific> {
    let work: BitFlags<AccessFs> = AccessFs::ReadFile
        | AccessFs::WriteFile
        | AccessFs::Truncate
        | AccessFs::ReadDir
        | AccessFs::MakeReg
        | AccessFs::RemoveFile;
    let mut rules = Ruleset::default()
        .handle_access(AccessFs::from_all(LANDLOCK_ABI))?
        .handle_access(AccessNet::from_all(LANDLOCK_ABI))?
        .scope(Scope::from_all(LANDLOCK_ABI))?
        .create()?
        .add_rule(PathBeneath::new(PathFd::new(staging)?, work))?;
    for folder in TOPOLOGY.iter().filter(|folder| Path::new(folder).is_dir()) {
        let look = AccessFs::ReadFile | AccessFs::ReadDir;
        rules = rules.add_rule(PathBeneath::new(PathFd::new(folder)?, look))?;
    }
    for file in readable {
        rules = rules.add_rule(PathBeneath::new(PathFd::new(file)?, AccessFs::ReadFile))?;
    }
    Ok(rules.restrict_self()?)
}

/// Leaves the calls of [`ALLOWED`] and, of some others, harmless uses.
fn restrict_calls() -> Result<(), Unenforced> {
    let failed = |e: &dyn fmt::Display| format!("seccomp is not enforced: {e}");
    for filter in filters().map_err(|e| failed(&*e))? {
        apply_filter_all_threads(&filter).map_err(|e| failed(&e))?;
    }
    Ok(())
}

fn filters() -> Result<[BpfProgram; 2], Unspecific> {
    let refuse = |code: i32| SeccompAction::Errno(code as u32);
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    // Its arguments lie in memory, where a filter can't see whether a process or a thread is asked for. Where it is not
    // implemented, the C library makes threads the older way.
    let unseen = BTreeMap::from([(libc::SYS_clone3, vec![])]);
    let without_clone3 = SeccompFilter::new(unseen, SeccompAction::Allow, refuse(libc::ENOSYS), arch)?;
    let mut calls: BTreeMap<i64, Vec<SeccompRule>> = ALLOWED.iter().map(|call| (*call, vec![])).collect();
    calls.extend(conditional()?);
    let others = SeccompFilter::new(calls, refuse(libc::EPERM), SeccompAction::Allow, arch)?;
    Ok([without_clone3.try_into()?, others.try_into()?])
}

/// Calls that are allowed for some arguments: any of a call's rules.
fn conditional() -> Result<BTreeMap<i64, Vec<SeccompRule>>, Unspecific> {
    let arg = |index: u8, op: SeccompCmpOp, value: u64| {
        SeccompCondition::new(index, SeccompCmpArgLen::Dword, op, value).and_then(|c| SeccompRule::new(vec![c]))
    };
    let bits = |mask: i32| SeccompCmpOp::MaskedEq(mask as u64);
    let own = u64::from(std::process::id());
    let commands: Result<Vec<_>, _> =
        FCNTL_COMMANDS.iter().map(|command| arg(1, SeccompCmpOp::Eq, *command as u64)).collect();
    let null = SeccompCondition::new(2, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, 0)?;
    Ok(BTreeMap::from([
        // Threads, not processes.
        (libc::SYS_clone, vec![arg(0, bits(libc::CLONE_THREAD), libc::CLONE_THREAD as u64)?]),
        (libc::SYS_fcntl, commands?),
        // Nothing that was written becomes code, but for the scaler's, which is made writable and then executable.
        (libc::SYS_mmap, vec![arg(2, bits(libc::PROT_EXEC), 0)?]),
        (libc::SYS_mprotect, vec![arg(2, bits(libc::PROT_EXEC), 0)?, arg(2, bits(libc::PROT_WRITE), 0)?]),
        (libc::SYS_prctl, vec![arg(0, SeccompCmpOp::Eq, libc::PR_SET_NAME as u64)?]),
        // Reading limits, not changing them.
        (libc::SYS_prlimit64, vec![SeccompRule::new(vec![null])?]),
        // `abort` and `raise`.
        (libc::SYS_tgkill, vec![arg(0, SeccompCmpOp::Eq, own)?]),
    ]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_call_is_allowed_twice() {
        let conditional = conditional().unwrap();
        for (index, call) in ALLOWED.iter().enumerate() {
            assert!(!ALLOWED[..index].contains(call), "{call} is listed twice");
            assert!(!conditional.contains_key(call), "{call} is allowed with and without condition");
        }
        assert!(filters().is_ok());
    }

    #[test]
    fn switched_off_it_says_so() {
        let told = enter(SandboxMode::Off, Path::new("/nonexistent"), &[]).unwrap();
        assert_eq!(told.missing.as_deref(), Some("it was switched off"));
    }
}
