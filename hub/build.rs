//! Takes the map and chart libraries of the page into the program, if `scripts/install-page` has installed them.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// Below `web/vendor/node_modules`, each served by its last name.
const WANTED: [&str; 4] = [
    "maplibre-gl/dist/maplibre-gl.mjs",
    "maplibre-gl/dist/maplibre-gl-worker.mjs",
    "uplot/dist/uPlot.esm.js",
    "uplot/dist/uPlot.min.css",
];

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=web/vendor");
    let variable = |name| env::var_os(name).map(PathBuf::from).ok_or(io::ErrorKind::NotFound);
    let installed = variable("CARGO_MANIFEST_DIR")?.join("web/vendor/node_modules");
    let files: Vec<PathBuf> = WANTED.iter().map(|name| installed.join(name)).collect();
    // All or none: half a library helps nobody.
    let files = if files.iter().all(|path| path.is_file()) {
        files
    } else {
        Vec::new()
    };
    fs::write(variable("OUT_DIR")?.join("libraries.rs"), table(&files))
}

/// An array of paths and contents, as Rust.
fn table(files: &[PathBuf]) -> String {
    let mut text = "&[".to_owned();
    for path in files {
        let name = path.file_name().map(Path::new).unwrap_or(path);
        let name = format!("vendor/{}", name.display());
        // Writing into a String does not fail.
        write!(text, "({name:?}, include_bytes!({path:?})),").ok();
    }
    text + "]"
}
