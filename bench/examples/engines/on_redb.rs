//! The B-tree engine `redb`.

use std::fs::OpenOptions;
use std::io;
use std::path::Path;

use redb::backends::FileBackend;
use redb::{Database, Durability, ReadableDatabase, ReadableTable, StorageBackend, TableDefinition};

use crate::{Contents, Engine, LOG_KEPT, Put};

const LOG: TableDefinition<u64, &[u8]> = TableDefinition::new("log");
const DATA: TableDefinition<&[u8], &[u8]> = TableDefinition::new("data");
const CLIENTS: TableDefinition<u64, u64> = TableDefinition::new("clients");
const META: TableDefinition<&str, u64> = TableDefinition::new("meta");

pub(crate) struct Redb {
    db: Database,
}

/// A file whose syncs can be switched off.
#[derive(Debug)]
struct Disk {
    file: FileBackend,
    sync: bool,
}

impl StorageBackend for Disk {
    fn len(&self) -> Result<u64, io::Error> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        self.file.set_len(len)
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        if self.sync { self.file.sync_data() } else { Ok(()) }
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        self.file.write(offset, data)
    }
}

fn to_text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

impl Engine for Redb {
    const NAME: &'static str = "redb";

    fn open(dir: &Path, sync: bool) -> Result<Redb, String> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = options.open(dir.join("store.redb")).map_err(to_text)?;
        let file = FileBackend::new(file).map_err(to_text)?;
        let mut builder = Database::builder();
        builder.set_check_integrity_on_open(true);
        let db = builder.create_with_backend(Disk { file, sync }).map_err(to_text)?;
        let write = db.begin_write().map_err(to_text)?;
        write.open_table(LOG).map_err(to_text)?;
        write.open_table(DATA).map_err(to_text)?;
        write.open_table(CLIENTS).map_err(to_text)?;
        write.open_table(META).map_err(to_text)?;
        write.commit().map_err(to_text)?;
        Ok(Redb { db })
    }

    fn save(&mut self, first: u64, entries: &[Vec<u8>]) -> Result<(), String> {
        let write = self.db.begin_write().map_err(to_text)?;
        {
            write.open_table(META).map_err(to_text)?.insert("hard state", first).map_err(to_text)?;
            let mut log = write.open_table(LOG).map_err(to_text)?;
            for (index, entry) in (first..).zip(entries) {
                log.insert(index, entry.as_slice()).map_err(to_text)?;
            }
        }
        write.commit().map_err(to_text)
    }

    fn apply(&mut self, applied: u64, puts: &[Put]) -> Result<(), String> {
        let mut write = self.db.begin_write().map_err(to_text)?;
        write.set_durability(Durability::None).map_err(to_text)?;
        {
            let mut data = write.open_table(DATA).map_err(to_text)?;
            let mut clients = write.open_table(CLIENTS).map_err(to_text)?;
            for put in puts {
                data.insert(put.key.as_bytes(), put.value.as_slice()).map_err(to_text)?;
                clients.insert(put.client, put.seq).map_err(to_text)?;
            }
            write.open_table(META).map_err(to_text)?.insert("applied", applied).map_err(to_text)?;
            let mut log = write.open_table(LOG).map_err(to_text)?;
            for index in (applied.saturating_sub(LOG_KEPT)..).take(puts.len()) {
                log.remove(index).map_err(to_text)?;
            }
        }
        write.commit().map_err(to_text)
    }

    fn contents(&self) -> Result<Contents, String> {
        let mut contents = Contents::default();
        let read = self.db.begin_read().map_err(to_text)?;
        let log = read.open_table(LOG).map_err(to_text)?;
        for entry in log.iter().map_err(to_text)? {
            let (index, value) = entry.map_err(to_text)?;
            contents.entries += 1;
            contents.last = index.value();
            contents.add(&index.value().to_be_bytes(), value.value());
        }
        for entry in read.open_table(DATA).map_err(to_text)?.iter().map_err(to_text)? {
            let (key, value) = entry.map_err(to_text)?;
            contents.keys += 1;
            contents.add(key.value(), value.value());
        }
        for entry in read.open_table(CLIENTS).map_err(to_text)?.iter().map_err(to_text)? {
            let (client, seq) = entry.map_err(to_text)?;
            contents.keys += 1;
            contents.add(&client.value().to_be_bytes(), &seq.value().to_be_bytes());
        }
        let meta = read.open_table(META).map_err(to_text)?;
        contents.applied = meta.get("applied").map_err(to_text)?.map_or(0, |applied| applied.value());
        Ok(contents)
    }
}
