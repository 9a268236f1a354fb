//! A small disk that can be full: a file system in memory, mounted for a test.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A mounted file system. Dropping it unmounts it.
pub struct SmallDisk {
    folder: tempfile::TempDir,
}

impl SmallDisk {
    /// A disk of so many KiB.
    ///
    /// # Errors
    /// Mounting needs root, or `sudo` without a password.
    pub fn mount(kib: u32) -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let disk = Self { folder };
        let mode = format!("size={kib}k,mode=0777");
        as_root(&["mount", "-t", "tmpfs", "-o", &mode, "tmpfs"], disk.path())?;
        Ok(disk)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Makes it larger or smaller; what it holds stays.
    ///
    /// # Errors
    /// As of [`SmallDisk::mount`].
    pub fn resize(&self, kib: u32) -> Result<(), String> {
        as_root(&["mount", "-o", &format!("remount,size={kib}k")], self.path())
    }

    /// Files that it holds, with their sizes in bytes.
    pub fn files(&self) -> Vec<(PathBuf, u64)> {
        let mut found = Vec::new();
        let mut folders = vec![self.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                match entry.metadata() {
                    Ok(data) if data.is_dir() => folders.push(entry.path()),
                    Ok(data) => found.push((entry.path(), data.len())),
                    Err(_) => {}
                }
            }
        }
        found
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // A folder that stays mounted is told by the removal that fails.
        let _ = as_root(&["umount", "--lazy"], self.path());
    }
}

fn as_root(words: &[&str], path: &Path) -> Result<(), String> {
    let tried = |mut command: Command| {
        let output = command.arg(path).stdin(Stdio::null()).output();
        let output = output.map_err(|error| format!("{words:?}: {error}"))?;
        if output.status.success() {
            Ok(())
        } else {
            Err(format!("{words:?}: {}", String::from_utf8_lossy(&output.stderr).trim()))
        }
    };
    let mut plain = Command::new(words[0]);
    plain.args(&words[1..]);
    tried(plain).or_else(|why| {
        let mut command = Command::new("sudo");
        command.arg("-n").args(words);
        tried(command).map_err(|_| {
            format!(
                "{why}; this test mounts a small disk, which needs root or sudo without a password"
            )
        })
    })
}
