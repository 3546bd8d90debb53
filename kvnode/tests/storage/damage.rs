//! Damage at rest: flipped bits, cut ends, tails of zeros and of noise, in every file. What is then opened is as it was, or
//! it is refused; it is never something else, and never an earlier state either, because all of it was acknowledged.

use std::fs;
use std::path::Path;

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::fixture::{Place, State, apply, copy, open, save, state};

/// How many bits of the store are flipped, each by itself.
const FLIPS: usize = 1200;
/// How many bytes at the end of the store are tried as its end.
const CUTS: usize = 150;

/// A directory with some batches, whose last save makes all before it durable, as a killed process leaves it.
fn written(place: &Place) -> (std::path::PathBuf, State) {
    let (open_dir, dir) = (place.join("open"), place.join("written"));
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
    let copied = place.join("copied");
    copy(&dir, &copied);
    drop(storage);
    let (storage, restored) = open(&copied).unwrap();
    (dir, state(&storage, restored))
}

/// Opens a damaged directory, twice: what is refused must not be accepted when it is tried again. Returns whether it was
/// opened.
fn opens_as(dir: &Path, expected: &State, damage: &str) -> bool {
    let mut opened = false;
    for attempt in ["at first", "again"] {
        match open(dir) {
            Ok((storage, restored)) => {
                assert!(attempt == "at first" || opened, "{damage}: refused at first, and accepted then");
                assert!(state(&storage, restored) == *expected, "{damage}, {attempt}: something else is found");
                opened = true;
            }
            Err(error) => {
                assert!(!opened, "{damage}: opened at first, and then: {error}");
                assert!(!error.to_string().contains('\n'), "{damage}: one line: {error}");
            }
        }
    }
    opened
}

#[test]
fn a_flipped_bit_in_any_file_is_harmless_or_found() {
    let place = Place::new("flips");
    let (dir, expected) = written(&place);
    let damaged = place.join("damaged");
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for file in ["IDENTITY", "ACKNOWLEDGED", "STORE"] {
        let content = fs::read(dir.join(file)).unwrap();
        let bits: Vec<usize> = match content.len() * 8 {
            all if all < 2 * FLIPS => (0..all).collect(),
            // Where bits mean most: the engine's header.
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
            harmless += usize::from(opens_as(&damaged, &expected, &format!("{file}, bit {bit}")));
        }
        println!("{file}: {} bits flipped, {harmless} harmless, the others found", bits.len());
        match file {
            // The other of its two numbers is whole, and the store has no less.
            "ACKNOWLEDGED" => assert_eq!(harmless, bits.len(), "{file}"),
            "IDENTITY" => assert_eq!(harmless, 0, "{file}"),
            _ => assert!(harmless < bits.len(), "{file}: some were found"),
        }
    }
}

#[test]
fn a_store_that_was_cut_or_ends_in_something_else_is_as_it_was_or_refused() {
    let place = Place::new("cuts");
    let (dir, expected) = written(&place);
    let damaged = place.join("damaged");
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
            opened += usize::from(opens_as(&damaged, &expected, &format!("{kind}, the last {cut} bytes")));
            tried += 1;
        }
    }
    println!("{tried} ends tried, {opened} as it was, the others refused");
}
