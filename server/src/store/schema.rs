//! The tables. The SQL is portable: types and constraints that PostgreSQL has too (BLOB is its BYTEA).

mod logs;
mod places;

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
        "
-- What decides which claims list an item, of the list as it is to be and of each version as it was made: how many sources
-- must vouch, whether a weaker kind is left out where a stronger one is known, and the time at which validity was asked.
ALTER TABLE list ADD COLUMN min_sources INTEGER NOT NULL DEFAULT 1;
ALTER TABLE list ADD COLUMN strongest INTEGER NOT NULL DEFAULT 0;
ALTER TABLE manifest ADD COLUMN min_sources INTEGER NOT NULL DEFAULT 1;
ALTER TABLE manifest ADD COLUMN strongest INTEGER NOT NULL DEFAULT 0;
ALTER TABLE manifest ADD COLUMN as_of BIGINT NOT NULL DEFAULT 0;
UPDATE manifest SET as_of = not_before;
",
        logs::STEP,
        logs::LOST,
        places::STEP,
    ],
};

pub(super) const ENTRIES: Schema = Schema {
    // One connection of a command that inserts at random places of a large tree.
    cache: "-65536",
    checkpointed_by_the_writer: false,
    steps: &[
        "
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
",
        "
-- Who says that digests are listed. number: what stands for it in labels, 0 for none. size: its claims that stand.
CREATE TABLE source (
    id     INTEGER NOT NULL PRIMARY KEY,
    list   INTEGER NOT NULL REFERENCES list (id),
    name   TEXT    NOT NULL,
    number INTEGER NOT NULL CHECK (number BETWEEN 0 AND 255),
    size   BIGINT  NOT NULL,
    UNIQUE (list, name)
);
-- What stands for a scheme, a code and an action in labels. Rows are never changed but for their text, and never removed.
CREATE TABLE category (
    list   INTEGER NOT NULL REFERENCES list (id),
    number INTEGER NOT NULL CHECK (number BETWEEN 1 AND 65535),
    scheme TEXT    NOT NULL,
    code   TEXT    NOT NULL,
    action TEXT    NOT NULL,
    text   TEXT    NOT NULL,
    PRIMARY KEY (list, number),
    UNIQUE (list, scheme, code, action)
);
-- One word of a source: under its record (empty where the digest itself is the key) the item is listed. since: the change
-- that said so; until: the one that took it back, if one did. stronger: the same record names a stronger kind, too. Which
-- items a version lists follows from the claims that stood at its last change; nothing is updated when it is published.
-- (WITHOUT ROWID is SQLite's name for a table clustered by its key.)
CREATE TABLE claim (
    source      INTEGER NOT NULL REFERENCES source (id),
    item        BLOB    NOT NULL,
    record      BLOB    NOT NULL,
    since       INTEGER NOT NULL,
    until       INTEGER,
    category    INTEGER NOT NULL,
    stronger    INTEGER NOT NULL,
    reference   TEXT    NOT NULL,
    valid_from  BIGINT,
    valid_until BIGINT,
    PRIMARY KEY (source, item, record, since)
) WITHOUT ROWID;
CREATE INDEX claim_from ON claim (valid_from) WHERE valid_from IS NOT NULL;
CREATE INDEX claim_until ON claim (valid_until) WHERE valid_until IS NOT NULL;
-- What a source's record says as a whole, so that the next row of its key can be compared with it. at: the source's own
-- time. gone: 0 it stands, 1 its source withdrew it, 2 the agency did.
CREATE TABLE record (
    source INTEGER NOT NULL REFERENCES source (id),
    record BLOB    NOT NULL,
    at     BIGINT  NOT NULL,
    gone   INTEGER NOT NULL CHECK (gone BETWEEN 0 AND 2),
    body   BLOB    NOT NULL,
    PRIMARY KEY (source, record)
) WITHOUT ROWID;
-- Files that are known to be harmless: their digests are set aside when they are imported.
CREATE TABLE known (
    list INTEGER NOT NULL REFERENCES list (id),
    item BLOB    NOT NULL,
    PRIMARY KEY (list, item)
) WITHOUT ROWID;
-- The items that a change touched, unless it touched so many that the next publication rather looks at all.
CREATE TABLE touched (
    change INTEGER NOT NULL,
    item   BLOB    NOT NULL,
    PRIMARY KEY (change, item)
) WITHOUT ROWID;

-- compacted: what was taken back up to this change is forgotten, and older versions cannot be told any more.
ALTER TABLE list ADD COLUMN compacted BIGINT NOT NULL DEFAULT 0;

CREATE TABLE new_change (
    id          INTEGER NOT NULL PRIMARY KEY,
    list        INTEGER NOT NULL REFERENCES list (id),
    kind        TEXT    NOT NULL,
    file        TEXT    NOT NULL,
    source      TEXT    NOT NULL,
    at          BIGINT  NOT NULL,
    read        BIGINT  NOT NULL,
    accepted    BIGINT  NOT NULL,
    duplicate   BIGINT  NOT NULL,
    retracted   BIGINT  NOT NULL,
    quarantined BIGINT  NOT NULL,
    added       BIGINT  NOT NULL,
    relabelled  BIGINT  NOT NULL,
    removed     BIGINT  NOT NULL,
    whole       INTEGER NOT NULL
);
INSERT INTO new_change
    SELECT id, list, kind, source, 'local', at, read, accepted, duplicate, 0, quarantined, accepted, 0, 0, 1 FROM change;
CREATE TABLE new_quarantine (
    change INTEGER NOT NULL,
    line   BIGINT  NOT NULL,
    reason TEXT    NOT NULL,
    PRIMARY KEY (change, line)
);
INSERT INTO new_quarantine SELECT change, line, reason FROM quarantine;
CREATE TABLE quarantine_reason (
    change INTEGER NOT NULL,
    reason TEXT    NOT NULL,
    count  BIGINT  NOT NULL,
    PRIMARY KEY (change, reason)
);
-- Labels were text of the operator's: they are categories of the scheme custom. Of a label that was changed the old text is
-- not known any more: that it was another is.
INSERT INTO source (list, name, number, size)
    SELECT list, 'local', 1, sum(until IS NULL) FROM entry GROUP BY list;
CREATE TABLE labelled AS
    SELECT list, item, since, until, relabelled,
           CAST(CASE WHEN instr(label, x'00') > 0 THEN substr(label, 1, instr(label, x'00') - 1) ELSE label END AS TEXT) AS code
    FROM entry;
INSERT INTO category (list, number, scheme, code, action, text)
    SELECT list, row_number() OVER (PARTITION BY list ORDER BY code), 'custom', code, '', ''
    FROM (SELECT DISTINCT list, code FROM labelled)
    WHERE code <> '' AND code NOT GLOB '*[' || char(1) || '-' || char(31) || ']*';
INSERT INTO claim
    SELECT source.id, item, x'', since, relabelled, 0, 0, '', NULL, NULL
    FROM labelled JOIN source ON source.list = labelled.list WHERE relabelled > since;
INSERT INTO claim
    SELECT source.id, item, x'', max(since, relabelled), until, coalesce(category.number, 0), 0, '', NULL, NULL
    FROM labelled JOIN source ON source.list = labelled.list
    LEFT JOIN category ON category.list = labelled.list AND category.code = labelled.code;
DROP TABLE labelled;
DROP TABLE entry;
DROP TABLE quarantine;
DROP TABLE change;
ALTER TABLE new_change RENAME TO change;
ALTER TABLE new_quarantine RENAME TO quarantine;
",
        "
-- Digests that the agency withdrew from a source, whatever its files say.
CREATE TABLE withdrawn (
    source INTEGER NOT NULL REFERENCES source (id),
    item   BLOB    NOT NULL,
    PRIMARY KEY (source, item)
);
",
        CANARIES,
        PLANTED,
    ],
};

const PLANTED: &str = "
-- Where the canary's file is uploaded; empty where nobody said so.
ALTER TABLE canary ADD COLUMN platform TEXT NOT NULL DEFAULT '';
";

const CANARIES: &str = "
-- What the agency commits itself to beforehand: one row for each file of a canary, its item of the strongest kind. since: the
-- change that listed it. deadline: in minutes of Unix time.
CREATE TABLE canary (
    list     INTEGER NOT NULL REFERENCES list (id),
    item     BLOB    NOT NULL,
    since    INTEGER NOT NULL,
    salt     BLOB    NOT NULL,
    deadline BIGINT  NOT NULL,
    PRIMARY KEY (list, item)
) WITHOUT ROWID;
";
