//! The bodies of the fuzz targets on bytes that are mutated from the fixtures: what a fuzzer would try first, bounded, in
//! every run of the tests. `scripts/fuzz.sh` runs the targets themselves.

#[path = "../fuzz/bodies.rs"]
mod bodies;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// A generator of small random numbers (xorshift64*).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16) as usize % limit.max(1)
    }
}

fn files(folder: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut paths: Vec<PathBuf> = fs::read_dir(root).unwrap().map(|e| e.unwrap().path()).collect();
    paths.sort();
    paths
}

fn named(path: &Path, endings: &[&str]) -> bool {
    endings.iter().any(|e| path.to_str().unwrap().ends_with(e))
}

/// Values at the edges of what fields hold.
const EDGES: [u8; 8] = [0, 1, 0x7f, 0x80, 0xff, b'"', b'-', b'9'];

/// One to four changes: bits, edge values, stretches cut, doubled or taken from elsewhere, the end cut off. Most fall into
/// the first kilobytes, where the structure is.
fn mutated(seed: &[u8], random: &mut Random) -> Vec<u8> {
    let mut data = seed.to_vec();
    for _ in 0..1 + random.below(4) {
        if data.is_empty() {
            break;
        }
        let reach = if random.below(4) == 0 { data.len() } else { data.len().min(2048) };
        let at = random.below(reach);
        let len = (1 + random.below(16)).min(data.len() - at);
        match random.below(7) {
            0 => data[at] ^= 1 << random.below(8),
            1 => data[at] = EDGES[random.below(EDGES.len())],
            2 => data[at..at + len].fill(EDGES[random.below(EDGES.len())]),
            3 => drop(data.drain(at..at + len)),
            4 => {
                let double = data[at..at + len].to_vec();
                drop(data.splice(at..at, double));
            }
            5 => {
                let from = random.below(data.len() - len + 1);
                data.copy_within(from..from + len, at);
            }
            _ if random.below(4) == 0 => data.truncate(at),
            _ => data[at] = data[at].wrapping_add(1),
        }
    }
    data
}

/// Runs the body on the seeds and on `count` mutations of each; the input of a failure is kept beside the program.
fn run(name: &str, seeds: &[Vec<u8>], count: usize, body: fn(&[u8])) {
    assert!(!seeds.is_empty());
    for (number, seed) in seeds.iter().enumerate() {
        let mut random = Random(0x5EED_0000 + number as u64);
        for round in 0..=count {
            let data = if round == 0 { seed.clone() } else { mutated(seed, &mut random) };
            if catch_unwind(AssertUnwindSafe(|| body(&data))).is_err() {
                let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{number}-{round}"));
                fs::write(&path, &data).unwrap();
                panic!("{name} failed on {}", path.display());
            }
        }
    }
}

fn contents(paths: impl IntoIterator<Item = PathBuf>, most: usize) -> Vec<Vec<u8>> {
    paths.into_iter().map(|p| fs::read(p).unwrap()).filter(|bytes| bytes.len() <= most).collect()
}

#[test]
fn plans() {
    let seeds = contents(files("fuzz/seeds").into_iter().filter(|p| named(p, &[".plan.json"])), usize::MAX);
    assert!(seeds.iter().all(|s| withhold::plan::file::read_from(s.as_slice(), None).is_ok()), "seeds are plans");
    run("plan", &seeds, 1500, bodies::plan);
}

#[test]
fn strict_readers() {
    let read = [".mp4", ".jpg", ".png", ".webp", ".tiff"];
    let paths = files("fixtures/clips").into_iter().chain(files("fixtures/formats")).filter(|p| named(p, &read));
    run("strict", &contents(paths, 60_000), 120, bodies::strict);
}

#[test]
fn content() {
    let paths = files("fixtures/clips").into_iter().chain(files("fixtures/formats"));
    // The head tells.
    let heads: Vec<Vec<u8>> =
        contents(paths, usize::MAX).into_iter().map(|b| b[..b.len().min(4096)].to_vec()).collect();
    run("content", &heads, 60, bodies::content);
}

#[test]
fn words() {
    let lines = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/words.txt")).unwrap();
    let seeds: Vec<Vec<u8>> = lines.lines().map(|l| l.as_bytes().to_vec()).collect();
    run("words", &seeds, 2000, bodies::words);
}

#[test]
fn geometry() {
    let mut random = Random(0x6E0);
    let seeds: Vec<Vec<u8>> = (0..40).map(|_| (0..26).map(|_| random.below(256) as u8).collect()).collect();
    run("geometry", &seeds, 500, bodies::geometry);
}
