//! The behaviour of an engine on damaged files. A database of a few batches is copied while it is open, as a killed
//! process leaves it. Then one bit is flipped, or the file written last is cut. The engine may open it complete, refuse
//! it, panic, open it with an older state, or open it with a wrong one.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use crate::{Contents, Engine, commands, fresh};

const BATCHES: usize = 40;
const COMMANDS: u64 = 5;
const FLIPS: u64 = 1500;
const CUTS: u64 = 300;

#[derive(Default)]
struct Tally {
    complete: u32,
    refused: u32,
    panicked: u32,
    back_by_one: u32,
    back_by_more: u32,
    wrong: u32,
}

pub(crate) fn measure_faults<E: Engine>() {
    std::panic::set_hook(Box::new(|_| {}));
    let dir = fresh(E::NAME);
    let mut engine = E::open(&dir, false).expect("opens");
    let mut states: Vec<Contents> = Vec::new();
    let mut last = 0;
    for _ in 0..BATCHES {
        let (puts, entries) = commands(last, COMMANDS);
        engine.save(last + 1, &entries).expect("writes");
        states.push(engine.contents().expect("reads"));
        last += COMMANDS;
        engine.apply(last, &puts).expect("writes");
        states.push(engine.contents().expect("reads"));
    }
    // The last batch is only saved, so that all data that the engine keeps in memory is on the disk.
    engine.save(last + 1, &[vec![7; 100]]).expect("writes");
    states.push(engine.contents().expect("reads"));
    let image = read_all(&dir, &dir);
    drop(engine);

    let bytes: u64 = image.iter().map(|(_, bytes)| used(bytes)).sum();
    let mut flips = Tally::default();
    for flip in 0..FLIPS {
        let mut place = flip * bytes / FLIPS;
        let mut damaged = image.clone();
        for (_, content) in &mut damaged {
            if place < used(content) {
                content[place as usize] ^= 1 << (flip % 8);
                break;
            }
            place -= used(content);
        }
        flips.count(&states, open::<E>(&damaged));
    }
    flips.print(E::NAME, "a bit flipped");

    let mut cuts = Tally::default();
    for cut in 1..=CUTS {
        let mut damaged = image.clone();
        let (_, longest) = damaged.iter_mut().max_by_key(|(_, content)| used(content)).expect("files");
        longest.truncate((used(longest) - cut) as usize);
        cuts.count(&states, open::<E>(&damaged));
    }
    cuts.print(E::NAME, "the end cut");
}

/// Returns the length up to the last byte that is not zero.
fn used(content: &[u8]) -> u64 {
    content.iter().rposition(|&byte| byte != 0).map_or(0, |place| place as u64 + 1)
}

type Image = Vec<(PathBuf, Vec<u8>)>;

fn read_all(root: &Path, dir: &Path) -> Image {
    let mut image = Vec::new();
    for entry in fs::read_dir(dir).expect("reads").map(|entry| entry.expect("reads").path()) {
        if entry.is_dir() {
            image.extend(read_all(root, &entry));
        } else {
            let mut content = fs::read(&entry).expect("reads");
            // A preallocated journal need not be copied with all its zeros.
            content.truncate(used(&content) as usize + 4096);
            image.push((entry.strip_prefix(root).expect("inside").to_path_buf(), content));
        }
    }
    image
}

fn open<E: Engine>(image: &Image) -> Result<Result<Contents, String>, ()> {
    let dir = fresh(&format!("{}-damaged", E::NAME));
    for (path, content) in image {
        let path = dir.join(path);
        fs::create_dir_all(path.parent().expect("inside")).expect("creates");
        fs::write(path, content).expect("writes");
    }
    catch_unwind(AssertUnwindSafe(|| E::open(&dir, false)?.contents())).map_err(|_| ())
}

impl Tally {
    fn count(&mut self, states: &[Contents], found: Result<Result<Contents, String>, ()>) {
        let place = |contents: &Contents| states.iter().rev().position(|state| state == contents);
        let counter = match found {
            Err(()) => &mut self.panicked,
            Ok(Err(_)) => &mut self.refused,
            Ok(Ok(contents)) => match place(&contents) {
                Some(0) => &mut self.complete,
                // Applied changes become durable with the next save.
                Some(1 | 2) => &mut self.back_by_one,
                Some(_) => &mut self.back_by_more,
                None => &mut self.wrong,
            },
        };
        *counter += 1;
    }

    fn print(&self, engine: &str, fault: &str) {
        println!(
            "{engine:>8}, {fault}: {} complete, {} refused, {} panics, {} back by one save, {} by more, {} wrong",
            self.complete, self.refused, self.panicked, self.back_by_one, self.back_by_more, self.wrong
        );
    }
}
