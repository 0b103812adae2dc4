//! The cluster's metadata in a file: what must be known before the logs are opened.
//!
//! The file is replaced whole, by writing another and renaming it, so that it is always one of the two.

use std::{collections::BTreeMap, fs, io, path::Path};

use serde::{Deserialize, Serialize};

const FILE: &str = "cluster.json";
const FORMAT: u32 = 1;

/// What the file holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    format: u32,
    pub(crate) cluster_id: String,
    /// Producer ids from here on were never given out.
    pub(crate) producer_ids_from: i64,
    pub(crate) topics: Vec<TopicSnapshot>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TopicSnapshot {
    pub(crate) name: String,
    /// 32 hexadecimal digits.
    pub(crate) id: String,
    pub(crate) config: BTreeMap<String, String>,
    pub(crate) partitions: Vec<PartitionSnapshot>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PartitionSnapshot {
    pub(crate) replicas: Vec<i32>,
    pub(crate) leader: Option<i32>,
    pub(crate) epoch: i32,
    pub(crate) log_start: i64,
}

impl Snapshot {
    pub(crate) fn new(
        cluster_id: String,
        producer_ids_from: i64,
        topics: Vec<TopicSnapshot>,
    ) -> Self {
        Self { format: FORMAT, cluster_id, producer_ids_from, topics }
    }

    /// What the folder holds; `None` when no cluster was here yet.
    pub(crate) fn load(dir: &Path) -> io::Result<Option<Self>> {
        let bytes = match fs::read(dir.join(FILE)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let snapshot: Self = serde_json::from_slice(&bytes)?;
        if snapshot.format != FORMAT {
            let text =
                format!("{FILE} has format {}, this version reads {FORMAT}", snapshot.format);
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        Ok(Some(snapshot))
    }

    /// Replaces what the folder holds.
    pub(crate) fn save(&self, dir: &Path) -> io::Result<()> {
        let fresh = dir.join(format!("{FILE}.new"));
        fs::write(&fresh, serde_json::to_vec_pretty(self)?)?;
        fs::rename(fresh, dir.join(FILE))
    }
}
