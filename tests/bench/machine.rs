//! Where and with what a result was measured.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde::Serialize;

/// Everything that numbers depend on besides the code.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) kernel: String,
    pub(crate) file_system: String,
    pub(crate) rustc: String,
    pub(crate) sqlite: &'static str,
    pub(crate) nats_server: String,
    pub(crate) commit: String,
}

impl Machine {
    /// Looks around; `folder` is where the databases are.
    pub(crate) fn look(folder: &Path) -> Self {
        Self {
            cpu: cpu(),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            kernel: line("/proc/sys/kernel/osrelease"),
            file_system: file_system(folder),
            rustc: says("rustc", &["--version"]),
            sqlite: rusqlite::version(),
            nats_server: nats_server_version(),
            commit: commit(),
        }
    }
}

/// What `nats-server --version` says, empty where there is none.
pub(crate) fn nats_server_version() -> String {
    let installed = root().join(".tools/bin/nats-server");
    let program = if installed.is_file() {
        installed.display().to_string()
    } else {
        "nats-server".into()
    };
    says(&program, &["--version"])
}

/// The project's directory.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// Bytes that can still be written where `folder` is.
pub(crate) fn free_bytes(folder: &Path) -> u64 {
    rustix::fs::statvfs(folder).map_or(u64::MAX, |found| found.f_bavail * found.f_frsize)
}

fn cpu() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find(|line| line.starts_with("model name"));
    let model = model
        .and_then(|line| line.split_once(": "))
        .map(|(_, name)| name.trim());
    model.unwrap_or("unknown").to_owned()
}

fn commit() -> String {
    let short = says("git", &["rev-parse", "--short", "HEAD"]);
    let changed = !says("git", &["status", "--porcelain", "--untracked-files=no"]).is_empty();
    format!("{short}{}", if changed { " and uncommitted changes" } else { "" })
}

fn line(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

fn says(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).current_dir(root()).output();
    output.map_or_else(
        |_| String::new(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}

fn file_system(folder: &Path) -> String {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    mount_of(&mounts, folder).unwrap_or_else(|| "unknown".into())
}

/// Type and device of the mount with the longest path that holds `folder`; of two at one path the later counts.
fn mount_of(mounts: &str, folder: &Path) -> Option<String> {
    let fields = mounts.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let holding = fields.filter(|fields| fields.get(1).is_some_and(|point| folder.starts_with(point)));
    let found = holding.max_by_key(|fields| fields[1].len())?;
    Some(format!("{} on {}", found.get(2)?, found.first()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_mount_holds_a_folder() {
        let mounts = "/dev/a / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n/dev/b /tmpx xfs rw 0 0\n";
        assert_eq!(mount_of(mounts, Path::new("/tmp/x")).unwrap(), "tmpfs on tmpfs");
        assert_eq!(mount_of(mounts, Path::new("/home")).unwrap(), "ext4 on /dev/a");
    }
}
