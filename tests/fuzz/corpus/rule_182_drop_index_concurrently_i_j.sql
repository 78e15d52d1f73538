DROP INDEX CONCURRENTLY i, j;
SET LOCAL lock_timeout = 0;
SET LOCAL deadlock_timeout = '1s';
SET statement_timeout = 0