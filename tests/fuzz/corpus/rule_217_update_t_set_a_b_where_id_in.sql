UPDATE t SET a = 1, b = 2 WHERE id = 1;
INSERT INTO t (a, a) VALUES (1, 2);
INSERT INTO t (a, b) VALUES (1, 2);
ALTER TABLE t ADD a int; CREATE INDEX i ON o (b)