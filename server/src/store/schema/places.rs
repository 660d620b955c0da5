//! The step that gave leaves and frames one place, and left to publication what a frame need not wait for: a place in an
//! index whose end is another for each platform is a page to be written.

// 1099511627776 is `LOG_SPAN`.
pub(super) const STEP: &str = "
-- The number that stands for a platform, a list and an epoch in frames and their indexes.
CREATE TABLE asker (
    id       INTEGER NOT NULL PRIMARY KEY,
    platform TEXT    NOT NULL,
    list     TEXT    NOT NULL,
    epoch    INTEGER NOT NULL,
    UNIQUE (platform, list, epoch)
);
INSERT INTO asker (platform, list, epoch) SELECT DISTINCT platform, list, epoch FROM frame;

-- id: the log's number times 1099511627776 (2^40), and the leaf's index in it. Rows are appended and never changed;
-- those that a lost log has not published move to the log that goes on from it. platform: whose leaf it is, empty for nobody's.
CREATE TABLE new_leaf (
    id       INTEGER NOT NULL PRIMARY KEY,
    platform TEXT    NOT NULL,
    leaf     BLOB    NOT NULL
);
INSERT INTO new_leaf SELECT log * 1099511627776 + idx, platform, leaf FROM log_leaf ORDER BY log, idx;
-- The published leaves of each platform. Written when they are published, as log_hash is.
CREATE TABLE log_owner (
    platform TEXT    NOT NULL,
    leaf     INTEGER NOT NULL,
    PRIMARY KEY (platform, leaf)
) WITHOUT ROWID;
INSERT INTO log_owner
    SELECT platform, log * 1099511627776 + idx FROM log_leaf JOIN log ON log.id = log_leaf.log
    WHERE platform <> '' AND idx < published_size ORDER BY 1, 2;
DROP TABLE log_leaf;
ALTER TABLE new_leaf RENAME TO log_leaf;

-- id: that of the frame's leaf; below 2^40 what was answered before there were logs, which has none.
CREATE TABLE new_frame (
    id        INTEGER NOT NULL PRIMARY KEY,
    asker     INTEGER NOT NULL REFERENCES asker (id),
    batch     BLOB    NOT NULL,
    version   INTEGER NOT NULL,
    view_size BIGINT  NOT NULL,
    view_root BLOB    NOT NULL,
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
    retries   INTEGER NOT NULL DEFAULT 0,
    refunded  INTEGER NOT NULL DEFAULT 0
);
INSERT INTO new_frame
    SELECT coalesce(log * 1099511627776 + idx, frame.id), asker.id, batch, version, view_size, view_root, n, req, resp,
           req_sig, minute, status, code, t, nonce, proof, retries, refunded
    FROM frame JOIN asker USING (platform, list, epoch) ORDER BY 1;
-- The answered frames of each minute that have no leaf, or one that is published. Written when it is, as log_hash is.
CREATE TABLE frame_minute (
    asker INTEGER NOT NULL,
    t     BIGINT  NOT NULL,
    frame INTEGER NOT NULL,
    PRIMARY KEY (asker, t, frame)
) WITHOUT ROWID;
INSERT INTO frame_minute
    SELECT asker, t, new_frame.id FROM new_frame LEFT JOIN log ON log.id = new_frame.id / 1099511627776
    WHERE status = 'ok' AND (log.id IS NULL OR new_frame.id % 1099511627776 < published_size) ORDER BY 1, 2, 3;
DROP TABLE frame;
ALTER TABLE new_frame RENAME TO frame;
CREATE UNIQUE INDEX frame_answered ON frame (asker, batch) WHERE status = 'ok';

CREATE TABLE new_budget (
    platform TEXT   NOT NULL,
    list     TEXT   NOT NULL,
    day      BIGINT NOT NULL,
    elements BIGINT NOT NULL,
    frames   BIGINT NOT NULL,
    PRIMARY KEY (platform, list, day)
) WITHOUT ROWID;
INSERT INTO new_budget SELECT platform, list, day, elements, frames FROM budget;
DROP TABLE budget;
ALTER TABLE new_budget RENAME TO budget;
";
