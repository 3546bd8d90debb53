//! The timeline page of a checker's result.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use linearizability::{HistoryExplanation, PartitionExplanation, Verdict};
use tester::artifacts;
use timeline::{Operation, Page, Partition, Step, TimeUnit};

/// The page of a history; `summary` is the verdict in words.
pub(crate) fn of(title: &str, summary: &str, explained: &HistoryExplanation, time_unit: TimeUnit) -> Page {
    Page {
        title: title.into(),
        summary: summary.into(),
        time_unit,
        partitions: explained.partitions.iter().map(partition).collect(),
        annotations: Vec::new(),
    }
}

fn partition(explanation: &PartitionExplanation) -> Partition {
    let operation = |described: &linearizability::DescribedOperation| {
        Operation::new(described.client.into(), described.call, described.ret, described.description.as_str())
    };
    let steps = |linearization: &Vec<usize>| {
        let states = explanation.states(linearization);
        let number = |&operation: &usize| u32::try_from(operation).expect("fewer than 2^32 operations");
        linearization.iter().map(number).zip(states).map(|(operation, state)| Step::new(operation, state)).collect()
    };
    Partition {
        name: explanation.name.as_str().into(),
        verdict: match explanation.verdict {
            Verdict::Ok => timeline::Verdict::Ok,
            Verdict::Illegal => timeline::Verdict::Illegal,
            Verdict::Unknown => timeline::Verdict::Unknown,
        },
        initial_state: explanation.initial.as_str().into(),
        operations: explanation.operations.iter().map(operation).collect(),
        linearizations: explanation.linearizations.iter().map(steps).collect(),
    }
}

/// Writes `page` into `folder` under a new name that begins with `name`; it overwrites no file. Returns the path.
pub(crate) fn write(page: &Page, folder: &Path, name: &str) -> io::Result<PathBuf> {
    fs::create_dir_all(folder)?;
    let (path, file) = artifacts::create_new(folder, name, "html")?;
    let mut out = BufWriter::new(file);
    page.write(&mut out)?;
    out.flush()?;
    Ok(path)
}
