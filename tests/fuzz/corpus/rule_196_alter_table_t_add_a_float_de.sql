ALTER TABLE t ADD a float DEFAULT 1 + random();
ALTER TABLE t ADD a int[] NOT NULL DEFAULT ARRAY[1, 2]::int[];
ALTER TABLE t ADD a bigserial;
ALTER TABLE t ADD a bigint