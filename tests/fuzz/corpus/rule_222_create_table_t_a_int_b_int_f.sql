CREATE TABLE t (a int, b int, FOREIGN KEY (a, b) REFERENCES o);
CREATE TABLE t (a int, b int, FOREIGN KEY (a, b) REFERENCES o, UNIQUE (b, a));
CREATE TABLE o (id bigint PRIMARY KEY); CREATE TABLE t (a int REFERENCES o (id));
CREATE TABLE o (id bigint PRIMARY KEY); CREATE TABLE t (a bigint REFERENCES o (id))