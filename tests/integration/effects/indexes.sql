-- Indexes and statistics, in a transaction

CREATE INDEX new ON plain (n);
-- => plain SHARE, scanned

CREATE UNIQUE INDEX new ON plain (n);
-- => plain SHARE, scanned

CREATE INDEX new ON plain (lower(b)) WHERE a > 5;
-- => plain SHARE, scanned

-- may: idle
CREATE INDEX IF NOT EXISTS plain_a ON plain (a);
-- => plain SHARE

CREATE INDEX new ON events (at);
-- => events SHARE; events_2023 SHARE, scanned; events_2024 SHARE, scanned; events_rest SHARE, scanned

-- may: idle
CREATE INDEX new ON ONLY events (at);
-- => events SHARE

CREATE INDEX new ON animals (id);
-- => animals SHARE, scanned

CREATE INDEX new ON team_sizes (size);
-- => team_sizes SHARE, scanned

DROP INDEX plain_a;
-- => plain ACCESS EXCLUSIVE

-- may: idle
DROP INDEX IF EXISTS nothing;
-- => nothing

DROP INDEX events_kind;
-- => events ACCESS EXCLUSIVE; events_2023 ACCESS EXCLUSIVE; events_2024 ACCESS EXCLUSIVE; events_rest ACCESS
-- => EXCLUSIVE

DROP INDEX plain_a, plain_d;
-- => plain ACCESS EXCLUSIVE

CREATE INDEX notes_body ON app.notes (body);
DROP INDEX app.notes_body;
-- => app.notes ACCESS EXCLUSIVE

ALTER INDEX plain_a RENAME TO plain_aa;
-- => plain_a SHARE UPDATE EXCLUSIVE

ALTER INDEX events_kind RENAME TO events_sort;
-- => events_kind SHARE UPDATE EXCLUSIVE

ALTER INDEX plain_a SET (fillfactor = 70);
-- => plain_a SHARE UPDATE EXCLUSIVE

ALTER INDEX plain_a RESET (fillfactor);
-- => plain_a SHARE UPDATE EXCLUSIVE

-- may: maybe
ALTER INDEX plain_a SET TABLESPACE pg_default;
-- => plain_a ACCESS EXCLUSIVE

ALTER INDEX users_email_lower ALTER COLUMN 1 SET STATISTICS 500;
-- => users_email_lower SHARE UPDATE EXCLUSIVE

CREATE INDEX rest ON ONLY events (at);
CREATE INDEX part ON events_2023 (at);
ALTER INDEX rest ATTACH PARTITION part;
-- => events ACCESS SHARE; events_2023 ACCESS SHARE; part ACCESS EXCLUSIVE; rest SHARE UPDATE EXCLUSIVE

CREATE INDEX body_gin ON app.notes USING gin (to_tsvector('english', body));
ALTER INDEX app.body_gin SET (fastupdate = off);
-- => app.body_gin ACCESS EXCLUSIVE

COMMENT ON INDEX plain_a IS 'x';
-- => plain_a SHARE UPDATE EXCLUSIVE

REINDEX INDEX plain_a;
-- => plain SHARE, scanned; plain_a ACCESS EXCLUSIVE, rewritten

REINDEX TABLE plain;
-- => plain SHARE, scanned; plain_a ACCESS EXCLUSIVE, rewritten; plain_c ACCESS EXCLUSIVE, rewritten; plain_d ACCESS
-- => EXCLUSIVE, rewritten; plain_pkey ACCESS EXCLUSIVE, rewritten

REINDEX TABLE users;
-- => users SHARE, scanned; users_email_lower ACCESS EXCLUSIVE, rewritten; users_old ACCESS EXCLUSIVE, rewritten;
-- => users_pkey ACCESS EXCLUSIVE, rewritten; users_team_id ACCESS EXCLUSIVE, rewritten

REINDEX TABLE team_sizes;
-- => team_sizes SHARE, scanned; team_sizes_team ACCESS EXCLUSIVE, rewritten

CREATE STATISTICS new ON a, n FROM plain;
-- => plain SHARE UPDATE EXCLUSIVE

-- may: unasked
DROP STATISTICS users_stats;
-- => users SHARE UPDATE EXCLUSIVE

ALTER STATISTICS users_stats SET STATISTICS 500;
-- => nothing

ALTER STATISTICS users_stats RENAME TO users_numbers;
-- => nothing

COMMENT ON STATISTICS users_stats IS 'x';
-- => nothing
