//! The log-structured engine `fjall`.

use std::path::Path;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use crate::{Contents, Engine, LOG_KEPT, Put};

pub(crate) struct Fjall {
    db: Database,
    log: Keyspace,
    data: Keyspace,
    clients: Keyspace,
    meta: Keyspace,
    sync: bool,
}

fn to_text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

impl Engine for Fjall {
    const NAME: &'static str = "fjall";

    fn open(dir: &Path, sync: bool) -> Result<Fjall, String> {
        let db = Database::builder(dir).open().map_err(to_text)?;
        let keyspace = |name: &str| db.keyspace(name, KeyspaceCreateOptions::default).map_err(to_text);
        let (log, data, clients, meta) = (keyspace("log")?, keyspace("data")?, keyspace("clients")?, keyspace("meta")?);
        Ok(Fjall { db, log, data, clients, meta, sync })
    }

    fn save(&mut self, first: u64, entries: &[Vec<u8>]) -> Result<(), String> {
        let mode = if self.sync { PersistMode::SyncData } else { PersistMode::Buffer };
        let mut batch = self.db.batch().durability(Some(mode));
        batch.insert(&self.meta, "hard state", first.to_be_bytes());
        for (index, entry) in (first..).zip(entries) {
            batch.insert(&self.log, index.to_be_bytes(), entry.clone());
        }
        batch.commit().map_err(to_text)
    }

    fn apply(&mut self, applied: u64, puts: &[Put]) -> Result<(), String> {
        let mut batch = self.db.batch().durability(Some(PersistMode::Buffer));
        for put in puts {
            batch.insert(&self.data, put.key.as_bytes(), put.value.clone());
            batch.insert(&self.clients, put.client.to_be_bytes(), put.seq.to_be_bytes());
        }
        batch.insert(&self.meta, "applied", applied.to_be_bytes());
        for index in (applied.saturating_sub(LOG_KEPT)..).take(puts.len()) {
            batch.remove(&self.log, index.to_be_bytes());
        }
        batch.commit().map_err(to_text)
    }

    fn contents(&self) -> Result<Contents, String> {
        let mut contents = Contents::default();
        for entry in self.log.iter() {
            let (key, value) = entry.into_inner().map_err(to_text)?;
            contents.entries += 1;
            contents.last = u64::from_be_bytes(key[..].try_into().map_err(to_text)?);
            contents.add(&key, &value);
        }
        for keyspace in [&self.data, &self.clients] {
            for entry in keyspace.iter() {
                let (key, value) = entry.into_inner().map_err(to_text)?;
                contents.keys += 1;
                contents.add(&key, &value);
            }
        }
        if let Some(applied) = self.meta.get("applied").map_err(to_text)? {
            contents.applied = u64::from_be_bytes(applied[..].try_into().map_err(to_text)?);
        }
        Ok(contents)
    }
}
