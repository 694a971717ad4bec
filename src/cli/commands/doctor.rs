//! `withhold doctor`: what is here, what is missing.

use serde::Serialize;
use withhold::infer::engine::Engine;
use withhold::infer::zoo::{find_models, list};
use withhold::pipeline::sandbox::SandboxMode;
use withhold::pipeline::sandbox_probe::{Probe, probe};
use withhold::{Result, media};

use crate::cli::args::Doctor;
use crate::cli::exit::Exit;

#[derive(Serialize)]
struct Check {
    name: String,
    ok: bool,
    detail: String,
}

/// Encoder of the default codec.
const NEEDED_ENCODER: &str = "libx264";

pub fn run(args: &Doctor) -> Result<Exit> {
    let checks = checks(args);
    let healthy = checks.iter().all(|c| c.ok);
    if args.json {
        println!("{}", serde_json::json!({ "kind": "withhold-doctor", "version": 1, "ok": healthy, "checks": checks }));
    } else {
        for check in &checks {
            println!("{} {:<22} {}", if check.ok { "ok     " } else { "MISSING" }, check.name, check.detail);
        }
        if !healthy {
            println!("\nSomething that is needed is missing: `make setup` in the source tree installs it.");
        }
    }
    Ok(if healthy { Exit::Success } else { Exit::Incomplete })
}

fn checks(args: &Doctor) -> Vec<Check> {
    let fact = |name: &str, detail: String| Check { name: name.into(), ok: true, detail };
    let mut checks = vec![fact("withhold", env!("CARGO_PKG_VERSION").into())];
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    checks.push(fact("threads", threads.to_string()));
    for (name, version) in media::versions() {
        checks.push(fact(&name, version));
    }
    checks.push(sandbox());
    let encoders = media::encoders();
    let ok = encoders.iter().any(|(_, encoder)| encoder == NEEDED_ENCODER);
    let listed: Vec<String> = encoders.into_iter().map(|(codec, encoder)| format!("{codec} ({encoder})")).collect();
    checks.push(Check { name: "video encoders".into(), ok, detail: listed.join(", ") });
    checks.push(match Engine::load(args.engine.runtime.as_deref()) {
        Ok(engine) => fact("onnx runtime", format!("{} ({})", engine.build_info(), engine.library().display())),
        Err(error) => Check { name: "onnx runtime".into(), ok: false, detail: error.to_string() },
    });
    match find_models(args.engine.models.as_deref()) {
        Ok(folder) => checks.extend(list(&folder).into_iter().map(|m| Check {
            name: m.info.name.into(),
            ok: m.is_ok(),
            detail: match &m.found_sha256 {
                Some(found) if m.is_ok() => format!("sha256 {found}"),
                Some(found) => format!("{}: sha256 {found}, expected {}", m.path.display(), m.info.sha256),
                None => format!("{} cannot be read", m.path.display()),
            },
        })),
        Err(error) => checks.push(Check { name: "models".into(), ok: false, detail: error.to_string() }),
    }
    checks
}

/// A process enters it and tries to get out. Where the kernel has none the program works all the same.
fn sandbox() -> Check {
    let (ok, detail) = match probe(SandboxMode::Auto) {
        Ok(Probe { missing: Some(missing), .. }) => (true, format!("not whole: {missing}")),
        Ok(probe) if probe.holds() => {
            let abi = probe.landlock_abi.map_or(String::new(), |abi| format!("Landlock ABI {abi}, "));
            (true, format!("on ({abi}seccomp; {} ways out tried, all refused)", probe.refused.len()))
        }
        Ok(probe) => (false, format!("does not hold: {}", [probe.escapes, probe.hindered].concat().join(", "))),
        Err(error) => (false, error.to_string()),
    };
    Check { name: "sandbox".into(), ok, detail }
}
