CREATE TYPE e AS ENUM ('a');
CREATE TYPE e AS (a int);
ALTER TYPE e ADD VALUE 'b' BEFORE 'a';
CREATE TABLE t (a bool, b bigint, c bool, d bigint)