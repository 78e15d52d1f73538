ALTER TABLE t ADD a varchar(20);
ALTER TABLE t ADD a varchar;
ALTER TABLE t ADD a timestamp;
ALTER TABLE t ADD a timestamptz