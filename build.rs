//! Tells the code which major API of the linked FFmpeg it is built against: `ffmpeg-sys-next` publishes the versions.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    for version in ["ffmpeg_6_1", "ffmpeg_7_0"] {
        println!("cargo::rustc-check-cfg=cfg({version})");
        let variable = format!("DEP_FFMPEG_{}", version.to_uppercase());
        // Set for every version, but only "true" means "this version or newer".
        if std::env::var(&variable).is_ok_and(|value| value == "true") {
            println!("cargo::rustc-cfg={version}");
        }
    }
}
