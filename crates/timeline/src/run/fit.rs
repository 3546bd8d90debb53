//! The precision and completeness of a page. Most runs fit unchanged. A longer run loses its least important data
//! first:
//!
//! 1. Times are rounded to microseconds, and saved states and the single steps of applied entries are left out.
//! 2. Times are rounded to ten microseconds.
//! 3. Completed RPCs in the middle of the run are only counted.
//!
//! Faults, roles, checks, operations, failures and lost RPCs are never left out.

use std::io;

use super::calls;
use super::collect::CollectedRun;
use super::columns::Columns;
use super::servers;
use crate::encode::encode;
use crate::html::overhead_bytes;
use crate::model::{Annotation, Page, TimeUnit};
use crate::pack::{base64_len, deflate};
use crate::page_data::RunData;

/// The largest size of the page of a run in bytes, as long as it can be reached by leaving out completed RPCs.
pub const RUN_BYTES_MAX: usize = 5_000_000;

/// A level of precision and completeness.
#[derive(Clone, Copy)]
struct Detail {
    step: u64,
    brief: bool,
    /// The share of the calls that are kept, from 0 to 1.
    share: f64,
}

/// Returns the data of the page, deflated, in the most detailed form that fits.
pub(super) fn fit_to_size(run: &CollectedRun) -> io::Result<Vec<u8>> {
    // A level that cannot fit is not tried: a row or a call takes at least two bytes in the end.
    let rows = run.servers.iter().map(Vec::len).sum::<usize>() + run.calls.len();
    let long = rows > RUN_BYTES_MAX / 10;
    let room = RUN_BYTES_MAX - overhead_bytes();
    let whole = Detail { step: 1, brief: false, share: 1.0 };
    let brief = Detail { step: 1_000, brief: true, share: 1.0 };
    let coarse = Detail { step: 10_000, ..brief };
    let mut bytes = 0;
    for detail in [whole, brief, coarse].into_iter().skip(usize::from(long)) {
        let data = encode_run(run, detail)?;
        bytes = base64_len(data.len());
        if bytes <= room {
            return Ok(data);
        }
    }
    // The calls together take the difference between the two sizes. The share of them that fits is a little less than
    // proportional.
    let without = encode_run(run, Detail { share: 0.0, ..coarse })?;
    let least = base64_len(without.len());
    let share = room.saturating_sub(least) as f64 / bytes.saturating_sub(least).max(1) as f64;
    for share in [share * 0.95, share * 0.7] {
        let data = encode_run(run, Detail { share, ..coarse })?;
        if base64_len(data.len()) <= room {
            return Ok(data);
        }
    }
    Ok(without)
}

fn encode_run(run: &CollectedRun, detail: Detail) -> io::Result<Vec<u8>> {
    let Detail { step, brief, share } = detail;
    let time = |at: u64| at / step;
    let page = Page {
        title: if run.scenario.is_empty() { "a run".into() } else { run.scenario.as_str().into() },
        summary: run.about.join(" · ").into(),
        time_unit: TimeUnit::Nanoseconds,
        partitions: run.history.partitions(step),
        annotations: run.history.annotations.iter().map(|annotation| at_step(annotation, step)).collect(),
    };
    let mut encoded = encode(&page)?;
    let mut columns = Columns::default();
    let (kept, mut windows) =
        if share < 1.0 { calls::thin_out(&run.calls, share) } else { (run.calls.iter().collect(), Vec::new()) };
    let left_out: u64 = windows.iter().chain(&run.windows).map(|window| window[2]).sum();
    windows.extend(&run.windows);
    windows.sort_unstable();
    let shapes = calls::add_columns(&kept, &run.named, run.server_count(), step, &mut columns);
    let rows = servers::add_columns(&run.servers, brief, step, &mut columns);
    let (binary, places) = columns.into_parts();

    if step > 1 {
        encoded.notes.push(format!("Times are exact to {} µs.", step / 1_000));
    }
    if brief {
        encoded.notes.push("Saved states are left out, and entries applied at the same time are one step.".to_owned());
    }
    if left_out > 0 {
        encoded.notes.push(format!("Completed RPCs left out: {left_out}."));
    }
    if run.lines_left_out > 0 {
        encoded.notes.push(format!("Logged lines left out: {}.", run.lines_left_out));
    }
    encoded.run = Some(RunData {
        step,
        end: time(run.end),
        servers: run.server_count(),
        verdict: run.verdict.clone(),
        named: run.named.keys().cloned().collect(),
        texts: run.texts.clone(),
        failures: run
            .failures
            .iter()
            .map(|&(at, server, text)| (time(at), server.map_or(-1, |server| server as i64), text))
            .collect(),
        failed_checks: run.history.failed_checks.iter().map(|&at| time(at)).collect(),
        bands: run
            .faults
            .bands
            .iter()
            .map(|band| [band.server as u64, band.kind, time(band.from), time(band.to), band.part as u64])
            .collect(),
        windows: windows.iter().map(|&[since, until, calls]| [time(since), time(until), calls]).collect(),
        shapes,
        rows,
        columns: places,
    });
    Ok(deflate(&serde_json::to_vec(&encoded)?, &binary))
}

/// Returns the annotation with its times as multiples of `step`.
fn at_step(annotation: &Annotation, step: u64) -> Annotation {
    let end = annotation.end.map(|end| end / step);
    Annotation { start: annotation.start / step, end, ..annotation.clone() }
}
