//! Writes sample pages into a folder: `cargo run -p timeline --example samples -- FOLDER`.

#[path = "../tests/samples/mod.rs"]
mod samples;

use std::{env, fs, io, path::PathBuf};

fn main() -> io::Result<()> {
    let folder = PathBuf::from(env::args().nth(1).unwrap_or_else(|| "target/timelines".to_owned()));
    fs::create_dir_all(&folder)?;
    for (name, page) in samples::all() {
        let path = folder.join(format!("{name}.html"));
        page.write(&mut fs::File::create(&path)?)?;
        println!("{} ({} bytes)", path.display(), fs::metadata(&path)?.len());
    }
    Ok(())
}
