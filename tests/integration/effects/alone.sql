-- What does not run in a transaction, while another session makes it wait

-- hold: LOCK TABLE plain IN ROW EXCLUSIVE MODE
CREATE INDEX CONCURRENTLY new ON plain (n);
-- => plain SHARE UPDATE EXCLUSIVE, scanned (not in a transaction)

-- hold: LOCK TABLE plain IN ROW EXCLUSIVE MODE
CREATE UNIQUE INDEX CONCURRENTLY new ON plain (n);
-- => plain SHARE UPDATE EXCLUSIVE, scanned (not in a transaction)

-- hold: LOCK TABLE plain IN SHARE UPDATE EXCLUSIVE MODE
-- may: idle
CREATE INDEX CONCURRENTLY IF NOT EXISTS plain_a ON plain (a);
-- => plain SHARE UPDATE EXCLUSIVE (not in a transaction)

-- hold: LOCK TABLE plain IN ACCESS SHARE MODE
DROP INDEX CONCURRENTLY plain_d;
-- => plain SHARE UPDATE EXCLUSIVE (not in a transaction)

-- may: idle
DROP INDEX CONCURRENTLY IF EXISTS nothing;
-- => nothing (not in a transaction)

-- hold: LOCK TABLE plain IN ROW EXCLUSIVE MODE
REINDEX INDEX CONCURRENTLY plain_d;
-- => plain SHARE UPDATE EXCLUSIVE, scanned (not in a transaction)

-- hold: LOCK TABLE plain IN ROW EXCLUSIVE MODE
REINDEX TABLE CONCURRENTLY plain;
-- => plain SHARE UPDATE EXCLUSIVE, scanned (not in a transaction)

-- hold: LOCK TABLE plain IN ROW EXCLUSIVE MODE
-- may: unlisted
REINDEX SCHEMA public;
-- => events_2023 NONE, scanned; events_2024 NONE, scanned; events_rest NONE, scanned; items NONE, scanned; orders
-- => NONE, scanned; plain SHARE, scanned; ruled NONE, scanned; scratch NONE, scanned; serials NONE, scanned;
-- => team_sizes NONE, scanned; teams NONE, scanned; things NONE, scanned; users NONE, scanned (not in a
-- => transaction)

-- hold: LOCK TABLE visits_us_1 IN ROW EXCLUSIVE MODE
-- hold: SELECT count(*) FROM visits_eu
-- hold: SELECT count(*) FROM visits_us_0
-- hold: SELECT count(*) FROM visits_us_1
-- may: blind
CREATE INDEX visits_region ON visits (region);
REINDEX TABLE visits;
-- => visits SHARE; visits_eu SHARE, scanned; visits_eu_region_idx ACCESS EXCLUSIVE, rewritten; visits_us SHARE;
-- => visits_us_0 SHARE, scanned; visits_us_0_region_idx ACCESS EXCLUSIVE, rewritten; visits_us_1 SHARE, scanned;
-- => visits_us_1_region_idx ACCESS EXCLUSIVE, rewritten (not in a transaction)

-- hold: LOCK TABLE ONLY events IN ROW EXCLUSIVE MODE
-- hold: COMMENT ON INDEX events_kind IS 'x'
-- hold: SELECT count(*) FROM events_2023
-- hold: SELECT count(*) FROM events_2024
-- hold: SELECT count(*) FROM events_rest
-- may: blind
REINDEX INDEX events_kind;
-- => events SHARE; events_2023 SHARE, scanned; events_2023_kind_idx ACCESS EXCLUSIVE, rewritten; events_2024 SHARE,
-- => scanned; events_2024_kind_idx ACCESS EXCLUSIVE, rewritten; events_kind ACCESS EXCLUSIVE; events_rest SHARE,
-- => scanned; events_rest_kind_idx ACCESS EXCLUSIVE, rewritten (not in a transaction)

-- hold: LOCK TABLE ONLY visits IN ACCESS SHARE MODE
-- hold: LOCK TABLE visits_eu IN ACCESS SHARE MODE
-- hold: LOCK TABLE teams IN ROW EXCLUSIVE MODE
ALTER TABLE visits DETACH PARTITION visits_eu CONCURRENTLY;
-- => teams SHARE ROW EXCLUSIVE; visits SHARE UPDATE EXCLUSIVE; visits_eu ACCESS EXCLUSIVE (not in a transaction)

-- hold: LOCK TABLE ONLY visits IN ACCESS SHARE MODE
-- hold: LOCK TABLE ONLY visits_us IN ACCESS SHARE MODE
-- hold: LOCK TABLE teams IN ROW EXCLUSIVE MODE
ALTER TABLE visits DETACH PARTITION visits_us CONCURRENTLY;
-- => teams SHARE ROW EXCLUSIVE; visits SHARE UPDATE EXCLUSIVE; visits_us ACCESS EXCLUSIVE (not in a transaction)

-- may: maybe
-- hold: LOCK TABLE plain IN SHARE UPDATE EXCLUSIVE MODE
VACUUM plain;
-- => plain SHARE UPDATE EXCLUSIVE (not in a transaction)

-- hold: LOCK TABLE plain IN ACCESS SHARE MODE
VACUUM FULL plain;
-- => plain ACCESS EXCLUSIVE, scanned, rewritten (not in a transaction)

-- may: maybe
-- hold: LOCK TABLE users IN SHARE UPDATE EXCLUSIVE MODE
VACUUM (ANALYZE) users;
-- => users SHARE UPDATE EXCLUSIVE (not in a transaction)

-- hold: LOCK TABLE ONLY events IN ACCESS SHARE MODE
-- hold: SELECT count(*) FROM events_2023
-- hold: SELECT count(*) FROM events_2024
-- hold: SELECT count(*) FROM events_rest
-- may: blind
CLUSTER events USING events_pkey;
-- => events ACCESS EXCLUSIVE; events_2023 ACCESS EXCLUSIVE, scanned, rewritten; events_2024 ACCESS EXCLUSIVE,
-- => scanned, rewritten; events_rest ACCESS EXCLUSIVE, scanned, rewritten (not in a transaction)

ALTER TABLE plain CLUSTER ON plain_d;
-- hold: LOCK TABLE plain IN ACCESS SHARE MODE
-- may: unlisted
CLUSTER;
-- => plain ACCESS EXCLUSIVE, scanned, rewritten (not in a transaction)

-- hold: LOCK TABLE plain IN SHARE UPDATE EXCLUSIVE MODE
-- may: unlisted
VACUUM;
-- => plain SHARE UPDATE EXCLUSIVE (not in a transaction)

CREATE DATABASE new_database;
-- => nothing (not in a transaction)

-- may: unlisted
CREATE DATABASE old_database;
DROP DATABASE old_database;
-- => nothing (not in a transaction)

ALTER SYSTEM SET work_mem = '5MB';
-- => nothing (not in a transaction)
