//! Damage to files at rest: flipped bits, cut ends, tails of zeros and of noise, in every file. Opening then finds the
//! same state or refuses the directory. It never finds another state, and never an earlier one, because all of it was
//! acknowledged.

use std::fs;
use std::path::Path;

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::fixture::{State, TempDir, apply, copy, open, save, state};

/// The number of bits of the store that are flipped, one at a time.
const FLIPS: usize = 1200;
/// The number of cut lengths at the end of the store.
const CUTS: usize = 150;

/// Returns a directory with some batches, as a killed process leaves it. Its last save makes everything before it
/// durable.
fn written_directory(temp: &TempDir) -> (std::path::PathBuf, State) {
    let (open_dir, dir) = (temp.join("open"), temp.join("written"));
    let (storage, _) = open(&open_dir).unwrap();
    for batch in 1..=40 {
        save(&storage, batch).unwrap();
        apply(&storage, batch);
        if batch == 20 {
            storage.compact_log(raftapi::Index(30)).unwrap();
        }
    }
    save(&storage, 41).unwrap();
    copy(&open_dir, &dir);
    let copied = temp.join("copied");
    copy(&dir, &copied);
    drop(storage);
    let (storage, restored) = open(&copied).unwrap();
    (dir, state(&storage, restored))
}

/// Opens a damaged directory twice, because a second attempt must not accept a refused directory. Returns whether it
/// was opened.
fn opens_unchanged(dir: &Path, expected: &State, damage: &str) -> bool {
    let mut opened = false;
    for attempt in ["at first", "again"] {
        match open(dir) {
            Ok((storage, restored)) => {
                assert!(attempt == "at first" || opened, "{damage}: refused at first, but accepted then");
                assert!(state(&storage, restored) == *expected, "{damage}, {attempt}: another state is found");
                opened = true;
            }
            Err(error) => {
                assert!(!opened, "{damage}: opened at first, but then: {error}");
                assert!(!error.to_string().contains('\n'), "{damage}: one line: {error}");
            }
        }
    }
    opened
}

#[test]
fn a_flipped_bit_in_any_file_is_harmless_or_detected() {
    let temp = TempDir::new("flips");
    let (dir, expected) = written_directory(&temp);
    let damaged = temp.join("damaged");
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for file in ["IDENTITY", "ACKNOWLEDGED", "STORE"] {
        let content = fs::read(dir.join(file)).unwrap();
        let bits: Vec<usize> = match content.len() * 8 {
            all if all < 2 * FLIPS => (0..all).collect(),
            // The most important bits are in the engine's header.
            all if file == "STORE" => {
                (0..320 * 8).step_by(3).chain((0..FLIPS).map(|_| rng.random_range(0..all))).collect()
            }
            all => {
                (0..FLIPS / 4).map(|_| rng.random_range(0..all)).chain(0..128).chain(4096 * 8..4096 * 8 + 128).collect()
            }
        };
        copy(&dir, &damaged);
        let mut harmless = 0;
        for &bit in &bits {
            let mut content = content.clone();
            content[bit / 8] ^= 1 << (bit % 8);
            fs::copy(dir.join("STORE"), damaged.join("STORE")).unwrap();
            fs::copy(dir.join("ACKNOWLEDGED"), damaged.join("ACKNOWLEDGED")).unwrap();
            fs::write(damaged.join(file), &content).unwrap();
            harmless += usize::from(opens_unchanged(&damaged, &expected, &format!("{file}, bit {bit}")));
        }
        println!("{file}: {} bits flipped, {harmless} harmless, the others detected", bits.len());
        match file {
            // The other one of its two numbers is intact, and the last commit is not lower.
            "ACKNOWLEDGED" => assert_eq!(harmless, bits.len(), "{file}"),
            "IDENTITY" => assert_eq!(harmless, 0, "{file}"),
            _ => assert!(harmless < bits.len(), "{file}: some were detected"),
        }
    }
}

#[test]
fn a_store_with_a_damaged_end_is_unchanged_or_refused() {
    let temp = TempDir::new("cuts");
    let (dir, expected) = written_directory(&temp);
    let damaged = temp.join("damaged");
    let content = fs::read(dir.join("STORE")).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    copy(&dir, &damaged);
    let (mut tried, mut opened) = (0, 0);
    let near = (1..=CUTS).chain((1..60).map(|page| page * 4096)).filter(|&cut| cut < content.len());
    for cut in near {
        let kept = content.len() - cut;
        let zeros = [&content[..kept], &vec![0; cut]].concat();
        let mut noise = content.clone();
        rng.fill_bytes(&mut noise[kept..]);
        let longer = [&content[..], &noise[kept..]].concat();
        for (kind, content) in [("cut", &content[..kept]), ("zeros", &zeros), ("noise", &noise), ("longer", &longer)] {
            fs::copy(dir.join("ACKNOWLEDGED"), damaged.join("ACKNOWLEDGED")).unwrap();
            fs::write(damaged.join("STORE"), content).unwrap();
            opened += usize::from(opens_unchanged(&damaged, &expected, &format!("{kind}, the last {cut} bytes")));
            tried += 1;
        }
    }
    println!("{tried} ends tried, {opened} unchanged, the others refused");
}
