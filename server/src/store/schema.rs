//! The tables. The SQL is portable: types and constraints that PostgreSQL has too (BLOB is its BYTEA).

/// The steps that lead from an empty database to the present one.
pub(super) struct Schema {
    pub(super) steps: &'static [&'static str],
    /// Page cache of a connection, in KiB, as SQLite writes it.
    pub(super) cache: &'static str,
    /// Whether the log is moved into the database by us and not by SQLite: beside a running server by its writer of
    /// frames alone, who ends the process if that fails.
    pub(super) checkpointed_by_the_writer: bool,
}

pub(super) const STORE: Schema = Schema {
    // Several connections of a server that is to stay small.
    cache: "-4096",
    checkpointed_by_the_writer: true,
    steps: &[
        "
CREATE TABLE agency (
    agency  TEXT   NOT NULL PRIMARY KEY,
    founded BIGINT NOT NULL
);
CREATE TABLE revision (n BIGINT NOT NULL);
INSERT INTO revision (n) VALUES (0);

CREATE TABLE list (
    list        TEXT    NOT NULL PRIMARY KEY,
    label_bytes INTEGER NOT NULL CHECK (label_bytes BETWEEN 0 AND 64),
    kinds       TEXT    NOT NULL,
    created     BIGINT  NOT NULL
);
-- One key's life. retire_at: when it stops being served; destroyed_at: when its seed file was destroyed.
-- The dummies present are those numbered dummy_low up to, not including, dummy_high.
CREATE TABLE epoch (
    list         TEXT    NOT NULL REFERENCES list (list),
    epoch        INTEGER NOT NULL,
    public_key   BLOB    NOT NULL,
    created      BIGINT  NOT NULL,
    retire_at    BIGINT,
    destroyed_at BIGINT,
    dummy_low    BIGINT  NOT NULL,
    dummy_high   BIGINT  NOT NULL,
    PRIMARY KEY (list, epoch)
);
-- changes: the last change of entries.db that the version contains. entries: how many entries that is, dummies apart.
CREATE TABLE manifest (
    list       TEXT    NOT NULL,
    version    INTEGER NOT NULL,
    epoch      INTEGER NOT NULL,
    changes    BIGINT  NOT NULL,
    entries    BIGINT  NOT NULL,
    note       BLOB    NOT NULL,
    leaf_hash  BLOB    NOT NULL,
    not_before BIGINT  NOT NULL,
    not_after  BIGINT  NOT NULL,
    PRIMARY KEY (list, version),
    FOREIGN KEY (list, epoch) REFERENCES epoch (list, epoch)
);

CREATE TABLE client (
    platform          TEXT   NOT NULL PRIMARY KEY,
    spki_sha256       BLOB   NOT NULL UNIQUE,
    uri_san           TEXT   NOT NULL UNIQUE,
    request_key       BLOB   NOT NULL,
    contact           TEXT   NOT NULL,
    elements_per_day  BIGINT NOT NULL,
    frames_per_day    BIGINT NOT NULL,
    added             BIGINT NOT NULL,
    certificate_until BIGINT NOT NULL,
    suspended_at      BIGINT
);
CREATE TABLE access (
    platform TEXT NOT NULL REFERENCES client (platform),
    list     TEXT NOT NULL REFERENCES list (list),
    PRIMARY KEY (platform, list)
);

-- What a platform has used of a UTC day (days since 1970).
CREATE TABLE budget (
    platform TEXT   NOT NULL,
    list     TEXT   NOT NULL,
    day      BIGINT NOT NULL,
    elements BIGINT NOT NULL,
    frames   BIGINT NOT NULL,
    PRIMARY KEY (platform, list, day)
);
-- Evaluations under one key, which stop at 2^40.
CREATE TABLE evaluations (
    list     TEXT    NOT NULL,
    epoch    INTEGER NOT NULL,
    elements BIGINT  NOT NULL,
    PRIMARY KEY (list, epoch)
);
-- One row per answered frame, and per frame refused after its signature verified: every member of veilmatch/query/v1,
-- and the proof, so that a retry gets the same bytes. t is the server's minute, minute the platform's.
CREATE TABLE frame (
    id        INTEGER NOT NULL PRIMARY KEY,
    platform  TEXT    NOT NULL,
    list      TEXT    NOT NULL,
    epoch     INTEGER NOT NULL,
    version   INTEGER NOT NULL,
    view_size BIGINT  NOT NULL,
    view_root BLOB    NOT NULL,
    batch     BLOB    NOT NULL,
    n         INTEGER NOT NULL,
    req       BLOB    NOT NULL,
    resp      BLOB    NOT NULL,
    req_sig   BLOB    NOT NULL,
    minute    BIGINT  NOT NULL,
    status    TEXT    NOT NULL CHECK (status IN ('ok', 'refused')),
    code      TEXT    NOT NULL,
    t         BIGINT  NOT NULL,
    nonce     BLOB    NOT NULL,
    proof     BLOB    NOT NULL,
    retries   INTEGER NOT NULL
);
-- A refusal is not sticky; an answer is given for one frame only.
CREATE UNIQUE INDEX frame_answered ON frame (platform, list, epoch, batch) WHERE status = 'ok';
",
        "
-- 1: the answer could not be repeated, and the charge was given back.
ALTER TABLE frame ADD COLUMN refunded INTEGER NOT NULL DEFAULT 0;
",
    ],
};

pub(super) const ENTRIES: Schema = Schema {
    // One connection of a command that inserts at random places of a large tree.
    cache: "-65536",
    checkpointed_by_the_writer: false,
    steps: &["
CREATE TABLE list (
    id   INTEGER NOT NULL PRIMARY KEY,
    list TEXT    NOT NULL UNIQUE
);
-- One import or retraction. A row stands for a whole one: it is written in the transaction that writes its entries.
CREATE TABLE change (
    id          INTEGER NOT NULL PRIMARY KEY,
    list        INTEGER NOT NULL REFERENCES list (id),
    kind        TEXT    NOT NULL CHECK (kind IN ('import', 'retract')),
    source      TEXT    NOT NULL,
    at          BIGINT  NOT NULL,
    read        BIGINT  NOT NULL,
    accepted    BIGINT  NOT NULL,
    duplicate   BIGINT  NOT NULL,
    quarantined BIGINT  NOT NULL
);
CREATE TABLE quarantine (
    change INTEGER NOT NULL REFERENCES change (id),
    line   BIGINT  NOT NULL,
    reason TEXT    NOT NULL,
    PRIMARY KEY (change, line)
);
-- since: the change that listed the item; until: the change that retracted it, if one did; relabelled: the last change
-- of its label, or 0. What a version contains follows from these and the version's last change; nothing is updated when
-- a version is published. (WITHOUT ROWID is SQLite's name for a table clustered by its key.)
CREATE TABLE entry (
    list       INTEGER NOT NULL REFERENCES list (id),
    item       BLOB    NOT NULL,
    label      BLOB    NOT NULL,
    since      INTEGER NOT NULL,
    until      INTEGER,
    relabelled INTEGER NOT NULL,
    PRIMARY KEY (list, item)
) WITHOUT ROWID;
"],
};
