//! The steps that made the logs, and let another one go on where one was lost.

pub(super) const STEP: &str = "
-- A log of ours: head_*, the tree that was signed last; published_*, the one whose files were written last. The second is
-- the first, or on its way there. halted: why the log may not go on, or empty.
CREATE TABLE log (
    id             INTEGER NOT NULL PRIMARY KEY,
    origin         TEXT    NOT NULL UNIQUE,
    head_size      BIGINT  NOT NULL,
    head_root      BLOB    NOT NULL,
    head_note      BLOB    NOT NULL,
    head_at        BIGINT  NOT NULL,
    published_size BIGINT  NOT NULL,
    published_note BLOB    NOT NULL,
    halted         TEXT    NOT NULL
);
-- Rows are appended and never changed; those that a lost log has not published move to the log that goes on from it. platform:
-- whose leaf it is, empty for nobody's.
CREATE TABLE log_leaf (
    log      INTEGER NOT NULL REFERENCES log (id),
    idx      BIGINT  NOT NULL,
    platform TEXT    NOT NULL,
    leaf     BLOB    NOT NULL,
    PRIMARY KEY (log, idx)
) WITHOUT ROWID;
-- The first 8 bytes of the hash of each published leaf, to look it up by. Written when it is published, many at once: a
-- place in an index of random keys is a page, and frames do not wait for it.
CREATE TABLE log_hash (
    log  INTEGER NOT NULL REFERENCES log (id),
    hash BIGINT  NOT NULL,
    idx  BIGINT  NOT NULL,
    PRIMARY KEY (log, hash, idx)
) WITHOUT ROWID;
CREATE INDEX log_leaf_platform ON log_leaf (log, platform, idx);
-- Every tree of the manifest log that was published: what a view may be.
CREATE TABLE log_root (
    log  INTEGER NOT NULL REFERENCES log (id),
    size BIGINT  NOT NULL,
    root BLOB    NOT NULL,
    PRIMARY KEY (log, size)
) WITHOUT ROWID;
-- Signature lines of witnesses for the tree that is published.
CREATE TABLE cosignature (
    log     INTEGER NOT NULL REFERENCES log (id),
    size    BIGINT  NOT NULL,
    witness TEXT    NOT NULL,
    line    TEXT    NOT NULL,
    at      BIGINT  NOT NULL,
    PRIMARY KEY (log, size, witness)
) WITHOUT ROWID;
-- The checkpoint of each match log that the agency cosigned last. at: the time of the cosignature.
CREATE TABLE watched (
    origin   TEXT   NOT NULL PRIMARY KEY,
    platform TEXT   NOT NULL REFERENCES client (platform),
    size     BIGINT NOT NULL,
    root     BLOB   NOT NULL,
    note     BLOB   NOT NULL,
    at       BIGINT NOT NULL
);
-- Who may read the entries of the query log.
CREATE TABLE auditor (
    name              TEXT   NOT NULL PRIMARY KEY,
    spki_sha256       BLOB   NOT NULL UNIQUE,
    added             BIGINT NOT NULL,
    certificate_until BIGINT NOT NULL,
    suspended_at      BIGINT
);
-- Closing statements of days, one that both sides signed or the last one that was refused.
CREATE TABLE closing (
    platform  TEXT    NOT NULL,
    list      TEXT    NOT NULL,
    epoch     INTEGER NOT NULL,
    date      TEXT    NOT NULL,
    accepted  INTEGER NOT NULL,
    statement BLOB    NOT NULL,
    PRIMARY KEY (platform, list, epoch, date)
);
ALTER TABLE client ADD COLUMN match_log_key BLOB NOT NULL DEFAULT x'';
ALTER TABLE client ADD COLUMN receipt_key BLOB NOT NULL DEFAULT x'';
ALTER TABLE client ADD COLUMN witness_key BLOB NOT NULL DEFAULT x'';
-- Where the frame's leaf is.
ALTER TABLE frame ADD COLUMN log INTEGER;
ALTER TABLE frame ADD COLUMN idx BIGINT;
CREATE INDEX frame_day ON frame (platform, list, epoch, t) WHERE status = 'ok';
-- Where the version's leaf is in the manifest log.
ALTER TABLE manifest ADD COLUMN idx BIGINT;
";

pub(super) const LOST: &str = "
-- seen: the checkpoint of another tree, signed by our key, that halted the log, if one did. lost_from, lost_to: once another
-- log goes on from this one, what that one states as lost of it; NULL until then.
ALTER TABLE log ADD COLUMN seen BLOB NOT NULL DEFAULT x'';
ALTER TABLE log ADD COLUMN lost_from BIGINT;
ALTER TABLE log ADD COLUMN lost_to BIGINT;
";
