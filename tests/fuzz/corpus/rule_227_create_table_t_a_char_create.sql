CREATE TABLE t (a char(3));
CREATE TABLE t (a "char");
CREATE DOMAIN d AS int CHECK (value > 0);
CREATE DOMAIN d AS int