ALTER TABLE t SET UNLOGGED;
ALTER TABLE t SET (autovacuum_enabled = false);
CREATE INDEX i ON t (a);
CREATE TABLE public.t (a int); CREATE INDEX i ON t (a)