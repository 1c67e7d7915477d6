//! A disk of one's own whose power can be cut: an ext4 in a file, mounted over a loop device. Needs root on Linux.
//!
//! The cut is the one that file systems are tested with: the ioctl `EXT4_IOC_SHUTDOWN` without a flush of the journal.
//! From then on every access fails, and at the next mount is there what was on the disk: what `fsync` has confirmed,
//! and nothing that only the page cache had.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::process::said_by;
use crate::wait::poll_until;

/// How long the last user of a disk may take to let it go.
const RELEASE: Duration = Duration::from_secs(20);

/// A mounted disk; unmounted and removed when dropped.
#[derive(Debug)]
pub struct Disk {
    image: PathBuf,
    mount: PathBuf,
}

impl Disk {
    /// Why disks cannot be made here, if so.
    pub fn unavailable() -> Option<String> {
        if !rustix::process::geteuid().is_root() {
            return Some("only root may mount a disk".into());
        }
        let missing = ["mkfs.ext4", "mount", "umount", "python3"];
        let missing: Vec<_> = missing.into_iter().filter(|program| !runs(program)).collect();
        if !missing.is_empty() {
            return Some(format!("{} missing here", missing.join(", ")));
        }
        let folder = tempfile::tempdir().ok()?;
        Self::make(&folder.path().join("trial"), 8).err()
    }

    /// Makes, formats and mounts one of so many megabytes at `mount`.
    pub fn make(mount: &Path, megabytes: u64) -> Result<Self, String> {
        let image = mount.with_extension("img");
        let explain = |error: std::io::Error| format!("{}: {error}", image.display());
        std::fs::create_dir_all(mount).map_err(explain)?;
        File::create(&image)
            .and_then(|file| file.set_len(megabytes << 20))
            .map_err(explain)?;
        run("mkfs.ext4", &["-q", "-F"], &[&image])?;
        let disk = Self {
            image,
            mount: mount.to_owned(),
        };
        disk.mount()?;
        Ok(disk)
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.mount
    }

    /// Nothing that is not on the disk by now will ever be. Whoever uses it gets I/O errors.
    pub fn cut_power(&self) -> Result<(), String> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("harness/cut_power.py");
        run("python3", &[], &[&script, &self.mount])
    }

    /// Mounts it again as after a power cut, once nobody holds it any more.
    pub async fn power_on(&self) -> Result<(), String> {
        let mut last = String::new();
        let released = poll_until("the disk to be let go", RELEASE, async || {
            match run("umount", &[], &[&self.mount]) {
                Ok(()) => Some(()),
                Err(error) => {
                    last = error;
                    None
                }
            }
        });
        released.await.map_err(|error| format!("{error}: {last}"))?;
        self.mount()?;
        // Who is in a namespace of mounts that is older than the umount has the disk still, as it is without power; then this is
        // the same one.
        let probe = self.mount.join("power-is-on");
        File::create(&probe)
            .and_then(|_| std::fs::remove_file(&probe))
            .map_err(|error| {
                format!(
                    "{} is held by another namespace of mounts: {error}",
                    self.image.display()
                )
            })
    }

    /// Free bytes.
    pub fn free_bytes(&self) -> Result<u64, String> {
        let disk = rustix::fs::statvfs(&self.mount).map_err(|error| format!("{}: {error}", self.mount.display()))?;
        Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
    }

    fn mount(&self) -> Result<(), String> {
        run("mount", &["-o", "loop,noatime"], &[&self.image, &self.mount])
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Err(error) = run("umount", &["--lazy"], &[&self.mount]) {
            eprintln!("{error}");
        }
        std::fs::remove_file(&self.image).ok();
    }
}

fn runs(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

fn run(program: &str, options: &[&str], paths: &[&Path]) -> Result<(), String> {
    said_by(Command::new(program).args(options).args(paths)).map(drop)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    /// With its own control: what was not flushed must be gone, or the rig would not see a loss.
    #[tokio::test]
    async fn power_cut_keeps_what_was_synced_and_nothing_else() {
        if let Some(reason) = Disk::unavailable() {
            return eprintln!("skipped: {reason}");
        }
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::make(&folder.path().join("disk"), 16).unwrap();
        let write = |name: &str| {
            let mut file = File::create(disk.path().join(name)).unwrap();
            file.write_all(b"something").unwrap();
            file
        };
        write("synced").sync_all().unwrap();
        File::open(disk.path()).unwrap().sync_all().unwrap();
        drop(write("cached"));
        disk.cut_power().unwrap();
        assert!(std::fs::read_dir(disk.path()).is_err() || File::create(disk.path().join("late")).is_err());
        disk.power_on().await.unwrap();
        let read = |name: &str| std::fs::read(disk.path().join(name)).unwrap_or_default();
        assert_eq!(read("synced"), b"something");
        assert_eq!(read("cached"), b"");
    }
}
