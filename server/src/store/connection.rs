//! Opening a database: durable settings, set and read back, and the schema's version.

use std::{fs::OpenOptions, io, os::unix::fs::OpenOptionsExt, path::Path, time::Duration};

use rusqlite::{Connection, TransactionBehavior, config::DbConfig};

use super::schema::Schema;
use crate::Error;

/// How long a writer waits for another one. Commands hold the write lock for milliseconds.
const BUSY: Duration = Duration::from_secs(10);

pub(super) fn open(path: &Path, schema: &Schema) -> Result<Connection, Error> {
    create_private(path)?;
    let mut connection = Connection::open(path)?;
    connection.busy_timeout(BUSY)?;
    set(&connection, "journal_mode", "WAL", "wal")?;
    // FULL: a commit has reached the disk before it returns. NORMAL may lose the last commits with the power.
    set(&connection, "synchronous", "FULL", "2")?;
    set(&connection, "foreign_keys", "ON", "1")?;
    set(&connection, "temp_store", "MEMORY", "2")?;
    set(&connection, "secure_delete", "ON", "1")?;
    set(&connection, "cache_size", schema.cache, schema.cache)?;
    // A plan does not depend on what is bound. Else a statement that compares a column with a parameter may be prepared
    // anew each time that it is run, as often as its parameters are cleared.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    if schema.checkpointed_by_the_writer {
        // SQLite's own checkpoints, after a commit and when the last connection is closed, drop their errors: a failed
        // sync of the database would be followed by one that succeeds and forgets the log that still had the pages. The
        // writer of frames moves the log while a server runs, and each command that has written while none does.
        set(&connection, "wal_autocheckpoint", "0", "0")?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    }
    migrate(&mut connection, path, schema)?;
    Ok(connection)
}

// SQLite makes a database with the umask's rights, and its log and index with those of the database.
fn create_private(path: &Path) -> Result<(), Error> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(Error::io("create", path)(error)),
        _ => Ok(()),
    }
}

/// Moves what the log has into the database, as far as no reader needs it where it is.
pub(super) fn checkpoint(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
}

fn set(connection: &Connection, setting: &'static str, value: &str, wanted: &'static str) -> Result<(), Error> {
    // Some pragmas answer with a row and some do not; what counts is what a fresh reading says.
    connection.pragma_update_and_check(None, setting, value, |_| Ok(())).or_else(|error| match error {
        rusqlite::Error::QueryReturnedNoRows => Ok(()),
        error => Err(error),
    })?;
    let found = connection.pragma_query_value(None, setting, |row| {
        row.get_ref(0).map(|value| match value {
            rusqlite::types::ValueRef::Integer(number) => number.to_string(),
            other => other.as_str().unwrap_or("").to_owned(),
        })
    })?;
    if found == wanted { Ok(()) } else { Err(Error::StoreSetting { setting, found, wanted }) }
}

// Applies the steps that the database lacks, in one transaction. Released steps stay as they are.
fn migrate(connection: &mut Connection, path: &Path, schema: &Schema) -> Result<(), Error> {
    let known = i64::try_from(schema.steps.len()).expect("a handful of steps");
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found == known {
        return Ok(());
    }
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Read again under the lock: two processes may have opened a new database at once.
    let found: i64 = tx.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found > known {
        return Err(Error::NewerSchema { path: path.to_owned(), found, known });
    }
    for step in &schema.steps[usize::try_from(found).unwrap_or(0)..] {
        tx.execute_batch(step)?;
    }
    tx.pragma_update(None, "user_version", known)?;
    tx.commit()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use rusqlite::StatementStatus;

    use super::{
        super::{frames::ANSWERED, schema::STORE},
        *,
    };

    #[test]
    fn a_statement_is_prepared_once_however_often_it_is_run() {
        // One that compares a column with a parameter was prepared anew at each run, on the way of every frame.
        let dir = tempfile::tempdir().unwrap();
        let connection = open(&dir.path().join("veilmatch.db"), &STORE).unwrap();
        let prepared_again = || {
            for n in 0..9 {
                let of = ("platform.example", "base", n, [n; 16]);
                connection.prepare_cached(ANSWERED).unwrap().query_map(of, |_| Ok(())).unwrap().for_each(drop);
            }
            connection.prepare_cached(ANSWERED).unwrap().get_status(StatementStatus::RePrepare)
        };
        assert_eq!(prepared_again(), 0);
        connection.flush_prepared_statement_cache();
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, false).unwrap();
        assert!(prepared_again() > 0, "which is why it is set");
    }

    #[test]
    fn a_setting_that_does_not_stay_is_refused_by_name() {
        // A database in memory has no write-ahead log, as some file systems have none.
        let memory = Connection::open_in_memory().unwrap();
        let refused = set(&memory, "journal_mode", "WAL", "wal").unwrap_err();
        assert_eq!(refused.reason(), "STORE_SETTING");
        assert!(refused.to_string().contains("journal_mode"), "{refused}");
    }
}
