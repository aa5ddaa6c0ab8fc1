//! The folder of the program's data, on a small file system of its own if that can be had, and the
//! faults of it.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use sqlx::{AnyConnection, Connection, query};
use tempfile::TempDir;

/// How large the file system is.
const SIZE: &str = "size=256m";

/// What goes wrong for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The disk is full.
    Full,
    /// Another program holds the database.
    Locked,
}

/// The folder. It goes when this is dropped.
pub(crate) struct Data {
    folder: TempDir,
    is_mounted: bool,
}

/// A fault that lasts until this is dropped or ended.
pub(crate) enum Lasting {
    Full(PathBuf),
    Locked(AnyConnection),
}

impl Data {
    pub(crate) fn new() -> Self {
        sqlx::any::install_default_drivers();
        let folder = TempDir::new().expect("a folder");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", SIZE, "tmpfs"])
            .arg(folder.path())
            .output();
        Self {
            is_mounted: mounted.is_ok_and(|output| output.status.success()),
            folder,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Whether the disk can be full without harm to others.
    pub(crate) fn can_be_full(&self) -> bool {
        self.is_mounted
    }

    /// A connection of its own to the database.
    pub(crate) async fn connect(&self) -> Result<AnyConnection, sqlx::Error> {
        let url = format!("sqlite://{}?mode=rw", self.path().join("rill.db").display());
        let mut connection = AnyConnection::connect(&url).await?;
        query("pragma busy_timeout = 10000")
            .execute(&mut connection)
            .await?;
        Ok(connection)
    }

    /// Lets a fault begin. Nothing where it cannot be had.
    pub(crate) async fn begin(&self, fault: Fault) -> Option<Lasting> {
        match fault {
            Fault::Full if self.is_mounted => {
                let path = self.path().join("filler");
                let mut file = File::create(&path).ok()?;
                // In smaller and smaller pieces, until not a byte more fits.
                for piece in [1 << 20, 4096, 1] {
                    let bytes = vec![0; piece];
                    while file.write_all(&bytes).is_ok() {}
                }
                Some(Lasting::Full(path))
            }
            Fault::Full => None,
            Fault::Locked => {
                let mut connection = self.connect().await.ok()?;
                query("begin immediate")
                    .execute(&mut connection)
                    .await
                    .ok()?;
                Some(Lasting::Locked(connection))
            }
        }
    }
}

impl Lasting {
    /// Ends the fault.
    pub(crate) async fn end(self) {
        match self {
            Self::Full(path) => std::fs::remove_file(path).expect("it is ours"),
            Self::Locked(connection) => {
                let _ = connection.close().await;
            }
        }
    }
}

impl Drop for Data {
    fn drop(&mut self) {
        if self.is_mounted {
            let _ = Command::new("umount")
                .arg("-l")
                .arg(self.folder.path())
                .output();
        }
    }
}
