//! The data of a page as columns of numbers. `assets/data.js` and `assets/run.js` are the readers.
//!
//! For 200,000 operations, one record with field names per operation would be mostly names. Here each field is one
//! array over all operations of a partition. Numbers that resemble their neighbours are stored as differences, and
//! texts are stored as indices into a list of distinct texts.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::model::{TimeUnit, Verdict};
use crate::sequences::SequenceColumns;

/// The data of a page.
#[derive(Serialize)]
pub(crate) struct PageData {
    pub(crate) title: u32,
    pub(crate) summary: u32,
    pub(crate) unit: TimeUnit,
    /// The time that was subtracted from all times, as text, because it may be too large for a number.
    pub(crate) origin: String,
    /// Sentences that say what was left out.
    pub(crate) notes: Vec<String>,
    /// The data of a run other than its history.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) run: Option<RunData>,
    /// The distinct texts. Wherever a text belongs, the data has its index in this list.
    pub(crate) texts: Vec<String>,
    /// The numbers of the clients. Wherever a client belongs, the data has its index in this list.
    pub(crate) clients: Vec<i64>,
    /// The tags of annotations, sorted. Wherever a tag belongs, the data has the number of clients plus its index in
    /// this list.
    pub(crate) tags: Vec<u32>,
    pub(crate) partitions: Vec<PartitionColumns>,
    pub(crate) annotations: AnnotationColumns,
}

#[derive(Serialize)]
pub(crate) struct PartitionColumns {
    pub(crate) name: u32,
    pub(crate) verdict: Verdict,
    /// Whether `sequences` has the texts of states.
    pub(crate) states: bool,
    pub(crate) initial: u32,
    pub(crate) lane: Vec<i64>,
    /// Stored as differences.
    pub(crate) call: Vec<i64>,
    /// The time from call to return.
    pub(crate) took: Vec<u64>,
    /// Stored as differences.
    pub(crate) description: Vec<i64>,
    /// Stored as differences; empty if no operation has details.
    pub(crate) details: Vec<i64>,
    /// The indices of the operations that never returned.
    pub(crate) open: Vec<usize>,
    pub(crate) sequences: SequenceColumns,
}

#[derive(Serialize)]
pub(crate) struct AnnotationColumns {
    pub(crate) lane: Vec<usize>,
    /// Stored as differences.
    pub(crate) start: Vec<i64>,
    pub(crate) took: Vec<u64>,
    pub(crate) label: Vec<i64>,
    pub(crate) details: Vec<i64>,
    /// The colour as 0xRRGGBB, or -1 for none.
    pub(crate) colour: Vec<i64>,
}

/// The data of a page other than its history. Times are multiples of `step`.
#[derive(Serialize)]
pub(crate) struct RunData {
    /// The number of nanoseconds in the unit of all times.
    pub(crate) step: u64,
    pub(crate) end: u64,
    pub(crate) servers: usize,
    pub(crate) verdict: String,
    /// The names of the receivers that are not servers; in `shapes` they follow the servers.
    pub(crate) named: Vec<String>,
    pub(crate) texts: Vec<String>,
    /// `[at, server or -1, text]`
    pub(crate) failures: Vec<(u64, i64, u32)>,
    pub(crate) failed_checks: Vec<u64>,
    /// `[server, kind, from, to, part]`
    pub(crate) bands: Vec<[u64; 5]>,
    /// `[since, until, calls]`
    pub(crate) windows: Vec<[u64; 3]>,
    pub(crate) shapes: Vec<[u64; 4]>,
    /// The number of rows of each server in the columns; at the end, the number of rows that belong to no server.
    pub(crate) rows: Vec<usize>,
    /// The place of each column: `[first byte, number of values]`.
    pub(crate) columns: BTreeMap<&'static str, (usize, usize)>,
}
